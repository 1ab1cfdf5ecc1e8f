package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"weir/flow/ledger"
	"weir/store"
)

// TestCollectKill9 kills weir collect while it collects, again and again on one
// directory. What a query had shown, a second later, must be there afterwards,
// once. 8 rounds; 2 with -short.
func TestCollectKill9(t *testing.T) {
	rounds := 8
	if testing.Short() {
		rounds = 2
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	w := &weir{t: t, binary: buildWeir(t), dir: filepath.Join(t.TempDir(), "data")}
	sent := uint32(0) // records are numbered from 1
	stored := map[uint32]bool{}
	for round := range rounds {
		c := w.collect()
		sent += c.send(sent, 30*(1+rng.IntN(200)))
		vouched := w.waitFor(sent, time.Minute)
		time.Sleep(2500 * time.Millisecond) // the log is written each half second, by a disk that may be busy
		wild := c.sendUntilKilled(sent, time.Duration(rng.IntN(900))*time.Millisecond)
		found := w.numbers() // opens the directory: no collector runs
		compare(t, round, found, vouched, stored, wild)
		t.Logf("round %d: %d vouched for, %d more sent before the kill, %d found in all", round, len(vouched), wild-sent, len(found))
		if t.Failed() {
			return
		}
		stored, sent = found, wild
	}
	c := w.collect()
	if found := w.numbers(); len(found) != len(stored) {
		t.Errorf("a collector shows %d records, the directory had %d", len(found), len(stored))
	}
	c.send(sent, 90)
	c.stop()
	w.compareLedger(rounds)
	if found := w.numbers(); len(found) != len(stored)+90 {
		t.Errorf("%d records after a clean stop, want %d", len(found), len(stored)+90)
	}
}

// compare checks that all of vouched and stored was found, and nothing that was
// not sent.
func compare(t *testing.T, round int, found, vouched, stored map[uint32]bool, sent uint32) {
	t.Helper()
	for _, must := range []map[uint32]bool{vouched, stored} {
		for n := range must {
			if !found[n] {
				t.Errorf("round %d: record %d is lost", round, n)
				return
			}
		}
	}
	for n := range found {
		if n == 0 || n > sent {
			t.Errorf("round %d: record %d was never sent", round, n)
			return
		}
	}
}

// compareLedger checks that the ledger shows each run: those that were killed end
// at a sign of life and without a word, the last one in order.
func (w *weir) compareLedger(killed int) {
	w.t.Helper()
	s, err := store.Open(w.dir, store.Options{ReadOnly: true})
	if err != nil {
		w.t.Fatal(err)
	}
	defer s.Close()
	ends := map[ledger.Run]string{}
	up := map[ledger.Run]ledger.Span{}
	records := uint64(0)
	err = s.ScanLedger(0, math.MaxUint32, func(_ store.Hour, row ledger.Row) error {
		switch row.Kind {
		case ledger.KindHost:
			if ends[row.Run] = row.Host.End; up[row.Run].From == 0 {
				up[row.Run] = row.Host.Up
			}
			up[row.Run] = ledger.Span{From: up[row.Run].From, To: row.Host.Up.To}
		case ledger.KindEntry:
			records += row.Entry.Get(ledger.Records)
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	runs := slices.Sorted(maps.Keys(ends))
	if len(runs) != killed+1 {
		w.t.Fatalf("the ledger shows %d runs, want %d", len(runs), killed+1)
	}
	last, signs := uint64(0), 0
	for i, run := range runs {
		want := ledger.EndOpen
		if i >= killed {
			want = ledger.EndClean
		}
		if ends[run] != want {
			w.t.Errorf("run %d of %d ended %q, want %q", i, len(runs), ends[run], want)
		}
		if up[run].From <= last || up[run].To < up[run].From {
			w.t.Errorf("run %d of %d was up for %+v, the one before until %d", i, len(runs), up[run], last)
		}
		if last = up[run].To; i < killed && up[run].Length() >= 1000 {
			signs++
		}
	}
	if signs == 0 { // each lived for longer, but a busy machine may delay the second sign past the end
		w.t.Error("no run that was killed left a sign of life after its first second")
	}
	if records == 0 {
		w.t.Error("the ledger shows no records")
	}
}

// buildWeir builds the program once.
func buildWeir(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "weir")
	cmd := exec.Command("go", "build", "-o", path, ".")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}

// A weir is the program and a data directory.
type weir struct {
	t           *testing.T
	binary, dir string
}

// numbers asks for all records and returns their numbers. One that is there
// twice is an error.
func (w *weir) numbers() map[uint32]bool {
	w.t.Helper()
	cmd := exec.Command(w.binary, "query", "--data", w.dir, "-o", "json", "--fields", "bytes")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		w.t.Fatalf("weir query: %v\n%s", err, stderr.String())
	}
	found := map[uint32]bool{}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var r struct{ Bytes uint32 }
		if err := dec.Decode(&r); err == io.EOF {
			return found
		} else if err != nil {
			w.t.Fatalf("answer is not JSON: %v", err)
		}
		if found[r.Bytes] {
			w.t.Errorf("record %d is there twice", r.Bytes)
		}
		found[r.Bytes] = true
	}
}

// waitFor asks until record number last is visible and returns what is. A
// datagram that the kernel dropped does not come any more, so it gives up when
// something came and nothing was added for two seconds.
func (w *weir) waitFor(last uint32, limit time.Duration) map[uint32]bool {
	w.t.Helper()
	found := w.numbers()
	grown, before := time.Now(), len(found)
	for end := time.Now().Add(limit); time.Now().Before(end) && uint32(len(found)) < last; {
		time.Sleep(50 * time.Millisecond)
		more := w.numbers()
		if len(more) > len(found) {
			grown = time.Now()
		} else if len(found) > before && time.Since(grown) > 2*time.Second {
			break
		}
		found = more
	}
	if len(found) == 0 {
		w.t.Fatalf("nothing of %d records is visible", last)
	}
	return found
}

// A collecting is a running weir collect.
type collecting struct {
	t    *testing.T
	cmd  *exec.Cmd
	conn net.Conn
	logs sync.WaitGroup
}

// collect starts weir collect on a free port and waits until it listens.
func (w *weir) collect() *collecting {
	w.t.Helper()
	cmd := exec.Command(w.binary, "collect", "--data", w.dir, "--listen", "netflow://127.0.0.1:0")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		w.t.Fatalf("start weir collect: %v", err)
	}
	c := &collecting{t: w.t, cmd: cmd}
	w.t.Cleanup(func() { _ = cmd.Process.Kill() })
	addr := make(chan string, 1)
	c.logs.Go(func() {
		var log strings.Builder
		listens := false
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			log.WriteString(lines.Text() + "\n")
			if _, rest, ok := strings.Cut(lines.Text(), "listening on netflow://"); ok && strings.Contains(rest, ":") {
				host, _, _ := strings.Cut(rest, " ")
				if !listens {
					addr <- host
				}
				listens = true
			}
		}
		if !listens {
			w.t.Logf("weir collect ended:\n%s", log.String())
			addr <- ""
		}
	})
	select {
	case a := <-addr:
		if a == "" {
			w.t.Fatal("weir collect does not listen")
		}
		if c.conn, err = net.Dial("udp", a); err != nil {
			w.t.Fatal(err)
		}
	case <-time.After(time.Minute):
		w.t.Fatal("weir collect does not say where it listens")
	}
	return c
}

// send sends the records after number last and returns how many.
func (c *collecting) send(last uint32, n int) uint32 {
	c.t.Helper()
	for at := 0; at < n; at += 30 {
		if _, err := c.conn.Write(datagramV5(last+uint32(at), 30)); err != nil {
			c.t.Fatalf("send: %v", err)
		}
		time.Sleep(100 * time.Microsecond)
	}
	return uint32(n)
}

// sendUntilKilled sends on while the collector is killed after delay, and
// returns the number of the last record.
func (c *collecting) sendUntilKilled(last uint32, delay time.Duration) uint32 {
	dead := make(chan struct{})
	timer := time.AfterFunc(delay, func() {
		_ = c.cmd.Process.Kill() // SIGKILL
		close(dead)
	})
	defer timer.Stop()
	for {
		select {
		case <-dead:
			c.end()
			return last
		default:
		}
		if _, err := c.conn.Write(datagramV5(last, 30)); err == nil {
			last += 30
		}
		time.Sleep(200 * time.Microsecond)
	}
}

func (c *collecting) end() error {
	_ = c.conn.Close()
	c.logs.Wait() // before Wait, which closes the pipe
	return c.cmd.Wait()
}

// stop ends the collector as a service manager does.
func (c *collecting) stop() {
	c.t.Helper()
	time.Sleep(100 * time.Millisecond) // what is in the socket is not the collector's yet
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		c.t.Errorf("stop: %v", err)
	}
	if err := c.end(); err != nil {
		c.t.Errorf("weir collect after SIGTERM: %v, want status 0", err)
	}
}

// datagramV5 is a NetFlow v5 datagram with the records last+1 to last+n; a
// record's number is its octets and its source address.
func datagramV5(last uint32, n int) []byte {
	const uptime = 10_000_000
	b := make([]byte, 24+48*n)
	be := binary.BigEndian
	be.PutUint16(b, 5)
	be.PutUint16(b[2:], uint16(n))
	be.PutUint32(b[4:], uptime)
	be.PutUint32(b[8:], uint32(time.Now().Unix()))
	be.PutUint32(b[16:], last) // flow sequence
	for i := range n {
		r := b[24+48*i:]
		number := last + uint32(i) + 1
		be.PutUint32(r, 10<<24|number)           // source
		be.PutUint32(r[4:], 192<<24|number%1000) // destination
		be.PutUint32(r[16:], 1)                  // packets
		be.PutUint32(r[20:], number)             // octets
		be.PutUint32(r[24:], uptime-1000)        // first
		be.PutUint32(r[28:], uptime-500)         // last
		be.PutUint16(r[32:], uint16(number))     // source port
		be.PutUint16(r[34:], 443)
		r[38] = 6 // TCP
	}
	return b
}
