package query

import (
	"slices"

	"weir/flow"
)

// MaxIntervals bounds the sampling intervals that a Sampling names.
const MaxIntervals = 16

// A Sampling says how far the bytes and packets of an answer are those of
// samples. It is over the records that the answer counts, each once.
type Sampling struct {
	Sampled   uint64   `json:"sampled,omitempty"`   // records with an interval above 1
	Unknown   uint64   `json:"unknown,omitempty"`   // records without an interval, or with 0: counted as exported
	Intervals []uint64 `json:"intervals,omitempty"` // those above 1, ascending; the lowest MaxIntervals of them
	More      bool     `json:"more,omitempty"`      // there are more intervals
	Mixed     bool     `json:"mixed,omitempty"`     // a sum of the answer is of records whose intervals differ, or of some with none
}

// add adds what other records say.
func (s *Sampling) add(t *Sampling) {
	s.Sampled += t.Sampled
	s.Unknown += t.Unknown
	s.More, s.Mixed = s.More || t.More, s.Mixed || t.Mixed
	for _, n := range t.Intervals {
		s.interval(n)
	}
}

// interval notes an interval above 1. Whatever the order in which intervals
// come, the lowest stay.
func (s *Sampling) interval(n uint64) {
	at, found := slices.BinarySearch(s.Intervals, n)
	switch {
	case found:
		return
	case len(s.Intervals) < MaxIntervals:
	case at == MaxIntervals:
		s.More = true
		return
	default:
		s.Intervals, s.More = s.Intervals[:MaxIntervals-1], true
	}
	s.Intervals = slices.Insert(s.Intervals, at, n)
}

// has reports whether records may be multiplied by n.
func (s *Sampling) has(n uint64) bool {
	_, found := slices.BinarySearch(s.Intervals, n)
	return found || n == 1 || s.More
}

// sampling returns what the rows of the visit say. Most blocks have one
// interval or none, which the header tells.
func (v *visit) sampling() (s Sampling, err error) {
	stat := v.blk.Stat(flow.SamplingInterval)
	switch {
	case stat.Present == 0 || stat.MaxNum == 0:
		s.Unknown = uint64(v.matched)
		return s, nil
	case stat.MinNum == stat.MaxNum && stat.Present == v.blk.Rows():
		if stat.MaxNum > 1 {
			s.Sampled, s.Intervals = uint64(v.matched), []uint64{stat.MaxNum}
		}
		return s, nil
	}
	values, err := v.num(flow.SamplingInterval)
	if err != nil {
		return s, err
	}
	was := uint64(0)
	each(v.rows, func(row int) {
		switch n := values[row]; {
		case n == 0:
			s.Unknown++
		case n > 1:
			s.Sampled++
			if n != was {
				s.interval(n)
				was = n
			}
		}
	})
	return s, nil
}

// Counted returns the bytes and packets that an answer shows: the estimates or,
// if raw, what was exported.
func (s *Sums) Counted(raw bool) (bytes, packets uint64) {
	if raw {
		return s.Bytes, s.Packets
	}
	return s.EstimatedBytes, s.EstimatedPackets
}

// IsEstimate reports whether Counted differs from what was exported.
func (s *Sums) IsEstimate(raw bool) bool {
	return !raw && (s.EstimatedBytes != s.Bytes || s.EstimatedPackets != s.Packets)
}

// Counted is as for Sums.
func (p *SeriesPoint) Counted(raw bool) (bytes, packets uint64) {
	if raw {
		return p.Bytes, p.Packets
	}
	return p.EstimatedBytes, p.EstimatedPackets
}

// IsEstimate is as for Sums.
func (p *SeriesPoint) IsEstimate(raw bool) bool {
	return !raw && (p.EstimatedBytes != p.Bytes || p.EstimatedPackets != p.Packets)
}
