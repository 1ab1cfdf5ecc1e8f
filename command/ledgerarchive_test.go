package command

import (
	"testing"
	"time"

	"weir/flow"
	"weir/flow/ledger"
	"weir/store"
)

// putRow writes one row of the ledger of the hour of at.
func putRow(t *testing.T, s *store.Store, at time.Time, row ledger.Row) {
	t.Helper()
	if err := s.PutLedger(uint32(at.Unix()/3600), []ledger.Row{row}); err != nil {
		t.Fatal(err)
	}
}

// msOf returns a time in ms since the Unix epoch.
func msOf(at time.Time) uint64 { return uint64(at.UnixMilli()) }

// hourEntry returns the row of one exporter that sent evenly for minutes of an
// hour, 24 records a datagram.
func hourEntry(addr string, domain uint32, version uint64, at time.Time, minutes int, datagrams, lost uint64) ledger.Row {
	a, err := flow.ParseAddr(addr)
	if err != nil {
		panic(err)
	}
	e := &ledger.Entry{First: msOf(at), Last: msOf(at.Add(time.Duration(minutes)*time.Minute)) - 500, Streams: 1}
	e.Counts[ledger.Datagrams], e.Counts[ledger.Bytes], e.Counts[ledger.Records] = datagrams, 1320*datagrams, 24*datagrams
	if lost > 0 {
		e.Counts[ledger.Lost], e.Counts[ledger.Gaps] = lost, 1
	}
	e.Sample(1000, 24*datagrams)
	e.Skew.Note(2000, 24*datagrams)
	return ledger.Row{Kind: ledger.KindEntry, Run: 1, Key: ledger.Key{Exporter: a, Domain: domain, Version: uint16(version)}, Entry: e}
}

// fillLedger writes the ledgers of the two days before testNow's hour: the
// collector was stopped from 02:00 to 04:20 on the second day and lost datagrams
// in the kernel at 09; border-1 loses on its way, edge falls silent at 11 and
// comes back, and sends without its template at 06.
func fillLedger(t *testing.T, s *store.Store) {
	t.Helper()
	end := testNow.Truncate(time.Hour)
	for at := end.Add(-38 * time.Hour); at.Before(end); at = at.Add(time.Hour) {
		host := &ledger.Host{Up: ledger.Span{From: msOf(at), To: msOf(at.Add(time.Hour))}, End: ledger.EndHour}
		run, minutes := ledger.Run(1), 60
		second := at.Day() == 22
		switch hour := at.Hour(); {
		case second && (hour == 2 || hour == 3):
			continue
		case second && hour == 1:
			host.End = ledger.EndClean
		case second && hour == 4:
			host.Up.From += 20 * 60e3
		case second && hour == 9:
			host.Sockets = []ledger.Drop{{Where: "[::]:2055", Count: 40}}
		}
		if second && at.Hour() >= 4 {
			run = ledger.Run(msOf(time.Date(2026, 11, 22, 4, 20, 0, 0, time.UTC)))
		}
		border := hourEntry("198.51.100.1", 7, flow.VersionIPFIX, at, minutes, 1000, map[bool]uint64{true: 480}[second && at.Hour() < 2])
		edge := hourEntry("2001:db8::7", 0, flow.VersionNF9, at, minutes, 50, 0)
		if second && at.Hour() == 6 {
			edge.Entry.Counts[ledger.SetsWithout], edge.Entry.Counts[ledger.SetsDropped] = 30, 30
		}
		if second && at.Hour() == 9 {
			border.Entry.Counts[ledger.Lost], border.Entry.Counts[ledger.Gaps] = 960, 12
		}
		rows := []ledger.Row{{Kind: ledger.KindHost, Run: run, Host: host}, border}
		if !second || at.Hour() != 11 && at.Hour() != 12 {
			rows = append(rows, edge)
		}
		for _, row := range rows {
			row.Run = run
			putRow(t, s, at, row)
		}
	}
}

// ledgerArchive makes an archive in dir that has the ledgers of fillLedger and no
// records, and says which exporters are known.
func ledgerArchive(t *testing.T, dir string, known ledger.Directory) {
	t.Helper()
	s, err := store.Open(dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := writeKnown(s, known); err != nil {
		t.Fatal(err)
	}
	fillLedger(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// knownExporters is what the configuration says beside fillLedger.
func knownExporters(t *testing.T) ledger.Directory {
	t.Helper()
	c, err := parseConfig("weir.yaml", []byte(`
exporters:
  - {name: border-1, address: 198.51.100.1, group: core, owner: Backbone group, contact: noc@example.net, expected: true}
  - {name: campus-2, sources: [192.0.2.0/28], group: organisation, permission: DPA 2026-17, expected: true}
`))
	if err != nil {
		t.Fatal(err)
	}
	return c.Known
}
