package command

import (
	"math/rand/v2"
	"testing"

	"weir/query"
)

// Neither a row nor what a total less the rows leaves is of fewer hosts than was
// asked for, whoever is in which groups; and nothing is lost but where all hosts
// are too few.
func TestFold(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	folded, complemented, left := 0, 0, 0
	for range 20_000 {
		least := uint64(1 + r.IntN(6))
		var rows []query.TopRow
		hosts, members := map[int]bool{}, map[string]map[int]bool{}
		total := uint64(0)
		for g := range r.IntN(7) {
			in := map[int]bool{}
			for range 1 + r.IntN(8) {
				host := r.IntN(12)
				if r.IntN(3) == 0 {
					host += 100 * g // one that is in no other group
				}
				in[host], hosts[host] = true, true
			}
			row := query.TopRow{Distinct: uint64(len(in))}
			row.Records, row.Bytes = uint64(1+r.IntN(100)), uint64(g)
			total += row.Records
			rows = append(rows, row)
			members[string(rune('a'+g))] = in
		}
		shown, f := foldSmall(rows, least, uint64(len(hosts)))
		sum, others := f.sums.Records, map[int]bool{}
		is := map[uint64]bool{}
		for _, row := range shown {
			if row.Distinct < least {
				t.Fatalf("a group of %d of %d hosts is shown", row.Distinct, least)
			}
			sum += row.Records
			is[row.Bytes] = true
		}
		for g := range rows {
			if !is[uint64(g)] {
				for host := range members[string(rune('a'+g))] {
					others[host] = true
				}
			}
		}
		switch {
		case sum != total || len(shown)+f.Folded != len(rows):
			t.Fatalf("%d records became %d", total, sum)
		case f.Left && (len(shown) > 0 || uint64(len(hosts)) >= least):
			t.Fatalf("%d hosts are left out, and %d groups shown", len(hosts), len(shown))
		case f.Folded > 0 && !f.Left && uint64(len(others)) < least:
			t.Fatalf("the others are %d hosts, fewer than %d", len(others), least)
		case f.Left:
			left++
		case f.Folded > 0:
			folded++
		}
		for g, row := range rows {
			if row.Distinct >= least && !is[uint64(g)] && !f.Left {
				complemented++
			}
		}
	}
	if folded < 100 || complemented < 100 || left < 100 {
		t.Errorf("only %d, %d, %d of each kind", folded, complemented, left)
	}
}
