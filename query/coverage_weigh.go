package query

import (
	"math"
	"time"

	"weir/flow"
)

// misplaced is what a record at the wrong time counts, of one that is not there.
const misplaced = 0.5

// weigh says how bad a span is, in hours in which nothing came of anybody: its
// length, times the share of what should have come that is missing, times the
// part of the archive that it is about. Records alone would not do: of what was
// never heard, or cannot be read, nobody knows how many there are. received are
// the records that came meanwhile.
func (s *BadSpan) weigh(received uint64, weight float64) {
	length := time.Duration(s.To-min(s.From, s.To)) * time.Millisecond
	s.Missing = math.Round(1e4*length.Hours()*s.share(received)*weight) / 1e4
}

// share returns the share of what should have come in a span that is missing.
func (s *BadSpan) share(received uint64) float64 {
	part := func(of uint64) float64 { return min(float64(s.Records)/float64(max(of, 1)), 1) }
	switch s.Reason {
	case ReasonLost, ReasonKernel, ReasonBehind:
		return s.Loss
	case ReasonTemplate:
		return min(float64(s.counts[0])/float64(max(s.counts[1], 1)), 1)
	case ReasonAgent:
		return part(s.Records + received)
	case ReasonClock:
		return misplaced
	case ReasonScope, ReasonForeign:
		return part(received)
	case ReasonPurged:
		return part(s.Records + received)
	case ReasonClockSet:
		return 0 // no time went by
	}
	return 1
}

// weights returns the part of the archive that each exporter is, by its address:
// its part of the records, but as much as if all sent the same at least. Who
// sends little may be all that is known of a place. That of "" is for those that
// were never heard.
func (g *gridBuilder) weights() map[string]float64 {
	all := uint64(0)
	for _, l := range g.lines {
		all += l.total.Records
	}
	least := 1 / float64(max(len(g.lines), 1))
	weights := map[string]float64{"": least}
	for _, l := range g.lines {
		if l.addr != (flow.Addr{}) || l.total.Datagrams > 0 {
			weights[addrText(l.addr)] = max(least, float64(l.total.Records)/float64(max(all, 1)))
		}
	}
	return weights
}

// weightOf returns the part of the archive that a span is about.
func (s *BadSpan) weightOf(weights map[string]float64) float64 {
	if s.Addr == "" && s.Name == "" {
		return 1
	}
	return weights[s.Addr]
}

// meant reports whether what the reason takes away is gone because somebody
// wanted it so, or never was.
func (r Reason) meant() bool {
	switch r {
	case ReasonRetention, ReasonPurged, ReasonScope, ReasonForeign, ReasonNoCapture, ReasonClockSet:
		return true
	}
	return false
}

// compareBool puts false before true.
func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}
