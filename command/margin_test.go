package command

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
)

func TestHumanMargin(t *testing.T) {
	for _, c := range []struct {
		margin   float64
		estimate uint64
		want     string
	}{
		{0, 100, ""}, {5, 0, ""}, {0.05, 100, "±<0.1%"}, {4.06, 100, "±4.1%"}, {99.96, 100, "±100%"}, {196.2, 100, "±196%"},
	} {
		if got := humanMargin(c.margin, c.estimate); got != c.want {
			t.Errorf("%v of %v: got %q, want %q", c.margin, c.estimate, got, c.want)
		}
	}
}

// The sampled exporter of the incident tells 729 packets at 1:100: json, csv and
// the table of every question have one margin for it.
func TestEveryQuestionHasTheMargin(t *testing.T) {
	data := trapArchive(t)
	const filter = "exporter 127.2.4.3 and dst ip 10.20.0.80"
	asks := map[string][]string{"top": {"top", "exporter", filter}, "stats": {"stats", filter}, "series": {"series", filter, "--step", "1h"}}
	for name, ask := range asks {
		rows := readCSV(t, answered(t, data, append(ask, "-o", "csv")...))
		column := map[string]string{}
		for i, head := range rows[0] {
			column[head] = rows[1][i]
		}
		if column["packets"] != "72900" || column["packets_margin"] != "5266" { // 1.96*sqrt(100*99*729)
			t.Errorf("%s: csv: got %s packets and the margin %s, want 72900 and 5266", name, column["packets"], column["packets_margin"])
		}
		first, _, _ := strings.Cut(answered(t, data, append(ask, "-o", "json")...), "\n")
		var object map[string]any
		if err := json.Unmarshal([]byte(first), &object); err != nil {
			t.Fatal(err)
		}
		if object["packets_margin"] != 5266.0 || object["bytes_margin"] == nil {
			t.Errorf("%s: json: got %s", name, first)
		}
		if want := strconv.FormatFloat(object["bytes_margin"].(float64), 'f', -1, 64); column["bytes_margin"] != want {
			t.Errorf("%s: got the margin %s in csv and %s in json", name, column["bytes_margin"], want)
		}
		if table := answered(t, data, append(ask, "-o", "table")...); !strings.Contains(table, "±7.2%") {
			t.Errorf("%s: table without ±7.2%%:\n%s", name, table)
		}
		raw := append(ask, "--raw")
		if table := answered(t, data, append(raw, "-o", "table")...); strings.Contains(table, "±") {
			t.Errorf("%s --raw: table with a margin:\n%s", name, table)
		}
		if out := answered(t, data, append(raw, "-o", "json")...); !strings.Contains(out, `"packets_margin":null,"bytes_margin":null`) &&
			!strings.Contains(out, `"bytes_margin":null,"packets_margin":null`) {
			t.Errorf("%s --raw: json with a margin:\n%s", name, out)
		}
	}
	table := answered(t, data, "peers", "10.20.0.80", "exporter 127.2.4.3", "-o", "table")
	if all := table[strings.LastIndex(table, "\nall "):]; !strings.Contains(all, "±7.2%") {
		t.Errorf("peers: got %s, want ±7.2%%", all)
	}
	if out := answered(t, data, "peers", "10.20.0.80", "exporter 127.2.4.3", "-o", "json", "--raw"); strings.Contains(out, `"packets_in_margin":1`) || !strings.Contains(out, `"packets_in_margin":null`) {
		t.Errorf("peers --raw: got %s, want no margin", out)
	}
}
