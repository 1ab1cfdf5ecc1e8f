package index

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"weir/flow"
	"weir/flow/ledger"
	"weir/store"
)

// settleAfter is how long after an hour's end its ledger may still be written: it
// follows the records by a second.
const settleAfter = time.Minute

// An hourCount is what the ledger of an hour says of its records.
type hourCount struct {
	rows     int                  // of the ledger
	entries  bool                 // it counts records
	stored   map[flow.Addr]uint64 // that should be there, by exporter
	unstored uint64               // counted and not stored
	open     bool                 // a run ended without a word in the hour, or goes on; of an import that is not known
	folded   bool                 // some exporters were counted together
}

// add takes in a row.
func (c *hourCount) add(row ledger.Row) {
	c.rows++
	store.CountStored(c.stored, row)
	switch row.Kind {
	case ledger.KindEntry:
		c.entries = true
	case ledger.KindHost:
		c.unstored += max(row.Host.Counting, row.Host.Rejected.Count)
		c.open = c.open || row.Host.End == ledger.EndOpen
		c.folded = c.folded || row.Host.Together > 0
	}
}

// verifyLedgers reads every ledger and compares its sums with the records.
func (w *verification) verifyLedgers(ctx context.Context) error {
	counts := map[store.Hour]*hourCount{}
	err := w.store.ScanLedger(0, ^store.Hour(0), func(h store.Hour, r ledger.Row) error {
		w.report.Ledger++
		c := counts[h]
		if c == nil {
			c = &hourCount{stored: map[flow.Addr]uint64{}}
			counts[h] = c
		}
		c.add(r)
		return ctx.Err()
	})
	if store.IsDamage(err) {
		w.report.Damaged = append(w.report.Damaged, texts(err)...)
	} else if err != nil {
		return err
	}
	if w.o.Excerpt {
		return nil
	}
	settled := store.HourOf(uint64(max(w.now().Add(-settleAfter).UnixMilli(), 0)))
	for _, b := range w.buckets {
		h := b.Hour()
		c := counts[h]
		if c == nil || !c.entries || h >= settled || w.broken[h] || b.Info().Rows == 0 {
			continue // nothing is counted of it, it is being written, or it is damaged
		}
		if diff := c.compare(w.rows[h]); diff != "" {
			w.unbalanced(h, c, diff)
		}
	}
	return nil
}

// unbalanced reports that the ledger of an hour and its records do not agree. It
// is written a moment before or after them, so that a crash comes in between.
func (w *verification) unbalanced(h store.Hour, c *hourCount, diff string) {
	text := fmt.Sprintf("bucket %v: %s", h, diff)
	if c.open {
		w.report.Notes = append(w.report.Notes, text+"; a run that ended without a word in that hour, as in a crash, explains it")
		return
	}
	w.report.Unbalanced = append(w.report.Unbalanced, text)
	if w.lacking == nil {
		w.lacking = map[store.Hour]map[flow.Addr]uint64{}
	}
	w.lacking[h] = c.lacking(w.rows[h])
}

// lacking returns the records by exporter that are counted and not there.
func (c *hourCount) lacking(rows map[flow.Addr]uint64) map[flow.Addr]uint64 {
	lost := map[flow.Addr]uint64{}
	if counted, there := total(c.stored), total(rows); c.folded && counted > there+c.unstored {
		lost[flow.Addr{}] = counted - there - c.unstored
	}
	for addr, n := range c.stored {
		if n > rows[addr] && !c.folded {
			lost[addr] = n - rows[addr]
		}
	}
	return lost
}

// compare says where the records that are there, by exporter, differ from what is
// counted, "" if nowhere.
//
// What an exporter sent of whom the ledger has nothing at all came before there
// was one, or by another way, and is not compared.
func (c *hourCount) compare(all map[flow.Addr]uint64) string {
	rows := maps.Clone(all)
	if !c.folded {
		maps.DeleteFunc(rows, func(addr flow.Addr, _ uint64) bool { _, ok := c.stored[addr]; return !ok })
	}
	counted, there := total(c.stored), total(rows)
	switch {
	case there > counted:
		return fmt.Sprintf("it has %d records and its ledger counts %d%s", there, counted, c.worst(rows))
	case counted-there > c.unstored:
		return fmt.Sprintf("its ledger counts %d records and it has %d%s", counted, there, c.worst(rows))
	case c.unstored > 0 || c.folded:
		return ""
	}
	if worst := c.worst(rows); worst != "" {
		return "its ledger and its records do not agree" + worst
	}
	return ""
}

// worst names the exporter whose numbers differ most.
func (c *hourCount) worst(rows map[flow.Addr]uint64) string {
	if c.folded {
		return ""
	}
	all := maps.Clone(c.stored)
	for addr := range rows {
		all[addr] += 0
	}
	addrs := slices.SortedFunc(maps.Keys(all), func(a, b flow.Addr) int {
		return cmp.Or(cmp.Compare(apart(c.stored[b], rows[b]), apart(c.stored[a], rows[a])), a.Compare(b))
	})
	if len(addrs) == 0 || apart(c.stored[addrs[0]], rows[addrs[0]]) == 0 {
		return ""
	}
	a := addrs[0]
	return fmt.Sprintf(" (exporter %v: %d counted, %d there)", a, c.stored[a], rows[a])
}

func apart(a, b uint64) uint64 { return max(a, b) - min(a, b) }

func total(counts map[flow.Addr]uint64) (n uint64) {
	for _, c := range counts {
		n += c
	}
	return n
}
