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

// fewValues is how many values of a word are looked at one by one rather than
// with all the others.
const fewValues = 16

// Restrict removes from set the rows whose value is not wanted, or absent. A code
// that the dictionary does not have, which no encoder writes, is not wanted.
func (p *Packed) Restrict(wanted Wanted, set []uint64) {
	if p.dict != nil {
		wanted = p.codesOf(wanted)
	}
	want := set[:(p.rows+63)/64]
	if p.present != nil {
		want = p.extracted(want)
	}
	if p.frequent {
		p.restrictFrequent(wanted, want)
	} else {
		p.plain.restrict(wanted, want, &p.room)
	}
	if p.present != nil {
		p.deposited(set)
	}
}

// codesOf returns which codes of the dictionary are of wanted values.
func (p *Packed) codesOf(wanted Wanted) Wanted {
	values := p.dict.Nums()
	p.keep = sized(p.keep, BlockRows/64)
	clear(p.keep)
	for i := 0; i < len(values); i += 64 {
		run := values[i:min(i+64, len(values))]
		p.keep[i>>6] = wanted(run) & (^uint64(0) >> (64 - len(run)))
	}
	keep := p.keep
	return func(codes []uint64) (word uint64) {
		for i, code := range codes {
			word |= keep[code>>6&(BlockRows/64-1)] >> (code & 63) & 1 << (i & 63)
		}
		return word
	}
}

// restrict removes from want, which has a bit for each value, what is not
// wanted.
func (p *planes) restrict(wanted Wanted, want []uint64, scratch *room) {
	values, test := &scratch.values, &scratch.test
	if p.width == 0 {
		values[0] = p.base
		if wanted(values[:1])&1 == 0 {
			clear(want)
		}
		return
	}
	for i := range values {
		values[i] = p.base + uint64(i)
	}
	test.table.set(values[:], wanted) // of values whose other planes are 0, as most are
	test.prepare(byte(p.base))
	for i, w := range want {
		if w == 0 {
			continue
		}
		from, to := i<<6, min(i<<6+64, p.n)
		word := test.word(p.plane[0][from:to])
		if large := p.large(from, to); large&w != 0 {
			word &^= large
			word |= p.restrictLarge(wanted, from, to, large&w, scratch)
		}
		want[i] = w & word
	}
}

// large returns which of the values from to to-1, at most 64, have another
// plane than the lowest.
func (p *planes) large(from, to int) (word uint64) {
	for k := 1; k < p.width; k++ {
		if p.plane[k] == nil {
			word |= p.sparse[k].some[from>>6]
			continue
		}
		word |= notZero(p.plane[k][from:to])
	}
	return word
}

// restrictLarge returns which of the values at the places in large, from from
// on, are wanted.
func (p *planes) restrictLarge(wanted Wanted, from, to int, large uint64, scratch *room) (word uint64) {
	values := scratch.values[:64]
	n := bits.OnesCount64(large)
	if n > fewValues {
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

// restrictFrequent is restrict of values that are written by the frequent ones.
func (p *Packed) restrictFrequent(wanted Wanted, want []uint64) {
	test := &p.room.test
	clear(test.table[:])
	test.table.set(p.top[:p.topCount], wanted)
	test.prepare(0)
	for i, w := range want {
		if w == 0 {
			continue
		}
		word := test.word(p.symbols[i<<6 : min(i<<6+64, p.count)])
		if p.other[i]&w != 0 {
			word |= p.restrictOthers(wanted, i, w)
		}
		want[i] = w & word
	}
}

// restrictOthers returns which of the others in word i are wanted; w says which
// values matter.
func (p *Packed) restrictOthers(wanted Wanted, i int, w uint64) uint64 {
	values := p.room.values[:64]
	other, first := p.other[i], int(p.before[i])
	if n := bits.OnesCount64(other); bits.OnesCount64(other&w) > fewValues {
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

// extracted returns the bits of set of the rows that have the field, one a
// value.
func (p *Packed) extracted(set []uint64) []uint64 {
	p.want = sized(p.want, len(set)+1)
	clear(p.want)
	at := 0
	for i, present := range p.present {
		w := extract(set[i], present)
		p.want[at>>6] |= w << (at & 63)
		p.want[at>>6+1] |= w >> (64 - at&63)
		at += bits.OnesCount64(present)
	}
	return p.want[:(p.count+63)/64]
}

// deposited is the way back from extracted.
func (p *Packed) deposited(set []uint64) {
	at := 0
	want := p.want // one more word than there are values for
	for i, present := range p.present {
		w := want[at>>6]>>(at&63) | want[at>>6+1]<<(64-at&63)
		set[i] = deposit(w, present)
		at += bits.OnesCount64(present)
	}
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
