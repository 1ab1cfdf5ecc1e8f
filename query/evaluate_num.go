package query

import (
	"math/bits"

	"weir/store"
)

func (e *evaluator) numLeaf(n *numNode, set *rowSet) error {
	if s := e.blk.Stat(n.field); s.MinNum != s.MaxNum && e.have[n.field]&(haveNum|haveDict) == 0 {
		p, err := e.packed(n.field)
		if err != nil {
			return err
		}
		if p != nil {
			restrictPacked(p, n, set)
			return nil
		}
	}
	if err := e.having(n.field, set); err != nil || empty(set) {
		return err
	}
	if s := e.blk.Stat(n.field); s.MinNum == s.MaxNum {
		return nil // the one value is in: the header would have told otherwise
	}
	d, codes, err := e.dict(n.field)
	if err != nil {
		return err
	}
	if d != nil {
		e.keepCodes(d.Len(), func(i int) bool { return inNums(n.ranges, n.of(d.Num(i))) })
		e.restrictCodes(codes, set)
		return nil
	}
	values, err := e.num(n.field)
	if err != nil {
		return err
	}
	restrictWanted(values, n.wanted(), set)
	return nil
}

// restrictPacked removes the rows whose value does not match n.
func restrictPacked(p *store.Packed, n *numNode, set *rowSet) {
	if lo, hi, ok := n.span(); ok {
		p.RestrictRange(lo, hi, set[:])
	} else {
		p.Restrict(n.wanted(), set[:])
	}
}

// restrictWanted removes the rows whose value is not wanted.
func restrictWanted(values []uint64, wanted store.Wanted, set *rowSet) {
	var few [fewRows]uint64
	for i, w := range set {
		if w == 0 {
			continue
		}
		base := i << 6
		if bits.OnesCount64(w) > fewRows {
			set[i] = w & wanted(values[base:min(base+64, len(values))])
			continue
		}
		n := 0
		for rest := w; rest != 0; rest &= rest - 1 {
			few[n] = values[base+bits.TrailingZeros64(rest)]
			n++
		}
		in := wanted(few[:n])
		for rest := w; rest != 0; rest &= rest - 1 {
			w &^= rest & -rest & ((in & 1) - 1)
			in >>= 1
		}
		set[i] = w
	}
}

// span returns the values that n matches if they are one range.
func (n *numNode) span() (lo, hi uint64, ok bool) {
	if len(n.ranges) != 1 || n.shift != 0 || n.mask != 0 {
		return 0, 0, false
	}
	return n.ranges[0].lo, n.ranges[0].hi, true
}

// wanted returns what tells which values n matches.
func (n *numNode) wanted() store.Wanted {
	if lo, hi, ok := n.span(); ok {
		return store.InRange(lo, hi)
	}
	if len(n.ranges) != 1 {
		return func(values []uint64) (word uint64) {
			for i, v := range values {
				if inNums(n.ranges, n.of(v)) {
					word |= 1 << (i & 63)
				}
			}
			return word
		}
	}
	mask := n.mask
	if mask == 0 {
		mask = ^uint64(0)
	}
	shift, lo, width := n.shift&63, n.ranges[0].lo, n.ranges[0].hi-n.ranges[0].lo
	return func(values []uint64) (word uint64) {
		for i, v := range values { // without a branch: what matches is anybody's guess
			_, outside := bits.Sub64(width, v>>shift&mask-lo, 0)
			word |= (outside ^ 1) << (i & 63)
		}
		return word
	}
}

// fewRows is how many rows of a word are looked at one by one rather than
// without regard for which are in the set.
const fewRows = 8
