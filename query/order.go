package query

import "weir/store"

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
