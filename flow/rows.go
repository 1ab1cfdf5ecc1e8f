package flow

import "math/bits"

// rowsAtOnce is how many rows Records copies before it yields the first. It
// divides 64, so that their presence is within one word.
const rowsAtOnce = 16

// Records yields a copy of each row, in order. The record is good until the next
// is asked for. Some rows are copied at once, column by column: to find a column
// takes longer than to copy a value of it.
func (b *Batch) Records(yield func(*Record) bool) {
	var rows [rowsAtOnce]Record
	for lo := 0; lo < b.n; lo += rowsAtOnce {
		n := min(rowsAtOnce, b.n-lo)
		b.copyRows(lo, rows[:n])
		for i := range n {
			if !yield(&rows[i]) {
				return
			}
		}
	}
}

// copyRows copies the rows from lo on, of which no more are asked for than there
// are.
func (b *Batch) copyRows(lo int, dst []Record) {
	var all FieldSet // present in each row
	var some [rowsAtOnce]FieldSet
	for f := range b.cols.All {
		has := b.present[f][lo>>6] >> (lo & 63) & (1<<len(dst) - 1)
		if has == 1<<len(dst)-1 {
			all.Add(f)
			b.copyColumn(f, lo, dst)
			continue
		}
		for ; has != 0; has &= has - 1 {
			i := bits.TrailingZeros64(has)
			some[i].Add(f)
			dst[i].take(b, f, lo+i)
		}
	}
	for i := range dst {
		dst[i].keep(all.Union(some[i]))
	}
}

// copyColumn copies the values of one field, which all rows have.
func (b *Batch) copyColumn(f Field, lo int, dst []Record) {
	switch {
	case f.IsText():
		for i := range dst {
			dst[i].take(b, f, lo+i)
		}
	case f.IsAddr():
		place := addrPlace[f]
		for i, a := range b.addrs[f][lo : lo+len(dst)] {
			dst[i].addrs[place] = a
		}
	default:
		for i, v := range b.nums[f][lo : lo+len(dst)] {
			dst[i].nums[f] = v
		}
	}
}

// take takes the value of a field, which the row has, but does not mark it
// present.
func (r *Record) take(b *Batch, f Field, row int) {
	switch {
	case f.IsAddr():
		r.addrs[addrPlace[f]] = b.addrs[f][row]
	case f.IsText():
		r.texts[f-FirstKeptText] = b.texts[f-FirstKeptText][row]
	default:
		r.nums[f] = b.nums[f][row]
	}
}

// keep makes the record one of the given fields, whose values were taken, and
// zeroes those of others that it had.
func (r *Record) keep(present FieldSet) {
	if gone := r.Present.without(present); gone != (FieldSet{}) {
		for f := range gone.All {
			r.Clear(f)
		}
	}
	r.Present = present
}
