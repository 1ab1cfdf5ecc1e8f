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
// twice it, or -1-twice it when negative, so that small is small either way.
//
// By parent is for what follows from another column, such as an AS number from
// an address: one value for each entry (see parents.go) in use, and the places
// among the values, with their values, where that is not it. Sums wrap around.
const (
	modePlanes      = 0
	modeFrequent    = 1
	modeDifferences = 2
	modeByParent    = 3
)

// maxNesting bounds numbers within numbers, whatever the bytes say.
const maxNesting = 3

// estimateFrom is the count from which other ways than planes are weighed.
const estimateFrom = 256

// numbers appends v.
func (e *encoder) numbers(dst []byte, v []uint64) []byte {
	if len(v) < estimateFrom {
		return e.planes(dst, v)
	}
	plain := e.estimate(v)
	if plain < float64(len(v))/64 {
		return e.planes(dst, v)
	}
	if diff := zigzag(grow(&e.zigzag, len(v)), v); e.estimate(diff) < plain*0.9 {
		return e.frequentOrPlanes(append(dst, modeDifferences), diff)
	}
	return e.frequentOrPlanes(dst, v)
}

func (e *encoder) frequentOrPlanes(dst []byte, v []uint64) []byte {
	if e.pickFrequent(v) {
		return e.frequent(dst, v)
	}
	return e.planes(dst, v)
}

// zigzag fills dst with the differences of v.
func zigzag(dst, v []uint64) []uint64 {
	last := uint64(0)
	for i, x := range v {
		d := int64(x - last)
		dst[i] = uint64(d<<1) ^ uint64(d>>63)
		last = x
	}
	return dst
}

// estimate returns about how many bytes the planes of v take.
func (e *encoder) estimate(v []uint64) float64 {
	lo, hi := minMax(v)
	width := (bits.Len64(hi-lo) + 7) / 8
	total := 0.0
	for k := range width {
		total += e.estimatePlane(v, lo, 8*k)
	}
	return total
}

// estimatePlane weighs one plane: by the entropy of its bytes, or by its runs.
func (e *encoder) estimatePlane(v []uint64, lo uint64, shift int) float64 {
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

// planes appends v as a frame of reference.
func (e *encoder) planes(dst []byte, v []uint64) []byte {
	lo, hi := minMax(v)
	width := (bits.Len64(hi-lo) + 7) / 8
	dst = binary.AppendUvarint(append(dst, modePlanes), lo)
	dst = append(dst, byte(width))
	plane := grow(&e.plane, len(v))
	for k := range width {
		shift := 8 * k
		for i, x := range v {
			plane[i] = byte((x - lo) >> shift)
		}
		dst = e.stream(dst, plane)
	}
	return dst
}

func minMax(v []uint64) (lo, hi uint64) {
	if len(v) == 0 {
		return 0, 0
	}
	lo, hi = v[0], v[0]
	for _, x := range v[1:] {
		lo, hi = min(lo, x), max(hi, x)
	}
	return lo, hi
}

// frequency looks at values within this distance of the smallest.
const frequencyRange = 1 << 16

// pickFrequent counts the values of v, lists the most frequent in e.top, and
// reports whether to write them as such is about smaller than as planes.
func (e *encoder) pickFrequent(v []uint64) bool {
	lo, hi := minMax(v)
	if hi-lo < 256 {
		return false
	}
	count := grow(&e.counts, frequencyRange)
	clear(count)
	for _, x := range v {
		if x-lo < frequencyRange {
			count[x-lo]++
		}
	}
	e.listTop(count, len(v), lo)
	if len(e.top) == 0 {
		return false
	}
	return e.estimateFrequent(v, lo) < 0.97*e.estimate(v)
}

// listTop puts the at most 255 most frequent values in e.top, ascending.
func (e *encoder) listTop(count []uint32, n int, lo uint64) {
	// How many values come how often, to find the least count that is taken.
	least := uint32(max(3, n/8192))
	byCount := grow(&e.tally, 1<<12)
	clear(byCount)
	for _, c := range count {
		byCount[min(c, 1<<12-1)]++
	}
	taken := 0
	c := 1<<12 - 1
	for ; c > int(least); c-- {
		if taken+int(byCount[c]) > 255 {
			break
		}
		taken += int(byCount[c])
	}
	e.top = e.top[:0]
	for i, of := range count {
		if of > uint32(c) && len(e.top) < 255 {
			e.top = append(e.top, lo+uint64(i))
		}
	}
}

// estimateFrequent returns about how many bytes v takes with e.top. It leaves in
// e.counts the place of each frequent value, len(e.top) for the others.
func (e *encoder) estimateFrequent(v []uint64, lo uint64) float64 {
	place := e.counts
	for i := range place {
		place[i] = uint32(len(e.top))
	}
	for i, x := range e.top {
		place[x-lo] = uint32(i)
	}
	symbols := grow(&e.symbols, len(v))
	others := grow(&e.others, 0)
	var count [256]uint32
	for i, x := range v {
		symbol := uint32(len(e.top))
		if x-lo < frequencyRange {
			symbol = place[x-lo]
		}
		if int(symbol) == len(e.top) {
			others = append(others, x)
		}
		symbols[i] = byte(symbol)
		count[byte(symbol)]++
	}
	e.others = others
	return entropy(&count, len(v)) + e.estimate(others) + float64(2*len(e.top))
}

// frequent appends v by what estimateFrequent has prepared.
func (e *encoder) frequent(dst []byte, v []uint64) []byte {
	dst = append(dst, modeFrequent, byte(len(e.top)))
	dst = e.planes(dst, e.top)
	dst = e.stream(dst, e.symbols[:len(v)])
	dst = binary.AppendUvarint(dst, uint64(len(e.others)))
	return e.planes(dst, e.others)
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
		if src, err = d.numbers(dst, src[1:], nil, nesting+1); err != nil {
			return nil, err
		}
		last := uint64(0)
		for i, z := range dst {
			last += z>>1 ^ -(z & 1)
			dst[i] = last
		}
		return src, nil
	case modeByParent:
		if parents == nil {
			return nil, errValue
		}
		return d.byParent(dst, src[1:], parents, nesting)
	}
	return nil, errCodec
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
		for i := range dst {
			v := uint64(0)
			for k := width - 1; k >= 0; k-- {
				v = v<<8 | uint64(p[k][i])
			}
			dst[i] = base + v
		}
	}
}

func (d *decoder) frequent(dst []uint64, src []byte) (rest []byte, err error) {
	if len(src) < 2 || src[1] != modePlanes {
		return nil, errShort
	}
	var top [256]uint64
	count := int(src[0])
	if src, err = d.planes(top[:count], src[2:]); err != nil {
		return nil, err
	}
	symbols, src, err := d.stream(src, len(dst), &d.symbols)
	if err != nil {
		return nil, err
	}
	n, src, err := takeCount(src, len(dst))
	if err != nil {
		return nil, err
	}
	if len(src) == 0 || src[0] != modePlanes {
		return nil, errShort
	}
	others := grow(&d.others, n)
	if src, err = d.planes(others, src[1:]); err != nil {
		return nil, err
	}
	next := 0
	for i, symbol := range symbols {
		switch {
		case int(symbol) < count:
			dst[i] = top[symbol]
		case int(symbol) == count && next < len(others):
			dst[i] = others[next]
			next++
		default:
			return nil, errValue
		}
	}
	if next != len(others) {
		return nil, errTrailing
	}
	return src, nil
}
