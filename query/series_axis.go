package query

import (
	"fmt"
	"math/bits"

	"weir/flow"
)

// seriesSteps are the steps that are chosen from, in ms: those that divide
// hours, days and weeks.
var seriesSteps = []uint64{
	1e3, 5e3, 10e3, 30e3, 60e3, 2 * 60e3, 5 * 60e3, 10 * 60e3, 15 * 60e3, 30 * 60e3,
	3600e3, 2 * 3600e3, 3 * 3600e3, 6 * 3600e3, 12 * 3600e3, 24 * 3600e3, 7 * 24 * 3600e3,
}

// chooseStep returns the shortest of seriesSteps of which at most 120 reach over
// the window [lo, hi), which is not empty: more than 120 weeks have more.
func chooseStep(lo, hi uint64) uint64 {
	for _, step := range seriesSteps {
		if (hi-1)/step-lo/step < 120 {
			return step
		}
	}
	return seriesSteps[len(seriesSteps)-1]
}

// A seriesAxis is the steps of a series: n of them from the given ms on. Flows
// are counted from lo to hi-1, the window, which begins in the first step and
// ends in the last.
type seriesAxis struct {
	from, step uint64
	n          int
	lo, hi     uint64
}

// newSeriesAxis returns the axis over the window [lo, hi).
func newSeriesAxis(lo, hi, step uint64) (seriesAxis, error) {
	if hi <= lo {
		return seriesAxis{from: lo, lo: lo, hi: lo, step: max(step, 1)}, nil
	}
	if step == 0 {
		step = chooseStep(lo, hi)
	}
	from := lo - lo%step
	n := (hi-1-from)/step + 1
	if n > maxSeriesSteps {
		return seriesAxis{}, &RequestError{Part: "step", Text: fmt.Sprintf("%d ms", step), Expected: fmt.Sprintf("a longer one: from %s to %s there are %d, more than %d",
			flow.AppendTime(nil, lo), flow.AppendTime(nil, hi), n, maxSeriesSteps)}
	}
	return seriesAxis{from: from, step: step, n: int(n), lo: lo, hi: hi}, nil
}

// widen makes the time covered reach to full steps where the window is open.
func (a *seriesAxis) widen(start, end bool) {
	if start {
		a.lo = a.from
	}
	if end && a.n > 0 {
		a.hi = a.from + uint64(a.n)*a.step
	}
}

// at returns the step that a time of the window lies in.
func (a *seriesAxis) at(ms uint64) int { return int((ms - a.from) / a.step) }

// A seriesSum is what the flows of one group come to.
type seriesSum struct {
	axis          *seriesAxis
	points        []SeriesPoint
	before, after SeriesPoint // outside the window
	total         SeriesPoint // within
}

func newSeriesSum(axis *seriesAxis) *seriesSum {
	return &seriesSum{axis: axis, points: make([]SeriesPoint, axis.n)}
}

// addStart counts a flow where it starts.
func (s *seriesSum) addStart(start uint64, p SeriesPoint) {
	switch {
	case start < s.axis.lo:
		s.before.add(p)
	case start >= s.axis.hi:
		s.after.add(p)
	default:
		s.points[s.axis.at(start)].add(p)
		s.total.add(p)
	}
}

// addSpread counts a flow over the time from start to end. A flow without
// duration lies in one step whole.
func (s *seriesSum) addSpread(start, end uint64, p SeriesPoint) {
	if end <= start || start >= s.axis.hi || end <= s.axis.lo {
		s.addStart(start, p)
		return
	}
	share := timeShare{start: start, length: end - start, whole: p, reached: start}
	if start < s.axis.lo {
		s.before.add(share.upTo(s.axis.lo))
	}
	if first, last, ok := s.axis.steps(start, end, true); ok {
		for i := first; i <= last; i++ {
			part := share.upTo(min(s.axis.from+uint64(i+1)*s.axis.step, s.axis.hi, end))
			s.total.add(part)
			part.Flows = p.Flows
			s.points[i].add(part)
		}
		s.total.Flows = plus(s.total.Flows, p.Flows)
	} else {
		s.before.Flows = plus(s.before.Flows, p.Flows) // the window is empty
	}
	if end > s.axis.hi {
		s.after.add(share.upTo(end))
	}
}

// A timeShare divides a flow by time. Parts are differences of running totals
// that are rounded down, so that they add up to the whole.
type timeShare struct {
	start, length uint64 // ms
	whole         SeriesPoint
	given         SeriesPoint // what the parts so far came to, without variance
	reached       uint64      // ms, the end of the last part
}

// upTo returns the part from where the last ended up to stop, without flows.
func (t *timeShare) upTo(stop uint64) SeriesPoint {
	part := func(whole uint64, given *uint64) uint64 {
		upTo := portion(whole, stop-t.start, t.length)
		was := *given
		*given = upTo
		return upTo - was
	}
	return SeriesPoint{
		Bytes:            part(t.whole.Bytes, &t.given.Bytes),
		Packets:          part(t.whole.Packets, &t.given.Packets),
		EstimatedBytes:   part(t.whole.EstimatedBytes, &t.given.EstimatedBytes),
		EstimatedPackets: part(t.whole.EstimatedPackets, &t.given.EstimatedPackets),
		Variance:         t.variance(stop),
	}
}

// variance returns the variance of the part up to stop: packets that are
// sampled at random scatter alike in every part of a flow.
func (t *timeShare) variance(stop uint64) Variance {
	if t.whole.Variance == (Variance{}) {
		return Variance{}
	}
	share := float64(stop-t.reached) / float64(t.length)
	t.reached = stop
	return Variance{t.whole.Variance.Bytes * share, t.whole.Variance.Packets * share}
}

// portion returns v*part/whole rounded down, for part not above whole.
func portion(v, part, whole uint64) uint64 {
	hi, lo := bits.Mul64(v, part)
	quotient, _ := bits.Div64(hi, lo, whole) // hi < part, so it fits
	return quotient
}

// merge adds the sums of t, which has the same axis.
func (s *seriesSum) merge(t *seriesSum) {
	for i := range s.points {
		s.points[i].add(t.points[i])
	}
	s.before.add(t.before)
	s.after.add(t.after)
	s.total.add(t.total)
}

// steps returns the first and the last step that a flow counts in, and false if
// there is none.
func (a *seriesAxis) steps(start, end uint64, spread bool) (first, last int, ok bool) {
	if !spread || end <= start {
		if start < a.lo || start >= a.hi {
			return 0, 0, false
		}
		return a.at(start), a.at(start), true
	}
	if start >= a.hi || end <= a.lo || a.n == 0 {
		return 0, 0, false
	}
	return a.at(max(start, a.lo)), a.at(min(end, a.hi) - 1), true
}
