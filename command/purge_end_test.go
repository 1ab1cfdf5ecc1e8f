package command

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/flow"
	"weir/store"
)

// onTerminal runs a command line whose standard error is a terminal, with what is
// typed there.
func onTerminal(ctx context.Context, data, typed string, args ...string) (out, errs string, status int) {
	std, stdout, stderr := testStd()
	std.ErrTerminal, std.In = true, strings.NewReader(typed)
	std.Getenv = func(name string) string { return map[string]string{"WEIR_DATA": data}[name] }
	status = Main(ctx, append([]string{"weir"}, args...), std)
	return stdout.String(), stderr.String(), status
}

// On a terminal the case has to be typed, and nothing else deletes.
func TestPurgeTyped(t *testing.T) {
	data := exportArchive(t, "switch-sflow.pcap")
	for _, daemon := range []bool{false, true} {
		if daemon {
			startCollector(t, data)
		}
		proto := map[bool]string{false: "proto udp", true: "proto tcp"}[daemon]
		args := []string{"purge", proto, "--all-time", "--case", "C-17"}
		before, _, _ := weir(t, data, "query", proto, "--count")
		for _, typed := range []string{"", "\n", "yes\n", "c-17\n", "C-1\n", "C-17 yes\n"} {
			_, errs, status := onTerminal(t.Context(), data, typed, args...)
			if status != exitUsage || !strings.Contains(errs, "type the case reference") || !strings.Contains(errs, "nothing was deleted") {
				t.Errorf("typed %q: status %d, %s", typed, status, errs)
			}
			if after, _, _ := weir(t, data, "query", proto, "--count"); after != before || after == "0\n" {
				t.Fatalf("typed %q: %s of %s records are left", typed, after, before)
			}
		}
		if _, errs, status := onTerminal(t.Context(), data, "C-17\n", args...); status != exitOK || !strings.Contains(errs, "for case C-17") {
			t.Errorf("status %d, %s", status, errs)
		}
		if after, _, _ := weir(t, data, "query", proto, "--count"); after != "0\n" {
			t.Errorf("%s records are left", after)
		}
	}
}

// --out-of-scope deletes the records that have an address and none of ours, and
// no others.
func TestPurgeOutOfScope(t *testing.T) {
	config := filepath.Join(t.TempDir(), "weir.yaml")
	if err := os.WriteFile(config, []byte("networks:\n  - {name: ours, prefixes: [10.1.0.0/16]}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, daemon := range []bool{false, true} {
		data := exportArchive(t, "six-exporters.pcap", "switch-sflow.pcap")
		if daemon {
			startCollector(t, data)
		}
		inside, _, _ := weir(t, data, "query", "net 10.1.0.0/16", "-o", "csv")
		outside, _, _ := weir(t, data, "query", "not net 10.1.0.0/16 and (ip 0.0.0.0/0 or ipv6)", "--count")
		all, _, _ := weir(t, data, "query", "--count")
		if strings.Count(inside, "\n") < 10 || outside == "0\n" {
			t.Fatalf("the archive has %d lines inside and %s outside", strings.Count(inside, "\n"), outside)
		}
		args := []string{"purge", "--out-of-scope", "--all-time", "--case", "C-18", "--yes"}
		if _, errs, status := weir(t, data, args...); status != exitUsage || !strings.Contains(errs, "networks") {
			t.Errorf("without networks: status %d, %s", status, errs)
		}
		if now, _, _ := weir(t, data, "query", "--count"); now != all {
			t.Errorf("%s of %s records are left", now, all)
		}
		_, errs, status := weir(t, data, append(args, "--config", config)...)
		if status != exitOK || !strings.Contains(errs, "deleted "+strings.TrimSpace(outside)+" record") {
			t.Errorf("status %d, %s, want %s", status, errs, outside)
		}
		if now, _, _ := weir(t, data, "query", "net 10.1.0.0/16", "-o", "csv"); now != inside {
			t.Error("records of ours are not as they were")
		}
	}
}

// A canceller is a writer that cancels a context once a text was written to it.
type canceller struct {
	bytes.Buffer
	at     string
	cancel func()
}

func (c *canceller) Write(b []byte) (int, error) {
	defer func() {
		if strings.Contains(c.String(), c.at) {
			c.cancel()
		}
	}()
	return c.Buffer.Write(b)
}

// Ctrl-C says how far the purge is and what can be done; it can be ended or given
// up, and both are noted.
func TestPurgeInterrupted(t *testing.T) {
	for _, giveUp := range []bool{false, true} {
		data := exportArchive(t, "switch-sflow.pcap")
		all, _, _ := weir(t, data, "query", "--count")
		ctx, cancel := context.WithCancel(t.Context())
		std, _, _ := testStd()
		errs := &canceller{at: "would go", cancel: cancel}
		std.Err = errs
		std.Getenv = func(name string) string { return map[string]string{"WEIR_DATA": data}[name] }
		status := Main(ctx, []string{"weir", "purge", "proto udp", "--all-time", "--case", "C-17", "--yes"}, std)
		if status != exitInterrupted || !strings.Contains(errs.String(), "0 records gone so far, 0 hours done") || !strings.Contains(errs.String(), "--give-up --case C-17") {
			t.Fatalf("status %d, %s", status, errs)
		}
		if !giveUp {
			_, errs, status := weir(t, data, "purge", "ip 192.0.2.99", "--all-time", "--case", "C-19")
			if status != exitOK || !strings.Contains(errs, "first ended the purge of case C-17") {
				t.Errorf("status %d, %s", status, errs)
			}
			waitAnswer(t, data, "0\n", "query", "proto udp", "--count")
			continue
		}
		for _, args := range [][]string{
			{"--give-up"}, {"--give-up", "--case", "C-18"}, {"--give-up", "--case", "C-17", "--all-time"}, {"--give-up", "--case", "C-17", "proto udp"},
		} {
			if out, errs, status := weir(t, data, append([]string{"purge"}, args...)...); status != exitUsage {
				t.Errorf("%q: status %d, %s%s", args, status, out, errs)
			}
		}
		out, said, status := weir(t, data, "purge", "--give-up", "--case", "C-17")
		if status != exitOK || !strings.Contains(out, "given up: 0 records gone so far, 0 hours done; the rest stays") {
			t.Errorf("status %d, %s%s", status, out, said)
		}
		if out, said, status := weir(t, data, "purge", "--give-up", "--case", "C-17"); status != exitUsage || !strings.Contains(said, "no purge was cut short") {
			t.Errorf("twice: status %d, %s%s", status, out, said)
		}
		startCollector(t, data)
		waitAnswer(t, data, all, "query", "--count")
		log, _, _ := weir(t, data, "audit", "--command", "purge", "-n", "0", "-o", "csv")
		if !strings.Contains(log, "gives up the purge of case C-17: 0 records gone so far") {
			t.Errorf("the audit log says %s", log)
		}
	}
}

// A purge that was begun over the collector's socket can be given up over it, and
// one that is at work cannot.
func TestPurgeGivenUpBesideCollector(t *testing.T) {
	data := exportArchive(t, "switch-sflow.pcap")
	s, err := openStore(data, modeWrite)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	l := &local{store: s, now: func() time.Time { return testNow.Add(2 * time.Hour) }}
	st := purgeState{Filter: "proto udp", Case: "C-9", By: "somebody", At: 1, Records: 7, Done: []string{"archive 2026-11-22T13"}}
	if err := st.write(s); err != nil {
		t.Fatal(err)
	}
	h := s.Buckets()[0].Hour
	if _, err := s.Remove(h, func(*store.Block) ([]uint64, error) { return []uint64{1}, nil }); err != nil {
		t.Fatal(err)
	}
	serveIn(t, newAudited(l), data)
	l.purging.Lock()
	if out, errs, status := weir(t, data, "purge", "--give-up", "--case", "C-9"); status != exitUsage || !strings.Contains(errs, "at work") {
		t.Errorf("status %d, %s%s", status, out, errs)
	}
	l.purging.Unlock()
	if out, errs, status := weir(t, data, "purge", "--give-up", "--case", "C-9"); status != exitOK || !strings.Contains(out, "7 records gone so far, 1 hour done") {
		t.Errorf("status %d, %s%s", status, out, errs)
	}
	if got := s.Buckets()[0]; got.Hour != h || got.State != store.StateSealed {
		t.Errorf("the hour %v that a row went from is %v", got.Hour, got.State)
	}
	if left := filesWithText(t, data, "proto udp"); len(left) > 0 {
		t.Errorf("the filter is still in the files %v", left)
	}
}

// filesWithText returns the names of the files of a directory that hold a text.
func filesWithText(t *testing.T, dir, text string) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if err == nil && bytes.Contains(b, []byte(text)) {
			found = append(found, d.Name())
		}
		if os.IsNotExist(err) {
			return nil
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestPurgeBytes looks for an address in every file of the directory, logs
// included, before and after a purge by the command.
func TestPurgeBytes(t *testing.T) {
	const victim = "222.192.173.231"
	addr, err := flow.ParseAddr(victim)
	if err != nil {
		t.Fatal(err)
	}
	mark := string(binary.BigEndian.AppendUint32(nil, addr.As4()))
	for _, daemon := range []bool{false, true} {
		t.Run(fmt.Sprint("daemon ", daemon), func(t *testing.T) {
			data := filepath.Join(t.TempDir(), "data")
			c := startCollector(t, data)
			for range 20 {
				b := netflow5(3)
				copy(b[24+48:], mark) // the source of the second
				c.send(t, b)
			}
			waitAnswer(t, data, "60\n", "query", "--count") // a filter would be in the audit log
			// Without that, this test would show nothing.
			await(t, "the address is in a file", func() bool { return len(filesWithText(t, data, mark)) > 0 })
			if !daemon {
				c.stop()
			}
			_, errs, status := weir(t, data, "purge", "ip "+victim, "--all-time", "--case", "C-20", "--yes")
			if status != exitOK || !strings.Contains(errs, "deleted 20 records for case C-20") {
				t.Fatalf("status %d, %s", status, errs)
			}
			for _, text := range []string{mark, victim} {
				if left := filesWithText(t, data, text); len(left) > 0 {
					t.Errorf("%q is still in the files %v", text, left)
				}
			}
			waitAnswer(t, data, "40\n", "query", "--count")
		})
	}
}
