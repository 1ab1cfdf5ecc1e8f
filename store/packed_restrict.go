package store

import (
	"encoding/binary"
	"math/bits"
)

// A Wanted tells which of at most 64 values are wanted: value i at bit i. Bits
// past the last are void.
type Wanted func(values []uint64) uint64

// A byteTable has a bit for each byte, in bit 0, and may have overBit.
type byteTable [256]uint64

// overBit is far enough above bit 0 to stay apart when tables are shifted.
const overBit = 1 << 32

// word returns the bits of at most 64 bytes, and what is not 0 if any has
// overBit.
func (t *byteTable) word(b []byte) (word, over uint64) {
	at := 0
	for ; len(b) >= 8; at, b = at+8, b[8:] {
		x := binary.LittleEndian.Uint64(b)
		eight := t[x&0xff] | t[x>>8&0xff]<<1 | t[x>>16&0xff]<<2 | t[x>>24&0xff]<<3 |
			t[x>>32&0xff]<<4 | t[x>>40&0xff]<<5 | t[x>>48&0xff]<<6 | t[x>>56]<<7
		over |= eight >> 32
		word |= eight & 0xff << (at & 63)
	}
	for i, x := range b {
		over |= t[x] >> 32
		word |= t[x] & 1 << ((at + i) & 63)
	}
	return word, over
}

// set gives byte i bit i%64 of word i/64 of what wanted says of values.
func (t *byteTable) set(values []uint64, wanted Wanted) {
	for lo := 0; lo < len(values); lo += 64 {
		run := values[lo:min(lo+64, len(values))]
		word := wanted(run)
		for i := range run {
			t[lo+i] = word >> i & 1
		}
	}
}

// Up to how many values of a word are looked at one by one rather than with all
// the others: of all that it has, and of those that take more than their lowest
// byte to be told.
const (
	fewValues  = 8
	someValues = 16
)

// Restrict removes from set the rows whose value is not wanted, or absent. A code
// that the dictionary does not have, which no encoder writes, is not wanted.
func (p *Packed) Restrict(wanted Wanted, set []uint64) {
	if p.coded {
		wanted = p.codesOf(wanted)
	}
	p.prepare(wanted)
	p.rank()
	r := &p.room.run
	r.n = 0
	for i, w := range set[:(p.rows+63)/64] {
		present, rank := ^uint64(0), i<<6 // of the word's first row among those that have the field
		if p.present != nil {
			present, rank = p.present[i], p.room.ranks[i]
		}
		w &= present
		switch {
		case w == 0:
			set[i] = 0
		case bits.OnesCount64(w) <= fewValues:
			set[i] = 0
			if r.add(i<<6, w); !r.fits() {
				p.restrictRun(wanted, set)
			}
		case present == ^uint64(0):
			set[i] = w & p.look(wanted, rank, w)
		default:
			set[i] = w & deposit(p.look(wanted, rank, extract(w, present)), present)
		}
	}
	p.restrictRun(wanted, set)
}

// restrictRun puts the rows of the run that are wanted into set, and ends it.
func (p *Packed) restrictRun(wanted Wanted, set []uint64) {
	r := &p.room.run
	values := r.fill(p)
	for i := 0; i < len(values); i += 64 {
		run := values[i:min(i+64, len(values))]
		word := wanted(run)
		for _, row := range r.rows[i:][:len(run)] {
			set[row>>6] |= word & 1 << (row & 63)
			word >>= 1
		}
	}
	r.n = 0
}

// codesOf returns which codes of the dictionary are of wanted values.
func (p *Packed) codesOf(wanted Wanted) Wanted {
	p.keep = sized(p.keep, BlockRows/64)
	clear(p.keep)
	for code := 0; code < p.codes(); code += 64 {
		run := p.valuesOf(code)
		p.keep[code>>6] = wanted(run) & (^uint64(0) >> (64 - len(run)))
	}
	keep := p.keep
	return func(codes []uint64) (word uint64) {
		for i, code := range codes {
			word |= keep[code>>6&(BlockRows/64-1)] >> (code & 63) & 1 << (i & 63)
		}
		return word
	}
}

// codes returns how many codes the dictionary has.
func (p *packedColumn) codes() int {
	if p.dict != nil {
		return p.dict.Len()
	}
	return p.values.n
}

// valuesOf returns the values of a code and those after it, 64 at most.
func (p *Packed) valuesOf(code int) []uint64 {
	n := min(64, p.codes()-code)
	if p.dict != nil {
		return p.dict.Nums()[code:][:n]
	}
	run := p.room.values[:n]
	p.values.join(run, code)
	return run
}

// prepare readies the test that look makes of the lowest plane, or of symbols.
func (p *Packed) prepare(wanted Wanted) {
	test := &p.room.test
	if p.frequent {
		clear(test.table[:])
		test.table.set(p.top[:p.topCount], wanted)
		test.prepare(0)
		return
	}
	values := &p.room.values
	for i := range values {
		values[i] = p.plain.base + uint64(i)
	}
	test.table.set(values[:], wanted) // of values whose other planes are 0, as most are
	test.prepare(byte(p.plain.base))
}

// look returns which of at most 64 values from number from on are wanted, bit 0
// the first of them. Of those that are not in w it may say anything.
func (p *Packed) look(wanted Wanted, from int, w uint64) uint64 {
	to := min(from+64, p.count)
	if !p.frequent {
		return p.plain.look(wanted, from, to, w, &p.room)
	}
	word := p.room.test.word(p.symbols[from:to])
	if other := bitsFrom(p.other, from); other&w != 0 {
		word |= p.lookAtOthers(wanted, from, other, w)
	}
	return word
}

// lookAtOthers is look for those of the values that are not frequent, whose bits
// are in other.
func (p *Packed) lookAtOthers(wanted Wanted, from int, other, w uint64) uint64 {
	values := p.room.values[:64]
	first := p.othersBefore(from)
	if n := bits.OnesCount64(other); bits.OnesCount64(other&w) > someValues {
		p.others.join(values[:n], first)
		return deposit(wanted(values[:n]), other)
	}
	n := 0
	for rest := other & w; rest != 0; rest &= rest - 1 {
		values[n&63] = p.others.at(first + bits.OnesCount64(other&(rest&-rest-1)))
		n++
	}
	return deposit(wanted(values[:n]), other&w)
}

// othersBefore returns how many of the values before number i are not frequent.
func (p *Packed) othersBefore(i int) int {
	return int(p.before[i>>6]) + bits.OnesCount64(p.other[i>>6]&(1<<(i&63)-1))
}

// look is Packed.look of the values from to to-1.
func (p *planes) look(wanted Wanted, from, to int, w uint64, scratch *room) uint64 {
	if p.width == 0 {
		return -scratch.test.table[0] // as all of them are
	}
	word := scratch.test.word(p.plane[0][from:to])
	if large := p.large(from, to) & w; large != 0 {
		word = word&^large | p.lookAtLarge(wanted, from, to, large, scratch)
	}
	return word
}

// large returns which of the values from to to-1, at most 64, have another
// plane than the lowest.
func (p *planes) large(from, to int) (word uint64) {
	for k := 1; k < p.width; k++ {
		if p.plane[k] == nil {
			word |= bitsFrom(p.sparse[k].some, from)
			continue
		}
		word |= notZero(p.plane[k][from:to])
	}
	return word
}

// lookAtLarge returns which of the values at the places in large, from from on,
// are wanted.
func (p *planes) lookAtLarge(wanted Wanted, from, to int, large uint64, scratch *room) (word uint64) {
	values := scratch.values[:64]
	n := bits.OnesCount64(large)
	if n > someValues {
		p.join(values[:to-from], from)
		return wanted(values[:to-from]) & large
	}
	i := 0
	for w := large; w != 0; w &= w - 1 {
		values[i&63] = p.at(from + bits.TrailingZeros64(w))
		i++
	}
	return deposit(wanted(values[:n]), large)
}

// bitsFrom returns 64 bits of words from bit i on, 0 past the end.
func bitsFrom(words []uint64, i int) uint64 {
	at, shift := i>>6, i&63
	word := words[at] >> shift
	if shift > 0 && at+1 < len(words) {
		word |= words[at+1] << (64 - shift)
	}
	return word
}

// deposit moves the low bits of w to the places in mask, in order.
func deposit(w, mask uint64) (out uint64) {
	if bits.OnesCount64(mask) > 32 {
		for zeros := ^mask; zeros != 0; zeros &= zeros - 1 { // ascending
			below := zeros&-zeros - 1
			w = w&below | w&^below<<1
		}
		return w
	}
	for ; mask != 0; mask &= mask - 1 {
		out |= mask & -mask & -(w & 1)
		w >>= 1
	}
	return out
}

// extract moves the bits of w at the places in mask to the low ones, in order.
func extract(w, mask uint64) (out uint64) {
	w &= mask
	if bits.OnesCount64(mask) > 32 {
		for zeros := ^mask; zeros != 0; { // descending
			bit := uint64(1) << (63 - bits.LeadingZeros64(zeros))
			w = w&(bit-1) | w>>1&^(bit-1)
			zeros &^= bit
		}
		return w
	}
	for at := 0; mask != 0; at++ {
		if w&mask&-mask != 0 {
			out |= 1 << at
		}
		mask &= mask - 1
	}
	return out
}
