package query

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"testing"
)

// TestRateTest compares what is told without a division with the rate: for
// amounts, divisors and ranges of all sizes, and ranges that begin or end at the
// rate.
func TestRateTest(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 4))
	any64 := func() uint64 { return rng.Uint64() >> rng.IntN(64) }
	in := 0
	for range 200_000 {
		scale := []uint64{1, 1000, 8000}[rng.IntN(3)]
		n, per := any64()/scale, any64()
		if rng.IntN(20) == 0 {
			per = uint64(rng.IntN(2))
		}
		if over, _ := bits.Mul64(n, scale); over != 0 {
			t.Fatalf("%d times %d does not fit", n, scale)
		}
		rate := Rate(n, scale, per)
		r := numRange{any64(), any64()}
		switch rng.IntN(4) {
		case 0:
			r.lo = rate + uint64(rng.IntN(3)) - 1
		case 1:
			r.hi = rate + uint64(rng.IntN(3)) - 1
		case 2:
			r.hi = math.MaxUint64
		}
		if r.lo > r.hi {
			r.lo, r.hi = r.hi, r.lo
		}
		test, want := newRateTest(r, scale), uint64(0)
		if r.lo <= rate && rate <= r.hi {
			want = 1
			in++
		}
		if got := test.in(n, per); got != want {
			t.Fatalf("%d times %d by %d is %d: in %v is %d, want %d", n, scale, per, rate, r, got, want)
		}
	}
	if in == 0 {
		t.Error("no rate is in its range")
	}
}
