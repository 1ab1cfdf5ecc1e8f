package query

import (
	"math/bits"

	"weir/store"
)

// An andOrder learns in which order the parts of an "and" take the least over the
// blocks of a question, which are much alike. It belongs to one worker.
type andOrder struct {
	parts [maxOrdered]partYield
}

// maxOrdered is how many parts of an "and" are put in order; more follow as they
// stand.
const maxOrdered = 64

// A partYield is what a part has left so far. More recent blocks weigh more.
type partYield struct {
	blocks int
	rows   float64 // share of the rows it was asked about that it left
	some   float64 // share of the blocks in which it left a row
}

// noted takes in that of before rows, one at least, a part left after.
func (y *partYield) noted(before, after int) {
	some := float64(min(after, 1))
	rows := float64(after) / float64(before)
	y.blocks++
	weight := 1 / float64(min(y.blocks, yieldMemory))
	y.rows += (rows - y.rows) * weight
	y.some += (some - y.some) * weight
}

const (
	yieldMemory = 8 // blocks, about

	// rowsPerByte is how many rows are looked at in the time that one byte of a
	// stored column takes to be decoded.
	rowsPerByte = 8
)

// before returns whether it takes less to look at a part before another than
// after it. A column is decoded unless the part before it leaves no row; then
// the part takes the longer, the more rows are left. Of parts that were not yet
// looked at only the sizes count.
func (y *partYield) before(z *partYield, size, otherSize int) bool {
	if y.blocks == 0 || z.blocks == 0 {
		return size < otherSize
	}
	const pass = store.BlockRows / rowsPerByte
	return float64(size)+y.some*float64(otherSize)+y.rows*pass <
		float64(otherSize)+z.some*float64(size)+z.rows*pass
}

// restrictAnd looks at the parts in the order that has turned out to take the
// least. The first that leaves no row spares the columns of the others.
func (e *evaluator) restrictAnd(n *andNode, set *rowSet) error {
	ordered := min(len(n.kids), maxOrdered)
	order := e.orderOf(n)
	before := count(set)
	if before == 0 {
		return nil // the window left none
	}
	for todo := ^uint64(0) >> (64 - ordered); todo != 0; {
		next := e.first(n, order, todo)
		todo &^= 1 << next
		if err := e.restrict(n.kids[next], set); err != nil {
			return err
		}
		left := count(set)
		order.parts[next].noted(before, left)
		if before = left; left == 0 {
			return nil
		}
	}
	for _, kid := range n.kids[ordered:] {
		if err := e.restrict(kid, set); err != nil || empty(set) {
			return err
		}
	}
	return nil
}

// orderOf returns what is known of the order of n's parts.
func (e *evaluator) orderOf(n *andNode) *andOrder {
	order := e.orders[n]
	if order == nil {
		order = new(andOrder)
		e.orders[n] = order
	}
	return order
}

// first returns which of the parts of n whose bits are in todo is to be looked
// at first.
func (e *evaluator) first(n *andNode, order *andOrder, todo uint64) int {
	first, size := -1, 0
	for ; todo != 0; todo &= todo - 1 {
		i := bits.TrailingZeros64(todo)
		iSize := e.size(n.kids[i])
		if first < 0 || order.parts[i].before(&order.parts[first], iSize, size) {
			first, size = i, iSize
		}
	}
	return first
}
