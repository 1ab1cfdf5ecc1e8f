package store

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"slices"

	"github.com/klauspost/compress/huff0"
	"github.com/klauspost/compress/zstd"

	"weir/flow"
)

// An encoder turns a batch into a block. It holds scratch memory and serves one
// goroutine at a time.
type encoder struct {
	zstd    *zstd.Encoder
	huff    huff0.Scratch
	entropy *entropyTable

	order []uint32 // row of the batch at each row of the block; nil: the same
	runs  []rowRun // the same, by rows that stay together

	// The column at hand, in block order.
	present []uint64    // bits by row
	count   int         // bits set
	values  []uint64    // of the rows that have the field; the batch's own memory, perhaps
	span    valueRange  // of values
	addrs   []flow.Addr // of the rows that have the field
	texts   []string    // of the rows that have the field
	lo, hi  flow.Addr   // the least and the greatest of addrs

	field   flow.Field                          // the column at hand
	streams int                                 // streams of it so far
	choices [flow.FieldCount][maxChoices]choice // by column and stream
	other   choice
	refused [flow.FieldCount][maxChoices]uint8 // by column and stream: see tryFrequent

	rows         int
	orderBuf     []uint32
	parents      [flow.FieldCount]coded       // in block order
	parentValues [flow.FieldCount][]flow.Addr // the dictionary of each
	rowCodes     [flow.FieldCount][]uint16
	sortedCodes  [flow.FieldCount][]uint16
	clock        [flow.End + 1][]uint64 // in block order
	coder        addrCoder
	numCoder     numCoder
	textCoder    textCoder

	// Scratch of single functions.
	codes       []uint16
	gathered    []uint64
	wide        []uint64
	words       []uint64
	diff        []uint64
	zigzag      []uint64
	plane       []byte
	bitmap      []byte
	packed      []byte
	dictBody    []byte
	text        []byte // of a dictionary
	value       []byte
	counts      []uint32
	tally       []uint32
	top         []uint64
	symbols     []byte
	others      []uint64
	groups      [parentCount]grouping
	rank        []uint32
	entryValues []uint64
	places      []uint64
	exceptions  []uint64
	sample      []uint64
	sampleDiff  []uint64
	sampleBytes []byte
}

func newEncoder() *encoder {
	e := &encoder{zstd: newZstdEncoder(), entropy: newEntropyTable()}
	e.huff.Reuse = huff0.ReusePolicyNone // every stream carries its table
	return e
}

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
		if b.PresentCount(f) > 0 {
			out.header.columns.Add(f)
		}
	}
	for f := range fieldOrder(out.header.columns) {
		e.gather(b, f)
		e.keepClock(f)
		e.value = e.column(grow(&e.value, 8), f, out.header.columns)
		sealColumn(e.value, 0)
		value := bytes.Clone(e.value)
		out.stats[f] = e.stat(f)
		out.stats[f].Size = len(value)
		out.fields = append(out.fields, f)
		out.columns = append(out.columns, value)
	}
	e.values = nil // the batch goes its own way
	out.head = out.header.append(nil)
	return out
}

// fieldOrder yields the fields of s, End before Start, which is written against
// it.
func fieldOrder(s flow.FieldSet) func(yield func(flow.Field) bool) {
	return func(yield func(flow.Field) bool) {
		for f := range s.All {
			switch {
			case f == flow.Start && s.Has(flow.End):
				if !yield(flow.End) || !yield(flow.Start) {
					return
				}
			case f == flow.End && s.Has(flow.Start):
			case !yield(f):
				return
			}
		}
	}
}

// sortRows finds the order of rows in the block, and the parents in that order.
func (e *encoder) sortRows(b *flow.Batch) {
	e.rows = b.Len()
	e.order = nil
	e.forgetEntries()
	for _, f := range []flow.Field{flow.Exporter, flow.SrcAddr, flow.DstAddr} {
		e.parents[f] = coded{}
		if b.PresentCount(f) == 0 {
			continue
		}
		addrs := b.Addr(f) // in the order of the batch, without a copy if all rows have it
		if e.gatherPresent(b.Present(f), e.rows); e.count < e.rows {
			e.gather(b, f)
			addrs = e.addrs
		}
		codes := grow(&e.rowCodes[f], e.rows)
		values := append(e.parentValues[f][:0], e.coder.code(addrs, codes[:e.count])...)
		e.parentValues[f] = values
		n := len(values)
		of := column{rows: e.rows, count: e.count, present: e.partial()}
		spread(codes, &of, uint16(n))
		e.parents[f] = coded{codes, n + 1}
	}
	e.sortByExporter()
	if e.order == nil {
		return
	}
	e.findRuns()
	for f := range e.parents {
		if of := e.parents[f]; of.codes != nil {
			e.sortedCodes[f] = appendRuns(grow(&e.sortedCodes[f], 0), of.codes, e.runs)
			e.parents[f].codes = e.sortedCodes[f]
		}
	}
}

// A rowRun is rows of the batch that follow one another in the block too. Rows
// of a datagram stay together, so that most of the order is runs.
type rowRun struct{ from, n uint32 }

func (e *encoder) findRuns() {
	runs := e.runs[:0]
	for i := 0; i < len(e.order); {
		from, j := e.order[i], i+1
		for j < len(e.order) && e.order[j] == from+uint32(j-i) {
			j++
		}
		runs = append(runs, rowRun{from, uint32(j - i)})
		i = j
	}
	e.runs = runs
}

// sortByExporter finds the order that brings the rows of each exporter together,
// by counting; e.order stays nil if that is how they are.
//
// Receipt times then ascend within an exporter and cost next to nothing. Sorting
// by address as well makes receipt dearer than it makes addresses cheaper, by
// half a byte a row on generated traffic.
func (e *encoder) sortByExporter() {
	exporter := e.parents[flow.Exporter]
	if exporter.codes == nil || slices.IsSorted(exporter.codes) {
		return
	}
	at := grow(&e.rank, exporter.n+1)
	clear(at)
	for _, code := range exporter.codes {
		at[int(code)+1]++
	}
	for code := 1; code < len(at); code++ {
		at[code] += at[code-1]
	}
	e.order = grow(&e.orderBuf, e.rows)
	for row, code := range exporter.codes {
		e.order[at[code]] = uint32(row)
		at[code]++
	}
}

// gather brings one column into block order, without its absent rows.
func (e *encoder) gather(b *flow.Batch, f flow.Field) {
	e.field, e.streams = f, 0
	e.gatherPresent(b.Present(f), b.Len())
	switch {
	case f.IsAddr() && e.parents[f].codes != nil: // its codes are in order already
		return
	case f.IsAddr():
		e.addrs = gatherRows(grow(&e.addrs, 0), b.Addr(f), e)
		return
	case f.IsText():
		e.texts = gatherRows(grow(&e.texts, 0), b.Text(f), e)
		return
	}
	e.gatherNums(b.Num(f))
}

// gatherNums brings a column of numbers into block order. One that needs no
// reordering, or shows none, is not copied.
func (e *encoder) gatherNums(column []uint64) {
	if e.count < len(column) {
		e.gathered = gatherRows(grow(&e.gathered, 0), column, e)
		e.values, e.span = e.gathered, rangeOf(e.gathered)
		return
	}
	e.values, e.span = column, rangeOf(column)
	if e.order != nil && e.span.lo < e.span.hi {
		e.gathered = appendRuns(grow(&e.gathered, 0), column, e.runs)
		e.values = e.gathered
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

// gatherRows appends what is present of src, in the order of e.
func gatherRows[T any](dst, src []T, e *encoder) []T {
	switch {
	case e.count == len(src) && e.order == nil:
		return append(dst, src...)
	case e.count == len(src):
		return appendRuns(dst, src, e.runs)
	}
	for w, word := range e.present {
		for ; word != 0; word &= word - 1 {
			row := w<<6 + bits.TrailingZeros64(word)
			if e.order != nil {
				row = int(e.order[row])
			}
			dst = append(dst, src[row])
		}
	}
	return dst
}

// appendRuns appends src in the order of runs.
func appendRuns[T any](dst, src []T, runs []rowRun) []T {
	for _, r := range runs {
		dst = append(dst, src[r.from:r.from+r.n]...)
	}
	return dst
}

// stat sums up the column at hand.
func (e *encoder) stat(f flow.Field) Stat {
	switch {
	case f.IsAddr():
		return Stat{Present: e.count, MinAddr: e.lo, MaxAddr: e.hi}
	case f.IsText():
		return Stat{Present: e.count}
	}
	return Stat{Present: e.count, MinNum: e.span.lo, MaxNum: e.span.hi}
}

// column appends the layout, presence and body of the column at hand.
func (e *encoder) column(dst []byte, f flow.Field, has flow.FieldSet) []byte {
	switch other := againstField(f, has); {
	case f.IsAddr():
		dst = e.presence(append(dst, layoutDict), e.rows)
		values, codes := e.codeAddrs(f)
		e.lo, e.hi = values[0], values[len(values)-1]
		e.dictBody = e.addrDict(e.dictBody[:0], values)
		return e.dictColumn(dst, f, codes, len(values))
	case f.IsText():
		dst = e.presence(append(dst, layoutDict), e.rows)
		codes := grow(&e.codes, e.count)
		values := e.textCoder.code(e.texts, codes)
		e.dictBody = e.textDict(e.dictBody[:0], values)
		dst = e.dictColumn(dst, f, codes, len(values))
		e.textCoder.forget()
		clear(e.texts)
		return dst
	case isPosting(f):
		dst = e.presence(append(dst, layoutDict), e.rows)
		codes := grow(&e.codes, e.count)
		values := e.numCoder.code(e.values, e.span, codes)
		e.dictBody = e.numDict(e.dictBody[:0], values)
		return e.dictColumn(dst, f, codes, len(values))
	case other != 0:
		dst = e.presence(append(dst, layoutAgainst), e.rows)
		return e.against(append(dst, byte(other)), e.values, e.clock[other])
	}
	return e.valuesOf(e.presence(append(dst, layoutNumbers), e.rows), f, e.values, e.span)
}

// codeAddrs returns the dictionary and the codes of the column at hand; those of
// a parent are known.
func (e *encoder) codeAddrs(f flow.Field) (values []flow.Addr, codes []uint16) {
	codes = grow(&e.codes, e.count)
	if e.parents[f].codes == nil {
		return e.coder.code(e.addrs[:e.count], codes), codes
	}
	if e.count == e.rows {
		return e.parentValues[f], e.parents[f].codes
	}
	codes = codes[:0]
	for w, word := range e.present {
		for ; word != 0; word &= word - 1 {
			codes = append(codes, e.parents[f].codes[w<<6+bits.TrailingZeros64(word)])
		}
	}
	return e.parentValues[f], codes
}

// dictColumn appends the dictionary in e.dictBody, of n values, and codes.
func (e *encoder) dictColumn(dst []byte, f flow.Field, codes []uint16, n int) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(e.dictBody)))
	dst = append(dst, e.dictBody...)
	wide := grow(&e.wide, len(codes))
	for i, code := range codes {
		wide[i] = uint64(code)
	}
	return e.valuesOf(dst, f, wide, valueRange{0, uint64(n - 1)}) // each occurs
}

// valuesOf appends numbers of field f, whose range is r, by a parent if that is
// smaller.
func (e *encoder) valuesOf(dst []byte, f flow.Field, v []uint64, r valueRange) []byte {
	if candidateParents(f) != nil && len(v) >= estimateFrom {
		e.sample = takeSample(e.sample[:0], v)
		if plain := e.estimate(e.sample, r); plain*float64(len(v)) > 32 {
			if out, ok := e.byParent(dst, f, v, plain); ok {
				return out
			}
		}
	}
	return e.numbersIn(dst, v, r)
}

// against appends the differences of v from another column of times.
func (e *encoder) against(dst []byte, v, other []uint64) []byte {
	diff := grow(&e.wide, len(v))
	if len(v) == e.rows {
		for i, x := range v {
			diff[i] = zigzagOf(other[i] - x)
		}
		return e.numbers(dst, diff)
	}
	i := 0
	for w, word := range e.present {
		for ; word != 0; word &= word - 1 {
			diff[i] = zigzagOf(other[w<<6+bits.TrailingZeros64(word)] - v[i])
			i++
		}
	}
	return e.numbers(dst, diff)
}

// keepClock keeps the column at hand, in block order with 0 where absent, for
// those that are written against it.
func (e *encoder) keepClock(f flow.Field) {
	if f != flow.Received && f != flow.End {
		return
	}
	v := grow(&e.clock[f], e.rows)
	copy(v, e.values[:e.count])
	of := column{rows: e.rows, count: e.count, present: e.partial()}
	spread(v, &of, 0)
}
