package store

import (
	"math/bits"
	"slices"
	"unsafe"

	"weir/flow"
)

// A pointColumn is a column of which single values are asked: its streams are
// decoded, and only the values asked for are put together. Of what a Packed
// serves, the cache keeps that, which is of use to scans, too; of the others,
// the pointColumn.
type pointColumn struct {
	column                // but for its body
	numbers *packedColumn // as they are written, and a dictionary's values
	sums    []uint64      // of numbers that are differences: what comes before each word of them; else empty
	against flow.Field    // the numbers are how much later this time is, zigzag; 0: they are not
	parent  byte          // the numbers are of its entries; 0: of the rows that have the field
	places  []uint32      // of values that are not their entry's, ascending
	others  []uint64      // those values
}

// take makes p column c of a numeric field, in memory of p's and d's.
func (p *pointColumn) take(d *decoder, c *column, f flow.Field) error {
	*p = pointColumn{column: *c, sums: p.sums[:0], places: p.places[:0], others: p.others[:0]}
	p.body = nil
	src, err := d.loose.open(d, c, f)
	if err != nil {
		return err
	}
	p.numbers = d.loose.packedColumn
	switch {
	case c.layout == layoutAgainst:
		src, err = p.takeAgainst(d, src, f)
	case len(src) > 0 && src[0] == modeByParent:
		src, err = p.takeParent(d, src[1:])
	default:
		src, err = p.takeNumbers(d, src)
	}
	if err == nil && len(src) != 0 {
		err = errTrailing
	}
	return err
}

// takeAgainst reads times that are written against others.
func (p *pointColumn) takeAgainst(d *decoder, src []byte, f flow.Field) (rest []byte, err error) {
	if len(src) == 0 {
		return nil, errShort
	}
	p.against = flow.Field(src[0])
	if !p.against.Valid() || p.against != againstField(f, flow.SetOf(p.against)) {
		return nil, errValue
	}
	return p.takeNumbers(d, src[1:])
}

// takeParent reads values that follow from a parent.
func (p *pointColumn) takeParent(d *decoder, src []byte) (rest []byte, err error) {
	if len(src) == 0 || src[0] == 0 || src[0] >= parentCount {
		return nil, errShort
	}
	p.parent = src[0]
	n, src, err := takeCount(src[1:], p.count)
	if err != nil {
		return nil, err
	}
	p.numbers.rows, p.numbers.count, p.numbers.present = n, n, nil
	if src, err = p.takeNumbers(d, src); err != nil {
		return nil, err
	}
	return p.takeExceptions(d, src)
}

// takeExceptions reads the exceptions of a parent.
func (p *pointColumn) takeExceptions(d *decoder, src []byte) (rest []byte, err error) {
	n, src, err := takeCount(src, p.count)
	if err != nil {
		return nil, err
	}
	gaps := grow(&d.exceptions, n)
	if src, err = d.numbers(gaps, src, nil, 1); err != nil {
		return nil, err
	}
	place := uint64(0)
	for _, gap := range gaps {
		if gap >= uint64(p.count)-place {
			return nil, errValue
		}
		place += gap
		p.places = append(p.places, uint32(place))
		place++
	}
	p.others = sized(p.others, n)
	return d.numbers(p.others, src, nil, 1)
}

// takeNumbers reads numbers, as many as p.numbers counts.
func (p *pointColumn) takeNumbers(d *decoder, src []byte) (rest []byte, err error) {
	if len(src) == 0 {
		return nil, errShort
	}
	first := uint64(0)
	switch src[0] {
	case modePlanes, modeFrequent:
		_, rest, err = d.loose.take(d, src)
		return rest, err
	case modeDifferences:
		src = src[1:]
	case modeFrom:
		if first, src, err = takeUvarint(src[1:]); err != nil {
			return nil, err
		}
	default:
		return nil, errCodec
	}
	if rest, err = d.differencesIn(src); err == nil {
		p.sumUp(first)
	}
	return rest, err
}

// differencesIn makes d.loose the differences in src and returns what follows.
func (d *decoder) differencesIn(src []byte) (rest []byte, err error) {
	ok, rest, err := d.loose.take(d, src)
	if ok || err != nil {
		return rest, err
	}
	values := grow(&d.values, d.loose.count) // written in a way that no encoder takes for them
	if rest, err = d.numbers(values, src, nil, 1); err == nil {
		d.loose.frequent = false
		d.loose.plain.split(values)
	}
	return rest, err
}

// split makes p the planes of values.
func (p *planes) split(values []uint64) {
	p.n, p.width, p.base = len(values), 8, 0
	for k := range p.width {
		p.plane[k] = grow(&p.buf[k], len(values))
		for i, v := range values {
			p.plane[k][i] = byte(v >> (8 * k))
		}
	}
}

// sumUp notes what comes before each word of the numbers, which are differences,
// the first of them from first.
func (p *pointColumn) sumUp(first uint64) {
	var room [64]uint64
	sum := first
	for word := range (p.numbers.count + 63) / 64 {
		p.sums = append(p.sums, sum)
		for _, z := range p.numbers.word(&room, word) {
			sum += unzigzag(z)
		}
	}
}

// at puts the numbers at places, or their sums where they are differences, into
// dst. It takes least if the places ascend.
func (p *pointColumn) at(dst []uint64, places []uint32) {
	if len(p.sums) == 0 {
		for i, place := range places {
			dst[i] = p.numbers.at(int(place))
		}
		return
	}
	var room [64]uint64
	var run []uint64 // the word's
	word, next, sum := -1, 0, uint64(0)
	for i, place := range places {
		in := int(place & 63)
		if int(place>>6) != word || in < next-1 {
			word, next = int(place>>6), 0
			run, sum = p.numbers.word(&room, word), p.sums[word]
		}
		for ; next <= in; next++ {
			sum += unzigzag(run[next])
		}
		dst[i] = sum
	}
}

// except puts the exceptions of a parent that are among the places, which ascend,
// where they belong.
func (p *pointColumn) except(dst []uint64, places []uint32) {
	next := 0
	for i, place := range p.places {
		for next < len(places) && places[next] < place {
			next++
		}
		if next < len(places) && places[next] == place {
			dst[next] = p.others[i]
		}
	}
}

// size returns about what memory the column takes when it is kept.
func (p *pointColumn) size() int64 {
	return int64(unsafe.Sizeof(*p)) + p.numbers.size() + int64(8*len(p.present)+8*len(p.sums)+4*len(p.places)+8*len(p.others))
}

// kept returns a copy for the cache, that shares nothing with p.
func (p *pointColumn) kept() cached {
	numbers := p.numbers.clone()
	if len(p.sums) == 0 && p.against == 0 && p.parent == 0 {
		return numbers
	}
	c := *p
	c.numbers, c.present, c.sums = numbers, slices.Clone(p.present), slices.Clone(p.sums)
	c.places, c.others = slices.Clone(p.places), slices.Clone(p.others)
	return &c
}

// word puts together the at most 64 numbers of a word.
func (p *packedColumn) word(run *[64]uint64, word int) []uint64 {
	from := word << 6
	out := run[:min(64, p.count-from)]
	if !p.frequent {
		p.plain.join(out, from)
		return out
	}
	for i, symbol := range p.symbols[from : from+len(out)] {
		out[i] = p.top[symbol]
	}
	var room [64]uint64
	w := p.other[word]
	others := room[:bits.OnesCount64(w)]
	p.others.join(others, int(p.before[word]))
	for _, v := range others {
		out[bits.TrailingZeros64(w)] = v
		w &= w - 1
	}
	return out
}

// decode puts the dictionary's values in the places of their codes, if the column
// has one.
func (p *packedColumn) decode(codes []uint64) error {
	if !p.coded {
		return nil
	}
	n := uint64(p.codes())
	for i, code := range codes {
		switch {
		case code >= n:
			return errValue
		case p.dict != nil:
			codes[i] = p.dict.Num(int(code))
		default:
			codes[i] = p.values.at(int(code))
		}
	}
	return nil
}
