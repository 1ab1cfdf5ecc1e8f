package bench

import "math/bits"

// A rng is a splitmix64 sequence (Steele, Lea, Flood: Fast splittable
// pseudorandom number generators, 2014). math/rand/v2 would do, but its
// distributions may change their draws between releases of Go, and the records
// of a seed must never change.
type rng struct{ state uint64 }

// next returns 64 random bits.
func (r *rng) next() uint64 {
	r.state += 0x9e3779b97f4a7c15
	return mix(r.state)
}

// below returns a number in [0, n); n must not be zero.
func (r *rng) below(n uint64) uint64 {
	hi, _ := bits.Mul64(r.next(), n)
	return hi
}

// between returns a number in [lo, hi].
func (r *rng) between(lo, hi uint64) uint64 { return lo + r.below(hi-lo+1) }

// percent is true n times in a hundred.
func (r *rng) percent(n uint64) bool { return r.below(100) < n }

// zipf returns a rank in [0, 2^octaves-1): rank i comes up about as often as
// 1/(i+1). It picks a power of two, then a rank below it, which is Zipf's law
// with exponent 1 in steps, without a table and without floating point.
func (r *rng) zipf(octaves uint64) uint64 {
	v := r.next()
	hi, lo := bits.Mul64(v, octaves)
	base := uint64(1) << hi
	return base - 1 + lo>>1&(base-1)
}

// heavy returns a number of at least 1 with a heavy tail: at least 2^k with
// probability 2^-k, up to 2^limit.
func (r *rng) heavy(limit int) uint64 {
	v := r.next()
	base := uint64(1) << min(bits.TrailingZeros64(v), limit)
	return base + v>>32&(base-1)
}

// mix is splitmix64's finalizer: a permutation of the 64-bit numbers that
// serves as a hash.
func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
