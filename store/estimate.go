package store

import "math"

// An estimate looks at all of a short column and at runs spread over a long one.
const (
	sampleRuns  = 16
	sampleRun   = 192 // values in each
	sampleBytes = 4   // runs of bytes, longer: zstd looks for what comes again
	sampleByte  = 2048
)

// eachRun calls fn with the bounds of runs of the given length spread over n
// values; once for all when that is not much more.
func eachRun(n, runs, length int, fn func(lo, hi int)) {
	if n <= runs*length {
		fn(0, n)
		return
	}
	step := (n - length) / (runs - 1)
	for i := range runs {
		fn(i*step, i*step+length)
	}
}

// takeSample appends to dst the values that an estimate looks at.
func takeSample(dst, v []uint64) []uint64 {
	eachRun(len(v), sampleRuns, sampleRun, func(lo, hi int) { dst = append(dst, v[lo:hi]...) })
	return dst
}

// takeBytesSample does the same for bytes.
func takeBytesSample(dst, v []byte) []byte {
	eachRun(len(v), sampleBytes, sampleByte, func(lo, hi int) { dst = append(dst, v[lo:hi]...) })
	return dst
}

// sampleDifferences appends to dst what takeSample would take of zigzag.
func sampleDifferences(dst, v []uint64) []uint64 {
	eachRun(len(v), sampleRuns, sampleRun, func(lo, hi int) {
		for i := max(lo, 1); i < hi; i++ {
			dst = append(dst, zigzagOf(v[i]-v[i-1]))
		}
	})
	return dst
}

// estimate returns about how many bytes a value the planes of sample take, as
// part of values of range r.
func (e *encoder) estimate(sample []uint64, r valueRange) float64 {
	if len(sample) == 0 {
		return 0
	}
	total := 0.0
	for k := range r.width() {
		total += e.estimatePlane(sample, r.lo, 8*k)
	}
	return total / float64(len(sample))
}

// estimatePlane weighs one plane: by the entropy of its bytes, or by its runs.
func (e *encoder) estimatePlane(v []uint64, lo uint64, shift int) float64 {
	var count [256]uint32
	changes := 0
	last := byte(0)
	for _, x := range v {
		b := byte((x - lo) >> shift)
		count[b]++
		if b != last {
			changes++
		}
		last = b
	}
	return min(e.entropy.of(&count, len(v)), float64(changes)*1.6)
}

// An entropyTable has n*log2(n) by n: to take logarithms would be half of the
// time that an estimate takes.
type entropyTable [sampleBytes*sampleByte + 1]float64

func newEntropyTable() *entropyTable {
	t := new(entropyTable)
	for n := range t[1:] {
		t[n+1] = float64(n+1) * math.Log2(float64(n+1))
	}
	return t
}

// of returns the bytes that an ideal byte-wise code takes for n values, of which
// each comes as often as count has it.
func (t *entropyTable) of(count *[256]uint32, n int) float64 {
	total := t[n]
	for _, c := range count {
		total -= t[c]
	}
	return total / 8
}
