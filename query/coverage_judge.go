package query

import (
	"cmp"
	"context"
	"slices"
	"time"

	"weir/flow"
	"weir/flow/ledger"
	"weir/store"
)

// Coverage judges a window. What was read of the ledgers is kept, so that the
// next question costs little.
func (l *Ledgers) Coverage(ctx context.Context, req CoverageRequest) (*Coverage, error) {
	match, err := newExporterMatch(req.Exporter, req.Filter, req.Options)
	if err != nil {
		return nil, err
	}
	j := &judge{req: req, match: match, ledgers: l.store.LedgerHours(), buckets: l.store.Buckets()}
	if len(j.ledgers) == 0 {
		return &Coverage{}, nil
	}
	if j.cut(); j.from == j.to { // nothing can be there
		j.beginning()
		return &j.c, nil
	}
	first, last := store.HourOf(j.from), store.HourOf(j.to-1)
	if j.sum, err = l.sum(ctx, j.ledgers, first, last, match); err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	if j.day, err = l.sum(ctx, j.ledgers, first-min(first, hoursOfDay), first-min(first, 1), match); err != nil {
		return nil, err
	}
	around, err := l.around(ctx, j.ledgers, first, last)
	if err != nil {
		return nil, err
	}
	j.line = newTimeline(joinRuns(j.day.runs, j.sum.runs, around.runs), slices.Concat(j.day.stills, j.sum.stills, around.stills), j.count(first, last), &j.req)
	j.trim()
	j.c.From, j.c.To = Moment(j.from), Moment(j.to)
	if j.line.copy != 0 && j.to > j.line.copy {
		j.c.Copied = Moment(j.line.copy)
	}
	j.beginning()
	j.gaps()
	j.exporters()
	j.losses()
	j.c.Damaged = append(j.c.Damaged, j.sum.damaged...)
	return &j.c, nil
}

// around returns the runs, and standstills, of the last hour with a ledger before
// the hours from first to last and of the next one after them: they say how a
// run ended.
func (l *Ledgers) around(ctx context.Context, ledgers []store.LedgerHour, first, last store.Hour) (ledgerSum, error) {
	var all ledgerSum
	byHour := func(h store.LedgerHour, at store.Hour) int { return cmp.Compare(h.Hour, at) }
	before, _ := slices.BinarySearchFunc(ledgers, first, byHour)
	after, found := slices.BinarySearchFunc(ledgers, last, byHour)
	if found {
		after++
	}
	for _, i := range []int{before - 1, after} {
		if i < 0 || i >= len(ledgers) {
			continue
		}
		sum, err := l.sum(ctx, ledgers, ledgers[i].Hour, ledgers[i].Hour, exporterMatch{})
		if err != nil {
			return all, err
		}
		all.runs, all.stills = append(all.runs, sum.runs...), append(all.stills, sum.stills...)
	}
	return all, nil
}

// joinRuns settles runs of several sums.
func joinRuns(lists ...[]runSpan) []runSpan {
	s := ledgerSum{runs: slices.Concat(lists...)}
	s.settle()
	return s.runs
}

// A judge works out one Coverage.
type judge struct {
	req      CoverageRequest
	match    exporterMatch
	ledgers  []store.LedgerHour
	buckets  []store.BucketInfo
	from, to uint64     // the window, cut
	begin    store.Hour // the archive's first
	sum      *ledgerSum // of its hours
	day      *ledgerSum // of the day before them
	line     *timeline
	c        Coverage
}

// cut cuts the window to what can be there: not before what the archive has and
// keeps, not after now.
func (j *judge) cut() {
	w, now := j.req.Window, j.req.Now
	begin := j.ledgers[0].Hour
	end := j.ledgers[len(j.ledgers)-1].Hour
	for _, b := range j.buckets {
		if b.Rows > 0 {
			begin, end = min(begin, b.Hour), max(end, b.Hour)
		}
	}
	j.from, j.to = w.From, now
	if w.To != 0 {
		j.to = min(w.To, now)
	}
	if keep := j.req.Keep; keep > 0 && uint64(keep.Milliseconds()) < now {
		kept := store.HourOf(now - uint64(keep.Milliseconds())).StartMS()
		if w.From != 0 && w.From < kept {
			j.c.Past = Moment(kept)
		}
		j.from = max(j.from, kept)
	}
	j.begin = begin
	j.from = max(j.from, begin.StartMS())
	if w.To == 0 { // an archive of the past is asked about as it is
		j.to = max(j.to, min(end.EndMS(), now))
	}
	j.to = max(j.to, j.from)
}

// count counts the hours of the window, and returns those of which nothing is
// known.
func (j *judge) count(first, last store.Hour) []store.Hour {
	j.c.Hours = int(last-first) + 1
	for _, h := range j.ledgers {
		if h.Hour >= first && h.Hour <= last {
			j.c.Ledgers++
		}
	}
	var unknown []store.Hour
	ledgers := j.ledgers // both ascend
	for _, b := range j.buckets {
		for len(ledgers) > 0 && ledgers[0].Hour < b.Hour {
			ledgers = ledgers[1:]
		}
		known := len(ledgers) > 0 && ledgers[0].Hour == b.Hour
		if b.Rows > 0 && !known && b.Hour >= first && b.Hour <= last {
			unknown = append(unknown, b.Hour)
		}
	}
	j.c.Unrecorded = len(unknown)
	return unknown
}

// trim cuts the window further to what was written down: the archive does not
// begin before its first run, and captures end where they end.
func (j *judge) trim() {
	up := j.line.up(j.from, j.to)
	if len(up) == 0 {
		return
	}
	if store.HourOf(j.from) == j.begin {
		j.from = up[0].From
	}
	if asked := min(cmp.Or(j.req.To, j.req.Now), j.req.Now); !j.line.live() {
		j.to = up[len(up)-1].To
		if (j.req.From != 0 || j.req.To != 0) && asked > j.to {
			j.c.End = Moment(j.to)
		}
	}
}

// beginning says whether the window asked for begins before the archive.
func (j *judge) beginning() {
	if asked := j.req.From; asked != 0 && asked < j.from && store.HourOf(j.from) == j.begin {
		j.c.Begin = Moment(j.from)
	}
}

// gaps says when nothing was collected.
func (j *judge) gaps() {
	j.c.Collected = j.line.live()
	j.c.Imported = slices.ContainsFunc(j.sum.runs, func(r runSpan) bool { return r.imported })
	j.c.Gaps, j.c.DownMS = longest(j.line.gaps(j.from, j.to), MaxGaps)
	if !j.line.live() {
		return
	}
	for i := range j.sum.exporters {
		j.c.Newest = max(j.c.Newest, j.sum.exporters[i].digest.Last)
	}
	wait := uint64(time.Minute / time.Millisecond) // the shortest active timeout in common use
	for _, k := range j.req.Known {
		wait = max(wait, uint64(k.ActiveTimeout.Milliseconds()))
	}
	if open := j.req.Now - min(wait, j.req.Now); j.req.Live && j.to > open && uint64(j.c.Newest) >= open {
		j.c.Open = Moment(max(open, j.from))
	}
}

// losses adds up what was lost and what was not stored.
func (j *judge) losses() {
	c, worst := &j.c, ExporterLoss{}
	for i := range j.sum.exporters {
		e := &j.sum.exporters[i]
		d := &e.digest
		c.Records += d.Records
		c.Lost += d.Lost
		c.BadTimes += d.BadTimes
		c.OutOfScope += d.OutOfScope
		c.SetAside += d.SetAside
		c.Refused += d.Refused
		c.Intervals = addIntervals(c.Intervals, d.Intervals)
		addr, name := addrText(e.addr), nameOf(j.req.Known, e.addr)
		if loss := d.Loss(); loss > worst.Loss {
			worst = ExporterLoss{addr, name, d.Records, d.Lost, loss}
		}
		if d.SetsDropped > 0 {
			c.Templates = append(c.Templates, ExporterSets{addr, name, d.SetsDropped})
		}
		if d.SampleDrops > 0 {
			c.SampleDrops += d.SampleDrops
			c.Agents = append(c.Agents, ExporterDrops{addr, name, d.SampleDrops})
		}
		if e.off > 0 {
			c.Clocks = append(c.Clocks, ExporterClock{addr, name, d.SkewMS, e.off})
		}
	}
	c.Loss = LossShare(c.Lost, c.Records)
	if worst.Lost > 0 {
		c.WorstLoss = &worst
	}
	slices.SortStableFunc(c.Templates, func(a, b ExporterSets) int { return cmp.Compare(b.Sets, a.Sets) })
	slices.SortStableFunc(c.Clocks, func(a, b ExporterClock) int { return cmp.Compare(clockError(b.SkewMS), clockError(a.SkewMS)) })
	slices.SortStableFunc(c.Agents, func(a, b ExporterDrops) int { return cmp.Compare(b.Samples, a.Samples) })
	c.Agents = c.Agents[:min(len(c.Agents), MaxNamed)]
	c.Templates, c.Clocks = c.Templates[:min(len(c.Templates), MaxNamed)], c.Clocks[:min(len(c.Clocks), MaxNamed)]
	c.Kernel, c.Behind, c.QueueFull, c.NotStored = j.sum.kernel, j.sum.behind, j.sum.queueFull, j.sum.notStored
	c.Purged, c.Strangers = j.sum.purged, j.sum.strangers
	c.Sockets, c.Senders = j.sum.sockets, j.sum.senders
	var unstored []Gap
	for _, s := range j.sum.unstored {
		if s.From, s.To = max(s.From, j.from), min(s.To, j.to); s.Length() > 0 {
			unstored = append(unstored, Gap{Moment(s.From), Moment(s.To), ReasonUnstored})
		}
	}
	c.Unstored, _ = longest(unstored, MaxGaps)
}

// OthersName stands where exporters have their address for those beyond the
// bound, which were counted together.
const OthersName = "others"

// addrText returns an exporter's address.
func addrText(addr flow.Addr) string {
	if addr == (flow.Addr{}) {
		return OthersName
	}
	return addr.String()
}

// nameOf returns an exporter's name in the configuration, "" if it has none.
func nameOf(known ledger.Directory, addr flow.Addr) string {
	if k := known.Find(addr); k != nil {
		return k.Name
	}
	return ""
}
