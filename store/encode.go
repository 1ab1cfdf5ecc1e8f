package store

import (
	"math/bits"
	"slices"

	"github.com/klauspost/compress/huff0"
	"github.com/klauspost/compress/zstd"

	"weir/flow"
)

// An encoder turns a batch into a block. It holds scratch memory and serves one
// goroutine at a time.
type encoder struct {
	zstd *zstd.Encoder
	huff huff0.Scratch

	order []uint32 // row of the batch at each row of the block; nil: the same

	// The column at hand, in block order.
	present []uint64    // bits by row
	count   int         // bits set
	values  []uint64    // of the rows that have the field
	addrs   []flow.Addr // of the rows that have the field

	codes  []uint64
	words  []uint64
	diff   []uint64
	plane  []byte
	bitmap []byte
	packed []byte
}

func newEncoder() *encoder { return &encoder{zstd: newZstdEncoder()} }

// An encodedBlock is a block as it is written: the values of its keys.
type encodedBlock struct {
	header
	head    []byte
	fields  []flow.Field
	columns [][]byte // by index in fields
}

// size returns the bytes of all values.
func (b *encodedBlock) size() int {
	n := len(b.head)
	for _, c := range b.columns {
		n += len(c)
	}
	return n
}

// encode turns the rows of b, at most BlockRows, into a block. The order of
// rows may change; the set of rows does not.
func (e *encoder) encode(b *flow.Batch) *encodedBlock {
	out := &encodedBlock{header: header{bounds: boundsOf(b, 0, b.Len())}}
	e.sortRows(b)
	for f := range b.Columns().All {
		e.gather(b, f)
		if e.count == 0 {
			continue
		}
		value := e.column(make([]byte, 8, 1024), f, b.Len())
		sealColumn(value, 0)
		out.header.columns.Add(f)
		out.stats[f] = e.stat(f)
		out.stats[f].Size = len(value)
		out.fields = append(out.fields, f)
		out.columns = append(out.columns, value)
	}
	out.head = out.header.append(nil)
	return out
}

func (e *encoder) sortRows(b *flow.Batch) { e.order = nil }

// gather brings one column into block order, without its absent rows.
func (e *encoder) gather(b *flow.Batch, f flow.Field) {
	e.gatherPresent(b.Present(f), b.Len())
	if f.IsAddr() {
		e.addrs = gatherRows(grow(&e.addrs, 0), b.Addr(f), e.order, e.present, e.count)
	} else {
		e.values = gatherRows(grow(&e.values, 0), b.Num(f), e.order, e.present, e.count)
	}
}

func (e *encoder) gatherPresent(words []uint64, rows int) {
	e.present = grow(&e.present, len(words))
	e.count = 0
	for _, w := range words {
		e.count += bits.OnesCount64(w)
	}
	if e.order == nil || e.count == rows {
		copy(e.present, words)
		return
	}
	clear(e.present)
	for row, from := range e.order {
		e.present[row>>6] |= (words[from>>6] >> (from & 63) & 1) << (row & 63)
	}
}

func gatherRows[T any](dst, src []T, order []uint32, present []uint64, count int) []T {
	switch {
	case count == len(src) && order == nil:
		return append(dst, src...)
	case count == len(src):
		for _, from := range order {
			dst = append(dst, src[from])
		}
		return dst
	}
	for w, word := range present {
		for ; word != 0; word &= word - 1 {
			row := w<<6 + bits.TrailingZeros64(word)
			if order != nil {
				row = int(order[row])
			}
			dst = append(dst, src[row])
		}
	}
	return dst
}

// stat sums up the column at hand.
func (e *encoder) stat(f flow.Field) Stat {
	s := Stat{Present: e.count}
	if !f.IsAddr() {
		s.MinNum, s.MaxNum = minMax(e.values[:e.count])
		return s
	}
	s.MinAddr, s.MaxAddr = minMaxAddr(e.addrs[:e.count])
	return s
}

func minMaxAddr(v []flow.Addr) (lo, hi flow.Addr) {
	if len(v) == 0 {
		return lo, hi
	}
	lo, hi = v[0], v[0]
	for _, a := range v[1:] {
		if a.Less(lo) {
			lo = a
		}
		if hi.Less(a) {
			hi = a
		}
	}
	return lo, hi
}

// column appends the layout, presence and body of the column at hand.
func (e *encoder) column(dst []byte, f flow.Field, rows int) []byte {
	switch {
	case f.IsAddr():
		dst = e.presence(append(dst, layoutDict), rows)
		values, codes := e.addrCodes(e.addrs[:e.count])
		return e.numbers(e.addrDict(dst, values), codes)
	case slices.Contains(PostingFields, f):
		dst = e.presence(append(dst, layoutDict), rows)
		values, codes := e.numCodes(e.values[:e.count])
		return e.numbers(e.numDict(dst, values), codes)
	}
	return e.numbers(e.presence(append(dst, layoutNumbers), rows), e.values[:e.count])
}

func (e *encoder) addrCodes(v []flow.Addr) (values []flow.Addr, codes []uint64) {
	values = slices.Clone(v)
	slices.SortFunc(values, flow.Addr.Compare)
	values = slices.Compact(values)
	codes = grow(&e.codes, len(v))
	for i, a := range v {
		code, _ := slices.BinarySearchFunc(values, a, flow.Addr.Compare)
		codes[i] = uint64(code)
	}
	return values, codes
}

func (e *encoder) numCodes(v []uint64) (values, codes []uint64) {
	values = slices.Clone(v)
	slices.Sort(values)
	values = slices.Compact(values)
	codes = grow(&e.codes, len(v))
	for i, x := range v {
		code, _ := slices.BinarySearch(values, x)
		codes[i] = uint64(code)
	}
	return values, codes
}
