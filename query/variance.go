package query

import "math"

// An estimate made from samples has an error, which follows from how many
// packets were sampled. An exporter that samples 1 in N at random takes each
// packet with the chance 1/N, whatever else it took. So a record that counts n
// sampled packets estimates N*n, and the variance of that is about
//
//	N*(N-1)*n
//
// and of its bytes, b of which were sampled,
//
//	N*(N-1)*b*b/n
//
// if its packets are of one size. Packets are sampled independently, so the
// variances of a sum's records add up, also where their intervals differ.

// A Variance is that of the estimates of sums: 0 where no record was sampled,
// whose counters are taken for exact.
type Variance struct {
	Bytes   float64 `json:"bytes"`   // in bytes squared
	Packets float64 `json:"packets"` // in packets squared
}

// marginSigmas is how many standard deviations an estimate is off in at most 95
// of 100 cases.
const marginSigmas = 1.96

// Margins returns how far the true bytes and packets are from the estimates, 95
// times in 100, in either direction; 0 where there is no estimate.
func (v Variance) Margins() (bytes, packets float64) {
	return marginSigmas * math.Sqrt(v.Bytes), marginSigmas * math.Sqrt(v.Packets)
}

func (v *Variance) add(w Variance) {
	v.Bytes += w.Bytes
	v.Packets += w.Packets
}

// varianceOf returns the variance of the estimates of a record with an interval.
func varianceOf(bytes, packets, interval uint64) Variance {
	return scaledVariance(bytes, packets, varianceScale(interval))
}

// varianceScale returns N*(N-1): 0 where nothing is sampled.
func varianceScale(interval uint64) float64 {
	n := float64(max(interval, 1))
	return n * (n - 1)
}

// scaledVariance is varianceOf with the scale of the interval. Bytes of which
// no exporter says how many packets they were are taken for one packet, which is
// the most that they can be off.
func scaledVariance(bytes, packets uint64, scale float64) Variance {
	b, n := float64(bytes), float64(packets)
	return Variance{scale * b * b / max(n, 1), scale * n}
}

// Margins is that of Variance; there is none of what was exported, that is with
// raw.
func (s *Sums) Margins(raw bool) (bytes, packets float64) {
	if raw {
		return 0, 0
	}
	return s.Variance.Margins()
}

// Margins is as for Sums.
func (p *SeriesPoint) Margins(raw bool) (bytes, packets float64) {
	if raw {
		return 0, 0
	}
	return p.Variance.Margins()
}

// sampled reports whether any row may have an interval above 1.
func (c *counters) sampled() bool { return c.interval != nil || c.factor > 1 }

// variance returns the variance of a row's estimates.
func (c *counters) variance(row int) Variance {
	return varianceOf(c.bytes[row], c.packets[row], c.factorOf(row))
}

// varianceByCode returns the variance of the rows of each of n numbers; nil
// where nothing is sampled.
func (c *counters) varianceByCode(n int, codes []uint16, rows *rowSet) []Variance {
	if !c.sampled() {
		return nil
	}
	sums := make([]Variance, n)
	each(rows, func(row int) { sums[codes[row]].add(c.variance(row)) })
	return sums
}

// varianceByRow returns the variance of each row; nil where nothing is sampled.
func (c *counters) varianceByRow(rows []uint16) []Variance {
	if !c.sampled() {
		return nil
	}
	list := make([]Variance, len(rows))
	for i, row := range rows {
		list[i] = c.variance(int(row))
	}
	return list
}

// variance returns the variance of a group.
func (s *shard) variance(g int) Variance {
	if s.variances == nil {
		return Variance{}
	}
	return Variance{math.Float64frombits(s.variances[2*g]), math.Float64frombits(s.variances[2*g+1])}
}

// addVariance adds to the variance of a group, in a shard that has the column.
func (s *shard) addVariance(g int, v Variance) {
	v.add(s.variance(g))
	s.variances[2*g], s.variances[2*g+1] = math.Float64bits(v.Bytes), math.Float64bits(v.Packets)
}

// mixes reports whether sums are of records whose intervals differ. A sum of
// records that have one is its multiple by a number that is known.
func (s *Sampling) mixes(sums *Sums) bool {
	factor := uint64(1)
	switch {
	case sums.Packets > 0:
		factor = sums.EstimatedPackets / sums.Packets
	case sums.Bytes > 0:
		factor = sums.EstimatedBytes / sums.Bytes
	}
	return !s.has(factor) || times(sums.Bytes, factor) != sums.EstimatedBytes || times(sums.Packets, factor) != sums.EstimatedPackets
}

// note notes whether sums mix intervals.
func (s *Sampling) note(sums *Sums) {
	s.Mixed = s.Mixed || len(s.Intervals) > 0 && s.mixes(sums)
}

// noteMixed notes whether any group of the answer mixes intervals.
func (t *top) noteMixed(r *TopResult) {
	if r == nil {
		return
	}
	for i := range r.Rows {
		t.summary.Sampling.note(&r.Rows[i].Sums)
	}
}

// sums returns the counters of a point as sums.
func (p *SeriesPoint) sums() *Sums {
	return &Sums{Bytes: p.Bytes, Packets: p.Packets, EstimatedBytes: p.EstimatedBytes, EstimatedPackets: p.EstimatedPackets}
}
