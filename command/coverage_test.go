package command

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"weir/flow"
	"weir/flow/ledger"
	"weir/query"
	"weir/store"
)

// TestCoverageScripts runs the scripts about an archive that a collector has
// filled for two days: it crashed at 12:10 of the second and was up again at
// 12:25, an exporter with the name edge fell silent at 09:30, and in the last
// hour 1 in 1000 packets was sampled and the kernel dropped datagrams.
func TestCoverageScripts(t *testing.T) {
	testScripts(t, "testdata/ledger/*.txt",
		func(t *testing.T, data string) { makeLedgerArchive(t, data).Close() },
		func(t *testing.T, data string) {
			s := makeLedgerArchive(t, data)
			t.Cleanup(func() { s.Close() })
			serveIn(t, &local{store: s, now: func() time.Time { return testNow }}, data)
		})
}

// TestDamagedLedger wants to know which parts are damaged, and not of a thousand.
func TestDamagedLedger(t *testing.T) {
	for _, tt := range []struct {
		parts []string
		want  string
	}{
		{nil, ""},
		{[]string{"hour a", "hour b"}, "weir: coverage: 2 parts of the archive damaged\nweir: coverage: hour a; hour b\n"},
		{[]string{"a", "b", "c", "d", "e"},
			"weir: coverage: 5 parts of the archive damaged\nweir: coverage: a; b; c; 2 more; see weir check\n"},
	} {
		var errs bytes.Buffer
		err := noteCoverage(&Std{Err: &errs}, ending{format: formatTable}, query.Summary{RowsMatched: 1, Coverage: &query.Coverage{Damaged: tt.parts}})
		if got := errs.String(); err != nil || got != tt.want {
			t.Errorf("%q: got %q and %v, want %q", tt.parts, got, err, tt.want)
		}
	}
}

// makeLedgerArchive makes the archive of TestCoverageScripts.
func makeLedgerArchive(t *testing.T, data string) *store.Store {
	t.Helper()
	s, err := store.Open(data, store.Options{FlushEvery: -1})
	if err != nil {
		t.Fatal(err)
	}
	minute := func(day, hour, min int) uint64 {
		return uint64(time.Date(2026, 11, day, hour, min, 0, 0, time.UTC).UnixMilli())
	}
	crash, again, now := minute(22, 12, 10), minute(22, 12, 25), uint64(testNow.UnixMilli())
	for h := store.HourOf(minute(21, 0, 0)); h <= store.HourOf(now); h++ {
		for run, up := range map[ledger.Run]ledger.Span{1: {From: minute(21, 0, 0), To: crash}, 2: {From: again, To: now}} {
			span := ledger.Span{From: max(up.From, h.StartMS()), To: min(up.To, h.EndMS())}
			if span.Length() == 0 {
				continue
			}
			host := &ledger.Host{Up: span, End: ledger.EndHour}
			if up.To < h.EndMS() {
				host.End = ledger.EndOpen
			}
			if h == store.HourOf(now) {
				host.Sockets = []ledger.Drop{{Where: "[::]:2055", Count: 12}}
			}
			rows := []ledger.Row{{Kind: ledger.KindHost, Run: run, Host: host}}
			rows = append(rows, ledgerEntry(run, "192.0.2.1", span))
			if until := minute(22, 9, 30); span.From < until {
				rows = append(rows, ledgerEntry(run, "192.0.2.2", ledger.Span{From: span.From, To: min(span.To, until)}))
			}
			if err := s.PutLedger(uint32(h), rows); err != nil {
				t.Fatal(err)
			}
		}
	}
	b := flow.NewBatch(1)
	var r flow.Record
	r.SetNum(flow.Received, now-60_000)
	r.SetNum(flow.Start, now-90_000)
	r.SetNum(flow.End, now-80_000)
	r.SetNum(flow.Bytes, 1500)
	r.SetNum(flow.Packets, 3)
	r.SetNum(flow.SamplingInterval, 1000)
	r.SetAddr(flow.Exporter, addrOf(t, "192.0.2.1"))
	r.SetAddr(flow.SrcAddr, addrOf(t, "198.51.100.7"))
	r.SetAddr(flow.DstAddr, addrOf(t, "203.0.113.9"))
	b.AppendRecord(&r)
	if err := s.Append(b); err != nil {
		t.Fatal(err)
	}
	if err := s.Flush(); err != nil {
		t.Fatal(err)
	}
	return s
}

// ledgerEntry is the row of an exporter that was heard in a span.
func ledgerEntry(run ledger.Run, exporter string, span ledger.Span) ledger.Row {
	addr, _ := flow.ParseAddr(exporter)
	e := &ledger.Entry{First: span.From, Last: span.To - 1, Streams: 1}
	e.Counts[ledger.Datagrams], e.Counts[ledger.Records], e.Counts[ledger.Lost] = 1000, 20_000, 0
	e.Sample(1000, 20_000)
	e.Skew.Note(12_000, 20_000)
	return ledger.Row{Kind: ledger.KindEntry, Run: run, Key: ledger.Key{Exporter: addr, Version: uint16(flow.VersionIPFIX)}, Entry: e}
}

func addrOf(t *testing.T, text string) flow.Addr {
	t.Helper()
	a, err := netip.ParseAddr(text)
	if err != nil {
		t.Fatal(err)
	}
	return flow.AddrFromNetip(a)
}

func TestEmptyWorth(t *testing.T) {
	whole := func(intervals ...ledger.Interval) *query.Coverage {
		return &query.Coverage{Collected: true, Hours: 2, Ledgers: 2, Expected: 3, Heard: 3, Records: 5, Intervals: intervals}
	}
	lossy := whole()
	lossy.Lost = 1
	copied := whole()
	copied.Copied = 1
	for _, test := range []struct {
		coverage *query.Coverage
		want     string
	}{
		{nil, ""},
		{&query.Coverage{}, ""},
		{lossy, ""},
		{copied, ""},
		{whole(ledger.Interval{N: 1, Records: 5}), "the window is covered: 3 exporters heard, nothing lost that is known"},
		{whole(ledger.Interval{N: 1000, Records: 5}), "at 1:1000 a flow of 10 packets is seen with 1.0 % probability"},
		{whole(ledger.Interval{N: 2, Records: 5}), "at 1:2 a flow of 10 packets is seen with nearly 100 % probability"},
		{whole(ledger.Interval{N: 1, Records: 5}, ledger.Interval{N: 1000, Records: 5}), "at 1:1000 a flow of 10 packets is seen with 1.0 % probability; not all exporters sample"},
		{whole(ledger.Interval{N: 100, Records: 5}, ledger.Interval{N: 1000, Records: 5}), "a flow of 10 packets is seen with 1.0 % probability at 1:1000, with 9.6 % at 1:100"},
	} {
		if got := emptyWorth(test.coverage); got != test.want {
			t.Errorf("%+v: got %q, want %q", test.coverage, got, test.want)
		}
	}
}
