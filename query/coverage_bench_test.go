package query

import (
	"context"
	"fmt"
	"testing"

	"weir/flow"
	"weir/flow/ledger"
	"weir/store"
)

// coverageArchive returns an archive of hours of ledgers and nothing else.
func coverageArchive(b *testing.B, hours, exporters int) *store.Store {
	b.Helper()
	s, err := store.Open(b.TempDir(), store.Options{FlushEvery: -1})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	for i := range hours {
		h := coverageBase + store.Hour(i)
		host := &ledger.Host{Up: ledger.Span{From: h.StartMS(), To: h.EndMS()}, End: ledger.EndHour}
		rows := []ledger.Row{{Kind: ledger.KindHost, Run: 1, Host: host}}
		for x := range exporters {
			e := &ledger.Entry{First: h.StartMS() + 100, Last: h.EndMS() - 100, Streams: 1, Silence: ledger.Span{From: h.StartMS(), To: h.StartMS() + 900}}
			for c := range e.Counts {
				e.Counts[c] = uint64(i*x+c) % 5
			}
			e.Counts[ledger.Datagrams], e.Counts[ledger.Records] = 36_000, 900_000
			e.Sample(1000, 900_000)
			for ms := range int64(30) {
				e.Skew.Note(ms*ms*100, 30_000)
			}
			rows = append(rows, ledger.Row{Kind: ledger.KindEntry, Run: 1, Key: ledger.Key{Exporter: flow.AddrFrom4(uint32(x + 1)), Version: uint16(flow.VersionIPFIX)}, Entry: e})
		}
		if err := s.PutLedger(uint32(h), rows); err != nil {
			b.Fatal(err)
		}
	}
	if err := s.Flush(); err != nil {
		b.Fatal(err)
	}
	return s
}

// BenchmarkCoverage judges 90 days: the first time in a process, and later,
// with the hour in progress written anew for each question.
//
//	go test -run XXX -bench Coverage ./query
func BenchmarkCoverage(b *testing.B) {
	for _, exporters := range []int{20, 100} {
		const hours = 90*24 + 12
		s := coverageArchive(b, hours, exporters)
		now := (coverageBase + hours - 1).StartMS() + 1800_000
		req := CoverageRequest{Window: Window{From: now - 90*24*3600_000}, Now: now}
		ask := func(l *Ledgers) {
			if c, err := l.Coverage(context.Background(), req); err != nil || c.Records == 0 {
				b.Fatal(c, err)
			}
		}
		b.Run(fmt.Sprintf("exporters=%d/first", exporters), func(b *testing.B) {
			for b.Loop() {
				ask(NewLedgers(s))
			}
		})
		l := NewLedgers(s)
		ask(l)
		b.Run(fmt.Sprintf("exporters=%d/later", exporters), func(b *testing.B) {
			for b.Loop() {
				ask(l)
			}
		})
		row := ledger.Row{Kind: ledger.KindEntry, Run: 1, Key: ledger.Key{Exporter: flow.AddrFrom4(1), Version: uint16(flow.VersionIPFIX)}, Entry: &ledger.Entry{}}
		b.Run(fmt.Sprintf("exporters=%d/growing", exporters), func(b *testing.B) {
			for b.Loop() {
				if err := s.PutLedger(uint32(coverageBase+hours-1), []ledger.Row{row}); err != nil {
					b.Fatal(err)
				}
				ask(l)
			}
		})
	}
}
