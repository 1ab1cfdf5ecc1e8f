package query

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"

	"weir/flow"
	"weir/store"
)

// Ledgers reads the ledgers of one store and keeps what it read: of days, in
// whole, and of single hours, each until its ledger changes. Its methods may be
// called by several goroutines.
type Ledgers struct {
	store LedgerArchive

	mu     sync.Mutex
	kept   map[hourRange]*keptSum
	weight int    // of all kept, in exporters
	clock  uint64 // counts uses
}

// NewLedgers returns the ledgers of s, with nothing read yet.
func NewLedgers(s LedgerArchive) *Ledgers {
	return &Ledgers{store: s, kept: map[hourRange]*keptSum{}}
}

// maxKept bounds what Ledgers keeps, in sums of one exporter, of about 250
// bytes: 90 days of 1000 exporters.
const maxKept = 100_000

// An hourRange is a number of hours from one on.
type hourRange struct {
	from  store.Hour
	hours store.Hour // 1 or hoursOfDay
}

const hoursOfDay = 24

// A keptSum is the sum of an hourRange as long as its ledgers have this state.
type keptSum struct {
	sum   *ledgerSum // never changed
	state rangeState
	used  uint64
}

// A rangeState tells one state of the ledgers of an hourRange from another: each
// write has a higher change, and what is dropped is missing from the count.
type rangeState struct {
	hours  int
	change uint64
}

func (k *keptSum) weight() int { return len(k.sum.exporters) + 1 }

// sum returns what the hours from from to to say of the exporters that match.
// ledgers are all hours with a ledger.
func (l *Ledgers) sum(ctx context.Context, ledgers []store.LedgerHour, from, to store.Hour, match exporterMatch) (*ledgerSum, error) {
	var ranges []hourRange
	var states []rangeState
	first, _ := slices.BinarySearchFunc(ledgers, from, func(h store.LedgerHour, at store.Hour) int { return cmp.Compare(h.Hour, at) })
	for _, h := range ledgers[first:] {
		if h.Hour > to {
			break
		}
		r := hourRange{h.Hour, 1}
		if day := h.Hour - h.Hour%hoursOfDay; day >= from && day+hoursOfDay-1 <= to {
			r = hourRange{day, hoursOfDay}
		}
		if n := len(ranges); n == 0 || ranges[n-1] != r {
			ranges, states = append(ranges, r), append(states, rangeState{})
		}
		s := &states[len(states)-1]
		s.hours, s.change = s.hours+1, max(s.change, h.Change)
	}
	sums, err := l.sums(ctx, ranges, states)
	if err != nil {
		return nil, err
	}
	total := &ledgerSum{}
	runs := 0
	for _, sum := range sums {
		runs += len(sum.runs)
	}
	total.runs = make([]runSpan, 0, runs)
	var has func(flow.Addr) bool
	if !match.all() {
		has = match.has
	}
	for _, sum := range sums {
		total.add(sum, has)
	}
	total.settle()
	return total, nil
}

// sums returns the sum of each range, which ascend and have these states, reading
// what is not kept.
func (l *Ledgers) sums(ctx context.Context, ranges []hourRange, states []rangeState) ([]*ledgerSum, error) {
	sums := make([]*ledgerSum, len(ranges))
	l.mu.Lock()
	for i, r := range ranges {
		if k := l.kept[r]; k != nil && k.state == states[i] {
			l.clock++
			k.used, sums[i] = l.clock, k.sum
		}
	}
	l.mu.Unlock()
	for i := 0; i < len(ranges); i++ {
		if sums[i] != nil {
			continue
		}
		end := i
		for end < len(ranges) && sums[end] == nil {
			end++
		}
		if err := l.readAll(ctx, ranges[i:end], sums[i:end]); err != nil {
			return nil, err
		}
		l.keep(ranges[i:end], sums[i:end], states[i:end])
	}
	return sums, nil
}

// readAll reads the sums of ranges, parts of them side by side.
func (l *Ledgers) readAll(ctx context.Context, ranges []hourRange, sums []*ledgerSum) error {
	const least = 4 // ranges that are worth a goroutine
	part := max(least, (len(ranges)+workers()-1)/workers())
	errs := make([]error, (len(ranges)+part-1)/part)
	var reading sync.WaitGroup
	for i := range errs {
		from, to := i*part, min((i+1)*part, len(ranges))
		reading.Go(func() { errs[i] = l.read(ctx, ranges[from:to], sums[from:to]) })
	}
	reading.Wait()
	return errors.Join(errs...)
}

// read reads the sums of ranges in one pass.
func (l *Ledgers) read(ctx context.Context, ranges []hourRange, sums []*ledgerSum) error {
	for i := range sums {
		sums[i] = &ledgerSum{}
	}
	last := ranges[len(ranges)-1]
	err := readLedger(ctx, l.store, ranges[0].from, last.from+last.hours-1, nil, func(h store.Hour, sum *ledgerSum) {
		// The range that begins last before the hour, if the hour is in it.
		i, found := slices.BinarySearchFunc(ranges, h, func(r hourRange, at store.Hour) int { return cmp.Compare(r.from, at) })
		if !found {
			i--
		}
		if i >= 0 && h-ranges[i].from < ranges[i].hours {
			sums[i].add(sum, nil)
		}
	})
	for _, s := range sums {
		s.settle()
	}
	return err
}

// keep keeps sums, and lets go of those that were not used for the longest time.
func (l *Ledgers) keep(ranges []hourRange, sums []*ledgerSum, states []rangeState) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, r := range ranges {
		l.forget(r)
		l.clock++
		k := &keptSum{sums[i], states[i], l.clock}
		l.kept[r] = k
		l.weight += k.weight()
	}
	if l.weight <= maxKept {
		return
	}
	old := make([]hourRange, 0, len(l.kept))
	for r := range l.kept {
		old = append(old, r)
	}
	slices.SortFunc(old, func(a, b hourRange) int { return cmp.Compare(l.kept[a].used, l.kept[b].used) })
	for _, r := range old {
		if l.weight <= maxKept*3/4 { // with room, so that not every question sorts
			return
		}
		l.forget(r)
	}
}

// forget lets go of a range. mu is held.
func (l *Ledgers) forget(r hourRange) {
	if k := l.kept[r]; k != nil {
		l.weight -= k.weight()
		delete(l.kept, r)
	}
}
