package query

import (
	"cmp"
	"fmt"
	"slices"

	"weir/flow"
	"weir/flow/ledger"
	"weir/store"
)

// stateRanks are the states of a cell from the least to the worst: of several,
// the worst is shown, and what explains another stands above it.
var stateRanks = []Reason{
	StateNone, StateFine, ReasonForeign, ReasonScope, ReasonPurged, ReasonNoCapture, ReasonClockSet, ReasonClock, ReasonAgent, ReasonTemplate,
	ReasonLost, ReasonBehind, ReasonKernel, ReasonSilent, ReasonAsleep, ReasonNotStarted, ReasonStopped, ReasonCrashed, ReasonUnstored, ReasonDamaged,
}

// Reasons returns what can be wrong with a cell, from the least to the worst.
func Reasons() []Reason {
	return slices.DeleteFunc(slices.Clone(stateRanks), func(r Reason) bool { return r == StateNone || r == StateFine })
}

// worseState returns the worse of two states.
func worseState(a, b Reason) Reason {
	if slices.Index(stateRanks, b) > slices.Index(stateRanks, a) {
		return b
	}
	return a
}

// worst finds the bad spans, and with them the states of the cells.
func (g *gridBuilder) worst() []BadSpan {
	w := &worstSpans{open: map[spanKey]int{}}
	for i, sum := range g.hours {
		if sum != nil {
			g.hour(w, i, sum)
		}
		g.broken(w, i, sum)
	}
	for _, l := range g.lines {
		g.silence(w, l)
	}
	for _, gap := range g.down {
		s := BadSpan{From: gap.From, To: gap.To, Reason: gap.Reason, Records: uint64(g.rate * float64(gap.To-gap.From))}
		if gap.Reason == ReasonClockSet {
			s.Records = 0 // no time went by
		}
		w.put(s, 0)
		for _, l := range g.lines {
			g.mark(l, uint64(gap.From), uint64(gap.To), gap.Reason, longDown)
		}
	}
	if g.c.Past != 0 {
		w.put(BadSpan{From: Moment(g.req.From), To: g.c.Past, Reason: ReasonRetention}, 0)
	}
	weights := g.weights()
	for i := range w.spans {
		w.spans[i].describe()
		w.spans[i].weigh(w.received[i], w.spans[i].weightOf(weights))
	}
	slices.SortStableFunc(w.spans, func(a, b BadSpan) int {
		return cmp.Or(compareBool(a.Reason.meant(), b.Reason.meant()), cmp.Compare(b.Missing, a.Missing), cmp.Compare(b.Records, a.Records),
			cmp.Compare(a.From, b.From), cmp.Compare(a.Addr, b.Addr))
	})
	return w.spans[:min(len(w.spans), MaxBadSpans)]
}

// worstSpans joins what goes on from hour to hour.
type worstSpans struct {
	spans    []BadSpan
	open     map[spanKey]int // the last span of its kind
	received []uint64        // records that came beside each
}

type spanKey struct {
	addr   string
	reason Reason
}

// put adds a span; received are the records that came while it lasted.
func (w *worstSpans) put(s BadSpan, received uint64) {
	key := spanKey{s.Addr + "/" + s.Name, s.Reason}
	at, open := w.open[key]
	if open && w.spans[at].To >= s.From {
		last := &w.spans[at]
		last.To = max(last.To, s.To)
		last.Records += s.Records
		last.counts[0] += s.counts[0]
		last.counts[1] += s.counts[1]
		if clockError(s.skew) > clockError(last.skew) {
			last.skew = s.skew
		}
		w.received[at] += received
	} else {
		at = len(w.spans)
		w.spans, w.received = append(w.spans, s), append(w.received, received)
		w.open[key] = at
	}
	switch last := &w.spans[at]; last.Reason {
	case ReasonLost, ReasonKernel, ReasonBehind:
		last.Loss = LossShare(last.Records, w.received[at])
	}
}

// hour finds what is bad about one hour.
func (g *gridBuilder) hour(w *worstSpans, i int, sum *ledgerSum) {
	h := g.first + store.Hour(i)
	from, to := Moment(max(h.StartMS(), g.from)), Moment(min(h.EndMS(), g.to))
	var lost, received, datagrams uint64
	for _, l := range g.lines {
		if d := l.hours[i]; d != nil {
			lost += d.Lost
			received += d.Records
			datagrams += d.Datagrams
		}
	}
	dropped := perDatagram(sum.kernel, received, datagrams)
	here := lossReason(sum, lost, dropped)
	for _, l := range g.lines {
		if d := l.hours[i]; d != nil {
			l.cells[i] = worseState(l.cells[i], StateFine)
			g.cell(w, l, i, BadSpan{Addr: addrText(l.addr), Name: nameOf(g.req.Known, l.addr), From: from, To: to}, here)
		}
	}
	all := BadSpan{From: from, To: to}
	if sum.kernel > 0 {
		all.Reason, all.Records = sum.dropReason(), max(lost, dropped)
		if here == ReasonLost {
			all.Records = dropped
		}
		all.counts = [2]uint64{sum.kernel, sum.queueFull}
		w.put(all, received)
	}
	for _, s := range clip(sum.unstored, uint64(from), uint64(to)) {
		w.put(BadSpan{From: Moment(s.From), To: Moment(s.To), Reason: ReasonUnstored, Records: uint64(g.rate * float64(s.Length()))}, 0)
		for _, l := range g.lines {
			g.mark(l, s.From, s.To, ReasonUnstored, longDown)
		}
	}
	if sum.purged > 0 {
		w.put(BadSpan{From: from, To: to, Reason: ReasonPurged, Records: sum.purged}, received)
	}
}

// broken finds what of one hour is damaged, in its ledger, if it has one, or in
// its records.
func (g *gridBuilder) broken(w *worstSpans, i int, sum *ledgerSum) {
	h := g.first + store.Hour(i)
	list := slices.Clone(g.damage[h])
	if sum != nil {
		list = append(list, sum.damaged...)
	}
	if len(list) == 0 {
		return
	}
	w.put(BadSpan{From: Moment(max(h.StartMS(), g.from)), To: Moment(min(h.EndMS(), g.to)), Reason: ReasonDamaged, Detail: list[0]}, 0)
	for _, l := range g.lines {
		l.cells[i] = worseState(l.cells[i], ReasonDamaged)
	}
}

// perDatagram returns the records that so many dropped datagrams had, at the
// average of those that came.
func perDatagram(dropped, records, datagrams uint64) uint64 {
	if datagrams == 0 {
		return 0
	}
	return uint64(float64(dropped) * float64(records) / float64(datagrams))
}

// lossReason returns why the sequence numbers of an hour have gaps: what was
// dropped here leaves gaps as well, and explains them where it is at least half
// of what is missing.
func lossReason(sum *ledgerSum, lost, dropped uint64) Reason {
	if sum.kernel == 0 || dropped < lost/2 {
		return ReasonLost
	}
	return sum.dropReason()
}

// dropReason returns why the kernel dropped what it did, most of it.
func (s *ledgerSum) dropReason() Reason {
	if s.behind > s.kernel-s.behind {
		return ReasonBehind
	}
	return ReasonKernel
}

// cell finds what is bad about one exporter in one hour. s has its place.
func (g *gridBuilder) cell(w *worstSpans, l *gridLine, i int, s BadSpan, lossBy Reason) {
	d, state := l.hours[i], &l.cells[i]
	if d.Lost > 0 {
		if lossBy == ReasonLost {
			s.Reason, s.Records = ReasonLost, d.Lost
			s.counts[0] = d.Gaps
			w.put(s, d.Records)
			s.counts[0] = 0
		}
		if lossBy != ReasonLost || d.Loss() >= leastLoss {
			*state = worseState(*state, lossBy)
		}
	}
	if d.SetsDropped > 0 {
		s.Reason, s.Records = ReasonTemplate, perDatagram(d.SetsDropped, d.Records, d.Datagrams)
		s.counts = [2]uint64{d.SetsDropped, d.Datagrams}
		w.put(s, d.Records)
		s.counts = [2]uint64{}
		*state = worseState(*state, ReasonTemplate)
	}
	if d.SampleDrops > 0 {
		s.Reason, s.Records = ReasonAgent, d.SampleDrops
		w.put(s, d.Records)
		*state = worseState(*state, ReasonAgent)
	}
	if clockOff(d.SkewMS) {
		s.Reason, s.Records, s.skew = ReasonClock, d.Records, d.SkewMS
		w.put(s, d.Records)
		*state = worseState(*state, ReasonClock)
	}
	switch {
	case d.Refused > 0:
		s.Reason, s.Records = ReasonScope, d.Refused
	case g.usual != nil && ledger.Notable(d.OutOfScope, d.Records) && !g.usual(groupOf(l.known)):
		s.Reason, s.Records = ReasonForeign, d.OutOfScope
		s.counts = [2]uint64{d.SetAside, d.Records}
	default:
		return
	}
	w.put(s, d.Records)
	*state = worseState(*state, s.Reason)
}

// groupOf returns the group of an exporter, "" if it has none.
func groupOf(k *ledger.Known) string {
	if k == nil {
		return ""
	}
	return k.Group
}

// silence finds when an exporter was silent while a collector was up.
func (g *gridBuilder) silence(w *worstSpans, l *gridLine) {
	if l.addr == (flow.Addr{}) && l.total.Datagrams > 0 {
		return
	}
	at := uint64(0)
	if before := g.before[l.addr]; l.known != nil || before.established() {
		at = uint64(before.Last)
	}
	if l.known == nil && !l.total.established() && at == 0 {
		return // a stray datagram, of which no more was to be expected
	}
	if l.known != nil && l.known.Expected || at != 0 {
		at = max(at, g.from)
	}
	for _, d := range l.hours {
		if d == nil || d.Datagrams == 0 {
			continue
		}
		if at != 0 {
			g.silent(w, l, at, uint64(d.First))
		}
		if d.Silence.From >= uint64(d.First) {
			g.silent(w, l, d.Silence.From, d.Silence.To)
		}
		at = max(uint64(d.Last), g.from)
	}
	if at != 0 {
		g.silent(w, l, at, g.to)
	}
}

// silent puts one silence of an exporter, if it is one.
func (g *gridBuilder) silent(w *worstSpans, l *gridLine, from, to uint64) {
	ms := overlap(g.listening, from, to)
	if to <= from || ms < l.quiet() || g.elsewhere(l, from, to) {
		return
	}
	s := BadSpan{From: Moment(from), To: Moment(to), Reason: ReasonSilent}
	if l.addr != (flow.Addr{}) {
		s.Addr = addrText(l.addr)
	}
	if l.known != nil {
		s.Name = l.known.Name
	}
	s.Records = uint64(g.rateOf(l, from, to, ms) * float64(ms))
	w.put(s, 0)
	g.mark(l, from, to, ReasonSilent, min(l.quiet(), 30*60*1000))
}

// rateOf returns the records that an exporter sends in a ms: in the window
// outside a silence that lasts ms, or else in the day before; 0: not known.
func (g *gridBuilder) rateOf(l *gridLine, from, to, ms uint64) float64 {
	for _, d := range []Digest{l.total, g.before[l.addr]} {
		first, last := uint64(d.First), uint64(d.Last)
		heard := overlap(g.all, first, last)
		if from >= first && to <= last {
			heard -= min(ms, heard)
		}
		if heard > 0 {
			return float64(d.Records) / float64(heard)
		}
	}
	return 0
}

// elsewhere reports whether the exporter of a line, if the configuration knows
// it, was heard from another of its addresses.
func (g *gridBuilder) elsewhere(l *gridLine, from, to uint64) bool {
	return l.known != nil && slices.ContainsFunc(g.lines, func(o *gridLine) bool {
		return o != l && o.known == l.known && slices.ContainsFunc(o.hours, func(d *Digest) bool {
			return d != nil && uint64(d.First) < to && uint64(d.Last) >= from
		})
	})
}

// mark gives the cells of a line the state of a span that takes up at least
// least ms of their hour, or all that can be judged of it.
func (g *gridBuilder) mark(l *gridLine, from, to uint64, state Reason, least uint64) {
	from, to = max(from, g.from), min(to, g.to)
	for i := range l.cells {
		h := g.first + store.Hour(i)
		start, end := max(h.StartMS(), g.from), min(h.EndMS(), g.to)
		part := ledger.Span{From: max(from, start), To: min(to, end)}.Length()
		if part > 0 && (part >= least || part >= end-start) {
			l.cells[i] = worseState(l.cells[i], state)
		}
	}
}

// describe writes the detail of a span that is complete.
func (s *BadSpan) describe() {
	switch s.Reason {
	case ReasonLost:
		s.Detail = Things(s.counts[0], "gap") + " in the sequence numbers"
	case ReasonKernel, ReasonBehind:
		s.Detail = Things(s.counts[0], "datagram")
		if s.counts[1] > 0 {
			s.Detail += ", the queue was full " + Things(s.counts[1], "time")
		}
	case ReasonTemplate:
		s.Detail = Things(s.counts[0], "data set") + " given up"
	case ReasonForeign:
		s.Detail = fmt.Sprintf("%s of %s", ShareText(float64(s.Records)/float64(s.counts[1])), Things(s.counts[1], "record"))
		if s.counts[0] > 0 {
			s.Detail += fmt.Sprintf(", %s in quarantine", CountText(s.counts[0]))
		}
	case ReasonClock:
		skew, way := clockText(s.skew)
		s.Detail = skew + " " + way
	}
}
