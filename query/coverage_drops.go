package query

import (
	"cmp"
	"slices"

	"weir/flow/ledger"
)

// addDrops adds what was counted at places to a list, which it may change.
func addDrops(list, more []ledger.Drop) []ledger.Drop {
	for _, d := range more {
		at := slices.IndexFunc(list, func(o ledger.Drop) bool { return o.Where == d.Where })
		switch {
		case at >= 0:
			list[at].Count += d.Count
		case d.Count > 0:
			list = append(list, d)
		}
	}
	return list
}

// mostFirst orders a list and keeps as many places as an hour tells apart.
func mostFirst(list []ledger.Drop) []ledger.Drop {
	slices.SortFunc(list, func(a, b ledger.Drop) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Where, b.Where))
	})
	return list[:min(len(list), ledger.MaxSenders)]
}

// countDrops adds up what was counted.
func countDrops(list []ledger.Drop) uint64 {
	n := uint64(0)
	for _, d := range list {
		n += d.Count
	}
	return n
}
