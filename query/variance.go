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

// varianceByCode sums up the variance of the rows of each of n numbers, in
// w.variances. The sums of the numbers are in w.accs already.
func (c *counters) varianceByCode(w *topWorker, n int, codes []uint16, rows *rowSet) {
	if !c.sampled() {
		return
	}
	w.variances = resize(w.variances, n)
	clear(w.variances)
	sums, bytes, packets := w.variances, c.bytes[:len(codes)], c.packets[:len(codes)]
	if c.interval != nil {
		interval := c.interval[:len(codes)]
		each(rows, func(row int) {
			if n := interval[row]; n > 1 {
				sums[codes[row]].add(varianceOf(bytes[row], packets[row], n))
			}
		})
		return
	}
	each(rows, func(row int) { sums[codes[row]].Bytes += scaledVariance(bytes[row], packets[row], 1).Bytes })
	scale := varianceScale(c.factor)
	for code := range sums {
		sums[code].Bytes *= scale
		sums[code].Packets = scale * float64(w.accs[code].packets)
	}
}

// varianceByRow is varianceByCode with the rows for numbers.
func (c *counters) varianceByRow(w *topWorker, rows []uint16) {
	if !c.sampled() {
		return
	}
	w.variances = resize(w.variances, len(rows))
	for i, row := range rows {
		w.variances[i] = varianceOf(c.bytes[row], c.packets[row], c.factorOf(int(row)))
	}
}

// vary sets the variances of groups whose number is known.
func (p *partial) vary(w *topWorker, c *counters) {
	if c.sampled() {
		p.variances = w.variances[:p.n]
	}
}

// addVariance adds the variance of the rows of a visit to the worker's total,
// when the groups of the visit have been added. Where each row is in one group,
// it is the sum of theirs.
func (t *top) addVariance(v *visit, w *topWorker, c *counters) {
	switch {
	case !c.sampled():
	case t.either < 0:
		for _, one := range w.partial.variances {
			w.total.Variance.add(one)
		}
	default:
		each(v.rows, func(row int) {
			w.total.Variance.add(varianceOf(c.bytes[row], c.packets[row], c.factorOf(row)))
		})
	}
}

// atEstimates and atVariances are where a group's estimated bytes and packets
// are, and the bits of the variances of both.
const (
	atEstimates    = 0
	atVariances    = 2
	estimatedWidth = 4
)

// estimatesOf returns the estimates and variances of a group, in a shard that
// has them.
func (s *shard) estimatesOf(g int) []uint64 {
	at := g * estimatedWidth
	return s.estimated[at : at+estimatedWidth : at+estimatedWidth]
}

// varianceAt returns the variance that stands with the estimates of a group.
func varianceAt(e []uint64) Variance {
	return Variance{math.Float64frombits(e[atVariances]), math.Float64frombits(e[atVariances+1])}
}

// addVariance adds to it.
func addVariance(e []uint64, v Variance) {
	v.add(varianceAt(e))
	e[atVariances], e[atVariances+1] = math.Float64bits(v.Bytes), math.Float64bits(v.Packets)
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

// noteMixed notes whether any group of the answer, or all of them together, mix
// intervals.
func (t *top) noteMixed(r *TopResult) {
	if r == nil {
		return
	}
	t.summary.Sampling.note(&r.Total)
	for i := range r.Rows {
		t.summary.Sampling.note(&r.Rows[i].Sums)
	}
}

// sums returns the counters of a point as sums.
func (p *SeriesPoint) sums() *Sums {
	return &Sums{Bytes: p.Bytes, Packets: p.Packets, EstimatedBytes: p.EstimatedBytes, EstimatedPackets: p.EstimatedPackets}
}
