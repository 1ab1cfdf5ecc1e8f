package index

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"weir/flow"
	"weir/store"
)

// crashReport is what a killed process had said.
type crashReport struct {
	acked    int64 // number of the last record it vouched for, -1 for none
	dropped  map[store.Hour]bool
	dropping map[store.Hour]bool // begun, maybe not done
}

// TestKill9 kills a process that appends, seals and drops, again and again on
// one directory, and looks each time whether everything it vouched for is there
// once. 12 rounds; 4 with -short.
func TestKill9(t *testing.T) {
	rounds := 12
	if testing.Short() {
		rounds = 4
	}
	rng := newRand(t)
	dir := t.TempDir()
	have := map[uint64]bool{} // records that were found, or vouched for
	next, gone := uint64(0), map[store.Hour]bool{}
	for round := range rounds {
		delay := time.Duration(rng.IntN(1500)) * time.Millisecond
		if rng.IntN(4) == 0 {
			delay = time.Duration(rng.IntN(60)) * time.Millisecond // while it opens
		}
		report := killedChild(t, dir, rng.Uint64(), next, delay)
		for n := next; int64(n) <= report.acked; n++ {
			have[n] = true
		}
		for h := range report.dropped {
			gone[h] = true
		}
		found := crashVerify(t, dir, have, gone, report.dropping, rng)
		t.Logf("round %d: killed after %v, %d records vouched for, %d in the store, %d hours dropped",
			round, delay, max(0, report.acked+1-int64(next)), len(found), len(report.dropped))
		if t.Failed() {
			t.Fatalf("round %d failed", round)
		}
		have = found
		for n := range found {
			next = max(next, n+1)
		}
	}
}

// killedChild runs a child and kills it after delay from its start.
func killedChild(t *testing.T, dir string, seed, next uint64, delay time.Duration) crashReport {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), envCrashDir+"="+dir,
		envCrashSeed+"="+strconv.FormatUint(seed, 10), envCrashNext+"="+strconv.FormatUint(next, 10))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("start the process to be killed: %v", err)
	}
	timer := time.AfterFunc(delay, func() { _ = cmd.Process.Kill() }) // SIGKILL
	defer timer.Stop()
	r := crashReport{acked: -1, dropped: map[store.Hour]bool{}, dropping: map[store.Hour]bool{}}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var word string
		var n int64
		if _, err := fmt.Sscan(lines.Text(), &word, &n); err != nil {
			t.Errorf("the process said %q", lines.Text())
			continue
		}
		switch word {
		case "acked":
			r.acked = n
		case "dropping":
			r.dropping[store.Hour(n)] = true
		case "dropped":
			r.dropped[store.Hour(n)] = true
			delete(r.dropping, store.Hour(n))
		default:
			t.Errorf("the process said %q", lines.Text())
		}
	}
	_ = cmd.Wait() // killed
	return r
}

// crashVerify opens the store, compares it with what must be there, lets a
// Sealer mend it, checks every index and compares again. It returns the numbers
// of the records found.
func crashVerify(t *testing.T, dir string, have map[uint64]bool, gone, maybe map[store.Hour]bool, rng *rand.Rand) map[uint64]bool {
	t.Helper()
	s, err := store.Open(dir, store.Options{})
	if err != nil {
		t.Fatalf("open after the kill: %v", err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}()
	found := crashScan(t, s)
	crashCompare(t, found, have, gone, maybe)

	now := func() time.Time { return time.UnixMilli(int64(lastHour(s).EndMS()) + 60_000) }
	r := NewSealer(s, Options{Now: now, Logger: slog.New(slog.DiscardHandler)})
	if rng.IntN(2) == 0 {
		if err := r.SealOver(context.Background()); err != nil {
			t.Errorf("seal what is over: %v", err)
		}
		for _, b := range s.Buckets() {
			if b.State != store.StateSealed {
				t.Errorf("bucket %v is in state %v after sealing", b.Hour, b.State)
			}
		}
	}
	checkAll(t, s)
	again := crashScan(t, s)
	if len(again) != len(found) {
		t.Errorf("%d records before the mending, %d after", len(found), len(again))
	}
	return again
}

func crashCompare(t *testing.T, found, have map[uint64]bool, gone, maybe map[store.Hour]bool) {
	t.Helper()
	perHour := map[store.Hour]int{}
	for n := range found {
		h := crashHour(n)
		perHour[h]++
		if gone[h] {
			t.Errorf("record %d of the dropped hour %v is there", n, h)
			return
		}
	}
	lost := 0
	for n := range have {
		h := crashHour(n)
		if !found[n] && !gone[h] && !(maybe[h] && perHour[h] == 0) {
			if lost++; lost <= 5 {
				t.Errorf("record %d of hour %v is lost", n, h)
			}
		}
	}
	if lost > 0 {
		t.Errorf("%d records are lost", lost)
	}
}

// crashScan reads all records, each of which must be what its number says.
func crashScan(t *testing.T, s *store.Store) map[uint64]bool {
	t.Helper()
	found := map[uint64]bool{}
	v, err := s.View(0, ^store.Hour(0))
	if err != nil {
		t.Fatalf("view: %v", err)
	}
	defer v.Close()
	for _, b := range v.Buckets() {
		for i := range b.Blocks() {
			if err := crashScanBlock(b, i, found); err != nil {
				t.Errorf("bucket %v, block %d: %v", b.Info().Hour, i, err)
			}
		}
	}
	return found
}

func crashScanBlock(b *store.Bucket, i int, found map[uint64]bool) error {
	blk, err := b.Block(i)
	if err != nil {
		return err
	}
	numbers, err := blk.Num(flow.Bytes, nil)
	if err != nil {
		return err
	}
	addrs, err := blk.Addr(flow.SrcAddr, nil)
	if err != nil {
		return err
	}
	ports, err := blk.Num(flow.DstPort, nil)
	if err != nil {
		return err
	}
	for row, n := range numbers {
		if found[n] {
			return fmt.Errorf("record %d is there twice", n)
		}
		found[n] = true
		if addrs[row] != crashAddr(n) || ports[row] != crashPort(n/7) || b.Info().Hour != crashHour(n) {
			return fmt.Errorf("record %d is not as it was written", n)
		}
	}
	return nil
}

func lastHour(s *store.Store) store.Hour {
	last := crashHour0
	for _, b := range s.Buckets() {
		last = max(last, b.Hour)
	}
	return last
}

// checkAll proves the indexes of all buckets right, and the summaries of days.
func checkAll(t testing.TB, s *store.Store) {
	t.Helper()
	v, err := s.View(0, ^store.Hour(0))
	if err != nil {
		t.Fatalf("view: %v", err)
	}
	defer v.Close()
	for rest := v.Buckets(); len(rest) > 0; {
		n := 1
		for n < len(rest) && DayOf(rest[n].Hour()) == DayOf(rest[0].Hour()) {
			n++
		}
		if err := CheckDay(context.Background(), rest[:n]); err != nil {
			t.Error(err)
		}
		rest = rest[n:]
	}
	for _, b := range v.Buckets() {
		if err := Check(context.Background(), b); err != nil {
			t.Error(err)
		}
	}
}
