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
	balance ledger.Balance
	entries bool // it counts records
	open    bool // a run ended without a word in the hour, or goes on; of an import that is not known
}

// add takes in a row.
func (c *hourCount) add(row ledger.Row) {
	c.balance.Add(row)
	switch row.Kind {
	case ledger.KindEntry:
		c.entries = true
	case ledger.KindHost:
		c.open = c.open || row.Host.End == ledger.EndOpen
	}
}

// verifyLedgers reads every ledger and compares its sums with the records.
func (w *verification) verifyLedgers(ctx context.Context) error {
	counts := map[store.Hour]*hourCount{}
	err := w.store.ScanLedger(0, ^store.Hour(0), func(h store.Hour, r ledger.Row) error {
		w.report.Ledger++
		c := counts[h]
		if c == nil {
			c = &hourCount{}
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
	w.lacking[h] = c.balance.Lost(w.rows[h])
}

// compare says where the records that are there, by exporter, differ from what is
// counted, "" if nowhere.
//
// What an exporter sent of whom the ledger has nothing at all came before there
// was one, or by another way, and is not compared.
func (c *hourCount) compare(all map[flow.Addr]uint64) string {
	due, less := c.balance.Due()
	rows, together := maps.Clone(all), c.balance.Together()
	if !together {
		maps.DeleteFunc(rows, func(addr flow.Addr, _ uint64) bool { _, ok := due[addr]; return !ok })
	}
	worst := ""
	if !together {
		worst = worstOf(due, rows)
	}
	counted, there := ledger.Total(due), ledger.Total(rows)
	switch {
	case there > counted:
		return fmt.Sprintf("it has %d records and its ledger counts %d%s", there, counted, worst)
	case counted-there > less:
		return fmt.Sprintf("its ledger counts %d records and it has %d%s", counted, there, worst)
	case less == 0 && worst != "":
		return "its ledger and its records do not agree" + worst
	}
	return ""
}

// worstOf names the exporter whose numbers differ most, "" if none do. All that
// have records are due some.
func worstOf(due, rows map[flow.Addr]uint64) string {
	addrs := slices.SortedFunc(maps.Keys(due), func(a, b flow.Addr) int {
		return cmp.Or(cmp.Compare(apart(due[b], rows[b]), apart(due[a], rows[a])), a.Compare(b))
	})
	if len(addrs) == 0 || apart(due[addrs[0]], rows[addrs[0]]) == 0 {
		return ""
	}
	a := addrs[0]
	return fmt.Sprintf(" (exporter %v: %d counted, %d there)", a, due[a], rows[a])
}

func apart(a, b uint64) uint64 { return max(a, b) - min(a, b) }
