package query

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"weir/flow"
	"weir/flow/ledger"
	"weir/store"
)

// A ledgerSum is what the ledgers of some hours say, added up.
type ledgerSum struct {
	exporters []exporterSum // ascending by address
	runs      []runSpan     // ascending by start

	kernel, behind, queueFull, notStored, strangers, purged uint64

	sockets, waits, senders []ledger.Drop // of kernel, queueFull and strangers; senders not all

	unstored []ledger.Span
	stills   []ledger.Still
	damaged  []string
}

// An exporterSum is what they say of one exporter. Its Digest's skew is that of
// the worst hour.
type exporterSum struct {
	addr   flow.Addr
	digest Digest
	off    uint64 // records in hours in which the clock was off
}

// A runSpan is when one run of a collector was up, or what an import covers in
// one hour.
type runSpan struct {
	ledger.Span
	run      ledger.Run
	imported bool
	end      string // of the last hour
}

// exporter returns the sum of one exporter, nil if there is none.
func (s *ledgerSum) exporter(addr flow.Addr) *exporterSum {
	i, ok := slices.BinarySearchFunc(s.exporters, addr, func(e exporterSum, a flow.Addr) int { return e.addr.Compare(a) })
	if !ok {
		return nil
	}
	return &s.exporters[i]
}

// add adds what other, later hours say of the exporters that match.
func (s *ledgerSum) add(o *ledgerSum, match func(flow.Addr) bool) {
	s.exporters = mergeExporters(s.exporters, o.exporters, match)
	s.runs = append(s.runs, o.runs...)
	s.kernel += o.kernel
	s.behind += o.behind
	s.queueFull += o.queueFull
	s.notStored += o.notStored
	s.strangers += o.strangers
	s.purged += o.purged
	s.sockets, s.waits, s.senders = addDrops(s.sockets, o.sockets), addDrops(s.waits, o.waits), addDrops(s.senders, o.senders)
	s.unstored = append(s.unstored, o.unstored...)
	s.stills = append(s.stills, o.stills...)
	s.damaged = append(s.damaged, o.damaged...)
}

// mergeExporters adds those of b that match to a, in place where a has all of
// them.
func mergeExporters(a, b []exporterSum, match func(flow.Addr) bool) []exporterSum {
	var more []exporterSum
	at := 0
	for i := range b {
		for at < len(a) && a[at].addr.Less(b[i].addr) {
			at++
		}
		switch {
		case at < len(a) && a[at].addr == b[i].addr:
			a[at].digest.Add(&b[i].digest)
			a[at].off += b[i].off
		case match == nil || match(b[i].addr):
			e := b[i]
			e.digest.Intervals = slices.Clone(e.digest.Intervals) // which add changes
			more = append(more, e)
		}
	}
	if more == nil {
		return a
	}
	a = append(a, more...)
	slices.SortFunc(a, func(x, y exporterSum) int { return x.addr.Compare(y.addr) })
	return a
}

// settle joins what belongs together once all hours are added.
func (s *ledgerSum) settle() {
	slices.SortFunc(s.runs, func(a, b runSpan) int { return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.run, b.run)) })
	last := map[ledger.Run]int{}
	runs := s.runs[:0]
	for _, r := range s.runs {
		// A run goes on from hour to hour, unless the host slept meanwhile.
		if at, ok := last[r.run]; ok && !r.imported && (runs[at].end == ledger.EndHour || r.From <= runs[at].To+signOfLife) {
			runs[at].To, runs[at].end = max(runs[at].To, r.To), r.end
			continue
		}
		last[r.run] = len(runs)
		runs = append(runs, r)
	}
	s.runs = runs
	s.unstored = joinSpans(s.unstored)
	s.sockets, s.waits, s.senders = mostFirst(s.sockets), mostFirst(s.waits), mostFirst(s.senders)
	slices.Sort(s.damaged)
	s.damaged = slices.Compact(s.damaged)
}

// joinSpans sorts spans and joins those that overlap or touch.
func joinSpans(spans []ledger.Span) []ledger.Span {
	slices.SortFunc(spans, func(a, b ledger.Span) int { return cmp.Compare(a.From, b.From) })
	joined := spans[:0]
	for _, s := range spans {
		switch n := len(joined); {
		case s.Length() == 0:
		case n > 0 && s.From <= joined[n-1].To:
			joined[n-1].To = max(joined[n-1].To, s.To)
		default:
			joined = append(joined, s)
		}
	}
	return joined
}

// An hourReader adds the rows of one hour up.
type hourReader struct {
	hour store.Hour
	sum  ledgerSum
	rows map[flow.Addr]*exporterRows
	lost map[string]uint64 // records lost to damage, by what was damaged
}

// exporterRows are the rows of one exporter in one hour.
type exporterRows struct {
	digest Digest
	skew   ledger.Skew
	quiet  []keySilence
}

// A keySilence is the longest silence of one domain and protocol.
type keySilence struct {
	key ledger.Key
	ledger.Span
}

// put takes in a row.
func (h *hourReader) put(row ledger.Row) {
	switch row.Kind {
	case ledger.KindHost:
		h.host(row.Run, row.Host)
	case ledger.KindPurge:
		h.sum.purged += row.Purge.Records
	case ledger.KindLoss:
		if h.lost == nil {
			h.lost = map[string]uint64{}
		}
		h.lost[row.Loss.What] += row.Loss.Records
	case ledger.KindEntry:
		h.entry(row.Key, row.Entry)
	}
}

func (h *hourReader) host(run ledger.Run, host *ledger.Host) {
	kernel, behind := host.Dropped()
	h.sum.kernel += kernel
	h.sum.behind += behind
	h.sum.queueFull += host.QueueFull()
	h.sum.notStored += max(host.Counting, host.Rejected.Count)
	h.sum.strangers += host.RefusedDatagrams()
	h.sum.sockets, h.sum.waits = addDrops(h.sum.sockets, host.Sockets), addDrops(h.sum.waits, host.Waits)
	h.sum.senders = addDrops(h.sum.senders, host.Senders)
	h.sum.unstored = append(h.sum.unstored, host.Unstored...)
	h.sum.stills = append(h.sum.stills, host.Stills...)
	up := host.Up
	if host.Import && up.From != 0 && up.Length() == 0 {
		up.To = up.From + 1 // a capture of one moment
	}
	if up.Length() > 0 { // else the run has only just begun
		h.sum.runs = append(h.sum.runs, runSpan{up, run, host.Import, host.End})
	}
}

// entry takes in an entry, which is the reader's from then on.
func (h *hourReader) entry(key ledger.Key, e *ledger.Entry) {
	if h.rows == nil {
		h.rows = map[flow.Addr]*exporterRows{}
	}
	d := digestOf(e, key.Version)
	r := h.rows[key.Exporter]
	if r == nil { // nearly always the only one
		h.rows[key.Exporter] = &exporterRows{digest: d, skew: e.Skew, quiet: []keySilence{{key, e.Silence}}}
		return
	}
	d.Silence = ledger.Span{}
	r.digest.Add(&d)
	r.skew.Add(&e.Skew)
	for i := range r.quiet {
		if q := &r.quiet[i]; q.key == key {
			if e.Silence.Length() > q.Length() {
				q.Span = e.Silence
			}
			return
		}
	}
	r.quiet = append(r.quiet, keySilence{key, e.Silence})
}

// finish returns the sum of the hour.
func (h *hourReader) finish() *ledgerSum {
	for _, addr := range slices.SortedFunc(maps.Keys(h.rows), flow.Addr.Compare) {
		r := h.rows[addr]
		e := exporterSum{addr: addr, digest: r.digest}
		e.digest.SkewMS, e.digest.SkewMinMS, e.digest.SkewMaxMS = r.skew.Median(), r.skew.Min, r.skew.Max
		e.digest.Silence = r.silence()
		if clockOff(e.digest.SkewMS) {
			e.off = e.digest.Records
		}
		h.sum.exporters = append(h.sum.exporters, e)
	}
	for what, records := range h.lost {
		all := ledger.Loss{What: what, Records: records}
		h.sum.damaged = append(h.sum.damaged, fmt.Sprintf("bucket %v was damaged: %v", h.hour, &all))
	}
	h.sum.settle()
	return &h.sum
}

// silence returns the longest time in which no domain and no protocol of the
// exporter was heard, as far as the longest of each tell.
func (r *exporterRows) silence() ledger.Span {
	both := r.quiet[0].Span
	for _, s := range r.quiet[1:] {
		both.From, both.To = max(both.From, s.From), min(both.To, s.To)
	}
	if both.Length() == 0 {
		return ledger.Span{}
	}
	return both
}

// readLedger calls fn for each hour from from to to that has a ledger, with the
// sum of its rows, and note, unless it is nil, with the key of every entry.
// Damage is part of the sums: an hour that has some comes once more.
func readLedger(ctx context.Context, s LedgerArchive, from, to store.Hour, note func(h store.Hour, key ledger.Key), fn func(h store.Hour, sum *ledgerSum)) error {
	hour, reader := store.Hour(0), (*hourReader)(nil)
	flush := func() {
		if reader != nil {
			fn(hour, reader.finish())
		}
		reader = nil
	}
	err := s.ScanLedger(from, to, func(h store.Hour, row ledger.Row) error {
		if reader == nil || h != hour {
			flush()
			if err := ctx.Err(); err != nil {
				return err
			}
			hour, reader = h, &hourReader{hour: h}
		}
		reader.put(row)
		if note != nil && row.Kind == ledger.KindEntry {
			note(h, row.Key)
		}
		return nil
	})
	flush()
	if !store.IsDamage(err) {
		return err
	}
	for _, damage := range damagesOf(err) {
		fn(damage.Hour, &ledgerSum{damaged: []string{damage.Error()}})
	}
	return nil
}

// damagesOf returns the damage that an error of ScanLedger is about, nothing if
// it is about something else.
func damagesOf(err error) []*store.DamageError {
	var one *store.DamageError
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var list []*store.DamageError
		for _, e := range joined.Unwrap() {
			list = append(list, damagesOf(e)...)
		}
		return list
	}
	if errors.As(err, &one) {
		return []*store.DamageError{one}
	}
	return nil
}
