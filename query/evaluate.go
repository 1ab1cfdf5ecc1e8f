package query

import (
	"math/bits"

	"weir/flow"
	"weir/index"
	"weir/store"
)

// A rowSet is rows of a block, bit row%64 of word row/64.
type rowSet = index.RowSet

// fill makes the set the first n rows.
func fill(s *rowSet, n int) {
	for i := range n >> 6 {
		s[i] = ^uint64(0)
	}
	clear(s[n>>6:])
	if n&63 != 0 {
		s[n>>6] = 1<<(n&63) - 1
	}
}

// count returns how many rows are in the set.
func count(s *rowSet) int {
	n := 0
	for _, w := range s {
		n += bits.OnesCount64(w)
	}
	return n
}

func empty(s *rowSet) bool {
	for _, w := range s {
		if w != 0 {
			return false
		}
	}
	return true
}

// each calls yield with every row of the set, ascending.
func each(s *rowSet, yield func(row int)) {
	for i, w := range s {
		for ; w != 0; w &= w - 1 {
			yield(i<<6 + bits.TrailingZeros64(w))
		}
	}
}

// tryEach calls fn for every row of the set, in order, until one fails.
func tryEach(s *rowSet, fn func(row int) error) error {
	for i, w := range s {
		for ; w != 0; w &= w - 1 {
			if err := fn(i<<6 + bits.TrailingZeros64(w)); err != nil {
				return err
			}
		}
	}
	return nil
}

// An evaluator finds the rows of blocks that match a filter and lie in a
// window. It belongs to one worker.
type evaluator struct {
	root   node
	window Window
	*columns
	orders map[*andNode]*andOrder
	free   []*rowSet // sets that are not in use
	keep   []uint64  // scratch of one bit a dictionary code
}

func newEvaluator(root node, w Window) *evaluator {
	return &evaluator{root: cheapestFirst(root), window: w, columns: columnsPool.Get().(*columns), orders: map[*andNode]*andOrder{}}
}

// recycle gives the memory of an evaluator that is no longer used to the next.
func (e *evaluator) recycle() {
	e.close()
	columnsPool.Put(e.columns)
	e.columns = nil
}

// take returns a set of undefined content; give returns it.
func (e *evaluator) take() *rowSet {
	if n := len(e.free); n > 0 {
		s := e.free[n-1]
		e.free = e.free[:n-1]
		return s
	}
	return new(rowSet)
}

func (e *evaluator) give(s *rowSet) { e.free = append(e.free, s) }

// skip reports whether a block's header tells that no row matches.
func (e *evaluator) skip(blk *store.Block) bool {
	return e.window.classify(blk.MinStart(), blk.MaxEnd()) == classNone ||
		classify(e.root, func(f flow.Field) knowledge { return blockKnowledge(blk, f) }) == classNone
}

// evaluate makes blk the current block and dst the rows that match, and returns
// how many they are.
func (e *evaluator) evaluate(blk *store.Block, dst *rowSet) (int, error) {
	e.open(blk)
	fill(dst, e.rows)
	if e.window.classify(blk.MinStart(), blk.MaxEnd()) != classAll {
		if err := e.within(dst); err != nil {
			return 0, err
		}
	}
	if err := e.restrict(e.root, dst); err != nil {
		return 0, err
	}
	return count(dst), nil
}

// know returns what the current block's header tells of a field.
func (e *evaluator) know(f flow.Field) knowledge { return blockKnowledge(e.blk, f) }

// restrict removes from set the rows that do not match n.
func (e *evaluator) restrict(n node, set *rowSet) error {
	switch classify(n, e.know) {
	case classAll:
		return nil
	case classNone:
		clear(set[:])
		return nil
	}
	switch n := n.(type) {
	case *andNode:
		return e.restrictAnd(n, set)
	case *orNode:
		return e.restrictOr(n, set)
	case *notNode:
		kid := e.take()
		defer e.give(kid)
		*kid = *set
		if err := e.restrict(n.kid, kid); err != nil {
			return err
		}
		for i := range set {
			set[i] &^= kid[i]
		}
		return nil
	}
	return e.leaf(n, set)
}

// size returns how many bytes of columns must be decoded to look at n.
func (e *evaluator) size(n node) (bytes int) {
	var fields flow.FieldSet
	n.fields(&fields)
	for f := range fields.All {
		if e.have[f]&^havePresent == 0 {
			bytes += e.blk.Stat(f).Size
		}
	}
	return bytes
}

// restrictOr looks, for each kid, only at rows that no kid before it matched.
func (e *evaluator) restrictOr(n *orNode, set *rowSet) error {
	rest, kid := e.take(), e.take()
	defer e.give(rest)
	defer e.give(kid)
	*rest = *set
	for _, k := range n.kids {
		*kid = *rest
		if err := e.restrict(k, kid); err != nil {
			return err
		}
		for i := range rest {
			rest[i] &^= kid[i]
		}
		if empty(rest) {
			return nil
		}
	}
	for i := range set {
		set[i] &^= rest[i]
	}
	return nil
}

// leaf removes from set the rows that do not match a leaf of which the header
// does not tell the answer.
func (e *evaluator) leaf(n node, set *rowSet) error {
	switch n := n.(type) {
	case *numNode:
		return e.numLeaf(n, set)
	case *addrNode:
		return e.addrLeaf(n, set)
	case *maskNode:
		return e.maskLeaf(n, set)
	case *textNode:
		return e.textLeaf(n, set)
	case *computedNode:
		return e.computedLeaf(n, set)
	case *blockNode:
		return e.blockLeaf(n, set)
	}
	return nil
}

// having removes the rows that lack a field.
func (e *evaluator) having(f flow.Field, set *rowSet) error {
	present, err := e.has(f)
	if err != nil || present == nil {
		return err
	}
	for i, w := range present {
		set[i] &= w
	}
	clear(set[len(present):])
	return nil
}

// restrictRows removes the rows for which keep is false.
func restrictRows(set *rowSet, keep func(row int) bool) {
	for i, w := range set {
		for rest := w; rest != 0; rest &= rest - 1 {
			bit := rest & -rest
			if !keep(i<<6 + bits.TrailingZeros64(bit)) {
				w &^= bit
			}
		}
		set[i] = w
	}
}

// keepCodes notes which of the first n codes of a dictionary are to be kept.
func (e *evaluator) keepCodes(n int, in func(i int) bool) {
	e.keep = sizedWords(e.keep, n/64+1)
	for i := range n {
		if in(i) {
			e.keep[i>>6] |= 1 << (i & 63)
		}
	}
}

// keepRange notes the codes from lo to hi-1.
func (e *evaluator) keepRange(lo, hi int) {
	for i := lo; i < hi; i++ {
		e.keep[i>>6] |= 1 << (i & 63)
	}
}

// sizedWords returns n zeroed words, in dst's memory if it is large enough.
func sizedWords(dst []uint64, n int) []uint64 {
	if cap(dst) < n {
		return make([]uint64, n)
	}
	dst = dst[:n]
	clear(dst)
	return dst
}

// restrictCodes removes the rows whose code is not kept.
func (e *evaluator) restrictCodes(codes []uint16, set *rowSet) {
	for i := range set {
		w := set[i]
		if w == 0 {
			continue
		}
		base := i << 6
		if bits.OnesCount64(w) <= fewRows {
			for rest := w; rest != 0; rest &= rest - 1 {
				if code := codes[base+bits.TrailingZeros64(rest)]; e.keep[code>>6]>>(code&63)&1 == 0 {
					w &^= rest & -rest
				}
			}
			set[i] = w
			continue
		}
		out := uint64(0)
		for j, code := range codes[base:min(base+64, len(codes))] {
			out |= e.keep[code>>6] >> (code & 63) & 1 << j
		}
		set[i] = w & out
	}
}

func (e *evaluator) addrLeaf(n *addrNode, set *rowSet) error {
	if err := e.having(n.field, set); err != nil || empty(set) {
		return err
	}
	d, codes, err := e.dict(n.field)
	if err != nil {
		return err
	}
	if d == nil {
		values, err := e.addr(n.field)
		if err != nil {
			return err
		}
		restrictRows(set, func(row int) bool { return inAddrs(n.ranges, values[row]) })
		return nil
	}
	if kept := e.keepAddrs(d, n.ranges); kept == 0 {
		clear(set[:])
	} else if kept < d.Len() {
		e.restrictCodes(codes, set)
	}
	return nil
}

// keepAddrs notes the codes of addresses in the ranges and returns how many
// they are. A short list is looked up in the dictionary, a long one is walked
// beside it.
func (e *evaluator) keepAddrs(d *store.Dict, ranges []addrRange) (kept int) {
	e.keep = sizedWords(e.keep, d.Len()/64+1)
	if len(ranges)*16 < d.Len() {
		for _, r := range ranges {
			lo, hi := d.FindAddr(r.lo, r.hi)
			e.keepRange(lo, hi)
			kept += hi - lo
		}
		return kept
	}
	next := 0
	for i := range d.Len() {
		a := d.Addr(i)
		next += gallop(ranges[next:], a)
		if next == len(ranges) {
			break
		}
		if !a.Less(ranges[next].lo) {
			e.keepRange(i, i+1)
			kept++
		}
	}
	return kept
}

// gallop is firstNotBefore for a range that is likely to be near the start.
func gallop(ranges []addrRange, a flow.Addr) int {
	step := 1
	for step < len(ranges) && ranges[step-1].hi.Less(a) {
		step *= 2
	}
	return firstNotBefore(ranges[:min(step, len(ranges))], a)
}

func (e *evaluator) maskLeaf(n *maskNode, set *rowSet) error {
	if err := e.having(n.field, set); err != nil || empty(set) {
		return err
	}
	d, codes, err := e.dict(n.field)
	if err != nil {
		return err
	}
	if d != nil {
		e.keepCodes(d.Len(), func(i int) bool { return n.holds(d.Addr(i)) })
		e.restrictCodes(codes, set)
		return nil
	}
	values, err := e.addr(n.field)
	if err != nil {
		return err
	}
	restrictRows(set, func(row int) bool { return n.holds(values[row]) })
	return nil
}

func (e *evaluator) blockLeaf(n *blockNode, set *rowSet) error {
	var cols [3][]uint64
	for i, f := range []flow.Field{n.port, flow.PortBlockStart, flow.PortBlockEnd} {
		if err := e.having(f, set); err != nil || empty(set) {
			return err
		}
		var err error
		if cols[i], err = e.num(f); err != nil {
			return err
		}
	}
	restrictRows(set, func(row int) bool { return cols[0][row] >= cols[1][row] && cols[0][row] <= cols[2][row] })
	return nil
}

// within removes the rows that the window does not select.
func (e *evaluator) within(set *rowSet) error {
	span, err := e.spans()
	if err != nil {
		return err
	}
	if e.full(flow.Start) && e.full(flow.End) {
		restrictWindow(e.nums[flow.Start], e.nums[flow.End], e.window, set) // spans has read them
		return nil
	}
	restrictRows(set, func(row int) bool { return e.window.Holds(span(row)) })
	return nil
}

// restrictWindow is within for rows that all have both times.
func restrictWindow(start, end []uint64, w Window, set *rowSet) {
	last := w.To - 1 // the latest ms if the window is open
	for i := range set {
		base := i << 6
		if set[i] == 0 {
			continue
		}
		stop, out := min(base+64, len(start)), uint64(0)
		ends := end[base:stop]
		for j, a := range start[base:stop] {
			b := ends[j]
			_, after := bits.Sub64(last, min(a, b), 0)
			_, before := bits.Sub64(max(a, b), w.From, 0)
			out |= ((after | before) ^ 1) << (j & 63)
		}
		set[i] &= out
	}
}

// spans returns a function that gives the time each row covers, by flow.Span.
func (c *columns) spans() (func(row int) (from, to uint64), error) {
	start, err := c.num(flow.Start)
	if err != nil {
		return nil, err
	}
	end, err := c.num(flow.End)
	if err != nil {
		return nil, err
	}
	if c.full(flow.Start) && c.full(flow.End) {
		return func(row int) (uint64, uint64) { return flow.Span(0, start[row], end[row], true, true) }, nil
	}
	received, err := c.num(flow.Received)
	if err != nil {
		return nil, err
	}
	hasStart, err := c.has(flow.Start)
	if err != nil {
		return nil, err
	}
	hasEnd, err := c.has(flow.End)
	if err != nil {
		return nil, err
	}
	return func(row int) (uint64, uint64) {
		return flow.Span(received[row], start[row], end[row], inWords(hasStart, row), inWords(hasEnd, row))
	}, nil
}

// inWords reports whether a row is in the words that columns.has returned.
func inWords(words []uint64, row int) bool {
	return words == nil || words[row>>6]>>(row&63)&1 != 0
}
