package store

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// Numbers are 64-bit values whose count the reader knows. The first byte says
// how they are written; the writer takes the way that it estimates to be the
// smallest.
//
//	planes      +---+----------------+-----------+------------------------+
//	            | 0 | base (uvarint) | width (1) | width streams of bytes |
//	            +---+----------------+-----------+------------------------+
//	frequent    +---+-----------+--------------+-------------------+-------------------+------------------+
//	            | 1 | count (1) | the frequent | a stream of bytes | others (uvarint)  | others (numbers) |
//	            |   |           | ones (planes)|                   |                   |                  |
//	            +---+-----------+--------------+-------------------+-------------------+------------------+
//	differences +---+-----------------------+
//	            | 2 | differences (numbers) |
//	            +---+-----------------------+
//	from        +---+----------------+-----------------------+
//	            | 4 | first (uvarint)| differences (numbers) |
//	            +---+----------------+-----------------------+
//	by parent   +---+------------+-------------------+------------------+
//	            | 3 | parent (1) | entries (uvarint) | values (numbers) |
//	            +---+------------+-------------------+------------------+
//	            | exceptions (uvarint) | places (numbers) | values (numbers) |
//	            +---------------------------------------------------------+
//
// Planes are a frame of reference: stream k holds bits 8k to 8k+7 of value-base
// for every value, so that the high ones are mostly constant.
//
// Frequent is for a few values that come often among many: one byte a value, its
// place in the list of frequent ones, or count for "the next of the others".
//
// Differences are value less the value before (0 before the first), zigzag:
// twice it, or -1-twice it when negative, so that small is small either way. From
// is the same, but that the first difference is 0: times are far from 0, and one
// such difference would make planes of bytes for all. It is what is written now.
//
// By parent is for what follows from another column, such as an AS number from
// an address: one value for each entry (see parents.go) in use, and the places
// among the values, with their values, where that is not it. Sums wrap around.
const (
	modePlanes      = 0
	modeFrequent    = 1
	modeDifferences = 2
	modeByParent    = 3
	modeFrom        = 4
)

// maxNesting bounds numbers within numbers, whatever the bytes say.
const maxNesting = 3

// estimateFrom is the count from which other ways than planes are weighed.
const estimateFrom = 256

// numbers appends v in the way that seems smallest.
func (e *encoder) numbers(dst []byte, v []uint64) []byte { return e.numbersIn(dst, v, rangeOf(v)) }

// numbersIn is numbers of values whose range is r.
func (e *encoder) numbersIn(dst []byte, v []uint64, r valueRange) []byte {
	if len(v) < estimateFrom || r.lo == r.hi {
		return e.planes(dst, v, r)
	}
	sample := takeSample(grow(&e.sample, 0), v)
	e.sample = sample
	plain := e.estimate(sample, r)
	if plain < 1.0/64 {
		return e.planes(dst, v, r)
	}
	diff := sampleDifferences(grow(&e.sampleDiff, 0), v)
	e.sampleDiff = diff
	if e.estimate(diff, rangeOf(diff)) < plain*0.9 {
		diff = zigzag(grow(&e.zigzag, len(v)), v)
		r = rangeOf(diff)
		plain = e.estimate(takeSample(sample[:0], diff), r)
		dst = binary.AppendUvarint(append(dst, modeFrom), v[0])
		return e.frequentOrPlanes(dst, diff, r, plain)
	}
	return e.frequentOrPlanes(dst, v, r, plain)
}

// frequentOrPlanes appends v, whose planes take about plain bytes a value.
func (e *encoder) frequentOrPlanes(dst []byte, v []uint64, r valueRange, plain float64) []byte {
	if r.hi-r.lo >= 256 && plain > 0.25 && e.pickFrequent(v, r, plain) {
		return e.frequent(dst, v)
	}
	return e.planes(dst, v, r)
}

// A valueRange is the smallest and the largest of some values.
type valueRange struct{ lo, hi uint64 }

func rangeOf(v []uint64) valueRange {
	if len(v) == 0 {
		return valueRange{}
	}
	// Two at a time: each comparison waits for the one before.
	a, b := valueRange{v[0], v[0]}, valueRange{v[0], v[0]}
	for ; len(v) >= 2; v = v[2:] {
		a.lo, a.hi = min(a.lo, v[0]), max(a.hi, v[0])
		b.lo, b.hi = min(b.lo, v[1]), max(b.hi, v[1])
	}
	if len(v) > 0 {
		a.lo, a.hi = min(a.lo, v[0]), max(a.hi, v[0])
	}
	return valueRange{min(a.lo, b.lo), max(a.hi, b.hi)}
}

// width returns the number of planes.
func (r valueRange) width() int { return (bits.Len64(r.hi-r.lo) + 7) / 8 }

// zigzag fills dst with the differences of v, which is not empty, from its first.
func zigzag(dst, v []uint64) []uint64 {
	last := v[0]
	for i, x := range v {
		dst[i] = zigzagOf(x - last)
		last = x
	}
	return dst
}

func zigzagOf(d uint64) uint64 { return d<<1 ^ uint64(int64(d)>>63) }

func unzigzag(z uint64) uint64 { return z>>1 ^ -(z & 1) }

// An estimate looks at all of a short column and at runs spread over a long one.
const (
	sampleRuns  = 16
	sampleRun   = 192 // values in each
	sampleBytes = 4   // runs of bytes, longer: zstd looks for what comes again
	sampleByte  = 2048
)

// eachRun calls fn with the bounds of runs of the given length spread over n
// values; once for all when that is not much more.
func eachRun(n, runs, length int, fn func(lo, hi int)) {
	if n <= runs*length {
		fn(0, n)
		return
	}
	step := (n - length) / (runs - 1)
	for i := range runs {
		fn(i*step, i*step+length)
	}
}

// takeSample appends to dst the values that an estimate looks at.
func takeSample(dst, v []uint64) []uint64 {
	eachRun(len(v), sampleRuns, sampleRun, func(lo, hi int) { dst = append(dst, v[lo:hi]...) })
	return dst
}

// takeBytesSample does the same for bytes.
func takeBytesSample(dst, v []byte) []byte {
	eachRun(len(v), sampleBytes, sampleByte, func(lo, hi int) { dst = append(dst, v[lo:hi]...) })
	return dst
}

// sampleDifferences appends to dst what takeSample would take of zigzag.
func sampleDifferences(dst, v []uint64) []uint64 {
	eachRun(len(v), sampleRuns, sampleRun, func(lo, hi int) {
		for i := max(lo, 1); i < hi; i++ {
			dst = append(dst, zigzagOf(v[i]-v[i-1]))
		}
	})
	return dst
}

// estimate returns about how many bytes a value the planes of sample take, as
// part of values of range r.
func (e *encoder) estimate(sample []uint64, r valueRange) float64 {
	if len(sample) == 0 {
		return 0
	}
	total := 0.0
	for k := range r.width() {
		total += estimatePlane(sample, r.lo, 8*k)
	}
	return total / float64(len(sample))
}

// estimatePlane weighs one plane: by the entropy of its bytes, or by its runs.
func estimatePlane(v []uint64, lo uint64, shift int) float64 {
	var count [256]uint32
	changes := 0
	last := byte(0)
	for _, x := range v {
		b := byte((x - lo) >> shift)
		count[b]++
		if b != last {
			changes++
		}
		last = b
	}
	return min(entropy(&count, len(v)), float64(changes)*1.6)
}

// entropy returns the bytes that an ideal byte-wise code takes.
func entropy(count *[256]uint32, n int) float64 {
	total, logN := 0.0, math.Log2(float64(n))
	for _, c := range count {
		if c > 0 {
			total += float64(c) * (logN - math.Log2(float64(c)))
		}
	}
	return total / 8
}

// planes appends v, whose range is r, as a frame of reference.
func (e *encoder) planes(dst []byte, v []uint64, r valueRange) []byte {
	dst = binary.AppendUvarint(append(dst, modePlanes), r.lo)
	dst = append(dst, byte(r.width()))
	plane := grow(&e.plane, len(v))
	for k := range r.width() {
		lo, shift := r.lo, 8*k
		for i, x := range v {
			plane[i] = byte((x - lo) >> shift)
		}
		dst = e.stream(dst, plane)
	}
	return dst
}

// frequencyRange is how far from the smallest value frequent ones are looked
// for.
const frequencyRange = 1 << 16

// pickFrequent finds the most frequent values of v, and reports whether to write
// v by them is about smaller than plain bytes a value. If so, e.top, e.symbols
// and e.others are what is to be written.
func (e *encoder) pickFrequent(v []uint64, r valueRange, plain float64) bool {
	size := int(min(r.hi-r.lo+1, frequencyRange))
	count := grow(&e.counts, size)
	clear(count)
	for _, x := range v {
		if x-r.lo < uint64(size) {
			count[x-r.lo]++
		}
	}
	e.listTop(count, len(v), r.lo)
	if len(e.top) == 0 {
		return false
	}
	e.splitFrequent(v, r.lo)
	var symbols [256]uint32
	sample := takeBytesSample(grow(&e.sampleBytes, 0), e.symbols[:len(v)])
	e.sampleBytes = sample
	for _, symbol := range sample {
		symbols[symbol]++
	}
	e.sample = takeSample(e.sample[:0], e.others)
	others := e.estimate(e.sample, rangeOf(e.others)) * float64(len(e.others)) / float64(len(v))
	perSymbol := entropy(&symbols, len(sample)) / float64(len(sample))
	return perSymbol+others+2*float64(len(e.top))/float64(len(v)) < 0.97*plain
}

// listTop puts the at most 255 most frequent values in e.top, ascending. count
// has how often each comes, from lo on.
func (e *encoder) listTop(count []uint32, n int, lo uint64) {
	const most = 1<<12 - 1 // all that come as often or more are alike
	tally := grow(&e.tally, most+1)
	clear(tally)
	rare := uint32(max(3, n/8192))
	for _, c := range count {
		if c > rare { // few do: to count the others, too, would take most of the time
			tally[min(c, most)]++
		}
	}
	// The least count that is taken, such that 255 values suffice.
	least, taken := uint32(most), 0
	for ; least > rare; least-- {
		if taken += int(tally[least]); taken > 255 {
			break
		}
	}
	e.top = e.top[:0]
	for i, c := range count {
		if c > least && len(e.top) < 255 {
			e.top = append(e.top, lo+uint64(i))
		}
	}
}

// splitFrequent fills e.symbols with the place of each value in e.top, and
// e.others with the values that are not in it. It uses e.counts up.
func (e *encoder) splitFrequent(v []uint64, lo uint64) {
	place, none := e.counts, uint32(len(e.top))
	for i := range place {
		place[i] = none
	}
	for i, x := range e.top {
		place[x-lo] = uint32(i)
	}
	symbols, others := grow(&e.symbols, len(v)), grow(&e.others, len(v)+1)
	n := 0
	for i, x := range v {
		symbol := none
		if x-lo < uint64(len(place)) {
			symbol = place[x-lo]
		}
		symbols[i] = byte(symbol)
		others[n] = x // stays only if it is one; a branch would be mispredicted
		n -= int((int64(symbol^none) - 1) >> 63)
	}
	e.others = others[:n]
}

// frequent appends v by what pickFrequent has found.
func (e *encoder) frequent(dst []byte, v []uint64) []byte {
	dst = append(dst, modeFrequent, byte(len(e.top)))
	dst = e.planes(dst, e.top, rangeOf(e.top))
	dst = e.stream(dst, e.symbols[:len(v)])
	dst = binary.AppendUvarint(dst, uint64(len(e.others)))
	return e.planes(dst, e.others, rangeOf(e.others))
}

// numbers reads len(dst) values into dst and returns what follows. parents gives
// the columns that values may follow from; nil where none may.
func (d *decoder) numbers(dst []uint64, src []byte, parents parentSource, nesting int) (rest []byte, err error) {
	if len(src) == 0 {
		return nil, errShort
	}
	if nesting == maxNesting {
		return nil, errValue
	}
	switch src[0] {
	case modePlanes:
		return d.planes(dst, src[1:])
	case modeFrequent:
		return d.frequent(dst, src[1:])
	case modeDifferences:
		return d.differences(dst, 0, src[1:], nesting)
	case modeFrom:
		first, src, err := takeUvarint(src[1:])
		if err != nil {
			return nil, err
		}
		return d.differences(dst, first, src, nesting)
	case modeByParent:
		if parents == nil {
			return nil, errValue
		}
		return d.byParent(dst, src[1:], parents, nesting)
	}
	return nil, errCodec
}

// differences reads differences, the first of them from last.
func (d *decoder) differences(dst []uint64, last uint64, src []byte, nesting int) (rest []byte, err error) {
	if src, err = d.numbers(dst, src, nil, nesting+1); err != nil {
		return nil, err
	}
	for i, z := range dst {
		last += unzigzag(z)
		dst[i] = last
	}
	return src, nil
}

func (d *decoder) planes(dst []uint64, src []byte) (rest []byte, err error) {
	base, src, err := takeUvarint(src)
	if err != nil {
		return nil, err
	}
	if len(src) == 0 {
		return nil, errShort
	}
	width := int(src[0])
	if width > 8 {
		return nil, errValue
	}
	src = src[1:]
	var p [8][]byte
	for k := range width {
		if p[k], src, err = d.stream(src, len(dst), &d.plane[k]); err != nil {
			return nil, err
		}
	}
	joinPlanes(dst, base, &p, width)
	return src, nil
}

// joinPlanes puts the planes together. Values wrap around, as they did when the
// base was taken off.
func joinPlanes(dst []uint64, base uint64, p *[8][]byte, width int) {
	n := len(dst)
	switch width {
	case 0:
		for i := range dst {
			dst[i] = base
		}
	case 1:
		a := p[0][:n]
		for i := range dst {
			dst[i] = base + uint64(a[i])
		}
	case 2:
		a, b := p[0][:n], p[1][:n]
		for i := range dst {
			dst[i] = base + (uint64(a[i]) | uint64(b[i])<<8)
		}
	case 3:
		a, b, c := p[0][:n], p[1][:n], p[2][:n]
		for i := range dst {
			dst[i] = base + (uint64(a[i]) | uint64(b[i])<<8 | uint64(c[i])<<16)
		}
	default:
		a, b, c, d := p[0][:n], p[1][:n], p[2][:n], p[3][:n]
		for i := range dst {
			dst[i] = base + (uint64(a[i]) | uint64(b[i])<<8 | uint64(c[i])<<16 | uint64(d[i])<<24)
		}
		for k := 4; k < width; k++ {
			plane, shift := p[k][:n], 8*k
			for i := range dst {
				dst[i] += uint64(plane[i]) << shift
			}
		}
	}
}

// A frequentColumn is the parts of values that are written by the most frequent
// of them.
type frequentColumn struct {
	top     *[256]uint64
	count   int // of top
	symbols []byte
	others  []uint64 // as many as symbols and one more, so that there always is a next
	n       int      // that there are of them
}

func (d *decoder) frequentParts(values int, src []byte) (p frequentColumn, rest []byte, err error) {
	if len(src) < 2 || src[1] != modePlanes {
		return p, nil, errShort
	}
	p.top, p.count = &d.top, int(src[0])
	if src, err = d.planes(p.top[:p.count], src[2:]); err != nil {
		return p, nil, err
	}
	if p.symbols, src, err = d.stream(src, values, &d.symbols); err != nil {
		return p, nil, err
	}
	if p.n, src, err = takeCount(src, values); err != nil {
		return p, nil, err
	}
	if len(src) == 0 || src[0] != modePlanes {
		return p, nil, errShort
	}
	p.others = grow(&d.others, values+1)
	src, err = d.planes(p.others[:p.n], src[1:])
	return p, src, err
}

func (d *decoder) frequent(dst []uint64, src []byte) (rest []byte, err error) {
	p, rest, err := d.frequentParts(len(dst), src)
	if err != nil {
		return nil, err
	}
	return rest, joinFrequent(dst, &p)
}

// joinFrequent puts the parts together. It is an error if a symbol is over the
// count or if the others are not as many as the symbols say.
func joinFrequent[T uint16 | uint64](dst []T, p *frequentColumn) error {
	// Without branches: which values are frequent is anybody's guess.
	next, most, top, count, others := 0, byte(0), p.top, uint64(p.count), p.others
	symbols := p.symbols[:len(dst)]
	for i, symbol := range symbols {
		most = max(most, symbol)
		frequent, other := T(top[symbol]), T(others[next])
		isOther := (int64(uint64(symbol)^count) - 1) >> 63 // all ones if it is
		dst[i] = frequent ^ (frequent^other)&T(isOther)
		next -= int(isOther)
	}
	if int(most) > p.count || next != p.n {
		return errValue
	}
	return nil
}
