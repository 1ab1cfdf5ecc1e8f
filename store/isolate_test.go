package store

import (
	"context"
	"maps"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"weir/flow"
	"weir/flow/ledger"
)

// TestIsolateLoses takes a damaged block of 100 rows out of an hour of two
// exporters, whatever else its ledger counts that is not there, and says of whom
// they were as far as that can be told.
func TestIsolateLoses(t *testing.T) {
	const rows, refused = 250, 1000 // of each
	a, b, nobody := flow.AddrFrom4(1), flow.AddrFrom4(2), flow.Addr{}
	counted := func(addr flow.Addr, records uint64) ledger.Row {
		return ledger.Row{Kind: ledger.KindEntry, Run: 1, Key: ledger.Key{Exporter: addr, Version: 9}, Entry: entryOf(records)}
	}
	host := func(h ledger.Host) ledger.Row { return ledger.Row{Kind: ledger.KindHost, Run: 1, Host: &h} }
	notStored := func(n uint64) ledger.Row {
		return host(ledger.Host{Counting: n, Rejected: ledger.Drop{Where: "no space left on device", Count: n}})
	}
	tests := map[string]struct {
		ledger []ledger.Row
		want   map[flow.Addr]uint64
	}{
		"counted by exporter":          {[]ledger.Row{counted(a, rows), counted(b, rows)}, map[flow.Addr]uint64{a: 50, b: 50}},
		"counted together":             {[]ledger.Row{counted(nobody, 2*rows), host(ledger.Host{Together: 2})}, map[flow.Addr]uint64{nobody: 100}},
		"not stored of both":           {[]ledger.Row{counted(a, rows+refused), counted(b, rows+refused), notStored(2 * refused)}, map[flow.Addr]uint64{nobody: 100}},
		"counted together, not stored": {[]ledger.Row{counted(nobody, 2*rows+refused), host(ledger.Host{Together: 2, Counting: refused})}, map[flow.Addr]uint64{nobody: 100}},
		"one is not counted":           {[]ledger.Row{counted(a, rows)}, map[flow.Addr]uint64{a: 50}},
		"nothing is counted":           {nil, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := openTest(t, "data", Options{FS: NewMemFS(), FlushEvery: -1, blockRows: 100})
			batch := numbered(testHour, 0, 2*rows)
			for row := range batch.Len() {
				batch.SetAddr(flow.Exporter, row, []flow.Addr{a, b}[row%2])
			}
			appendTest(t, s, batch)
			putLedger(t, s, testHour, test.ledger...)
			sealTest(t, s, testHour)
			if err := s.db.Set(columnKey(testHour, flow.Bytes, 2), []byte("not what was written"), pebble.Sync); err != nil {
				t.Fatal(err)
			}
			done, err := s.Isolate(context.Background(), testHour)
			if err != nil {
				t.Fatal(err)
			}
			if done.Rows != 2*rows-100 || done.Blocks != 1 || !maps.Equal(done.Lost, test.want) {
				t.Errorf("%d rows are left, %d blocks and %v lost, want %v", done.Rows, done.Blocks, done.Lost, test.want)
			}
			noted := map[flow.Addr]uint64{}
			err = s.ScanLedger(testHour, testHour, func(_ Hour, row ledger.Row) error {
				if row.Kind == ledger.KindLoss && row.Loss.Records > 0 {
					noted[row.Key.Exporter] += row.Loss.Records
				}
				return nil
			})
			if err != nil || !maps.Equal(noted, test.want) {
				t.Errorf("the ledger says that %v are lost, %v, want %v", noted, err, test.want)
			}
		})
	}
}
