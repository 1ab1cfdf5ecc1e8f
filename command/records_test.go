package command

import (
	"bytes"
	"encoding/csv"
	"github.com/urfave/cli/v2"
	"strings"
	"testing"
	"time"

	"weir/flow"
)

// testRecord returns a record of a web request.
func testRecord() *flow.Record {
	var r flow.Record
	addr := func(f flow.Field, text string) {
		a, err := flow.ParseAddr(text)
		if err != nil {
			panic(err)
		}
		r.SetAddr(f, a)
	}
	start := uint64(testNow.UnixMilli())
	r.SetNum(flow.Received, start+2000)
	r.SetNum(flow.Start, start)
	r.SetNum(flow.End, start+1500)
	addr(flow.Exporter, "192.0.2.1")
	r.SetNum(flow.Version, flow.VersionNF9)
	addr(flow.SrcAddr, "2001:db8:1234:5678:9abc:def0:1234:5678")
	addr(flow.DstAddr, "198.51.100.7")
	r.SetNum(flow.SrcPort, 51234)
	r.SetNum(flow.DstPort, 443)
	r.SetNum(flow.Proto, 6)
	r.SetNum(flow.TCPFlags, 0x1b)
	r.SetNum(flow.Bytes, 1_234_567)
	r.SetNum(flow.Packets, 900)
	r.SetNum(flow.MPLSLabel1, 100<<4)
	r.SetNum(flow.MPLSLabel2, 200<<4|1)
	return &r
}

func writeRecords(t *testing.T, format string, columns []column, records ...*flow.Record) string {
	t.Helper()
	var out bytes.Buffer
	w, err := newRecordWriter(format, &out, columns, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		if err := w.record(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.finish(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestRecordTable(t *testing.T) {
	got := writeRecords(t, formatTable, nil, testRecord(), new(flow.Record))
	want := `start                     duration  proto  src_addr                                src_port  dst_addr      dst_port  tcp_flags  packets  bytes  exporter
2026-11-22 14:03:05.000Z     1.500  tcp    2001:db8:1234:5678:9abc:def0:1234:5678     51234  198.51.100.7       443  ...AP.SF       900  1.23M  192.0.2.1
` + strings.Repeat(" ", 137) + "\n"
	if strings.TrimRight(got, " \n") != strings.TrimRight(want, " \n") {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// The label stack is written as far as it goes, in every format.
func TestRecordLabels(t *testing.T) {
	columns := []column{columnOf("mpls_labels")}
	for _, c := range []struct {
		name      string
		entries   map[flow.Field]uint64
		csv, json string
	}{
		{"none", nil, `""`, "{}"},
		{"explicit null on top", map[flow.Field]uint64{flow.MPLSLabel1: 0, flow.MPLSLabel2: 200<<4 | 1}, "0 200", `{"mpls_labels":[0,200]}`},
		{"without the top", map[flow.Field]uint64{flow.MPLSLabel2: 100 << 4, flow.MPLSLabel4: 200<<4 | 1}, "100 200", `{"mpls_labels":[100,200]}`},
	} {
		var r flow.Record
		for f, v := range c.entries {
			r.SetNum(f, v)
		}
		if got, want := writeRecords(t, formatCSV, columns, &r), "mpls_labels\r\n"+c.csv+"\r\n"; got != want {
			t.Errorf("%s: got csv %q, want %q", c.name, got, want)
		}
		if got := writeRecords(t, formatTable, columns, &r); !strings.Contains(got, "\n"+strings.Trim(c.csv, `"`)) {
			t.Errorf("%s: got table %q, want %q in it", c.name, got, c.csv)
		}
		for _, list := range [][]column{columns, nil} {
			if got := writeRecords(t, formatJSON, list, &r); got != c.json+"\n" {
				t.Errorf("%s: got %s, want %s", c.name, got, c.json)
			}
		}
	}
}

func TestRecordJSON(t *testing.T) {
	r := testRecord()
	got := writeRecords(t, formatJSON, nil, r)
	if want := string(r.AppendJSON(nil)) + "\n"; got != want {
		t.Errorf("got %s want %s", got, want)
	}
	columns, err := parseColumns(noArchive, formatTable, "bytes, src_addr,duration,mpls_labels,nat_event")
	if err != nil {
		t.Fatal(err)
	}
	got = writeRecords(t, formatJSON, columns, r, new(flow.Record))
	want := `{"bytes":1234567,"src_addr":"2001:db8:1234:5678:9abc:def0:1234:5678","duration":1500,"mpls_labels":[100,200]}` + "\n{}\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if got := writeRecords(t, formatJSON, nil); got != "" {
		t.Errorf("without flows: got %q", got)
	}
}

func TestRecordCSV(t *testing.T) {
	got := writeRecords(t, formatCSV, nil, testRecord(), new(flow.Record))
	if strings.Count(got, "\n") != strings.Count(got, "\r\n") {
		t.Errorf("a line does not end in CR LF: %q", got)
	}
	rows, err := csv.NewReader(strings.NewReader(got)).ReadAll()
	if err != nil || len(rows) != 3 {
		t.Fatalf("got %d rows, %v", len(rows), err)
	}
	for i, name := range rows[0] {
		want := map[string]string{
			"received": "2026-11-22T14:03:07.000Z", "start": "2026-11-22T14:03:05.000Z", "end": "2026-11-22T14:03:06.500Z",
			"exporter": "192.0.2.1", "version": "netflow9", "src_addr": "2001:db8:1234:5678:9abc:def0:1234:5678",
			"dst_addr": "198.51.100.7", "src_port": "51234", "dst_port": "443", "proto": "6", "tcp_flags": "27",
			"bytes": "1234567", "packets": "900", "mpls_labels": "100 200",
		}[name]
		if rows[1][i] != want || rows[2][i] != "" {
			t.Errorf("%s: got %q and %q, want %q and nothing", name, rows[1][i], rows[2][i], want)
		}
	}
	if got := writeRecords(t, formatCSV, []column{columnOf("ttl")}, new(flow.Record)); got != "ttl\r\n\"\"\r\n" {
		t.Errorf("one column without a value: got %q", got)
	}
	header := writeRecords(t, formatCSV, nil)
	if !strings.HasPrefix(header, "received,start,end,exporter,agent,domain,version,src_addr,") {
		t.Errorf("without flows: got %q", header)
	}
}

// noArchive is a command line that has no archive to ask.
var noArchive = cli.NewContext(&cli.App{Metadata: map[string]any{}}, nil, nil)

func TestParseColumnsRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"src_adr":  `--fields: no "src_adr"; did you mean "src_addr"?`,
		"bytes,,x": `--fields: no ""; weir query --help lists the fields`,
		"zzzzzzzz": `--fields: no "zzzzzzzz"; weir query --help lists the fields`,
	} {
		if _, err := parseColumns(noArchive, formatTable, text); err == nil || err.Error() != want {
			t.Errorf("parseColumns(%q): got %v, want %s", text, err, want)
		}
	}
}

// A table must not wait for rows that do not come.
func TestTableIsStreamed(t *testing.T) {
	rows := make(chan string, 10)
	w := newTable(writeFunc(func(p []byte) (int, error) { rows <- string(p); return len(p), nil }), []tableColumn{{name: "a"}, {name: "b", right: true}}, false)
	if err := w.row([]string{"x", "1"}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"a  b\n", "x  1\n"} {
		select {
		case got := <-rows:
			if got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		case <-time.After(patience):
			t.Fatal("the first row was not written while the next did not come")
		}
	}
	if err := w.row([]string{"longer", "12345"}); err != nil {
		t.Fatal(err)
	}
	if got, want := <-rows, "longer  12345\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if err := w.row([]string{"y", "2"}); err != nil {
		t.Fatal(err)
	}
	if got, want := <-rows, "y           2\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestHumanCount(t *testing.T) {
	for n, want := range map[uint64]string{
		0: "0", 999: "999", 9999: "9999", 10_000: "10.0k", 12_345: "12.3k", 99_960: "100k", 123_456: "123k", 999_499: "999k", 999_500: "1.00M",
		1_234_567: "1.23M", 9_994_999: "9.99M", 9_999_999: "10.0M", 5e9: "5.00G", 7e12: "7.00T", 1<<64 - 1: "18.4E",
	} {
		if got := humanCount(n); got != want {
			t.Errorf("humanCount(%d) = %s, want %s", n, got, want)
		}
	}
}

func TestHumanTime(t *testing.T) {
	for ms, want := range map[uint64]string{
		0: "1970-01-01 00:00:00.000Z", 1766412180007: "2025-12-22 14:03:00.007Z",
		253402300800_000: "10000-01-01 00:00:00.000Z", 1<<64 - 1: "1969-12-31 23:59:59.999Z",
	} {
		if got := humanTime(ms); got != want {
			t.Errorf("humanTime(%d) = %s, want %s", ms, got, want)
		}
		if got := string(appendHumanTime([]byte("T"), ms)); got != "T"+want {
			t.Errorf("appendHumanTime(%d) = %s, want T%s", ms, got, want)
		}
	}
}

func TestLayoutDuration(t *testing.T) {
	for ms, want := range map[uint64][2]string{
		0: {"00:00:00.000", "0.000"}, 7: {"00:00:00.007", "0.007"}, 59_045: {"00:00:59.045", "59.045"},
		86399_999: {"23:59:59.999", "86399.999"}, 86400_000: {"1d 00:00:00.000", "86400.000"}, 1<<64 - 1: {"213503982334d 14:25:51.615", "18446744073709551.615"},
	} {
		var r flow.Record
		r.SetNum(flow.Start, 0)
		r.SetNum(flow.End, ms)
		for i, plain := range []bool{false, true} {
			if got := string(layoutDuration(nil, &layoutRow{&r, 1, plain})); got != want[i] {
				t.Errorf("%d ms, plain %v: got %s, want %s", ms, plain, got, want[i])
			}
		}
	}
}

func TestHumanFlags(t *testing.T) {
	for n, want := range map[uint64]string{0: "........", 2: "......S.", 0x12: "...A..S.", 0xff: "CEUAPRSF", 0x102: "0x102"} {
		if got := humanFlags(n); got != want {
			t.Errorf("humanFlags(%#x) = %s, want %s", n, got, want)
		}
	}
}

func TestNearest(t *testing.T) {
	words := []string{"query", "collect", "top", "buckets"}
	for word, want := range map[string]string{"qeury": "query", "colect": "collect", "tpo": "top", "xyz": "", "bucket": "buckets", "": ""} {
		if got := nearest(word, words); got != want {
			t.Errorf("nearest(%q) = %q, want %q", word, got, want)
		}
	}
}
