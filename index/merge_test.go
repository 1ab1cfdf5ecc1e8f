package index

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"

	"weir/flow"
)

// TestMergeRunsEqualsSorting merges runs with everything that windows are cut
// by: addresses before, in and behind IPv4, a range so dense that no window has
// all of it, runs of very different lengths, and two runs of one block.
func TestMergeRunsEqualsSorting(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	type held struct {
		value flow.Addr
		block uint32
	}
	for _, c := range []struct{ runs, values int }{{0, 0}, {1, 5000}, {2, 1}, {3, 200_000}, {48, 20_000}, {300, 300}} {
		var runs []run
		var want []held
		for i := range c.runs {
			block := uint32(i - i/2%2) // 0 1 1 2 4 5 5 6
			var d fakeDict
			for range c.values/(1+i%5) + 1 {
				d = append(d, randMergeValue(rng))
			}
			slices.SortFunc(d, flow.Addr.Compare)
			d = slices.Compact(d)
			runs = append(runs, run{block, encodeRun(d, flow.Addr{}, lastValue())})
			for _, v := range d {
				want = append(want, held{v, block})
			}
		}
		slices.SortFunc(want, func(a, b held) int { return cmp.Or(a.value.Compare(b.value), cmp.Compare(a.block, b.block)) })
		want = slices.Compact(want)
		var got []held
		if err := mergeRuns(runs, func(v flow.Addr, blocks []uint32) error {
			for _, b := range blocks {
				got = append(got, held{v, b})
			}
			return nil
		}); err != nil {
			t.Fatalf("merge: %v", err)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%d runs of up to %d values: merged are %d values in blocks, want %d", c.runs, c.values, len(got), len(want))
		}
	}
}

func randMergeValue(rng *rand.Rand) flow.Addr {
	switch rng.IntN(16) {
	case 0:
		return flow.Addr{Lo: uint64(rng.IntN(1000))} // before IPv4
	case 1:
		return flow.Addr{Hi: 0x20010db8 << 32, Lo: rng.Uint64() >> rng.UintN(64)}
	case 2:
		return flow.AddrFrom4([]uint32{0, 1, ^uint32(0), ^uint32(0) - 1}[rng.IntN(4)])
	case 3, 4:
		return flow.AddrFrom4(rng.Uint32())
	}
	return flow.AddrFrom4(0xc0000000 + rng.Uint32N(1<<18))
}
