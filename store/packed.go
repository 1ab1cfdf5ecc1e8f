package store

import (
	"math/bits"
	"slices"
	"unsafe"

	"weir/flow"
)

// A Packed is a column of numbers whose streams are decoded but not put together
// to values. To tell which rows are wanted, or to add up a few, takes a fraction
// of putting all of them together. It belongs to one goroutine.
type Packed struct {
	*packedColumn              // mine, or one that others look at, too
	mine          packedColumn // with memory for the next
	value         []byte       // of mine, as it is stored; streams may lie in it

	whole []uint64 // scratch of takeWhole: the values
	keep  []uint64 // scratch of Restrict: one bit a code
	room  *room
}

// A packedColumn is what a Packed looks at.
type packedColumn struct {
	rows, count int
	present     []uint64 // nil when every row has the field
	coded       bool     // the numbers are codes of a dictionary's values
	dict        *Dict    // that has them; nil in a copy
	values      planes   // of a copy: the dictionary's, ascending

	plain     planes // of all values, unless they are written by the frequent ones
	frequent  bool
	top       [256]uint64
	topCount  int
	symbols   []byte
	symbolBuf []byte
	other     []uint64 // of each value whether it is one of others
	before    []int32  // how many of others come before each word of other
	others    planes

	own Dict // memory for dict
}

// size returns about what memory the column takes when it is copied.
func (p *packedColumn) size() int64 {
	n := int64(unsafe.Sizeof(*p)) + int64(8*len(p.present))
	if p.dict != nil {
		n += int64(8 * p.dict.n)
	}
	n += p.values.size()
	if !p.frequent {
		return n + p.plain.size()
	}
	return n + int64(len(p.symbols)+8*len(p.other)+4*len(p.before)) + p.others.size()
}

// clone returns a copy that shares nothing with p.
func (p *packedColumn) clone() *packedColumn {
	c := &packedColumn{
		rows: p.rows, count: p.count, present: slices.Clone(p.present),
		frequent: p.frequent, top: p.top, topCount: p.topCount,
	}
	if p.coded {
		c.coded, c.values = true, planesOf(p.dict.Nums(), 0)
	}
	if !p.frequent {
		c.plain = p.plain.clone()
		return c
	}
	c.symbols, c.other, c.before = slices.Clone(p.symbols), slices.Clone(p.other), slices.Clone(p.before)
	c.others = p.others.clone()
	return c
}

// A Scratch is memory that packed columns share, and the list of the rows that the
// last of them was asked for: the next is mostly asked for the same. It belongs to
// one goroutine.
type Scratch struct{ room room }

// NewPacked returns the memory for a column, to be handed to PackedIn.
func (s *Scratch) NewPacked() *Packed { return &Packed{room: &s.room} }

// A room is scratch. It is not on the stack, since what tells which values are
// wanted may keep what it is shown, for all that the compiler knows.
type room struct {
	test   byteTest
	same   byteTest
	values [256]uint64
	run    valueRun
	list   rowList
	ranks  [BlockRows / 64]int       // of each word, how many rows before it have the field
	told   [4][BlockRows / 64]uint64 // of all values, of those that are not frequent, of a span, and of a bound of it
}

// planes are a frame of reference, not put together.
type planes struct {
	n, width int
	base     uint64
	plane    [8][]byte // nil: sparse
	buf      [8][]byte // memory for plane
	sparse   [8]sparsePlane
}

func (p *planes) size() (n int64) {
	for k := range p.width {
		n += int64(len(p.plane[k])) + p.sparse[k].size()
	}
	return n
}

func (p *planes) clone() planes {
	c := planes{n: p.n, width: p.width, base: p.base}
	for k := range p.width {
		if !c.thin(k, p.plane[k]) {
			c.plane[k] = slices.Clone(p.plane[k])
		}
	}
	return c
}

// planesOf returns the planes of values, of which all bits are turned over first where
// flip is all ones, not 0.
func planesOf(values []uint64, flip uint64) planes {
	r := rangeOf(values)
	lo, hi := r.lo^flip, r.hi^flip
	p := planes{n: len(values), base: min(lo, hi), width: valueRange{min(lo, hi), max(lo, hi)}.width()}
	for k := range p.width {
		plane := make([]byte, len(values))
		p.cut(plane, k, values, flip)
		if !p.thin(k, plane) {
			p.plane[k] = plane
		}
	}
	return p
}

// cut fills plane k of values.
func (p *planes) cut(plane []byte, k int, values []uint64, flip uint64) {
	base, shift := p.base, 8*k
	for i, v := range values {
		plane[i] = byte((v ^ flip - base) >> (shift & 63))
	}
}

// put makes p the planes of values, in its own memory.
func (p *planes) put(values []uint64) {
	r := rangeOf(values)
	p.n, p.base, p.width = len(values), r.lo, r.width()
	for k := range p.width {
		p.plane[k] = grow(&p.buf[k], len(values))
		p.cut(p.plane[k], k, values, 0)
	}
}

// thin makes plane k a sparse copy, if it is high and most of its bytes are 0.
func (p *planes) thin(k int, plane []byte) (ok bool) {
	if k > 0 {
		p.sparse[k], ok = sparsed(plane)
	}
	return ok
}

// take reads planes of n values.
func (p *planes) take(d *decoder, n int, src []byte) (rest []byte, err error) {
	if len(src) == 0 || src[0] != modePlanes {
		return nil, errShort
	}
	if p.base, src, err = takeUvarint(src[1:]); err != nil {
		return nil, err
	}
	if len(src) == 0 {
		return nil, errShort
	}
	if p.n, p.width, src = n, int(src[0]), src[1:]; p.width > 8 {
		return nil, errValue
	}
	for k := range p.width {
		if p.plane[k], src, err = d.stream(src, n, &p.buf[k]); err != nil {
			return nil, err
		}
	}
	return src, nil
}

// at returns value i.
func (p *planes) at(i int) uint64 {
	v := uint64(0)
	for k := range p.width {
		if p.plane[k] == nil {
			v |= uint64(p.sparse[k].at(i)) << (8 * k)
		} else {
			v |= uint64(p.plane[k][i]) << (8 * k)
		}
	}
	return p.base + v
}

// join puts values from to from+len(dst)-1 together.
func (p *planes) join(dst []uint64, from int) {
	var part [8][]byte
	dense := 0 // planes below it are
	for dense < p.width && p.plane[dense] != nil {
		part[dense] = p.plane[dense][from:]
		dense++
	}
	joinPlanes(dst, p.base, &part, dense)
	for k := dense; k < p.width; k++ {
		if p.plane[k] == nil {
			p.sparse[k].addTo(dst, from, 8*k)
			continue
		}
		for i, b := range p.plane[k][from : from+len(dst)] {
			dst[i] += uint64(b) << (8 * k)
		}
	}
}

// PackedIn returns the column of a numeric field so, in the memory of one that is
// no longer used or of a Scratch, which may be nil; nil if the block does not
// store it in a way that this serves.
func (b *Block) PackedIn(f flow.Field, old *Packed) (*Packed, error) {
	s, stored := b.src.(*storedBlock)
	if !stored || !b.columns.Has(f) || f.IsAddr() || f.IsText() {
		return nil, nil
	}
	if old == nil {
		old = new(Scratch).NewPacked()
	}
	ok, err := s.packed(f, old)
	if err != nil {
		return nil, b.damage(f, err)
	}
	if !ok {
		return nil, nil
	}
	return old, nil
}

func (s *storedBlock) packed(f flow.Field, p *Packed) (ok bool, err error) {
	if kept, ok := s.kept(f).(*packedColumn); ok {
		p.packedColumn = kept
		return true, nil
	}
	ok, err = s.unpack(f, p)
	if ok && err == nil {
		s.keep(f, p.size(), func() cached { return p.clone() })
	}
	return ok, err
}

// unpack is packed for a column that is read.
func (s *storedBlock) unpack(f flow.Field, p *Packed) (ok bool, err error) {
	value, err := s.read(f, p.value)
	if err != nil {
		return false, err
	}
	p.value = value
	d := s.codecs.decoder()
	defer s.codecs.putDecoder(d)
	c, err := d.column(value, int(s.head.rows))
	if err != nil {
		return false, err
	}
	if c.count != s.head.stats[f].Present {
		return false, errValue
	}
	if c.layout == layoutAgainst {
		return false, nil
	}
	body, err := p.open(d, &c, f)
	if err != nil {
		return false, err
	}
	ok, rest, err := p.take(d, body)
	switch {
	case err != nil:
		return false, err
	case ok && len(rest) != 0:
		return false, errTrailing
	case ok:
		return true, nil
	case p.coded || int(f) < len(s.clock):
		return false, nil // codes that no encoder writes, and times, which others follow from
	}
	return true, p.takeWhole(d, body, &storedParents{s, d, &c})
}

// takeWhole reads numbers that are written in other ways, such as what follows
// from an address, and takes their values apart to planes: the next question then
// finds them so.
func (p *Packed) takeWhole(d *decoder, src []byte, parents parentSource) error {
	p.whole = sized(p.whole, p.count)
	if err := d.whole(p.whole, src, parents); err != nil {
		return err
	}
	p.plain.put(p.whole)
	return nil
}

// open makes p one of column c, reads its dictionary if it has one, and returns
// what is to be taken: the numbers' bytes.
func (p *Packed) open(d *decoder, c *column, f flow.Field) (numbers []byte, err error) {
	p.packedColumn = &p.mine
	p.rows, p.count, p.present, p.coded, p.dict = c.rows, c.count, c.present, false, nil
	switch c.layout {
	case layoutNumbers, layoutAgainst:
		return c.body, nil
	case layoutDict:
		p.coded, p.dict = true, &p.own
		return d.dictValues(p.dict, c, f)
	}
	return nil, errCodec
}

// take reads numbers, and reports whether they are written as planes or by the
// frequent ones.
func (p *Packed) take(d *decoder, src []byte) (ok bool, rest []byte, err error) {
	if len(src) == 0 {
		return false, nil, errShort
	}
	switch p.frequent = src[0] == modeFrequent; {
	case p.frequent:
		rest, err = p.takeFrequent(d, src[1:])
	case src[0] == modePlanes:
		rest, err = p.plain.take(d, p.count, src)
	default:
		return false, nil, nil
	}
	return true, rest, err
}

func (p *Packed) takeFrequent(d *decoder, src []byte) (rest []byte, err error) {
	if len(src) < 2 || src[1] != modePlanes {
		return nil, errShort
	}
	p.topCount = int(src[0])
	if src, err = d.planes(p.top[:p.topCount], src[2:]); err != nil {
		return nil, err
	}
	if p.symbols, src, err = d.stream(src, p.count, &p.symbolBuf); err != nil {
		return nil, err
	}
	n, src, err := takeCount(src, p.count)
	if err != nil {
		return nil, err
	}
	if !p.findOthers(n) {
		return nil, errValue
	}
	return p.others.take(d, n, src)
}

// findOthers notes which values are not frequent ones, and reports whether they
// are n and no symbol is over the count.
func (p *Packed) findOthers(n int) bool {
	var table byteTable
	table[p.topCount] = 1
	for i := p.topCount + 1; i < len(table); i++ {
		table[i] = overBit
	}
	p.other, p.before = sized(p.other, (p.count+63)/64), sized(p.before, (p.count+63)/64)
	found, bad := 0, uint64(0)
	for i := range p.other {
		word, over := table.word(p.symbols[i<<6 : min(i<<6+64, p.count)])
		bad |= over
		p.other[i], p.before[i] = word, int32(found)
		found += bits.OnesCount64(word)
	}
	return bad == 0 && found == n
}

// at returns number i of the count.
func (p *packedColumn) at(i int) uint64 {
	switch word := i >> 6; {
	case !p.frequent:
		return p.plain.at(i)
	case p.other[word]>>(i&63)&1 != 0:
		return p.others.at(int(p.before[word]) + bits.OnesCount64(p.other[word]&(1<<(i&63)-1)))
	}
	return p.top[p.symbols[i]]
}

// HasDict reports whether the column is stored as a dictionary: then only
// Restrict, RestrictRange and Dict may be called.
func (p *Packed) HasDict() bool { return p.coded }

// Fill puts the values together, one a row, 0 where absent. It reuses dst.
func (p *Packed) Fill(dst []uint64) []uint64 {
	dst = sized(dst, p.rows)
	c := column{rows: p.rows, count: p.count, present: p.present}
	if !p.frequent {
		p.plain.join(dst[:p.count], 0)
	} else {
		for from := 0; from < p.count; from += 64 {
			p.join(dst[from:min(from+64, p.count)], from)
		}
	}
	spread(dst, &c, 0)
	return dst
}

// join puts values from to from+len(dst)-1 together: of a word at most, from its
// beginning.
func (p *packedColumn) join(dst []uint64, from int) {
	if !p.frequent {
		p.plain.join(dst, from)
		return
	}
	word := from >> 6
	for i, symbol := range p.symbols[from:][:len(dst)] {
		dst[i] = p.top[symbol]
	}
	var others [64]uint64
	w := p.other[word]
	p.others.join(others[:bits.OnesCount64(w)], int(p.before[word]))
	for j := 0; w != 0; j, w = j+1, w&(w-1) {
		dst[bits.TrailingZeros64(w)] = others[j]
	}
}
