package metrics

import (
	"weir/flow/ledger"
)

// marks keep counters from falling. What looked lost and was only late is taken
// back, and a counter that falls looks to Prometheus as if it had begun anew: all
// of it would count as new loss.
type marks map[string]mark

// A mark is the highest that the counters of one exporter stood at.
type mark struct {
	counts      [ledger.CounterCount]uint64
	lost        [ledger.UnitRecords + 1]uint64
	lostRecords uint64
}

// raise brings the counters of a scrape up to the marks, and the marks up to
// them. Exporters that are not in the scrape lose theirs.
func (m *marks) raise(list []*Exporter) {
	next := make(marks, len(list))
	for _, e := range list {
		now := mark{e.Counts, e.Lost, e.LostRecords}
		before, known := (*m)[e.Name]
		// Datagrams are never taken back: fewer of them mean that the exporter was
		// forgotten and has come back.
		if known && before.counts[ledger.Datagrams] <= now.counts[ledger.Datagrams] {
			raise(now.counts[:], before.counts[:])
			raise(now.lost[:], before.lost[:])
			now.lostRecords = max(now.lostRecords, before.lostRecords)
		}
		next[e.Name] = now
		e.Counts, e.Lost, e.LostRecords = now.counts, now.lost, now.lostRecords
	}
	*m = next
}

func raise(now, before []uint64) {
	for i := range now {
		now[i] = max(now[i], before[i])
	}
}
