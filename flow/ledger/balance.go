package ledger

import (
	"maps"

	"weir/flow"
)

// A Balance adds up the rows of an hour's ledger, in any order, to what they say
// of the records that the hour's bucket should hold.
type Balance struct {
	came     map[flow.Addr]uint64 // records by exporter, less those set aside or refused
	gone     map[flow.Addr]uint64 // of them, those deleted on purpose or lost to damage before
	unstored uint64               // of them, those that could not be stored, of whomever
	together bool                 // exporters were counted under the zero address
}

// Add takes in a row.
func (b *Balance) Add(row Row) {
	if b.came == nil {
		b.came, b.gone = map[flow.Addr]uint64{}, map[flow.Addr]uint64{}
	}
	switch row.Kind {
	case KindEntry:
		n := row.Entry.Get(Records)
		b.came[row.Key.Exporter] += n - min(n, row.Entry.Get(SetAside)+row.Entry.Get(Refused))
	case KindPurge:
		b.gone[row.Key.Exporter] += row.Purge.Records
	case KindLoss:
		b.gone[row.Key.Exporter] += row.Loss.Records
	case KindHost:
		b.unstored += max(row.Host.Counting, row.Host.Rejected.Count)
		b.together = b.together || row.Host.Together > 0
	}
}

// Together reports whether exporters were counted under the zero address, so that
// only the sum over all tells something.
func (b *Balance) Together() bool { return b.together }

// Due returns the records that should be there by exporter, of those that the
// ledger counts, and how many of all these need not, of whichever exporter.
func (b *Balance) Due() (by map[flow.Addr]uint64, less uint64) {
	by = maps.Clone(b.came)
	take := func(addr flow.Addr, n uint64) (over uint64) {
		due := min(n, by[addr])
		if due > 0 { // one that is not counted is not in by
			by[addr] -= due
		}
		return n - due
	}
	rest := uint64(0)
	for addr, n := range b.gone {
		over := take(addr, n)
		if b.together || addr == (flow.Addr{}) { // else it is of what nobody counted
			rest += over
		}
	}
	return by, b.unstored + take(flow.Addr{}, rest)
}

// Lost returns the records by exporter that are due and not there; under the zero
// address those of which it cannot be told whose they are.
func (b *Balance) Lost(there map[flow.Addr]uint64) map[flow.Addr]uint64 {
	due, less := b.Due()
	lost := map[flow.Addr]uint64{}
	for addr, n := range due {
		if n > there[addr] {
			lost[addr] = n - there[addr]
		}
	}
	n := Total(lost)
	if b.together {
		all, have := Total(due), Total(there)
		n = all - min(all, have)
	}
	switch {
	case n <= less:
		return nil
	case b.together || less > 0 && len(lost) > 1:
		return map[flow.Addr]uint64{{}: n - less}
	case less > 0: // all of one exporter
		for addr := range lost {
			lost[addr] -= less
		}
	}
	return lost
}

// Total adds up the records of all exporters.
func Total(by map[flow.Addr]uint64) (n uint64) {
	for _, c := range by {
		n += c
	}
	return n
}
