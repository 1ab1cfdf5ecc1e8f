package main

import (
	"bufio"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

const statHead = "ts,te,td,pr,val,fl,flP,ipkt,ipktP,ibyt,ibytP,ipps,ibps,ibpp\n"

func TestReaders(t *testing.T) {
	list := addressList{wanted: map[string]bool{"10.1.0.12": true, "2001:db8::7": true}}
	for _, c := range []struct {
		name string
		read reader
		text string
		want answer
	}{
		{
			"flows of both, whatever the spaces, the head and the order", flowLines,
			"First seen raw  Duration\n1795355998.151  0.000 17  208.66.43.180 51114  10.1.0.12   53  1  57\n\n1795355996.992     0.100 17 10.1.0.12 53 10.0.0.1 9 2 60\n",
			answer{"1795355996.992 0.100 17 10.1.0.12 53 10.0.0.1 9 2 60", "1795355998.151 0.000 17 208.66.43.180 51114 10.1.0.12 53 1 57"},
		},
		{"no flow, as nfdump says it", flowLines, "No matching flows\n", nil},
		{
			"weir's total", weirTotal, `{"records":64522,"flows":64522,"packets":710470,"bytes":401254629,"folded":0}` + "\n",
			answer{"64522 flows, 710470 packets, 401254629 bytes"},
		},
		{
			"nfdump's total", nfdumpTotal,
			"Summary: total flows: 64522, total bytes: 401254629, total packets: 710470, avg bps: 39314599, avg pps: 8701\nTime window: 2026\n",
			answer{"64522 flows, 710470 packets, 401254629 bytes"},
		},
		{
			"weir's groups of two keys", topRows,
			"src_addr,dst_port,bytes,packets,flows,bytes_share\n98.38.40.4,50440,162605475,137801,1,0.02\n",
			answer{"98.38.40.4 50440 162605475 137801 1"},
		},
		{
			"nfdump's groups", groupRows, "                             98.38.40.4  50440 162605475   137801     1 \n\n",
			answer{"98.38.40.4 50440 162605475 137801 1"},
		},
		{
			"nfdump's statistic", statRows,
			statHead + "2026-11-22 13:58:57,2026-11-22 14:00:18,81.736,any,208.66.43.180,20303,2.0,265451,2.5,186708917,3.1,3247,18274338,703\n\n",
			answer{"208.66.43.180 186708917 265451 20303"},
		},
		{
			"how often weir saw addresses", seenCounts,
			"addr,first,last,hours_active,records,as_source,as_destination,server\n10.1.0.12,a,b,1,64522,32381,32387,\"tcp/443, udp/53\"\n",
			answer{"10.1.0.12 64768"},
		},
		{
			"how often nfdump saw those that were asked for", list.statCounts,
			statHead + "a,b,0,any,2001:db8::7,5,0,1,0,2,0,0,0,0\na,b,0,any,9.9.9.9,7,0,1,0,2,0,0,0,0\na,b,0,any,10.1.0.12,64768,0,1,0,2,0,0,0,0\n",
			answer{"10.1.0.12 64768", "2001:db8::7 5"},
		},
		{
			"weir's series without its empty steps", seriesRows,
			"start,flows,packets,bytes,exported_packets\n2026-11-22T13:58:00.000Z,388,134883,75025909,134883\n2026-11-22T13:59:00.000Z,0,0,0,0\n",
			answer{"2026-11-22T13:58 388 134883 75025909"},
		},
		{
			"nfdump's flows added up", sumFlows(time.Minute),
			"1795355997.783       44        1\n1795355940.000        6        2\n1795356001.000      100        3\n\n",
			answer{"2026-11-22T13:59 2 3 50", "2026-11-22T14:00 1 3 100"},
		},
	} {
		got, err := c.read(strings.NewReader(c.text))
		if err != nil || !got.equal(c.want) {
			t.Errorf("%s: got %q, %v, want %q", c.name, got, err, c.want)
		}
	}
}

// TestReadersRefuse makes sure that what is not an answer is none: two programs
// that both print nothing would be equal.
func TestReadersRefuse(t *testing.T) {
	for _, c := range []struct {
		name string
		read reader
		text string
	}{
		{"a total that is not JSON", weirTotal, ""},
		{"nfdump without a summary", nfdumpTotal, "No matching flows\n"},
		{"a top without a head", topRows, ""},
		{"a top of other columns", topRows, "src_addr,flows\n"},
		{"a statistic that is none", statRows, "No matching flows\n"},
		{"a statistic of other columns", statRows, statHead + "a,b,c\n"},
		{"a list without columns", seenCounts, "addr,first\n"},
		{"a count that is none", seenCounts, "addr,as_source,as_destination\n10.0.0.1,x,1\n"},
		{"a series without time", seriesRows, "start,flows,packets,bytes\nnow,1,1,1\n"},
		{"a flow without counters", sumFlows(time.Hour), "1795355997.783 44\n"},
	} {
		if got, err := c.read(strings.NewReader(c.text)); err == nil {
			t.Errorf("%s: no error, %q", c.name, got)
		}
	}
}

func TestDifference(t *testing.T) {
	for _, c := range []struct {
		a, b answer
		want string
	}{
		{answer{"x", "y"}, answer{"x", "y"}, "none"},
		{answer{"x", "y"}, answer{"x", "z"}, `line 2 of 2: "y", of 2: "z"`},
		{answer{"x"}, answer{"x", "z"}, `line 2 of 1: "", of 2: "z"`},
		{nil, answer{"x"}, `line 1 of 0: "", of 1: "x"`},
	} {
		if got := c.a.difference(c.b); got != c.want || c.a.equal(c.b) != (got == "none") {
			t.Errorf("%q and %q: %s, want %s", c.a, c.b, got, c.want)
		}
	}
}

func TestDuckDBRows(t *testing.T) {
	for _, c := range []struct {
		name string
		read func([][]string) (answer, error)
		rows [][]string
		want answer
	}{
		{"sums of nothing", duckdbTotal, [][]string{{"0", "", ""}}, answer{"0 flows, 0 packets, 0 bytes"}},
		{"addresses", duckdbGroups(true), [][]string{{"167837708", "443", "9", "8", "7"}}, answer{"10.1.0.12 443 9 8 7"}},
		{"ports", duckdbGroups(false), [][]string{{"443", "9", "8", "7"}}, answer{"443 9 8 7"}},
		{"steps", duckdbSeries(time.Minute), [][]string{{"29922599", "1", "2", "3"}}, answer{"2026-11-22T13:59 1 2 3"}},
	} {
		got, err := c.read(c.rows)
		if err != nil || !got.equal(c.want) {
			t.Errorf("%s: got %q, %v, want %q", c.name, got, err, c.want)
		}
	}
}

func TestAmongAbsent(t *testing.T) {
	occur := make([]string, 150)
	for i := range occur {
		occur[i] = fmt.Sprint("occurs", i)
	}
	list, found := amongAbsent(occur), 0
	for _, a := range list {
		if strings.HasPrefix(a, "occurs") {
			found++
		} else if b := netip.MustParseAddr(a); !netip.MustParsePrefix("198.18.0.0/17").Contains(b) || a == absentHost {
			t.Fatalf("%s is not an address that never occurs, or is asked for by itself", a)
		}
	}
	if len(list) != listLength || found != 100 || list[0] != "occurs149" || list[9900] != "occurs50" {
		t.Errorf("%d addresses, %d of which occur, from %s to %s", len(list), found, list[0], list[9900])
	}
	if slices.Sort(list); len(slices.Compact(list)) != listLength {
		t.Error("an address is twice in the list")
	}
	if got := amongAbsent(nil); len(got) != listLength {
		t.Errorf("of nothing that occurs: %d addresses", len(got))
	}
}

func TestAddressNumbers(t *testing.T) {
	for _, c := range []struct{ text, number string }{
		{"0.0.0.1", "1"},
		{"255.255.255.255", "4294967295"},
		{"2001:db8::1", "42540766411282592856903984951653826561"},
		{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "340282366920938463463374607431768211455"},
	} {
		number, err := addressNumber(c.text)
		if err != nil || number != c.number {
			t.Errorf("%s: %s, %v, want %s", c.text, number, err, c.number)
		}
		if text, err := numberAddress(c.number); err != nil || text != c.text {
			t.Errorf("%s: %s, %v, want %s", c.number, text, err, c.text)
		}
	}
	for _, bad := range []string{"", "x", "-1", "340282366920938463463374607431768211456"} {
		if got, err := numberAddress(bad); err == nil {
			t.Errorf("%q: %s, no error", bad, got)
		}
	}
}

func TestConvertRows(t *testing.T) {
	in := strings.Join(duckdbFields, ",") + "\n" +
		"2026-11-22T13:59:57.783Z,10.0.0.1,2001:db8::1,13250,37215,6,2,1,44\n" +
		"2026-11-22T13:59:57.305Z,10.0.0.2,10.0.0.3,,,1,,1,251\n"
	want := "1795355997783,167772161,42540766411282592856903984951653826561,13250,37215,6,2,1,44\n" +
		"1795355997305,167772162,167772163,,,1,,1,251\n"
	var out strings.Builder
	w := bufio.NewWriter(&out)
	if err := convertRows(strings.NewReader(in), w); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil || out.String() != want {
		t.Errorf("got %q, %v, want %q", out.String(), err, want)
	}
}

// TestQuestionsAreForAll checks that every side of a question can be read.
func TestQuestionsAreForAll(t *testing.T) {
	names := map[string]bool{}
	for _, q := range slices.Concat(lookups(lists{}), analytics(1)) {
		if len(q.weir) == 0 || q.readWeir == nil || len(q.nfdump) == 0 || q.readNfdump == nil || (q.duckdb == "") != (q.readDuckDB == nil) {
			t.Errorf("%s: one side cannot be asked or read", q.what)
		}
		if names[q.what] || strings.ContainsRune(q.what, '|') {
			t.Errorf("%q is twice in the table, or cannot be in it", q.what)
		}
		names[q.what] = true
	}
	if got := len(analytics(24)); got != len(analytics(1))-1 {
		t.Errorf("%d questions about all records of many hours, want one less than of one", got)
	}
}
