package store

import (
	"encoding/binary"
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

// A valueRange is the smallest and the largest of some values.
type valueRange struct{ lo, hi uint64 }

func rangeOf(v []uint64) valueRange {
	if len(v) == 0 {
		return valueRange{}
	}
	// One comparison tells whether a value is outside, and few are: a value below
	// lo is very far above it, too. Four at a time, so that the test of the loop
	// takes less.
	lo, width := v[0], uint64(0)
	for ; len(v) >= 4; v = v[4:] {
		if v[0]-lo > width || v[1]-lo > width || v[2]-lo > width || v[3]-lo > width {
			hi := max(lo+width, v[0], v[1], v[2], v[3])
			lo = min(lo, v[0], v[1], v[2], v[3])
			width = hi - lo
		}
	}
	r := valueRange{lo, lo + width}
	for _, x := range v {
		r.lo, r.hi = min(r.lo, x), max(r.hi, x)
	}
	return r
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
