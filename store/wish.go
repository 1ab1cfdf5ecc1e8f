package store

import "math/bits"

// A wish is what is wanted of the values of a column.
type wish struct {
	wanted  Wanted
	spans   []span // which are the values wanted, if isSpans
	isSpans bool
}

// A span is the values from lo to hi, both inclusive.
type span struct{ lo, hi uint64 }

// maxSpans is up to how many spans are told one after the other rather than by
// looking at each value.
const maxSpans = 4

// spansOf returns the runs of bits in words, and false if they are too many.
func spansOf(words []uint64) (spans []span, ok bool) {
	end := uint64(0) // of the last span, one past it
	for i, w := range words {
		for w != 0 {
			from := bits.TrailingZeros64(w)
			n := bits.TrailingZeros64(^(w >> from))
			w &^= (1<<n - 1) << from
			lo := uint64(i<<6 + from)
			hi := lo + uint64(n)
			switch {
			case len(spans) > 0 && lo == end:
				spans[len(spans)-1].hi = hi - 1
			case len(spans) == maxSpans:
				return nil, false
			default:
				spans = append(spans, span{lo, hi - 1})
			}
			end = hi
		}
	}
	return spans, true
}

// most returns the highest number that planes can hold, over their base.
func (p *planes) most() uint64 { return ^uint64(0) >> (64 - 8*p.width) }

// ascends reports whether values are in the order of what is over the base: no
// encoder makes others.
func (p *planes) ascends() bool { return p.base <= ^uint64(0)-p.most() }

// tellSpans is tell of spans. What is over the base is compared plane by plane,
// 64 bytes at a time, so that no value is put together.
func (p *planes) tellSpans(told []uint64, spans []span, scratch *room) {
	clear(told)
	in := scratch.told[2][:len(told)]
	for _, s := range spans {
		if s.hi < p.base || s.lo > p.base && s.lo-p.base > p.most() {
			continue
		}
		p.tellSpan(in, max(s.lo, p.base)-p.base, min(s.hi-p.base, p.most()), scratch)
		for i, w := range in {
			told[i] |= w
		}
	}
}

// tellSpan notes which values are from lo to hi over the base.
func (p *planes) tellSpan(told []uint64, lo, hi uint64, scratch *room) {
	for i := range told {
		told[i] = ^uint64(0)
	}
	k := p.width // lo and hi are the same from plane k on
	for k > 0 && lo>>(8*k-8) == hi>>(8*k-8) {
		k--
		p.among(told, k, byte(lo>>(8*k)), byte(hi>>(8*k)), scratch)
	}
	most := uint64(1)<<(8*k) - 1
	lo, hi = lo&most, hi&most
	if k == 1 {
		p.among(told, 0, byte(lo), byte(hi), scratch)
		return
	}
	other := scratch.told[3][:len(told)]
	if lo > 0 {
		p.atMost(other, k, lo-1, scratch)
		for i, w := range other {
			told[i] &^= w
		}
	}
	if hi < most {
		p.atMost(other, k, hi, scratch)
		for i, w := range other {
			told[i] &= w
		}
	}
}

// among takes out those whose byte in a plane is not from first to last.
func (p *planes) among(told []uint64, k int, first, last byte, scratch *room) {
	test := &scratch.test
	test.setRange(first, last)
	for i := range told {
		told[i] &= p.word(k, i, test)
	}
}

// atMost notes which values, as far as the first n planes have them, are no more
// than x.
func (p *planes) atMost(told []uint64, n int, x uint64, scratch *room) {
	less, same := &scratch.test, &scratch.same
	less.setRange(0, byte(x))
	for i := range told {
		told[i] = p.word(0, i, less)
	}
	for k := 1; k < n; k++ {
		b := byte(x >> (8 * k))
		same.setRange(b, b)
		if b == 0 {
			for i, w := range told {
				told[i] = w & p.word(k, i, same)
			}
			continue
		}
		less.setRange(0, b-1)
		for i, w := range told {
			told[i] = p.word(k, i, less) | w&p.word(k, i, same)
		}
	}
}

// word returns what is told of bytes i*64 to i*64+63 of a plane; bits past the
// last are void.
func (p *planes) word(k, i int, test *byteTest) uint64 {
	if p.plane[k] == nil {
		return p.sparse[k].word(i, test)
	}
	return test.word(p.plane[k][i<<6 : min(i<<6+64, p.n)])
}

// word is planes.word.
func (s *sparsePlane) word(i int, test *byteTest) uint64 {
	some := s.some[i]
	word := -test.table[0] &^ some
	for _, b := range s.bytes[s.before[i]:][:bits.OnesCount64(some)] {
		word |= some & -some & -test.table[b]
		some &= some - 1
	}
	return word
}
