package query

import (
	"math"
	"math/bits"

	"weir/flow"
)

// A rateTest tells whether a rate, rounded down, is in a range, without a division:
// that is if the amount is at least lo times what it is divided by, and less than
// hi+1 times.
type rateTest struct {
	scale   uint64 // of the amount
	lo, end uint64 // end is hi+1
	noEnd   uint64 // 1: there is no end
	zero    uint64 // 1: 0 is in the range, the rate where there is nothing to divide by
}

// newRateTest returns a test for one range.
func newRateTest(r numRange, scale uint64) rateTest {
	t := rateTest{scale: scale, lo: r.lo, end: r.hi + 1}
	if r.hi == math.MaxUint64 {
		t.noEnd = 1
	}
	if r.lo == 0 {
		t.zero = 1
	}
	return t
}

// in returns 1 if the rate of n, of which the scale's times fit 64 bits, by per is
// in the range, else 0.
func (t *rateTest) in(n, per uint64) uint64 {
	n *= t.scale
	hi, lo := bits.Mul64(t.lo, per)
	_, under := bits.Sub64(n, lo, 0)
	_, under = bits.Sub64(0, hi, under)
	hi, lo = bits.Mul64(t.end, per)
	_, below := bits.Sub64(n, lo, 0)
	_, below = bits.Sub64(0, hi, below)
	_, nothing := bits.Sub64(per, 1, 0)
	return (under^1)&(below|t.noEnd)&(nothing^1) | nothing&t.zero
}

// rateLeaf is computedLeaf for rates whose range is one, and reports whether it
// serves.
func (e *evaluator) rateLeaf(n *computedNode, set *rowSet) (done bool, err error) {
	if len(n.ranges) != 1 {
		return false, nil
	}
	amount, scale := flow.Bytes, uint64(1)
	switch n.value {
	case computedPPS:
		amount, scale = flow.Packets, 1000
	case computedBPS:
		scale = 8000
	}
	if over, _ := bits.Mul64(e.blk.Stat(amount).MaxNum, scale); over != 0 {
		return false, nil
	}
	for f := range n.value.needs().All {
		if err := e.having(f, set); err != nil {
			return false, err
		}
	}
	rows := count(set)
	if rows == 0 {
		return true, nil
	}
	var per []uint64
	if n.value == computedBPP {
		per, err = e.numOf(flow.Packets, set, rows)
	} else {
		per, err = e.lengthsOf(set, rows)
	}
	if per == nil || err != nil {
		return false, err
	}
	amounts, err := e.numOf(amount, set, rows)
	if err != nil {
		return false, err
	}
	t := newRateTest(n.ranges[0], scale)
	t.restrict(amounts, per, set)
	return true, nil
}

// restrict removes the rows whose rate is not in the range.
func (t *rateTest) restrict(amounts, per []uint64, set *rowSet) {
	for i, w := range set {
		if w == 0 {
			continue
		}
		base := i << 6
		if bits.OnesCount64(w) <= fewRows {
			for rest := w; rest != 0; rest &= rest - 1 {
				row := base + bits.TrailingZeros64(rest)
				w &^= rest & -rest & (t.in(amounts[row], per[row]) - 1)
			}
			set[i] = w
			continue
		}
		stop, in := min(base+64, len(amounts)), uint64(0)
		pers := per[base:stop]
		for j, n := range amounts[base:stop] {
			in |= t.in(n, pers[j]) << (j & 63)
		}
		set[i] = w & in
	}
}
