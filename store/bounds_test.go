package store

import (
	"math/rand/v2"
	"testing"

	"weir/flow"
)

// TestBoundsFollowSpan compares the extent of rows, of which the clocks of some
// are the wrong way round, with the rule for one row; with both times in all rows
// and with some of them absent.
func TestBoundsFollowSpan(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for try := range 200 {
		b := flow.NewBatch(300)
		for row := range 1 + rng.IntN(300) {
			b.Grow(1)
			b.SetNum(flow.Received, row, 5000+uint64(rng.IntN(1000)))
			for _, f := range []flow.Field{flow.Start, flow.End} {
				if try%2 == 0 || rng.IntN(20) > 0 {
					b.SetNum(f, row, 1+uint64(rng.IntN(9000)))
				}
			}
		}
		lo := rng.IntN(b.Len())
		hi := lo + rng.IntN(b.Len()-lo+1)
		want := bounds{rows: int64(hi - lo)}
		for row := lo; row < hi; row++ {
			from, to := b.Span(row)
			one := bounds{rows: 1, firstReceived: b.GetNum(flow.Received, row), lastReceived: b.GetNum(flow.Received, row), minStart: from, maxEnd: to}
			if row == lo {
				one.rows = want.rows
				want = one
				continue
			}
			want.firstReceived, want.lastReceived = min(want.firstReceived, one.firstReceived), max(want.lastReceived, one.lastReceived)
			want.minStart, want.maxEnd = min(want.minStart, from), max(want.maxEnd, to)
		}
		if got := boundsOf(b, lo, hi); got != want {
			t.Fatalf("try %d, rows %d to %d of %d: bounds are %+v, want %+v", try, lo, hi, b.Len(), got, want)
		}
	}
}
