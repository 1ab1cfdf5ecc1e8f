package command

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// Every question says with --timing, on standard error, what it took, and
// answers the same.
func TestTimingOfEveryQuestion(t *testing.T) {
	data := trapArchive(t)
	const answered = `(?m)^weir: hours: \d+, .*\nweir: \S+; over all processors: plan `
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"query", "dst port 443"}, answered},
		{[]string{"query", "dst port 443", "--count"}, answered},
		{[]string{"query", "--wide"}, answered},
		{[]string{"top", "src_addr"}, answered},
		{[]string{"series"}, answered},
		{[]string{"seen", "203.0.113.200"}, answered},
		{[]string{"peers", "203.0.113.200"}, answered},
		{[]string{"stats"}, answered},
		{[]string{"explain", "port 53"}, `(?m)^weir: planned in [0-9.]+(µs|ms|s)$`},
	} {
		plain, quiet, status := weir(t, data, tt.args...)
		if status != exitOK {
			t.Errorf("%q: status %d, %s", tt.args, status, quiet)
		}
		said := regexp.MustCompile(tt.want)
		if said.MatchString(quiet) {
			t.Errorf("%q says what it took unasked: %s", tt.args, quiet)
		}
		out, errs, status := weir(t, data, append(tt.args, "--timing")...)
		if status != exitOK || out != plain || !said.MatchString(errs) {
			t.Errorf("%q --timing: status %d, %s", tt.args, status, errs)
		}
	}
}

// The rate that top shows is the sum over the time from the first start to the
// last end of the group's flows, rounded down, and falls from row to row.
func TestTopShowsTheRateItRanksBy(t *testing.T) {
	data := trapArchive(t)
	type row struct {
		BPS, PPS, BPP  uint64
		Bytes, Packets uint64
	}
	rows := func(args ...string) (list []row) {
		for _, line := range strings.Split(strings.TrimSpace(answered(t, data, args...)), "\n") {
			var r row
			if err := json.Unmarshal([]byte(line), &r); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			list = append(list, r)
		}
		return list
	}
	const exfiltration = "dst ip 203.0.113.200 and bytes > 1g" // 14:00:30.000 to 14:03:29.999
	for _, by := range []string{"bps", "pps", "bpp"} {
		for _, r := range rows("top", "dst_addr", exfiltration, "--by", by, "-o", "json") {
			want := map[string]row{
				"bps": {BPS: r.Bytes * 8000 / 179_999}, "pps": {PPS: r.Packets * 1000 / 179_999}, "bpp": {BPP: r.Bytes / r.Packets},
			}[by]
			if got := (row{BPS: r.BPS, PPS: r.PPS, BPP: r.BPP}); got != want {
				t.Errorf("by %s: got %+v, want %+v", by, got, want)
			}
		}
		for _, raw := range []string{"--raw=false", "--raw=true"} {
			before := ^uint64(0)
			for i, line := range readCSV(t, answered(t, data, "top", "src_addr", "--by", by, "-n", "0", "-o", "csv", raw)) {
				if i == 0 {
					if line[1] != by {
						t.Fatalf("by %s: the second column is %s", by, line[1])
					}
					continue
				}
				n, err := strconv.ParseUint(line[1], 10, 64)
				if err != nil || n > before {
					t.Errorf("by %s %s: %s after %d, %v", by, raw, line[1], before, err)
				}
				before = n
			}
		}
	}
}
