package query

import (
	"cmp"
	"slices"

	"weir/flow/ledger"
	"weir/store"
)

// signOfLife is how old the last sign of life of a run may be, in ms, before it
// is taken for dead, and blink the time between two runs, or between a run and
// the end of its hour, that is not worth a word.
const (
	signOfLife = 2 * 60 * 1000
	blink      = 2000
)

// A timeline is when collectors and imports covered time.
type timeline struct {
	runs    []runSpan      // settled
	stills  []ledger.Still // in their midst, ascending
	unknown []ledger.Span
	copy    uint64 // ms, when what is known ends as the archive is a copy; 0: it does not
}

// newTimeline returns the timeline of runs, which it keeps, and stills. Hours with records and no ledger
// are not known, and not held against anyone.
func newTimeline(runs []runSpan, stills []ledger.Still, unknown []store.Hour, req *CoverageRequest) *timeline {
	t, now := &timeline{runs: runs, stills: stills}, req.Now
	slices.SortFunc(t.stills, func(a, b ledger.Still) int { return cmp.Compare(a.From, b.From) })
	var newest *runSpan
	for i := range t.runs {
		r := &t.runs[i]
		if r.imported {
			continue
		}
		if r.end == ledger.EndHour {
			r.To = max(r.To, store.HourOf(max(r.To, 1)-1).EndMS())
		}
		if newest == nil || r.From >= newest.From {
			newest = r
		}
	}
	if req.Live && newest != nil && newest.end != ledger.EndClean && newest.To < now && now-newest.To <= signOfLife {
		newest.To = now // it lives
	}
	t.copied(newest, req)
	for _, h := range unknown {
		t.unknown = append(t.unknown, ledger.Span{From: h.StartMS(), To: h.EndMS()})
	}
	return t
}

// copied takes in that the archive is a copy: a run that it was made of went on,
// and nothing is known of the time after it, unless a collector went on with the
// copy.
func (t *timeline) copied(newest *runSpan, req *CoverageRequest) {
	if req.Copied == 0 || newest == nil || newest.To > req.Copied+blink || req.Now <= req.Copied {
		return
	}
	if newest.end != ledger.EndClean && req.Copied-min(newest.To, req.Copied) <= signOfLife {
		newest.To = req.Copied
	}
	t.unknown = append(t.unknown, ledger.Span{From: req.Copied, To: req.Now})
	t.copy = req.Copied
}

// live reports whether a collector ever ran, and imports whether captures were
// imported, as far as the timeline goes.
func (t *timeline) live() bool {
	return slices.ContainsFunc(t.runs, func(r runSpan) bool { return !r.imported })
}

// up returns the spans between from and to that are covered, ascending and
// apart.
func (t *timeline) up(from, to uint64) []ledger.Span {
	spans := append(make([]ledger.Span, 0, len(t.unknown)+len(t.runs)), t.unknown...)
	for _, r := range t.runs {
		spans = append(spans, r.Span)
	}
	for i := range spans {
		spans[i].From, spans[i].To = max(spans[i].From, from), min(spans[i].To, to)
	}
	return t.awake(joinSpans(spans))
}

// listening returns the spans between from and to in which a collector was up,
// and so would have heard an exporter.
func (t *timeline) listening(from, to uint64) []ledger.Span {
	var spans []ledger.Span
	for _, r := range t.runs {
		if !r.imported {
			spans = append(spans, ledger.Span{From: max(r.From, from), To: min(r.To, to)})
		}
	}
	return t.awake(joinSpans(spans))
}

// awake cuts standstills out of spans, which ascend and are apart.
func (t *timeline) awake(spans []ledger.Span) []ledger.Span {
	for _, still := range t.stills {
		if still.Length() == 0 {
			continue
		}
		var rest []ledger.Span
		for _, s := range spans {
			for _, part := range []ledger.Span{{From: s.From, To: min(s.To, still.From)}, {From: max(s.From, still.To), To: s.To}} {
				if part.Length() > 0 {
					rest = append(rest, part)
				}
			}
		}
		spans = rest
	}
	return spans
}

// gaps returns the others, with their reasons.
func (t *timeline) gaps(from, to uint64) []Gap {
	var gaps []Gap
	put := func(a, b uint64) {
		if b > a && b-a >= blink {
			gaps = append(gaps, Gap{Moment(a), Moment(b), t.reason(a, b)})
		}
	}
	at := from
	for _, s := range t.up(from, to) {
		put(at, s.From)
		at = s.To
	}
	put(at, to)
	return gaps
}

// reason returns why nothing covers the time between from and to.
func (t *timeline) reason(from, to uint64) Reason {
	for _, s := range t.stills {
		if (ledger.Span{From: max(s.From, from), To: min(s.To, to)}).Length()*2 < to-from {
			continue
		}
		if s.Why == ledger.StillClock {
			return ReasonClockSet
		}
		return ReasonAsleep
	}
	var before *runSpan
	imported, after := false, false
	for i := range t.runs {
		switch r := &t.runs[i]; {
		case r.From >= to:
			after = after || !r.imported
		case r.imported:
			imported = true
		case r.From < from && (before == nil || r.To > before.To):
			before = r
		}
	}
	switch {
	case before != nil && before.end == ledger.EndClean:
		return ReasonStopped
	case before != nil && slices.ContainsFunc(t.runs, func(r runSpan) bool { return r.run == before.run && r.From >= to && !r.imported }):
		return ReasonAsleep
	case before != nil:
		return ReasonCrashed
	case after && !imported:
		return ReasonNotStarted
	}
	return ReasonNoCapture
}

// longest returns at most most of the gaps, the longest, in the order of time,
// and the length of all.
func longest(gaps []Gap, most int) (kept []Gap, ms uint64) {
	for _, g := range gaps {
		ms += uint64(g.To - g.From)
	}
	if len(gaps) <= most {
		return gaps, ms
	}
	kept = slices.SortedStableFunc(slices.Values(gaps), func(a, b Gap) int { return cmp.Compare(b.To-b.From, a.To-a.From) })[:most]
	slices.SortFunc(kept, func(a, b Gap) int { return cmp.Compare(a.From, b.From) })
	return kept, ms
}

// overlap returns how much of a span lies in spans, which are apart, in ms.
func overlap(spans []ledger.Span, from, to uint64) uint64 {
	ms := uint64(0)
	for _, s := range spans {
		ms += ledger.Span{From: max(s.From, from), To: min(s.To, to)}.Length()
	}
	return ms
}
