package command

import (
	"context"
	"errors"
	"image/png"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"weir/query"
)

func TestCompleteQuestions(t *testing.T) {
	for words, want := range map[string]string{
		"series|-o|":         "plot table json csv svg png",
		"series|--by|":       "bytes bps distinct",
		"series|--group|ex":  "exporter",
		"series|--distinct|": "addr src_addr",
		"series|--sp":        "--spread",
		"peers|--by|":        "bytes last",
		"seen|--by|f":        "first",
		"stats|-o|n":         "nfdump",
		"stats|--per|":       "hour",
	} {
		got := complete(commands(), splitArgs(words))
		for _, w := range strings.Fields(want) {
			if !slices.Contains(got, w) {
				t.Errorf("complete(%q): %q is missing from %q", words, w, got)
			}
		}
	}
}

func TestPlainLayout(t *testing.T) {
	std, _, _ := testStd()
	for _, words := range [][]string{{"query", "-N", "-o", "line"}, {"query", "--plain", "-o", "fmt:%byt", "any"}} {
		if _, err := prepare(commands(), append([]string{"weir"}, words...), std); err != nil {
			t.Errorf("%q: %v", words, err)
		}
	}
}

// A stubQuestions is a backend that waits until its question is cancelled.
type stubQuestions struct {
	backend
	asked, ended chan struct{}
}

func (s *stubQuestions) Seen(ctx context.Context, _ query.SeenRequest) (*query.SeenResult, query.Summary, error) {
	close(s.asked)
	<-ctx.Done()
	close(s.ended)
	return nil, query.Summary{}, ctx.Err()
}

func (s *stubQuestions) Stats(context.Context, query.StatsRequest) (*query.StatsResult, query.Summary, error) {
	return nil, query.Summary{}, &query.RequestError{Part: "exporter", Text: "x", Expected: "an address"}
}

// A client that goes away ends its question in the daemon.
func TestQuestionIsCancelledInTheDaemon(t *testing.T) {
	stub := &stubQuestions{asked: make(chan struct{}), ended: make(chan struct{})}
	r, _ := serve(t, stub)
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		<-stub.asked
		cancel()
	}()
	if _, _, err := r.Seen(ctx, query.SeenRequest{Addrs: []string{"10.0.0.1"}}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	<-stub.ended
}

// A mistake that the daemon finds is a mistake of usage here too.
func TestQuestionRefusedByTheDaemon(t *testing.T) {
	r, _ := serve(t, &stubQuestions{})
	_, _, err := r.Stats(context.Background(), query.StatsRequest{Exporter: "x"})
	if exitStatus(err) != exitUsage || !strings.Contains(err.Error(), "an address") {
		t.Errorf("got status %d, %v; want %d", exitStatus(err), err, exitUsage)
	}
}

func TestAddressFile(t *testing.T) {
	for _, c := range []struct{ text, want, wrong string }{
		{"192.0.2.1\n# a comment\n\n  2001:DB8::1  seen by x # c\r\n10.0.0.1,something\n", "192.0.2.1 2001:db8::1 10.0.0.1", ""},
		{"\ufeff192.0.2.1", "192.0.2.1", ""},
		{"192.0.2.1\nhost.example.net\n", "", "-, line 2: \"host.example.net\""},
		{"192.0.2.0/24\n", "", "is a network"},
		{"# nothing\n", "", "no address"},
		{strings.Repeat("x", 100_000), "", "token too long"},
	} {
		got, err := addresses([]string{"@-"}, strings.NewReader(c.text))
		switch {
		case c.wrong == "" && (err != nil || strings.Join(got, " ") != c.want):
			t.Errorf("%.40q: got %q, %v; want %q", c.text, got, err, c.want)
		case c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong)):
			t.Errorf("%.40q: got %v, want an error with %q", c.text, err, c.wrong)
		}
	}
}

func TestCalendar(t *testing.T) {
	const day = 24 * 3600_000
	e := query.SeenEntry{Addr: "10.0.0.1", Records: 1_000_012, Active: 3, Hours: []query.SeenHour{
		{Start: 1763766000000, Records: 2}, {Start: 1763766000000 + 3600_000, Records: 10}, {Start: 1763766000000 + 4*day, Records: 1_000_000},
	}}
	var out strings.Builder
	if err := writeCalendar(&out, e, false); err != nil {
		t.Fatal(err)
	}
	want := `10.0.0.1  records: 1.00M, active hours: 3
UTC             00    03    06    09    12    15    18    21     records
2025-11-21 Fri  ..............................................::          2
2025-11-22 Sat  --..............................................         10
                (2 days without records)
2025-11-25 Tue  ..............................................@@      1.00M
                . none  : 1  - 10  = 100  + 1k  * 10k  # 100k  @ 1M or more
`
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", &out, want)
	}
}

// Pictures go to standard output whole, and a series honours its filter.
func TestSeriesPictures(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	if _, errs, status := weir(t, data, "import", "../testdata/beacon-then-exfiltration.pcap"); status != exitOK {
		t.Fatalf("import: status %d, %s", status, errs)
	}
	for _, filter := range []string{"any", "dst ip 203.0.113.200", "ip 198.51.100.250"} {
		out, errs, status := weir(t, data, "series", filter, "-o", "png", "--group", "proto", "--spread")
		if status != exitOK {
			t.Fatalf("%s: status %d, %s", filter, status, errs)
		}
		if _, err := png.Decode(strings.NewReader(out)); err != nil {
			t.Errorf("%s: %v", filter, err)
		}
		out, _, _ = weir(t, data, "series", filter, "-o", "svg", "--step", "1m")
		if !strings.Contains(out, "<title>"+filter+": bytes</title>") || !strings.HasSuffix(out, "</svg>\n") {
			t.Errorf("%s: got %.200q", filter, out)
		}
	}
	all, _, _ := weir(t, data, "series", "-o", "csv", "--step", "1h")
	one, _, _ := weir(t, data, "series", "-o", "csv", "--step", "1h", "dst ip 203.0.113.200")
	if all == one || strings.Count(one, "\n") != 2 {
		t.Errorf("a filter changes nothing:\n%s\n%s", all, one)
	}
}

// TestSeenHoursCSV lists addresses that were never seen only if they are asked
// for, as a row without an hour.
func TestSeenHoursCSV(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	must(t, data, "import", "../testdata/beacon-then-exfiltration.pcap")
	args := []string{"seen", "203.0.113.200", "192.0.2.99", "--hours", "-o", "csv"}
	seen := must(t, data, args...)
	if !strings.Contains(seen, "\r\n203.0.113.200,2") || strings.Contains(seen, "192.0.2.99") {
		t.Errorf("got\n%s", seen)
	}
	if all, want := must(t, data, append(args, "--all")...), seen+"192.0.2.99,,0\r\n"; all != want {
		t.Errorf("with --all: got\n%swant\n%s", all, want)
	}
}

// TestCountTakesNoLimit counts all flows that match, whatever the limit is.
func TestCountTakesNoLimit(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	must(t, data, "import", "../testdata/beacon-then-exfiltration.pcap")
	all := must(t, data, "query", "--count")
	for _, n := range []string{"0", "1"} {
		if out := must(t, data, "query", "--count", "-n", n); out != all {
			t.Errorf("-n %s: got %s, want %s", n, out, all)
		}
	}
}
