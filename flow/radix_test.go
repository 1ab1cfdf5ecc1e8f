package flow

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestSortByBits(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct{ n, shift, width int }{
		{0, 0, 64}, {1, 16, 32}, {1000, 0, 64}, {1000, 16, 32}, {5000, 16, 3}, {300, 47, 17}, {4000, 60, 4},
	} {
		keys := make([]uint64, c.n)
		for i := range keys {
			keys[i] = rng.Uint64() >> rng.UintN(64)
		}
		part := func(k uint64) uint64 { return k >> c.shift & (1<<c.width - 1) }
		want := slices.Clone(keys)
		slices.SortStableFunc(want, func(a, b uint64) int { return cmp.Compare(part(a), part(b)) })
		SortByBits(keys, make([]uint64, c.n), c.shift, c.width)
		if !slices.Equal(keys, want) {
			t.Errorf("%d keys by %d bits from bit %d are out of order", c.n, c.width, c.shift)
		}
	}
}
