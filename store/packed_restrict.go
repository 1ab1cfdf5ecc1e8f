package store

import (
	"encoding/binary"
	"math/bits"
	"sort"
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

// someValues is up to how many values of a word that take more than their lowest
// byte to be told are put together one by one rather than with all the others.
const someValues = 16

// Restrict removes from set the rows whose value is not wanted, or absent. A code
// that the dictionary does not have, which no encoder writes, is not wanted.
func (p *Packed) Restrict(wanted Wanted, set []uint64) {
	if !p.coded {
		p.restrict(&wish{wanted: wanted}, set)
		return
	}
	w := p.codesOf(wanted)
	if w.isSpans && len(w.spans) == 0 {
		clear(set)
		return
	}
	p.restrict(&w, set)
}

// RestrictRange is Restrict to values from lo to hi, both inclusive. A dictionary
// ascends, so that their codes are a range too: two searches tell it instead of a
// look at every value.
func (p *Packed) RestrictRange(lo, hi uint64, set []uint64) {
	if p.coded {
		from, to := p.codesIn(lo, hi)
		if from == to {
			clear(set)
			return
		}
		lo, hi = uint64(from), uint64(to-1)
	}
	p.restrict(&wish{InRange(lo, hi), []span{{lo, hi}}, true}, set)
}

// InRange wants values from lo to hi, both inclusive.
func InRange(lo, hi uint64) Wanted {
	width := hi - lo
	return func(values []uint64) (word uint64) {
		for i, v := range values { // without a branch: what is wanted is anybody's guess
			_, outside := bits.Sub64(width, v-lo, 0)
			word |= (outside ^ 1) << (i & 63)
		}
		return word
	}
}

// restrict is Restrict by codes where the column has them.
func (p *Packed) restrict(w *wish, set []uint64) {
	set = set[:(p.rows+63)/64]
	left := 0
	for i, word := range set {
		if p.present != nil {
			word &= p.present[i]
			set[i] = word
		}
		left += bits.OnesCount64(word)
	}
	if left <= p.rows/p.fewOf(w) {
		p.restrictFew(w.wanted, set, left)
	} else {
		p.restrictMany(w, set)
	}
}

// Which part of a column's rows counts as few: to put one value together takes the
// time of telling so many. Where the frequent ones are written by symbols to tell
// all takes longer, unless it is spans that are told.
const (
	fewOfPlain    = 20
	fewOfFrequent = 6
	fewOfSpans    = 10
)

func (p *Packed) fewOf(w *wish) int {
	switch {
	case w.isSpans:
		return fewOfSpans
	case p.frequent:
		return fewOfFrequent
	}
	return fewOfPlain
}

// restrictFew is restrict where few rows are left, n, which have the field: their
// values are put together.
func (p *Packed) restrictFew(wanted Wanted, set []uint64, n int) {
	list, left := &p.room.list, 0
	all := list.of(set, n)
	p.eachRun(all, func(rows []uint16, values []uint64) {
		for i := 0; i < len(values); i += 64 {
			run := values[i:min(i+64, len(values))]
			word := wanted(run)
			for _, row := range rows[i:][:len(run)] { // without a branch; left is not past row
				all[left] = row
				left += int(word & 1)
				word >>= 1
			}
		}
	})
	list.cut(set, left)
}

// restrictMany is restrict where many rows are left, which have the field: all
// values are told.
func (p *Packed) restrictMany(w *wish, set []uint64) {
	told := p.tell(w)
	if p.present == nil {
		for i := range set {
			set[i] &= told[i]
		}
		return
	}
	rank := 0 // of the word's first row among those that have the field
	for i, present := range p.present {
		if set[i] != 0 {
			set[i] &= deposit(bitsFrom(told, rank), present)
		}
		rank += bits.OnesCount64(present)
	}
}

// tell returns of all values that rows have whether they are wanted, bit i%64 of
// word i/64.
func (p *Packed) tell(w *wish) []uint64 {
	told := p.room.told[0][:(p.count+63)/64]
	if !p.frequent {
		p.plain.tell(told, w, p.room)
		return told
	}
	test := &p.room.test
	clear(test.table[:])
	test.table.set(p.top[:p.topCount], w.wanted)
	test.prepare(0)
	test.words(told, p.symbols)
	others := p.room.told[1][:(p.others.n+63)/64]
	p.others.tell(others, w, p.room)
	for i, other := range p.other {
		if other != 0 {
			told[i] |= deposit(bitsFrom(others, int(p.before[i])), other)
		}
	}
	return told
}

// codesOf returns the wish for the codes of wanted values.
func (p *Packed) codesOf(wanted Wanted) wish {
	p.keep = sized(p.keep, BlockRows/64)
	clear(p.keep)
	for code := 0; code < p.codes(); code += 64 {
		run := p.valuesOf(code)
		p.keep[code>>6] = wanted(run) & (^uint64(0) >> (64 - len(run)))
	}
	keep := p.keep
	w := wish{wanted: func(codes []uint64) (word uint64) {
		for i, code := range codes {
			word |= keep[code>>6&(BlockRows/64-1)] >> (code & 63) & 1 << (i & 63)
		}
		return word
	}}
	w.spans, w.isSpans = spansOf(keep)
	return w
}

// codesIn returns the codes i to j-1 of the values from lo to hi, both inclusive.
func (p *Packed) codesIn(lo, hi uint64) (i, j int) {
	if p.dict != nil {
		return p.dict.FindNum(lo, hi)
	}
	i = sort.Search(p.values.n, func(k int) bool { return p.values.at(k) >= lo })
	j = sort.Search(p.values.n, func(k int) bool { return p.values.at(k) > hi })
	return i, max(i, j)
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

// tell is Packed.tell of planes.
func (p *planes) tell(told []uint64, w *wish, scratch *room) {
	if p.width == 0 {
		scratch.values[0] = p.base
		same := -(w.wanted(scratch.values[:1]) & 1)
		for i := range told {
			told[i] = same
		}
		return
	}
	if w.isSpans && p.ascends() {
		p.tellSpans(told, w.spans, scratch)
		return
	}
	values, test := &scratch.values, &scratch.test
	for i := range values {
		values[i] = p.base + uint64(i)
	}
	test.table.set(values[:], w.wanted) // of values whose other planes are 0, as most are
	test.prepare(byte(p.base))
	test.words(told, p.plane[0][:p.n])
	for i := range told {
		from, to := i<<6, min(i<<6+64, p.n)
		if large := p.large(from, to); large != 0 {
			told[i] = told[i]&^large | p.lookAtLarge(w.wanted, from, to, large, scratch)
		}
	}
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
