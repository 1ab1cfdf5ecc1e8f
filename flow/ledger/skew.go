package ledger

import "math/bits"

// Skew is how far the time of receipt was from the end of the flows: a
// distribution in ms, negative where the exporter's clock is ahead. Its buckets
// are a quarter of a power of two wide, so a median is right to about 12 %.
type Skew struct {
	Count    uint64
	Min, Max int64            // ms
	Buckets  map[int16]uint64 // by SkewBucket; nil: none
}

// Note counts n records with a difference of ms milliseconds.
func (s *Skew) Note(ms int64, n uint64) {
	if n == 0 {
		return
	}
	if s.Count == 0 {
		s.Min, s.Max = ms, ms
	}
	s.Min, s.Max = min(s.Min, ms), max(s.Max, ms)
	s.Count += n
	if s.Buckets == nil {
		s.Buckets = map[int16]uint64{}
	}
	s.Buckets[SkewBucket(ms)] += n
}

// Add adds another distribution.
func (s *Skew) Add(o *Skew) {
	if o.Count == 0 {
		return
	}
	if s.Count == 0 {
		s.Min, s.Max = o.Min, o.Max
	}
	s.Min, s.Max = min(s.Min, o.Min), max(s.Max, o.Max)
	s.Count += o.Count
	if s.Buckets == nil {
		s.Buckets = make(map[int16]uint64, len(o.Buckets))
	}
	for b, n := range o.Buckets {
		s.Buckets[b] += n
	}
}

// Median returns the median in ms, 0 if nothing was noted.
func (s *Skew) Median() int64 {
	seen := uint64(0)
	for b := int16(-maxBucket); b <= maxBucket && s.Count > 0; b++ {
		if seen += s.Buckets[b]; 2*seen >= s.Count {
			return min(max(middleOf(b), s.Min), s.Max)
		}
	}
	return 0
}

// maxBucket is the bucket of the largest difference.
const maxBucket = 4 * 63

// SkewBucket returns the bucket of a difference in ms: 0 to 3 have their own, then each
// power of two has four.
func SkewBucket(ms int64) int16 {
	if ms < 0 {
		if ms == -1<<63 {
			ms++
		}
		return -SkewBucket(-ms)
	}
	v := uint64(ms)
	if v < 4 {
		return int16(v)
	}
	exp := bits.Len64(v) - 1 // 2 to 62
	return int16(4*(exp-1) + int(v>>(exp-2)&3))
}

// middleOf returns the middle of a bucket.
func middleOf(b int16) int64 {
	if b < 0 {
		return -middleOf(-b)
	}
	if b < 4 {
		return int64(b)
	}
	exp := int(b)/4 + 1
	width := uint64(1) << (exp - 2)
	return int64((4+uint64(b)%4)*width + width/2)
}
