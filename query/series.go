package query

import (
	"fmt"
	"math/bits"
	"slices"

	"weir/flow"
)

// A SeriesRequest asks for volumes over time.
type SeriesRequest struct {
	Filter  string
	Window  Window
	Step    uint64 // ms; 0: chosen so that there are about a hundred steps
	Group   string // a field whose values each get their series; "" for one of all
	Limit   int    // how many values get their own, the others share one; 0: 5
	By      string // what decides which: bytes (also ""), packets or flows
	Spread  bool   // a flow counts in the steps it lasted through, not where it began
	Address string // an address field whose distinct values are counted a step, or ""
	Raw     bool   // counters as exported, not multiplied by the sampling interval
}

// A SeriesResult is the answer to a SeriesRequest. Steps are aligned to the
// epoch: with a step of an hour they begin at full hours UTC, whatever the
// window. The first and the last may reach beyond the window; no flow outside of
// it is counted there.
//
// A flow is counted once, in the step in which it starts. One that started
// before the window and is in it is not in any step, since its traffic came over
// a time of which the record does not say more; it is in Before. With Spread,
// its bytes and packets are divided over the steps from start to end in
// proportion to time, without loss by rounding, Before and After take the parts
// outside the window, and Flows and Addresses count, in every step, what was
// active in it.
type SeriesResult struct {
	From    uint64      `json:"from"` // ms, start of the first step
	Step    uint64      `json:"step"` // ms
	Group   string      `json:"group,omitempty"`
	By      string      `json:"by"`
	Spread  bool        `json:"spread,omitempty"`
	Address string      `json:"address,omitempty"`
	Series  []Series    `json:"series"` // those of values by size, then that of the others
	Before  SeriesPoint `json:"before"` // what falls before the first step
	After   SeriesPoint `json:"after"`  // and after the last
	Sampled bool        `json:"sampled,omitempty"`
}

// A Series is the volumes of one group, a point for each step.
type Series struct {
	Value  string        `json:"value,omitempty"` // of the group's field; "" where the record has none
	Other  bool          `json:"other,omitempty"` // all values that have no series
	Total  SeriesPoint   `json:"total"`           // of the window, each flow counted once; Addresses is 0
	Points []SeriesPoint `json:"points"`
}

// A SeriesPoint is what one step holds.
type SeriesPoint struct {
	Flows     uint64 `json:"flows"`
	Bytes     uint64 `json:"bytes"`
	Packets   uint64 `json:"packets"`
	Addresses uint64 `json:"addresses,omitempty"` // distinct
}

// End returns the end of the last step, in ms.
func (r *SeriesResult) End() uint64 { return r.From + r.Step*uint64(r.Steps()) }

// Steps returns the number of steps.
func (r *SeriesResult) Steps() int {
	if len(r.Series) == 0 {
		return 0
	}
	return len(r.Series[0].Points)
}

func (p *SeriesPoint) add(q SeriesPoint) {
	p.Flows += q.Flows
	p.Bytes += q.Bytes
	p.Packets += q.Packets
}

// Bounds of a series: its points, and the pairs of step and address that
// counting distinct addresses keeps, each about 32 bytes.
const (
	maxSeriesSteps     = 100_000
	maxSeriesPoints    = 1_000_000
	maxSeriesAddresses = 8_000_000
)

// seriesSteps are the steps that are chosen from, in ms: those that divide
// hours, days and weeks.
var seriesSteps = []uint64{
	1e3, 5e3, 10e3, 30e3, 60e3, 2 * 60e3, 5 * 60e3, 10 * 60e3, 15 * 60e3, 30 * 60e3,
	3600e3, 2 * 3600e3, 3 * 3600e3, 6 * 3600e3, 12 * 3600e3, 24 * 3600e3, 7 * 24 * 3600e3,
}

// chooseStep returns the shortest of seriesSteps that cuts a span of ms into at
// most 120.
func chooseStep(span uint64) uint64 {
	for _, step := range seriesSteps {
		if span/step <= 120 {
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
		step = chooseStep(hi - lo)
	}
	from := lo - lo%step
	n := (hi - from + step - 1) / step
	if n > maxSeriesSteps {
		return seriesAxis{}, fmt.Errorf("steps of %d ms from %s to %s are %d, more than %d; ask for longer steps or a shorter window",
			step, flow.AppendTime(nil, lo), flow.AppendTime(nil, hi), n, maxSeriesSteps)
	}
	return seriesAxis{from: from, step: step, n: int(n), lo: lo, hi: hi}, nil
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
	share := timeShare{start: start, length: end - start, whole: p}
	if start < s.axis.lo {
		s.before.add(share.upTo(s.axis.lo, 0))
	}
	first, last := max(start, s.axis.lo), min(end, s.axis.hi)
	for i := s.axis.at(first); i <= s.axis.at(last-1); i++ {
		stop := min(s.axis.from+uint64(i+1)*s.axis.step, last)
		part := share.upTo(stop, p.Flows)
		s.points[i].add(part)
		part.Flows = 0
		s.total.add(part)
	}
	s.total.Flows += p.Flows
	if end > s.axis.hi {
		s.after.add(share.upTo(end, 0))
	}
}

// A timeShare divides a flow by time. Parts are differences of running totals
// that are rounded down, so that they add up to the whole.
type timeShare struct {
	start, length uint64 // ms
	whole         SeriesPoint
	given         SeriesPoint // what the parts so far came to
}

// upTo returns the part from where the last ended up to stop, with a number of
// flows that is the caller's.
func (t *timeShare) upTo(stop, flows uint64) SeriesPoint {
	past := stop - t.start
	b, p := portion(t.whole.Bytes, past, t.length), portion(t.whole.Packets, past, t.length)
	part := SeriesPoint{Flows: flows, Bytes: b - t.given.Bytes, Packets: p - t.given.Packets}
	t.given.Bytes, t.given.Packets = b, p
	return part
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

// trim cuts steps without anything off both ends of all series.
func (r *SeriesResult) trim() {
	n := r.Steps()
	first, last := n, 0
	for _, s := range r.Series {
		for i, p := range s.Points {
			if p != (SeriesPoint{}) {
				first, last = min(first, i), max(last, i+1)
			}
		}
	}
	if first >= last {
		first, last = 0, 0
	}
	for i := range r.Series {
		r.Series[i].Points = slices.Clone(r.Series[i].Points[first:last])
	}
	r.From += uint64(first) * r.Step
}
