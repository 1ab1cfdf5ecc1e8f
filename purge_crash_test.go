package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestPurgeKill9 kills weir purge in its middle, again and again. Each hour then
// has all of the records that are to go or none, no other record is ever gone, and
// what runs next, a command or a collector, says that it goes on, and ends it.
func TestPurgeKill9(t *testing.T) {
	const hours, records = 6, 20_000
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	binary := buildWeir(t)
	rounds, cut := 4, 0
	if testing.Short() {
		rounds = 2
	}
	for round := range rounds {
		w := &weir{t: t, binary: binary, dir: filepath.Join(t.TempDir(), "data")}
		// In the past by less than retention, so that a collector drops nothing.
		first := time.Now().Add(-(hours + 2) * time.Hour).UTC().Truncate(time.Hour).Add(30 * time.Minute)
		for h := range hours {
			capture := filepath.Join(t.TempDir(), "capture")
			w.must("generate", "-w", capture, "--records", fmt.Sprint(records), "--seed", fmt.Sprint(h+1), "--start", first.Add(time.Duration(h)*time.Hour).Format(time.RFC3339))
			w.must("import", "--data", w.dir, capture)
		}
		going, staying := w.hourly("proto tcp"), w.hourly("not proto tcp")
		if len(going) != hours || len(staying) != hours {
			t.Fatalf("%d and %d hours", len(going), len(staying))
		}
		cmd := exec.Command(w.binary, "purge", "--data", w.dir, "proto tcp", "--all-time", "--case", "C-17", "--yes")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(50+rng.IntN(400)) * time.Millisecond)
		if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
			t.Log("the purge had ended")
		}
		_ = cmd.Wait()
		left := w.hourly("proto tcp")
		for hour, n := range left {
			if n != going[hour] {
				t.Errorf("hour %s has %s of %s records that go", hour, n, going[hour])
			}
		}
		if len(left) > 0 && len(left) < hours {
			cut++
		}
		switch said := w.endPurge(round%2 == 1); {
		case strings.Contains(said, "C-17"):
			total := 0
			for _, n := range going {
				n, _ := strconv.Atoi(n)
				total += n
			}
			if !strings.Contains(said, fmt.Sprintf("%d records gone", total)) && !strings.Contains(said, fmt.Sprintf("records=%d", total)) {
				t.Errorf("%d records are gone, but it said\n%s", total, said)
			}
		case len(left) == hours || len(left) == 0: // it had not begun, or ended
			w.must("purge", "--data", w.dir, "proto tcp", "--all-time", "--case", "C-17", "--yes")
		default:
			t.Errorf("%d of %d hours are left, and what ran next said\n%s", len(left), hours, said)
		}
		if left := w.hourly("proto tcp"); len(left) > 0 {
			t.Errorf("afterwards there are %v", left)
		}
		if now := w.hourly("not proto tcp"); fmt.Sprint(now) != fmt.Sprint(staying) {
			t.Errorf("the others are %v, were %v", now, staying)
		}
		w.must("check", "--data", w.dir)
		w.must("audit", "verify", "--data", w.dir)
	}
	t.Logf("%d purges were cut between two hours", cut)
}

// must runs a command that has to end well, and returns what it prints.
func (w *weir) must(args ...string) string {
	w.t.Helper()
	out, err := exec.Command(w.binary, args...).CombinedOutput()
	if err != nil {
		w.t.Fatalf("weir %q: %v\n%s", args, err, out)
	}
	return string(out)
}

// hourly returns how many records match by hour of start.
func (w *weir) hourly(filter string) map[string]string {
	w.t.Helper()
	out := w.must("series", "--data", w.dir, filter, "--step", "1h", "-o", "csv")
	counts := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^([0-9T:.Z-]+),([1-9]\d*),`).FindAllStringSubmatch(out, -1) {
		counts[m[1]] = m[2]
	}
	return counts
}

// A lockedLog can be read while a process writes it.
type lockedLog struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lockedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lockedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// endPurge runs what ends a purge that was cut short, a collector or another
// purge, and returns what it says.
func (w *weir) endPurge(collector bool) string {
	w.t.Helper()
	if !collector {
		return w.must("purge", "--data", w.dir, "ip 198.51.100.99", "--all-time", "--case", "C-18")
	}
	cmd := exec.Command(w.binary, "collect", "--data", w.dir, "--listen", "netflow://127.0.0.1:0")
	var log lockedLog
	cmd.Stderr, cmd.Stdout = &log, &log
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if _, err := os.Stat(filepath.Join(w.dir, "weir.sock")); err != nil {
			continue // a question now would hold the directory that the collector wants
		}
		out, err := exec.Command(w.binary, "query", "--data", w.dir, "proto tcp", "--count").Output()
		if err == nil && strings.TrimSpace(string(out)) == "0" {
			break
		}
	}
	// What it went on with it says when it is done; if there was nothing, nothing.
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end) && !strings.Contains(log.String(), "C-17"); {
		time.Sleep(20 * time.Millisecond)
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	_ = cmd.Wait()
	return log.String()
}
