package command

import (
	"encoding/json"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"weir/query"
)

// TestGroupTableNames writes the names of groups as they are, but for what moves
// a terminal's cursor.
func TestGroupTableNames(t *testing.T) {
	r := &query.SeriesResult{From: 1763766000000, Step: 60_000, Group: "src_org"}
	for _, name := range []string{"Universität Graz", "東京大学", "a\x1b[2J"} {
		r.Series = append(r.Series, query.SeriesGroup{Value: name, Points: make([]query.SeriesPoint, 1)})
	}
	var out strings.Builder
	w := newStream(&out, nil)
	if err := groupTable(w, seriesOptions{by: "bytes"}, r, false); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if head, _, _ := strings.Cut(out.String(), "\n"); !strings.HasSuffix(head, "  Universität Graz  東京大学  a?[2J") {
		t.Errorf("the head is %q", head)
	}
}

// TestNamesOnce groups by what answers have columns of as well: each name stands
// once in an object and in the head of csv.
func TestNamesOnce(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	must(t, data, "import", "../testdata/beacon-then-exfiltration.pcap")
	for _, field := range []string{"bytes", "packets", "flows", "start"} {
		for _, args := range [][]string{{"series", "--group", field, "--step", "1h", "--distinct", "addr"}, {"top", field, "--distinct", "dst_addr"}} {
			out := must(t, data, append(args, "-n", "1", "-o", "json")...)
			line, _, _ := strings.Cut(out, "\n")
			if names := keysOf(t, line); !slices.Contains(names, field) || slices.ContainsFunc(names, func(name string) bool { return strings.Count(line, `"`+name+`":`) > 1 }) {
				t.Errorf("%q: got %s", args, line)
			}
			out = must(t, data, append(args, "-n", "1", "-o", "csv")...)
			head, _, _ := strings.Cut(out, "\r\n")
			names := strings.Split(head, ",")
			slices.Sort(names)
			if !slices.Contains(names, field) || len(slices.Compact(names)) != strings.Count(head, ",")+1 {
				t.Errorf("%q: got %s", args, head)
			}
		}
	}
	for _, args := range [][]string{{"query", "--fields", "bytes,src_addr,bytes"}, {"tail", "--fields", "bytes,bytes"}, {"top", "bytes,bytes"}} {
		if out, errs, status := weir(t, data, append(args, "-o", "json")...); status != exitUsage || out != "" || !strings.Contains(errs, ": bytes twice, but a JSON object has one value of a name") {
			t.Errorf("%q: status %d, %s%s", args, status, out, errs)
		}
	}
	if out := must(t, data, "query", "--fields", "bytes,bytes", "-o", "csv"); !strings.HasPrefix(out, "bytes,bytes\r\n") {
		t.Errorf("csv: got %.80q", out)
	}
}

// keysOf returns the keys of a JSON object.
func keysOf(t *testing.T, object string) (names []string) {
	t.Helper()
	var members map[string]any
	if err := json.Unmarshal([]byte(object), &members); err != nil {
		t.Fatalf("%s: %v", object, err)
	}
	for name := range members {
		names = append(names, name)
	}
	return names
}

// TestSeriesOfLargeSums checks what a table says of sums that a float64 does not
// hold, and of rates above 2^64-1.
func TestSeriesOfLargeSums(t *testing.T) {
	p := query.SeriesPoint{Flows: math.MaxUint64, Bytes: math.MaxUint64, Packets: math.MaxUint64 - 1,
		EstimatedBytes: math.MaxUint64, EstimatedPackets: math.MaxUint64 - 1, Distinct: 3}
	for _, c := range []struct {
		by   string
		step uint64 // ms
		want uint64
	}{
		{"bytes", 1000, math.MaxUint64}, {"packets", 1000, math.MaxUint64 - 1}, {"flows", 1000, math.MaxUint64}, {"distinct", 1000, 3},
		{"bps", 1000, math.MaxUint64}, {"bps", 16_000, math.MaxUint64 / 2}, {"pps", 1, math.MaxUint64}, {"pps", 2000, math.MaxUint64 / 2},
	} {
		o := seriesOptions{by: c.by}
		if got := o.whole(p, c.step); got != c.want {
			t.Errorf("%s in steps of %d ms: got %d, want %d", c.by, c.step, got, c.want)
		}
	}
}
