package ledger

import (
	"maps"
	"math/rand/v2"
	"testing"

	"weir/flow"
)

// TestBalance says how many records are lost of whom, and finds nothing lacking
// once that is in the ledger.
func TestBalance(t *testing.T) {
	type counts = map[flow.Addr]uint64
	a, b, c, nobody := flow.AddrFrom4(1), flow.AddrFrom4(2), flow.AddrFrom4(3), flow.Addr{}
	came := func(addr flow.Addr, records, setAside, refused uint64) Row {
		e := &Entry{}
		e.Counts[Records], e.Counts[SetAside], e.Counts[Refused] = records, setAside, refused
		return Row{Kind: KindEntry, Key: Key{Exporter: addr}, Entry: e}
	}
	purged := func(addr flow.Addr, n uint64) Row {
		return Row{Kind: KindPurge, Key: Key{Exporter: addr}, Purge: &Purge{Records: n}}
	}
	lost := func(addr flow.Addr, n uint64) Row {
		return Row{Kind: KindLoss, Key: Key{Exporter: addr}, Loss: &Loss{Records: n}}
	}
	host := func(h Host) Row { return Row{Kind: KindHost, Host: &h} }
	tests := map[string]struct {
		rows  []Row
		there counts
		want  counts
	}{
		"nothing is counted":                {nil, counts{a: 10}, nil},
		"all are there":                     {[]Row{came(a, 10, 0, 0), came(b, 5, 0, 0)}, counts{a: 10, b: 5}, nil},
		"some are not":                      {[]Row{came(a, 10, 0, 0), came(b, 5, 0, 0)}, counts{a: 7}, counts{a: 3, b: 5}},
		"more of one do not make up":        {[]Row{came(a, 10, 0, 0), came(b, 5, 0, 0)}, counts{a: 7, b: 8}, counts{a: 3}},
		"set aside and refused":             {[]Row{came(a, 10, 4, 5)}, counts{}, counts{a: 1}},
		"several runs":                      {[]Row{came(a, 10, 0, 0), came(a, 4, 0, 0)}, counts{a: 11}, counts{a: 3}},
		"purged":                            {[]Row{purged(a, 6), came(a, 10, 0, 0)}, counts{a: 3}, counts{a: 1}},
		"lost before":                       {[]Row{came(a, 10, 0, 0), lost(a, 6)}, counts{a: 3}, counts{a: 1}},
		"purged of whom nothing is counted": {[]Row{came(a, 10, 0, 0), purged(b, 6)}, counts{a: 3}, counts{a: 7}},
		"lost before, of whom is not known": {[]Row{came(a, 10, 0, 0), came(b, 5, 0, 0), lost(nobody, 6)}, counts{a: 6, b: 2}, counts{nobody: 1}},
		"not stored":                        {[]Row{came(a, 10, 0, 0), host(Host{Counting: 4})}, counts{a: 6}, nil},
		"not stored, and lost of one":       {[]Row{came(a, 10, 0, 0), came(b, 5, 0, 0), host(Host{Rejected: Drop{Count: 4}})}, counts{a: 3, b: 5}, counts{a: 3}},
		"not stored, and lost of some":      {[]Row{came(a, 10, 0, 0), came(b, 5, 0, 0), host(Host{Counting: 4, Rejected: Drop{Count: 4}})}, counts{a: 6, b: 2}, counts{nobody: 3}},
		"not stored by two runs":            {[]Row{came(a, 10, 0, 0), host(Host{Counting: 4}), host(Host{Counting: 3})}, counts{a: 3}, nil},
		"together":                          {[]Row{came(nobody, 10, 0, 0), host(Host{Together: 2})}, counts{a: 4, b: 6}, nil},
		"together, and some are not there":  {[]Row{came(nobody, 10, 0, 0), came(c, 5, 0, 0), host(Host{Together: 2})}, counts{a: 4, b: 1, c: 6}, counts{nobody: 4}},
		"together, purged and lost before":  {[]Row{came(nobody, 10, 0, 0), purged(a, 4), lost(nobody, 3), host(Host{Together: 2})}, counts{b: 2}, counts{nobody: 1}},
		"together, and not stored":          {[]Row{came(nobody, 10, 0, 0), host(Host{Together: 2, Counting: 5})}, counts{a: 4}, counts{nobody: 1}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			rows := test.rows
			rand.New(rand.NewPCG(1, 1)).Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
			var balance Balance
			for _, row := range rows {
				balance.Add(row)
			}
			got := balance.Lost(test.there)
			if !maps.Equal(got, test.want) {
				t.Errorf("%v are lost, want %v", got, test.want)
			}
			for addr, n := range got {
				balance.Add(lost(addr, n))
			}
			if again := balance.Lost(test.there); len(again) > 0 {
				t.Errorf("%v are lost once more", again)
			}
		})
	}
}
