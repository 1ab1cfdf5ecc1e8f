package command

import (
	"encoding/json"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"weir/collector"
	"weir/flow/ledger"
	"weir/query"
	"weir/store"
)

// ledgerLocal opens an archive like that of ledgerArchive, with the state of an
// exporter and its history, at a time.
func ledgerLocal(t *testing.T, at time.Time) (*local, string) {
	t.Helper()
	dir := t.TempDir()
	// The disk has room, whatever that of the test has.
	s, err := store.Open(dir, store.Options{FS: store.SizedFS{FS: store.Disk(), Free: 500e9, Size: 1e12}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	fillLedger(t, s)
	put := func(key, value string) {
		if err := s.PutState(key, []byte(value)); err != nil {
			t.Fatal(err)
		}
	}
	seen := at.Add(-time.Minute).UnixMilli()
	put("collector/exporter/198.51.100.1", `{"version":1,"streams":[{"Domain":7,"Port":4001,"Version":10,"seen":`+string(marshal(seen))+`,"templates":[
		{"id":256,"fields":[[8,4,0]],"used":1},{"id":257,"options":true,"scopes":1,"fields":[[10,4,0]],"used":1}]}],
		"interfaces":[{"index":7,"name":"xe-0/0/1","description":"to campus\u001b[2J"},{"index":3,"name":"xe-0/0/0"}]}`)
	put("collector/history/198.51.100.1", `{"version":1,"events":[
		{"at":1795219200000,"what":"first seen","domain":0},{"at":1795305600000,"what":"sampling changed","domain":7,"detail":"1:1000, before 1:100"}]}`)
	put("collector/history/192.0.2.5", `{"version":1,"events":[{"at":1795219300000,"what":"first seen","domain":0}]}`)
	known := knownExporters(t)
	l := &local{store: s, now: func() time.Time { return at }}
	l.known, l.names = known, &query.Names{Exporters: exporterNames(known)}
	return l, dir
}

// TestExportersWithoutCollector looks at an archive three hours after its end:
// nobody is silent for that reason.
func TestExportersWithoutCollector(t *testing.T) {
	l, _ := ledgerLocal(t, testNow.Add(3*time.Hour))
	list, err := l.Exporters(t.Context(), exportersRequest{Details: true})
	if err != nil {
		t.Fatal(err)
	}
	if list.Collecting || list.AsOf.String() != "2026-11-22T14:00:00.000Z" || list.From.String() != "2026-11-21T14:00:00.000Z" || len(list.Exporters) != 3 {
		t.Fatalf("got %s", marshal(list))
	}
	border, campus, edge := list.Exporters[0], list.Exporters[1], list.Exporters[2]
	if border.Name != "border-1" || border.Status != statusHeard || border.Now != nil || border.Templates != 2 || len(border.Interfaces) != 2 ||
		border.Interfaces[1].Description != "to campus?[2J" || len(border.History) != 2 || border.Contact != "noc@example.net" {
		t.Errorf("got %s", marshal(border))
	}
	// 22 hours of 24,000 records, in a day.
	if border.Records != 22*24000 || border.Day < 6.1 || border.Day > 6.2 || border.Lost != 1920 || *border.SkewMS != 2000 {
		t.Errorf("got %s", marshal(border))
	}
	if campus.Name != "campus-2" || campus.Status != statusNever || campus.Permission != "DPA 2026-17" || len(campus.Addresses) != 0 ||
		len(campus.History) != 1 || campus.History[0].Address != "192.0.2.5" || !reflect.DeepEqual(campus.Sources, []string{"192.0.2.0/28"}) {
		t.Errorf("got %s", marshal(campus))
	}
	if edge.Known || edge.label() != "2001:db8::7" || edge.Status != statusHeard || edge.SetsDropped != 30 || edge.Versions[0] != "netflow9" {
		t.Errorf("got %s", marshal(edge))
	}
}

// TestExportersOfACollector asks through the socket, with rates of now.
func TestExportersOfACollector(t *testing.T) {
	l, dir := ledgerLocal(t, testNow)
	st := collector.Stats{Exporters: []collector.ExporterStats{{Exporter: netip.MustParseAddr("198.51.100.1")}}}
	rates := newMeter(func() collector.Stats { return st })
	// Over so long a time that it does not matter when the question comes.
	st.Exporters[0].Records, st.Total.Records = 20*36_000, 20*36_000
	rates.readings[0].at = time.Now().Add(-10 * time.Hour)
	l.daemon = &daemon{started: testNow.Add(-time.Hour), rates: rates, counts: newQuestionCounts()}
	serveIn(t, l, dir)
	out, errs, status := weir(t, dir, "exporters")
	if status != exitOK || errs != "" {
		t.Fatalf("status %d: %s", status, errs)
	}
	const want = `
   name      group         address       domains  version   templates  rec/s now  day   loss  sampling  skew  last heard            status
   border-1  core          198.51.100.1  7        ipfix             2         20  6.1  0.4 %  1:1000      2s  2026-11-22T14:02:05Z  heard
!  campus-2  organisation  192.0.2.0/28  -        -                 0          -    0      -  -            -  -                     not heard
   -         -             2001:db8::7   0        netflow9          0          -  0.3    0 %  1:1000      2s  2026-11-22T13:59:59Z  heard
`
	if out != strings.TrimPrefix(want, "\n") {
		t.Errorf("got\n%s", out)
	}
	out, errs, status = weir(t, dir, "exporters", "border-1")
	for _, want := range []string{
		"owner                 Backbone group\n", "expected              yes: its silence is a finding\n", "records/s             20 now, 6.1 over the day\n",
		"interface 7           xe-0/0/1  to campus?[2J\n", "2026-11-22T00:00:00Z  sampling changed: 1:1000, before 1:100\n", "lost                  1920 of 530k records (0.4 %), 1920 data records missing in 14 gaps; in this hour and the one before 0 %\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("status %d, %s: %q is missing from\n%s", status, errs, want, out)
		}
	}
	if out, _, _ := weir(t, dir, "exporters", "--history", "-o", "csv"); strings.ReplaceAll(out, "\r", "") != `at,exporter,address,what,domain,detail
2026-11-21T00:00:00.000Z,border-1,198.51.100.1,first seen,0,
2026-11-22T00:00:00.000Z,border-1,198.51.100.1,sampling changed,7,"1:1000, before 1:100"
2026-11-21T00:01:40.000Z,campus-2,192.0.2.5,first seen,0,
` {
		t.Errorf("got\n%s", out)
	}
	if out, _, _ := weir(t, dir, "exporters", "--interfaces"); !strings.Contains(out, "border-1  198.51.100.1  3      xe-0/0/0  -\n") {
		t.Errorf("got\n%s", out)
	}
	out, _, _ = weir(t, dir, "exporters", "198.51.100.1", "-o", "json")
	var r exporterReport
	if err := json.Unmarshal([]byte(out), &r); err != nil || r.Name != "border-1" || *r.Now < 19 || *r.Now > 20 || len(r.History) != 2 || len(r.Interfaces) != 2 {
		t.Errorf("%v: got %s", err, out)
	}
	if _, errs, status := weir(t, dir, "exporters", "bordr-1"); status != exitUsage || !strings.Contains(errs, `did you mean "border-1"?`) {
		t.Errorf("status %d: %s", status, errs)
	}
}

// TestExportersOfOneName sums what several addresses of one exporter sent.
func TestExportersOfOneName(t *testing.T) {
	l := &local{known: ledger.Directory{{Name: "b", Expected: true}}}
	skew := func(ms int64, records uint64) query.Digest {
		return query.Digest{Datagrams: 1, Records: records, SkewMS: ms, Last: query.Moment(records), Intervals: []ledger.Interval{{N: 100, Records: records}}}
	}
	list := l.gather(&query.Grid{Exporters: []query.GridExporter{
		{Addr: "192.0.2.1", Name: "b", Domains: []uint32{7, 9}, Versions: []uint16{9}, Total: skew(5, 10)},
		{Addr: "192.0.2.9", Domains: []uint32{1}, Total: skew(1, 1)},
		{Addr: "192.0.2.2", Name: "b", Domains: []uint32{8, 9}, Versions: []uint16{9}, Total: skew(-7, 30)},
	}})
	if len(list) != 2 || list[0].Records != 40 || *list[0].SkewMS != -7 || len(list[0].Addresses) != 2 ||
		!reflect.DeepEqual(list[0].Domains, []uint32{7, 8, 9}) || len(list[0].Versions) != 1 || list[0].Sampling[0].Records != 40 || list[0].Heard != 30 {
		t.Errorf("got %s", marshal(list))
	}
}

func TestExporterTexts(t *testing.T) {
	for _, tt := range []struct{ got, want string }{
		{shortList("1 2 3"), "1 2 3"}, {shortList("1 2 3 4 5"), "1 2 3 +2"}, {shortList(""), "-"},
		{humanRate(nil), "-"},
		{intervalText(0), "unknown"}, {intervalText(1), "1:1"}, {humanSpan(90 * time.Minute), "1h30m"}, {humanSpan(-time.Hour), "0.0s"},
		{daysText(5000), "more than 1000 days"}, {someOf([]string{"a", "b", "c"}, 2), "a, b and 1 more"},
	} {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
}

// TestLossLately has two addresses of one exporter: what counts is this hour and
// the one before, of both together, and status says the same.
func TestLossLately(t *testing.T) {
	cells := func(counts ...[2]uint64) (list []query.Cell) {
		for _, c := range counts {
			list = append(list, query.Cell{Digest: query.Digest{Records: c[0], Lost: c[1]}})
		}
		return list
	}
	grid := &query.Grid{Hosts: make([]query.HostDigest, 3), Exporters: []query.GridExporter{
		{Addr: "192.0.2.1", Name: "border-1", Cells: cells([2]uint64{100, 900}, [2]uint64{800, 100}, [2]uint64{0, 0})},
		{Addr: "192.0.2.2", Name: "border-1", Cells: cells([2]uint64{100, 900}, [2]uint64{0, 0}, [2]uint64{100, 0})},
	}}
	list := (&local{}).gather(grid)
	if len(list) != 1 {
		t.Fatalf("got %d exporters, want one of two addresses", len(list))
	}
	list[0].judge(0, false)
	r := &statusReport{}
	r.countHour(grid)
	if list[0].LossHour != 0.1 || r.Loss != 0.1 || r.Lost != 100 {
		t.Errorf("got %v of the exporter, %v of all, %d records; want 0.1, 0.1, 100", list[0].LossHour, r.Loss, r.Lost)
	}
	short := &query.Grid{Exporters: []query.GridExporter{{Cells: cells([2]uint64{3, 1})}}}
	if d := short.Lately(0); d.Records != 3 || d.Lost != 1 {
		t.Errorf("of one step: got %d and %d, want 3 and 1", d.Records, d.Lost)
	}
}
