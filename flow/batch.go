package flow

import (
	"fmt"
	"math/bits"
)

// A Batch holds flow records by column. Rows are appended by Grow, which makes
// rows with nothing present; fields are then written column by column.
//
//	base := b.Grow(24)
//	col := b.Num(flow.Bytes)
//	for i := range 24 { col[base+i] = … }
//	b.Mark(flow.Bytes, base, base+24)
//
// A column takes memory from the first time it is asked for writing. The value
// of a field that is not marked present is zero. A Batch is not safe for use by
// several goroutines at once.
type Batch struct {
	n       int
	size    int // allocated rows per column
	dirty   int // rows from n to here may hold values of rows that were removed
	cols    FieldSet
	nums    [FieldCount][]uint64
	addrs   [FieldCount][]Addr
	texts   [FieldCount - FirstKeptText][]string
	present [FieldCount][]uint64 // bit i of word i/64
}

// NewBatch returns an empty batch with room for size rows; it grows beyond that
// when it must.
func NewBatch(size int) *Batch { return &Batch{size: max(size, 64)} }

// Len returns the number of rows.
func (b *Batch) Len() int { return b.n }

// Size returns for how many rows each column has memory, which it takes when it is
// first asked for.
func (b *Batch) Size() int { return b.size }

// Enlarge makes room for size rows.
func (b *Batch) Enlarge(size int) {
	if size > b.size {
		b.resize(size)
	}
}

// Columns returns the fields that have a column, which is not to say that any
// row has a value in it.
func (b *Batch) Columns() FieldSet { return b.cols }

// Grow appends n rows with no field present and returns the index of the first.
// Column slices that were taken before may be stale afterwards.
func (b *Batch) Grow(n int) int { return b.GrowFor(n, FieldSet{}) }

// GrowFor is Grow for who writes some columns, written, in all of the new rows at
// once: what they held of rows that were removed is not zeroed first.
func (b *Batch) GrowFor(n int, written FieldSet) int {
	base := b.grow(n)
	if hi := min(b.n, b.dirty); base < hi {
		for f := range b.cols.withoutTexts().without(written).All {
			b.clean(f, base, hi)
		}
	}
	return base
}

// grow is Grow but for removed values, which the new rows may hold.
func (b *Batch) grow(n int) int {
	base := b.n
	b.n += n
	if b.n > b.size {
		b.resize(max(2*b.size, b.n))
	}
	return base
}

// clean zeroes the values of rows that were removed. Those of texts are zero
// already, see Truncate.
func (b *Batch) clean(f Field, lo, hi int) {
	if f.IsAddr() {
		clear(b.addrs[f][lo:hi])
	} else {
		clear(b.nums[f][lo:hi])
	}
}

func (b *Batch) resize(size int) {
	b.size = size
	for f := range b.cols.All {
		switch {
		case f.IsAddr():
			b.addrs[f] = append(make([]Addr, 0, size), b.addrs[f]...)[:size]
		case f.IsText():
			t := &b.texts[f-FirstKeptText]
			*t = append(make([]string, 0, size), *t...)[:size]
		default:
			b.nums[f] = append(make([]uint64, 0, size), b.nums[f]...)[:size]
		}
		words := (size + 63) / 64
		b.present[f] = append(make([]uint64, 0, words), b.present[f]...)[:words]
	}
}

// Reset removes all rows and keeps the memory.
func (b *Batch) Reset() { b.Truncate(0) }

// Truncate removes the rows from n on. Their values are zeroed when the memory is
// used again: that is near the cache then, and often written anyway.
func (b *Batch) Truncate(n int) {
	if n >= b.n {
		return
	}
	for f := range b.cols.All {
		clearBits(b.present[f], n, b.n)
	}
	for f := range b.cols.texts().All { // what strings refer to is not to be held on to
		clear(b.texts[f-FirstKeptText][n:b.n])
	}
	b.dirty = max(b.dirty, b.n)
	b.n = n
}

func (b *Batch) ensure(f Field) {
	if !b.cols.Has(f) {
		b.addColumn(f)
	}
}

// addColumn is apart so that ensure, which nearly always finds the column there,
// is inlined.
//
//go:noinline
func (b *Batch) addColumn(f Field) {
	b.cols.Add(f)
	switch {
	case f.IsAddr():
		b.addrs[f] = make([]Addr, b.size)
	case f.IsText():
		b.texts[f-FirstKeptText] = make([]string, b.size)
	default:
		b.nums[f] = make([]uint64, b.size)
	}
	b.present[f] = make([]uint64, (b.size+63)/64)
}

// Num returns the column of a numeric field, one value a row, for reading and
// writing until the next Grow.
func (b *Batch) Num(f Field) []uint64 {
	b.ensure(f)
	return b.nums[f][:b.n]
}

// Addr returns the column of an address field, one value a row, for reading and
// writing until the next Grow.
func (b *Batch) Addr(f Field) []Addr {
	b.ensure(f)
	return b.addrs[f][:b.n]
}

// Text returns the column of a field of texts, one value a row, for reading and
// writing until the next Grow.
func (b *Batch) Text(f Field) []string {
	b.ensure(f)
	return b.texts[f-FirstKeptText][:b.n]
}

// Mark says that field f is present in the rows lo to hi-1.
func (b *Batch) Mark(f Field, lo, hi int) {
	b.ensure(f)
	setBits(b.present[f], lo, hi)
}

// Unmark says that field f is absent in the rows lo to hi-1, and zeroes them.
func (b *Batch) Unmark(f Field, lo, hi int) {
	if !b.cols.Has(f) {
		return
	}
	clearBits(b.present[f], lo, hi)
	if f.IsText() {
		clear(b.texts[f-FirstKeptText][lo:hi])
	} else {
		b.clean(f, lo, hi)
	}
}

// Has reports whether field f is present in that row.
func (b *Batch) Has(f Field, row int) bool {
	return b.cols.Has(f) && b.present[f][row>>6]>>(row&63)&1 != 0
}

// Present returns the presence bits of field f, bit row%64 of word row/64, with
// as many words as Len needs; nil if the field has no column. Bits at and after
// Len are zero.
func (b *Batch) Present(f Field) []uint64 {
	if !b.cols.Has(f) {
		return nil
	}
	return b.present[f][:(b.n+63)/64]
}

// PresentCount returns how many rows have field f.
func (b *Batch) PresentCount(f Field) int {
	n := 0
	for _, w := range b.Present(f) {
		n += bits.OnesCount64(w)
	}
	return n
}

// SetNum writes v to a numeric field of one row and marks it present.
func (b *Batch) SetNum(f Field, row int, v uint64) {
	b.ensure(f)
	b.nums[f][row] = v
	b.present[f][row>>6] |= 1 << (row & 63)
}

// SetAddr writes a to an address field of one row and marks it present.
func (b *Batch) SetAddr(f Field, row int, a Addr) {
	b.ensure(f)
	b.addrs[f][row] = a
	b.present[f][row>>6] |= 1 << (row & 63)
}

// SetText writes a text to a field of one row and marks it present.
func (b *Batch) SetText(f Field, row int, text string) {
	b.ensure(f)
	b.texts[f-FirstKeptText][row] = text
	b.present[f][row>>6] |= 1 << (row & 63)
}

// GetNum returns the value of a numeric field in one row, 0 where absent.
func (b *Batch) GetNum(f Field, row int) uint64 {
	if !b.cols.Has(f) {
		return 0
	}
	return b.nums[f][row]
}

// GetAddr returns the value of an address field in one row, the zero Addr where
// absent.
func (b *Batch) GetAddr(f Field, row int) Addr {
	if !b.cols.Has(f) {
		return Addr{}
	}
	return b.addrs[f][row]
}

// GetText returns the value of a field of texts in one row, "" where absent.
func (b *Batch) GetText(f Field, row int) string {
	if !b.cols.Has(f) {
		return ""
	}
	return b.texts[f-FirstKeptText][row]
}

// Record copies one row into r.
func (b *Batch) Record(row int, r *Record) {
	var present FieldSet
	for f := range b.cols.All {
		if b.Has(f, row) {
			present.Add(f)
			r.take(b, f, row)
		}
	}
	r.keep(present)
}

// AppendRecord appends r as a row.
func (b *Batch) AppendRecord(r *Record) {
	row := b.Grow(1)
	for f := range r.Present.All {
		switch {
		case f.IsAddr():
			b.SetAddr(f, row, r.Addr(f))
		case f.IsText():
			b.SetText(f, row, r.Text(f))
		default:
			b.SetNum(f, row, r.Num(f))
		}
	}
}

// AppendRows appends the rows lo to hi-1 of src.
func (b *Batch) AppendRows(src *Batch, lo, hi int) {
	if lo < 0 || hi > src.n || lo > hi {
		panic(fmt.Sprintf("flow: rows %d to %d of a batch of %d", lo, hi, src.n))
	}
	base := b.grow(hi - lo)
	dirty := min(b.n, b.dirty)
	for f := range b.cols.withoutTexts().All {
		if base < dirty && !(src.cols.Has(f) && anyBits(src.present[f], lo, hi)) {
			b.clean(f, base, dirty)
		}
	}
	for f := range src.cols.All {
		if !anyBits(src.present[f], lo, hi) {
			continue
		}
		b.ensure(f)
		switch {
		case f.IsAddr():
			copy(b.addrs[f][base:], src.addrs[f][lo:hi])
		case f.IsText():
			copy(b.texts[f-FirstKeptText][base:], src.texts[f-FirstKeptText][lo:hi])
		default:
			copy(b.nums[f][base:], src.nums[f][lo:hi])
		}
		copyBits(b.present[f], base, src.present[f], lo, hi-lo)
	}
}
