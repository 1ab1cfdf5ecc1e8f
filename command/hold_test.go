package command

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// heldHost is a host of beacon-then-exfiltration.pcap; its window is the day of it.
const heldHost = "ip 10.20.3.45"

var heldDay = []string{"--from", "2026-11-22", "--to", "2026-11-22"}

// importHeld returns an archive with two captures of one hour.
func importHeld(t *testing.T) (data string) {
	t.Helper()
	data = filepath.Join(t.TempDir(), "data")
	if _, errs, status := weir(t, data, "import", "../testdata/beacon-then-exfiltration.pcap", "../testdata/six-exporters.pcap"); status != exitOK {
		t.Fatalf("import: status %d, %s", status, errs)
	}
	return data
}

// must runs a command that has to succeed and returns its output.
func must(t *testing.T, data string, args ...string) string {
	t.Helper()
	out, errs, status := weir(t, data, args...)
	if status != exitOK {
		t.Fatalf("%q: status %d, %s%s", args, status, out, errs)
	}
	return out
}

// sortedLines returns lines in an order of their own.
func sortedLines(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// expire lets a collector with retention: 1d drop the hour of the captures.
func expire(t *testing.T, data string, c *configured) {
	t.Helper()
	c.clock.Store(testNow.Add(26 * time.Hour).UnixMilli())
	must(t, data, "retention", "confirm")
}

// TestHoldStaysQueryable checks that what a filter holds is, record for record,
// there after its hour was dropped, with the collector and without; that other
// questions do not see it, and are told; and that it shows everywhere.
func TestHoldStaysQueryable(t *testing.T) {
	data := importHeld(t)
	before := sortedLines(must(t, data, append([]string{"query", heldHost, "-o", "json"}, heldDay...)...))
	all := must(t, data, "query", "--count")
	must(t, data, append([]string{"hold", "add", "--case", "IR-17", "--filter", heldHost, "--until", "1y"}, heldDay...)...)
	if out := must(t, data, "buckets", "-o", "csv"); !strings.Contains(out, "IR-17 (part)") {
		t.Errorf("buckets before the drop:\n%s", out)
	}
	c := collectConfigured(t, data, "retention: 1d\n", testNow)
	if out := must(t, data, "query", "--count"); out != all {
		t.Errorf("before the drop there are %s of %s records", out, all)
	}
	expire(t, data, c)
	check := func(when string, past bool) { // past: by the clock of who answers
		t.Helper()
		for _, args := range [][]string{
			{"query", "--case", "IR-17"}, {"hold", "query", "--case", "IR-17"}, {"hold", "query", heldHost, "--case", "IR-17", "--from", "2026-11-22"},
			append([]string{"query", "any", "--case", "IR-17"}, heldDay...), append([]string{"query", heldHost, "--case", "IR-17"}, heldDay...),
		} {
			if got := sortedLines(must(t, data, append(args, "-o", "json")...)); got != before {
				t.Errorf("%s, %q: got\n%s\nwant\n%s", when, args, got, before)
			}
		}
		for _, args := range [][]string{{"query", heldHost}, {"query", "--case", "OTHER"}, {"query", "dst port 443"}} {
			out, errs, _ := weir(t, data, append(args, "--count")...)
			if out != "0\n" || past && !strings.Contains(errs, "kept only under case IR-17 are left out; --case IR-17 asks them") {
				t.Errorf("%s, %q: got %s%s", when, args, out, errs)
			}
		}
		for want, args := range map[string][]string{
			"held,50,1":                 {"buckets", "-o", "csv"},
			`"records":50`:              {"hold", "list", "-o", "json"},
			"127.2.4.2,,50":             {"hold", "show", "IR-17", "-o", "csv"},
			"holds       1; 50 records": {"status"},
			"stays:    50 records taken out of 1 hour: hold IR-17 until 2027-11-22T14:03:05Z": {"retention"},
			"10.20.3.45":               {"top", "src_addr", "--case", "IR-17"},
			"2026-11-22 14:00:03.733Z": {"seen", "10.20.3.45", "--case", "IR-17"},
			"50 records":               {"check"},
			"keeps 50 records of hour 2026-11-22T14 for case IR-17": {"audit", "-n", "0", "-o", "csv"},
		} {
			if out := must(t, data, args...); !strings.Contains(out, want) {
				t.Errorf("%s, %q: %q is missing in\n%s", when, args, want, out)
			}
		}
		// The ledger of the hour went along, so that the answer is judged.
		out, _, _ := weir(t, data, append([]string{"query", "ip 192.0.2.222", "--case", "IR-17", "--coverage", "-o", "json"}, heldDay...)...)
		if !strings.Contains(out, `"hours_with_ledger":1`) {
			t.Errorf("%s, the coverage of what is held is\n%s", when, out)
		}
	}
	check("collecting", true)
	backup := filepath.Join(t.TempDir(), "copy")
	must(t, data, "backup", backup)
	if got := sortedLines(must(t, backup, "query", "--case", "IR-17", "-o", "json")); got != before {
		t.Errorf("a backup has\n%s\nwant\n%s", got, before)
	}
	c.stop()
	check("without a collector", false)
	collectConfigured(t, data, "retention: 1d\n", testNow.Add(26*time.Hour))
	check("collecting again", true)

	out, errs, status := weir(t, data, "hold", "release", "--case", "IR-17")
	if status != exitOK || !strings.Contains(errs, "nothing was released") {
		t.Errorf("release without --yes: status %d, %s%s", status, out, errs)
	}
	check("not released", true)
	must(t, data, "hold", "release", "--case", "IR-17", "--yes")
	if dirs, err := os.ReadDir(filepath.Join(data, heldName)); err != nil || len(dirs) > 0 {
		t.Errorf("released, and there is still %v, %v", dirs, err)
	}
	if out, errs, _ := weir(t, data, "query", "--case", "IR-17", "--count"); out != "0\n" || !strings.Contains(errs, "is over (released)") {
		t.Errorf("released: %s%s", out, errs)
	}
	for args, want := range map[string]int{"show": exitUsage, "query": exitUsage, "release": exitUsage, "extend": exitUsage, "list": exitOK} {
		if _, errs, status := weir(t, data, "hold", args, "--case", "IR-17", "--until", "5y"); args == "extend" && status != want || args != "extend" && status == exitFailure {
			t.Errorf("hold %s: status %d, %s", args, status, errs)
		}
	}
}

// TestHoldWithoutFilterKeepsHours checks that an hour stays whole past its day, is
// seen by its own case only, and goes when the hold ends by itself.
func TestHoldWithoutFilterKeepsHours(t *testing.T) {
	data := importHeld(t)
	all := sortedLines(must(t, data, "query", "-o", "json"))
	c := collectConfigured(t, data, "retention: 1d\n", testNow)
	must(t, data, append([]string{"hold", "add", "--case", "W", "--until", "20d"}, heldDay...)...)
	expire(t, data, c)
	if got := sortedLines(must(t, data, "query", "--case", "W", "-o", "json")); got != all {
		t.Errorf("case W sees\n%s\nwant\n%s", got, all)
	}
	if out, errs, _ := weir(t, data, "query", "--count"); out != "0\n" || !strings.Contains(errs, "--case W asks them") {
		t.Errorf("another question sees %s%s", out, errs)
	}
	if out := must(t, data, "buckets", "-o", "csv"); !strings.Contains(out, ",440,") || !strings.Contains(out, ",W\r\n") {
		t.Errorf("buckets:\n%s", out)
	}
	if out := must(t, data, "retention"); !strings.Contains(out, "due:      0 hours") || !strings.Contains(out, "stays:    1 hour past retention: hold W until 2026-12-12T14:03:05Z") {
		t.Errorf("retention:\n%s", out)
	}
	// Its end is announced.
	for day := 2; day <= 20; day++ { // a clock that moves by less than a day is believed
		c.clock.Store(testNow.AddDate(0, 0, day).Add(-time.Hour).UnixMilli())
		must(t, data, "retention", "confirm")
	}
	if n := strings.Count(c.log.String(), "a hold ends soon"); n < 13 || n > 15 {
		t.Errorf("its end was announced %d times, want one a day for 14 days", n)
	}
	if out, _, status := weir(t, data, "status", "--check"); status != exitFailure || !strings.Contains(out, "the hold of case W ends in") {
		t.Errorf("status: %d,\n%s", status, out)
	}
	if out := must(t, data, "query", "--case", "W", "--count"); out != "440\n" {
		t.Errorf("an hour before its end case W sees %s", out)
	}
	c.clock.Store(testNow.AddDate(0, 0, 20).Add(time.Minute).UnixMilli())
	must(t, data, "retention", "confirm")
	if out := must(t, data, "query", "--case", "W", "--count"); out != "0\n" {
		t.Errorf("after its end case W sees %s", out)
	}
	if out := must(t, data, "audit", "-n", "0", "-o", "csv"); !strings.Contains(out, "the hold of case W is over since 2026-12-12T14:03:05Z") {
		t.Errorf("the audit log is\n%s", out)
	}
}

// TestHoldRefuses checks that what is wrong is refused with one line and that
// nothing is held then, with a collector and without.
func TestHoldRefuses(t *testing.T) {
	data := importHeld(t)
	refuse := func() {
		t.Helper()
		for _, args := range [][]string{
			{"--from", "2026-11-22", "--to", "2026-11-23", "--until", "1y"},
			{"--case", "X"}, {"--case", "X", "--from", "2026-11-22"}, {"--case", "X", "--to", "2026-11-22", "--until", "1y"},
			{"--case", "X", "--from", "2026-11-22", "--to", "2026-11-22"},
			{"--case", "X", "--from", "2026-11-23", "--to", "2026-11-21", "--until", "1y"},
			{"--case", "X", "--from", "2026-11-22", "--to", "2026-11-22", "--until", "2026-11-21"},
			{"--case", "X", "--from", "2026-11-22", "--to", "2026-11-22", "--until", "soon"},
			{"--case", "X", "--from", "2026-11-22", "--to", "2026-11-22", "--until", "1h"},
			{"--case", "X", "--from", "2025-11-22", "--to", "2025-11-22", "--until", "1y"},
			{"--case", "X", "--from", "2026-11-22", "--to", "2026-11-22", "--until", "1y", "--filter", ""},
			{"--case", "X", "--from", "2026-11-22", "--to", "2026-11-22", "--until", "1y", "--filter", "ip 10.0.0"},
			{"--case", "X", "--from", "2026-11-22", "--to", "2026-11-22", "--until", "1y", "--add"},
			{"--case", "a\x01b", "--from", "2026-11-22", "--to", "2026-11-22", "--until", "1y"},
			{"--case", strings.Repeat("x", 300), "--from", "2026-11-22", "--to", "2026-11-22", "--until", "1y"},
		} {
			if out, errs, status := weir(t, data, append([]string{"hold", "add"}, args...)...); status != exitUsage || out != "" || errs == "" {
				t.Errorf("hold add %q: status %d, %s%s", args, status, out, errs)
			}
		}
		for _, args := range [][]string{{"show"}, {"show", "X"}, {"show", "--case", "X"}, {"query", "--case", "X"}, {"query"}, {"release", "--case", "X", "--yes"},
			{"release", "--yes"}, {"extend", "--case", "X", "--until", "1y"}, {"extend", "--case", "X"}, {"show", "X", "--case", "Y"}} {
			if out, errs, status := weir(t, data, append([]string{"hold"}, args...)...); status != exitUsage || out != "" {
				t.Errorf("hold %q: status %d, %s%s", args, status, out, errs)
			}
		}
		if out, errs, _ := weir(t, data, "hold", "list", "-o", "json"); out != "" || !strings.Contains(errs, "nothing is held") {
			t.Errorf("after all that was refused, held is\n%s%s", out, errs)
		}
	}
	refuse()
	c := collectConfigured(t, data, "retention: 90d\nholds: {max: 2y}\n", testNow)
	refuse()
	add := append([]string{"hold", "add", "--case", "X", "--filter", heldHost}, heldDay...)
	if _, errs, status := weir(t, data, append(add, "--until", "3y")...); status != exitUsage || !strings.Contains(errs, "2y at most here") {
		t.Errorf("longer than it may: status %d, %s", status, errs)
	}
	must(t, data, append(add, "--until", "2y")...)
	if _, errs, status := weir(t, data, append(add, "--until", "1y")...); status != exitUsage || !strings.Contains(errs, "has a hold already") {
		t.Errorf("a second hold: status %d, %s", status, errs)
	}
	if _, errs, status := weir(t, data, append(add, "--add")...); status != exitUsage || !strings.Contains(errs, "holds this already") {
		t.Errorf("the same again: status %d, %s", status, errs)
	}
	must(t, data, append([]string{"hold", "add", "--case", "X", "--filter", "proto icmp", "--add"}, heldDay...)...)
	if out := must(t, data, "hold", "list", "-o", "json"); strings.Count(out, "\n") != 1 || strings.Count(out, `"filter":`) != 3 {
		t.Errorf("with a second scope:\n%s", out)
	}
	for until, want := range map[string]int{"2026-12-01": exitUsage, "9y": exitUsage} {
		if _, errs, status := weir(t, data, "hold", "extend", "--case", "X", "--until", until); status != want {
			t.Errorf("extend until %s: status %d, %s", until, status, errs)
		}
	}
	q := filepath.Join(t.TempDir(), "quarantine") // an archive of that name
	must(t, q, "import", "../testdata/six-exporters.pcap")
	if _, errs, status := weir(t, q, append([]string{"hold", "add", "--case", "Q", "--until", "1y"}, heldDay...)...); status != exitFailure || !strings.Contains(errs, "quarantine is not held") {
		t.Errorf("of a quarantine: status %d, %s", status, errs)
	}
	c.stop()
	// A purge that was cut short goes before a new hold.
	s, err := openStore(data, modeWrite)
	if err != nil {
		t.Fatal(err)
	}
	st := purgeState{Filter: "ip 198.18.0.99", Case: "C-9", By: "somebody", At: 1}
	if err := st.write(s); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if _, errs, status := weir(t, data, append([]string{"hold", "add", "--case", "Y", "--until", "1y"}, heldDay...)...); status != exitFailure || !strings.Contains(errs, "a purge is under way") {
		t.Errorf("while a purge is under way: status %d, %s", status, errs)
	}
}

// TestPurgeMeetsHold checks that a purge stops at what is held until it is told
// which of the two wins, and what is left then, in the archive and of what was
// taken out of it.
func TestPurgeMeetsHold(t *testing.T) {
	for _, dropped := range []bool{false, true} {
		for _, daemon := range []bool{false, true} {
			t.Run(fmt.Sprintf("dropped %v, daemon %v", dropped, daemon), func(t *testing.T) { purgeMeetsHold(t, dropped, daemon) })
		}
	}
}

func purgeMeetsHold(t *testing.T, dropped, daemon bool) {
	data := importHeld(t)
	must(t, data, append([]string{"hold", "add", "--case", "IR-17", "--filter", heldHost + " and dst port 8443", "--until", "1y"}, heldDay...)...)
	if dropped {
		c := collectConfigured(t, data, "retention: 1d\n", testNow)
		expire(t, data, c)
		c.stop()
	}
	if daemon {
		now := testNow
		if dropped {
			now = now.Add(26 * time.Hour)
		}
		collectConfigured(t, data, "retention: 1d\n", now)
	}
	held := must(t, data, "hold", "query", "--case", "IR-17", "--count")
	archive := must(t, data, "query", heldHost, "--count")
	purge := []string{"purge", heldHost, "--all-time", "--case", "P-1", "-o", "csv"}
	for _, args := range [][]string{nil, {"--yes"}} {
		out, errs, status := weir(t, data, append(purge, args...)...)
		if status != exitFailure || !strings.Contains(errs, strings.TrimSpace(held)+" records for case IR-17; say which wins") {
			t.Errorf("purge %q: status %d\n%s%s", args, status, out, errs)
		}
	}
	if got := must(t, data, "hold", "query", "--case", "IR-17", "--count"); got != held {
		t.Errorf("a purge that stopped left %s of %s held records", got, held)
	}
	if got := must(t, data, "query", heldHost, "--count"); got != archive {
		t.Errorf("a purge that stopped left %s of %s records", got, archive)
	}
	must(t, data, append(purge, "--holds", "keep", "--yes")...)
	if got := must(t, data, "hold", "query", "--case", "IR-17", "--count"); got != held {
		t.Errorf("the hold won, and %s of %s held records are left", got, held)
	}
	if got, want := must(t, data, "query", heldHost, "--count"), map[bool]string{true: "0\n", false: held}[dropped]; got != want {
		t.Errorf("the hold won, and the archive has %s, want %s", got, want)
	}
	must(t, data, append(purge, "--holds", "purge", "--yes")...)
	for _, args := range [][]string{{"hold", "query", "--case", "IR-17"}, {"query", heldHost}, {"query", heldHost, "--case", "IR-17"}} {
		if got := must(t, data, append(args, "--count")...); got != "0\n" {
			t.Errorf("the purge won, and %q finds %s", args, got)
		}
	}
	must(t, data, "check")
	if out := must(t, data, "audit", "--command", "purge", "-n", "0", "-o", "csv"); !strings.Contains(out, "but for what is held") || !strings.Contains(out, "held ones too") {
		t.Errorf("the audit log is\n%s", out)
	}
}

// TestPurgeResumedKeepsHolds checks that a purge that was cut short goes on with
// what was decided of the holds.
func TestPurgeResumedKeepsHolds(t *testing.T) {
	for _, wins := range []string{holdsKeep, holdsPurge, ""} {
		data := importHeld(t)
		must(t, data, append([]string{"hold", "add", "--case", "IR-17", "--filter", "dst port 8443", "--until", "1y"}, heldDay...)...)
		held := must(t, data, "hold", "query", "--case", "IR-17", "--count")
		if wins == holdsPurge {
			held = "0\n"
		}
		s, err := openStore(data, modeWrite)
		if err != nil {
			t.Fatal(err)
		}
		st := purgeState{Filter: "proto tcp or proto udp", Case: "C-9", By: "somebody", At: 1, Holds: wins}
		if err := st.write(s); err != nil {
			t.Fatal(err)
		}
		s.Close()
		c := collectConfigured(t, data, "", testNow)
		waitAnswer(t, data, held, "query", "proto tcp or proto udp", "--count")
		c.stop()
	}
}

// TestReleaseResumed checks that a release that was cut short is ended by whoever
// opens the archive next, the collector or a command, which says so.
func TestReleaseResumed(t *testing.T) {
	for _, daemon := range []bool{false, true} {
		data := importHeld(t)
		must(t, data, append([]string{"hold", "add", "--case", "IR-17", "--filter", heldHost, "--until", "1y"}, heldDay...)...)
		c := collectConfigured(t, data, "retention: 1d\n", testNow)
		expire(t, data, c)
		c.stop()
		s, err := openStore(data, modeWrite)
		if err != nil {
			t.Fatal(err)
		}
		h, err := newHolds(t.Context(), s, nil, func() time.Time { return testNow }, slog.New(slog.DiscardHandler), nil)
		if err != nil {
			t.Fatal(err)
		}
		ending := *h.of("IR-17")
		ending.Ended = holdReleased
		if err := errors.Join(h.write(&ending), h.close(), s.Close()); err != nil {
			t.Fatal(err)
		}
		said := ""
		if daemon {
			c = collectConfigured(t, data, "retention: 1d\n", testNow.Add(26*time.Hour))
			said = c.log.String()
		} else {
			_, said, _ = weir(t, data, "hold", "list")
		}
		if !strings.Contains(said, "went on with the end of the hold of case IR-17 (released)") {
			t.Errorf("daemon %v: it says\n%s", daemon, said)
		}
		if dirs, err := os.ReadDir(filepath.Join(data, heldName)); err != nil || len(dirs) > 0 {
			t.Errorf("daemon %v: there is still %v, %v", daemon, dirs, err)
		}
		if out := must(t, data, "hold", "list", "-o", "json"); out != "" {
			t.Errorf("daemon %v: held is %s", daemon, out)
		}
	}
}
