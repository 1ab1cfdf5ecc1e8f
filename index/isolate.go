package index

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"weir/flow"
	"weir/flow/ledger"
	"weir/store"
)

// isolate takes the damage out of the hours that have some, as far as it is
// theirs, and writes down what that cost.
func (w *verification) isolate(ctx context.Context) error {
	var hours []store.Hour
	for h := range w.broken {
		hours = append(hours, h)
	}
	slices.Sort(hours)
	for _, h := range hours {
		done, err := w.store.Isolate(ctx, h)
		if err != nil {
			return err
		}
		if !done.Done {
			continue // it was seen when the store was opened, and has gone since
		}
		if !done.Whole() {
			w.report.Isolated = append(w.report.Isolated, isolatedText(done))
		}
		w.report.Damaged = slices.DeleteFunc(w.report.Damaged, func(text string) bool { return strings.HasPrefix(text, fmt.Sprintf("bucket %v is damaged", h)) })
		if done.Rows > 0 {
			w.stale[h] = fmt.Sprintf("bucket %v: the index covers what is gone", h)
			w.report.Stale = append(w.report.Stale, w.stale[h])
		}
	}
	return nil
}

// noteLacking writes into the ledger that records are lost which it counts and
// which are not there, so that answers say so.
func (w *verification) noteLacking(ctx context.Context) error {
	for h, lost := range w.lacking {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := ledger.Total(lost)
		if n == 0 {
			continue // there are more than are counted, which this does not explain
		}
		at := uint64(max(w.now().UnixMilli(), 0))
		var rows []ledger.Row
		for addr, records := range lost {
			rows = append(rows, ledger.Row{Kind: ledger.KindLoss, Run: ledger.Run(at), Key: ledger.Key{Exporter: addr},
				Loss: &ledger.Loss{At: at, Exporter: addr, Records: records, What: "records that the ledger counts are not there"}})
		}
		if err := w.store.PutLedger(uint32(h), rows); err != nil {
			return err
		}
		w.report.Unbalanced = slices.DeleteFunc(w.report.Unbalanced, func(text string) bool { return strings.HasPrefix(text, fmt.Sprintf("bucket %v:", h)) })
		w.report.Isolated = append(w.report.Isolated, fmt.Sprintf("bucket %v: %d records that its ledger counts are not there, and are noted as lost", h, n))
	}
	slices.Sort(w.report.Isolated)
	return w.store.Flush()
}

// isolatedText says what became of an hour.
func isolatedText(i *store.Isolation) string {
	text := fmt.Sprintf("bucket %v: %d records are left; ", i.Hour, i.Rows)
	switch n := i.LostRecords(); {
	case n == 0:
		text += "how many are lost is not known"
	default:
		text += fmt.Sprintf("%d are lost", n)
		if by := lostBy(i.Lost); by != "" {
			text += " (" + by + ")"
		}
	}
	if len(i.Kept) > 0 {
		text += "; kept aside: " + strings.Join(i.Kept, ", ")
	}
	return text
}

// lostBy names the exporters that lost most.
func lostBy(lost map[flow.Addr]uint64) string {
	var addrs []flow.Addr
	for addr := range lost {
		if addr != (flow.Addr{}) {
			addrs = append(addrs, addr)
		}
	}
	slices.SortFunc(addrs, func(a, b flow.Addr) int {
		if lost[a] != lost[b] {
			return int(min(max(int64(lost[b])-int64(lost[a]), -1), 1))
		}
		return a.Compare(b)
	})
	const most = 5
	var words []string
	for i, addr := range addrs {
		if i == most {
			words = append(words, fmt.Sprintf("%d more exporters", len(addrs)-most))
			break
		}
		words = append(words, fmt.Sprintf("%d of %v", lost[addr], addr))
	}
	return strings.Join(words, ", ")
}
