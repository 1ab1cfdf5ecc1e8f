package main

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestHoldKill9 kills weir collect again and again while it lets hours go of which
// two cases hold records. After each kill, a question for a case finds all that
// its hold is about, once, and in the end nothing else is left.
func TestHoldKill9(t *testing.T) {
	rounds := 12
	if testing.Short() {
		rounds = 3
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	w := &heldWeir{t: t, binary: buildWeir(t), data: filepath.Join(dir, "data")}
	first := time.Now().UTC().Truncate(time.Hour).Add(-8 * time.Hour)
	for h := range 5 {
		capture := filepath.Join(dir, fmt.Sprint(h, ".pcap"))
		w.run("generate", "-w", capture, "--records", "8000", "--seed", fmt.Sprint(h), "--start", first.Add(time.Duration(h)*time.Hour).Format(time.RFC3339))
		w.run("import", capture)
	}
	from, to := first.Format(time.RFC3339), first.Add(6*time.Hour).Format(time.RFC3339)
	want := map[string]string{}
	for ref, filter := range map[string]string{"IR-17": "dst port 443", "IR-18": "proto udp and packets > 1"} {
		want[ref] = w.records(filter, "--from", from, "--to", to)
		w.run("hold", "add", "--case", ref, "--filter", filter, "--from", from, "--to", to, "--until", "1y")
	}
	compare := func(when string) {
		t.Helper()
		for ref, records := range want {
			if got := w.records("", "--case", ref); got != records {
				t.Fatalf("%s, case %s has %d records, want %d, or others", when, ref, strings.Count(got, "\n"), strings.Count(records, "\n"))
			}
		}
	}
	for round := range rounds {
		w.collect(time.Duration(rng.IntN(400)) * time.Millisecond)
		compare(fmt.Sprint("round ", round))
		t.Logf("round %d: %d hours are left", round, strings.Count(w.run("buckets", "-o", "csv"), ",sealed,"))
	}
	got := ""
	for tries := 0; tries < 12 && got != "0\n"; tries++ { // for longer than any busy machine takes
		w.collect(5 * time.Second)
		compare("in the end")
		got = w.run("query", "--count")
	}
	if got != "0\n" {
		t.Errorf("in the end, others see %s records", got)
	}
	w.run("check")
}

// A heldWeir is the program and an archive.
type heldWeir struct {
	t            *testing.T
	binary, data string
}

func (w *heldWeir) run(args ...string) string {
	w.t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.Command(w.binary, args...)
	cmd.Env = append(cmd.Environ(), "WEIR_DATA="+w.data)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		w.t.Fatalf("weir %q: %v\n%s%s", args, err, out.String(), errs.String())
	}
	return out.String()
}

// records returns the records that a question finds, as sorted lines.
func (w *heldWeir) records(filter string, args ...string) string {
	w.t.Helper()
	words := []string{"query", "-o", "json"}
	if filter != "" {
		words = append(words, filter)
	}
	lines := strings.Split(w.run(append(words, args...)...), "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// collect runs a collector that keeps an hour, and kills it so long after it
// listens.
func (w *heldWeir) collect(span time.Duration) {
	w.t.Helper()
	cmd := exec.Command(w.binary, "collect", "--data", w.data, "--listen", "netflow://127.0.0.1:0", "--retention", "1h")
	stderr, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = cmd.Process.Kill() })
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		if strings.Contains(lines.Text(), "listening on") {
			time.AfterFunc(span, func() { _ = cmd.Process.Kill() }) // -9
		}
		if strings.Contains(lines.Text(), "level=ERROR") {
			w.t.Errorf("the collector says %s", lines.Text())
		}
	}
	_ = cmd.Wait()
}
