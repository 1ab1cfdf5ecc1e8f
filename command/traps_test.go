package command

import (
	"encoding/csv"
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// These tests pin what other tools trip their users up with: here it is the
// other way round. docs/query.md, "Where weir differs from nfdump on purpose".

// trapArchive is an archive of an incident, with a flow from 14:00:30 to
// 14:01:30, sampled records and IPv6.
func trapArchive(t *testing.T) (data string) {
	t.Helper()
	data = t.TempDir() + "/archive"
	files := []string{"import", "../testdata/beacon-then-exfiltration.pcap", "../testdata/flood-at-the-sampled-edge.pcap", "../testdata/six-exporters.pcap"}
	if _, errs, status := weir(t, data, files...); status != exitOK {
		t.Fatalf("import: status %d, %s", status, errs)
	}
	return data
}

// answered returns an answer that must be given.
func answered(t *testing.T, data string, args ...string) string {
	t.Helper()
	out, errs, status := weir(t, data, args...)
	if status != exitOK {
		t.Fatalf("%v: status %d, %s", args, status, errs)
	}
	return out
}

func TestTrapFlowAcrossTheEdgeOfAWindowIsFound(t *testing.T) {
	data := trapArchive(t)
	const filter = "dst ip 203.0.113.200 and bytes > 1g" // of a minute each, from 14:00:30 on
	for _, w := range []struct{ from, to, count string }{
		{"2026-11-22T14:00:40", "2026-11-22T14:00:50", "1"}, // inside the flow
		{"2026-11-22T13:59:00", "2026-11-22T14:00:31", "1"}, // its first second
		{"2026-11-22T14:03:29", "2026-11-22T14:30:00", "1"}, // the last second of the last
		{"2026-11-22T13:00:00", "2026-11-22T14:00:30", "0"}, // the end is not in the window
		{"2026-11-22T13:00:00", "2026-11-22T15:00:00", "3"},
	} {
		if got := strings.TrimSpace(answered(t, data, "query", "--count", filter, "--from", w.from, "--to", w.to)); got != w.count {
			t.Errorf("%s to %s: got %s, want %s", w.from, w.to, got, w.count)
		}
	}
}

func TestTrapSeriesHonoursTheFilter(t *testing.T) {
	data := trapArchive(t)
	sum := func(rows string) (n int) {
		for i, row := range readCSV(t, rows) {
			if i > 0 {
				flows, err := strconv.Atoi(row[1])
				if err != nil {
					t.Fatal(err)
				}
				n += flows
			}
		}
		return n
	}
	for _, filter := range []string{"any", "proto udp", "dst ip 203.0.113.200", "ip 198.51.100.250"} {
		count := strings.TrimSpace(answered(t, data, "query", "--count", filter))
		if got := sum(answered(t, data, "series", filter, "--step", "1m", "-o", "csv")); strconv.Itoa(got) != count {
			t.Errorf("%s: the steps have %d flows, want %s", filter, got, count)
		}
	}
}

func TestTrapTotalsAreOfWhatMatches(t *testing.T) {
	data := trapArchive(t)
	for _, filter := range []string{"proto icmp", "dst ip 203.0.113.200"} {
		count := strings.TrimSpace(answered(t, data, "query", "--count", filter))
		if all := readCSV(t, answered(t, data, "stats", filter, "-o", "csv"))[1]; all[0] != "total" || all[2] != count {
			t.Errorf("%s: got a total of %v, want %s records", filter, all, count)
		}
	}
}

func TestTrapEmptyAnswerIsEmptyAndValid(t *testing.T) {
	data := trapArchive(t)
	for _, ask := range [][]string{{"query"}, {"query", "--order", "-bytes", "-n", "3"}, {"top", "src_addr"}, {"series"},
		{"stats"}, {"query", "--fields", "start,exporter"}} {
		args := append(ask, "proto 250")
		if head := readCSV(t, answered(t, data, append(args, "-o", "csv")...)); len(head) < 1 || ask[0] != "stats" && len(head) != 1 {
			t.Errorf("%v -o csv: got %d rows, want the head", ask, len(head))
		}
		checkJSONLines(t, answered(t, data, append(args, "-o", "json")...))
		if out := answered(t, data, args...); strings.Contains(out, "no flow matches") {
			t.Errorf("%v: a remark is in the answer: %q", ask, out)
		}
	}
	if out := answered(t, data, "query", "proto 250", "-o", "json"); out != "" {
		t.Errorf("got %q, want nothing", out)
	}
}

func TestTrapEveryFormatOfEveryQuestionParses(t *testing.T) {
	data := trapArchive(t)
	for _, ask := range [][]string{{"query"}, {"top", "src_addr,dst_port"}, {"series", "--group", "proto"}, {"stats"}, {"peers", "10.20.3.45"}, {"seen", "10.20.3.45"}} {
		if rows := readCSV(t, answered(t, data, append(ask, "-o", "csv")...)); len(rows) < 2 {
			t.Errorf("%v: got %d rows of csv", ask, len(rows))
		}
		if n := checkJSONLines(t, answered(t, data, append(ask, "-o", "json")...)); n < 1 {
			t.Errorf("%v: got %d lines of json", ask, n)
		}
	}
	if head := readCSV(t, answered(t, data, "query", "-n", "1", "-o", "csv"))[0]; !strings.Contains(strings.Join(head, ","), "exporter") {
		t.Errorf("csv has lost the exporter: %v", head)
	}
}

func TestTrapTimesCarryTheirZone(t *testing.T) {
	data := trapArchive(t)
	clock := regexp.MustCompile(`\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?.?`)
	for _, args := range [][]string{{"query"}, {"query", "-o", "csv"}, {"query", "-o", "json"}, {"stats"}, {"stats", "-o", "json"},
		{"series", "--step", "1m"}, {"series", "-o", "csv"}, {"peers", "10.20.3.45"}, {"seen", "10.20.3.45"}} {
		found := clock.FindAllString(answered(t, data, args...), -1)
		for _, s := range found {
			if !strings.HasSuffix(s, "Z") {
				t.Errorf("%v: %q has no zone", args, s)
				break
			}
		}
		if len(found) == 0 {
			t.Errorf("%v: no times", args)
		}
	}
}

func TestTrapIPv6IsNeverCut(t *testing.T) {
	data := trapArchive(t)
	want := map[string]bool{}
	for i, row := range readCSV(t, answered(t, data, "query", "ipv6", "--fields", "src_addr,dst_addr", "-o", "csv")) {
		for _, addr := range row {
			want[addr] = i > 0
		}
	}
	for _, args := range [][]string{{"query", "ipv6"}, {"query", "ipv6", "-o", "line"}, {"query", "ipv6", "-o", "long"}, {"top", "addr", "ipv6", "-n", "0"}} {
		out := answered(t, data, args...)
		n := 0
		for addr, is := range want {
			if is && addr != "" {
				n++
				if !strings.Contains(out, addr) {
					t.Errorf("%v: %s is not there", args, addr)
				}
			}
		}
		if n == 0 {
			t.Error("no IPv6 to look for")
		}
	}
}

func TestTrapSumsSayThatTheyAreEstimates(t *testing.T) {
	data := trapArchive(t)
	for _, ask := range [][]string{{"top", "proto"}, {"series"}, {"stats"}, {"peers", "10.20.0.80"}} {
		if _, errs, _ := weir(t, data, ask...); !strings.Contains(errs, "are estimates") || !strings.Contains(errs, "1:100") {
			t.Errorf("%v: got %q, want a word on sampling", ask, errs)
		}
		if _, errs, _ := weir(t, data, append(ask, "--raw")...); !strings.Contains(errs, "as exported") {
			t.Errorf("%v --raw: got %q, want a word on sampling", ask, errs)
		}
	}
	for _, ask := range [][]string{{"top", "proto"}, {"series"}, {"stats"}} {
		if _, errs, _ := weir(t, data, append(ask, "dst ip 203.0.113.200")...); strings.Contains(errs, "estimate") {
			t.Errorf("%v: got %q, want no word on sampling", ask, errs)
		}
	}
	whole := readCSV(t, answered(t, data, "stats", "exporter 127.2.4.3", "-o", "csv"))[1]
	raw := readCSV(t, answered(t, data, "stats", "exporter 127.2.4.3", "-o", "csv", "--raw"))[1]
	if whole[5] != raw[5]+"00" || whole[7] != raw[5] || raw[7] != raw[5] || whole[3] != raw[3] {
		t.Errorf("1:100: got %v, raw %v", whole, raw)
	}
}

func readCSV(t *testing.T, text string) [][]string {
	t.Helper()
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	return rows
}

// checkJSONLines returns the number of lines, each of which must be an object.
func checkJSONLines(t *testing.T, text string) (n int) {
	t.Helper()
	for line := range strings.Lines(text) {
		var object map[string]any
		if err := json.Unmarshal([]byte(line), &object); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		n++
	}
	return n
}
