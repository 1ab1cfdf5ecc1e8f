package command

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
)

// TestPurge deletes an exporter's records from archive and quarantine, with a
// collector and without, and looks at what is left and on record.
func TestPurge(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	c := collectConfigured(t, data, scopeExample, testNow)
	for i, from := range []string{"127.0.0.2", "127.0.0.3"} {
		c.send(t, from, netflow5(5+i))
	}
	waitAnswer(t, data, "4\n", "quarantine", "query", "--count")
	waitAnswer(t, data, "2\n", "query", "exporter uni-a-gw", "--count")
	before, _, _ := weir(t, data, "query", "--count")
	for _, args := range [][]string{
		{"--all-time", "--case", "C"}, {"proto udp", "--case", "C"}, {"proto udp", "--from", "2026-11-22", "--case", "C"},
		{"proto udp", "--all-time"}, {"--exporter", "", "--all-time", "--case", "C"}, {"proto udp", "--all-time", "--last", "1h", "--case", "C"},
	} {
		if out, errs, status := weir(t, data, append([]string{"purge", "--yes"}, args...)...); status != exitUsage || out != "" {
			t.Errorf("purge %q: status %d, %s%s", args, status, out, errs)
		}
	}
	args := []string{"purge", "--exporter", "uni-a-gw", "--all-time", "--case", "C-17", "-o", "csv"}
	dry, errs, status := weir(t, data, args...)
	if status != exitOK || !strings.Contains(dry, "quarantine,2026-11-22T14,127.0.0.3,uni-a-gw,4") || !strings.Contains(errs, "nothing was deleted") {
		t.Fatalf("dry run: status %d\n%s%s", status, dry, errs)
	}
	if after, _, _ := weir(t, data, "query", "--count"); after != before {
		t.Errorf("a dry run left %s of %s records", after, before)
	}
	if out, errs, status := weir(t, data, append(args, "--yes")...); status != exitOK || out != dry || !strings.Contains(errs, "for case C-17") {
		t.Fatalf("purge: status %d\n%s%swant\n%s", status, out, errs, dry)
	}
	if out, errs, _ := weir(t, data, "query", "exporter uni-a-gw", "--count"); out != "0\n" {
		t.Errorf("after the purge of\n%sthere are still %s%s", dry, out, errs)
	}
	waitAnswer(t, data, "0\n", "quarantine", "query", "--count")
	c.stop()
	out, errs, status := weir(t, data, "purge", "ip 10.0.0.1", "--all-time", "--case", "C-18", "--yes", "-o", "csv")
	if status != exitOK || !strings.Contains(out, "archive,2026-11-22T14,127.0.0.2") {
		t.Errorf("without a collector: status %d\n%s%s", status, out, errs)
	}
	waitAnswer(t, data, "0\n", "query", "ip 10.0.0.1", "--count")
	log, _, _ := weir(t, data, "audit", "--command", "purge", "-n", "0", "-o", "json")
	if !strings.Contains(log, "SHA-256") || !strings.Contains(log, "C-18") || strings.Contains(log, "10.0.0.1") {
		t.Errorf("the audit log says\n%s", log)
	}
}

// TestPurgeResumed checks that a purge that was cut short is ended when the
// collector starts, and is forgotten then.
func TestPurgeResumed(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	c := collectConfigured(t, data, scopeExample, testNow)
	c.send(t, "127.0.0.3", netflow5(5))
	waitAnswer(t, data, "2\n", "query", "--count")
	c.stop()
	s, err := openStore(data, modeWrite)
	if err != nil {
		t.Fatal(err)
	}
	st := purgeState{Filter: "proto tcp or proto udp", Case: "C-9", By: "somebody", At: 1, Stopped: true}
	if err := st.write(s); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if out, errs, _ := weir(t, data, "query", "any", "--count"); out != "2\n" || !strings.Contains(errs, "a purge of case C-9 was stopped") {
		t.Errorf("of a purge that was stopped, an answer says: %s%s", out, errs)
	}
	collectConfigured(t, data, scopeExample, testNow)
	waitAnswer(t, data, "0\n", "query", "proto tcp or proto udp", "--count")
	waitAnswer(t, data, "0\n", "quarantine", "query", "proto tcp or proto udp", "--count")
}

// TestPurgePastRetention refuses a window of which nothing can be left.
func TestPurgePastRetention(t *testing.T) {
	data := exportArchive(t, "switch-sflow.pcap")
	for _, yes := range [][]string{nil, {"--yes"}} {
		_, errs, status := weir(t, data, append([]string{"purge", "any", "--from", "2026-01-01", "--to", "2026-01-31", "--case", "C-1"}, yes...)...)
		if status != exitUsage || !strings.Contains(errs, "past retention") || !strings.Contains(errs, "--data BACKUP") {
			t.Errorf("%v: status %d, %s", yes, status, errs)
		}
	}
	if _, errs, status := weir(t, data, "purge", "port 1", "--from", "2026-11-01", "--to", "2026-11-02", "--case", "C-1"); status != exitOK {
		t.Errorf("a window that retention keeps: status %d, %s", status, errs)
	}
}

// TestPurgeBeforeAnswers leaves a purge as a crash does: what it takes away is in
// no answer, of a command or of a collector.
func TestPurgeBeforeAnswers(t *testing.T) {
	for _, beside := range []bool{false, true} {
		data := filepath.Join(t.TempDir(), "data")
		c := collectConfigured(t, data, scopeExample, testNow)
		c.send(t, "127.0.0.3", netflow5(5))
		waitAnswer(t, data, "2\n", "query", "--count")
		c.stop()
		s, err := openStore(data, modeWrite)
		if err != nil {
			t.Fatal(err)
		}
		st := purgeState{Filter: "proto tcp or proto udp", Case: "C-9", By: "somebody", At: 1}
		if err := errors.Join(st.write(s), s.Close()); err != nil {
			t.Fatal(err)
		}
		if beside {
			collectConfigured(t, data, scopeExample, testNow)
		}
		if out, errs, status := weir(t, data, "query", "proto tcp or proto udp", "--count"); out != "0\n" || status != exitOK {
			t.Errorf("beside a collector %v: %s%s", beside, out, errs)
		}
		if out, _, _ := weir(t, data, "audit", "-o", "csv"); !strings.Contains(out, "goes on with the purge of case C-9") {
			t.Errorf("beside a collector %v: the audit log has no word of it:\n%s", beside, out)
		}
	}
}
