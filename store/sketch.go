package store

import (
	"math/bits"
	"math/rand/v2"

	"weir/flow"
)

// An addrSketch tells of most addresses that no row of a block has them, neither
// as source nor as destination. An hour is indexed when it is sealed; until then
// a look-up would decode the addresses of every block, hundreds of them where
// much comes in, and the hour that is open is the one that most is asked about.
//
// It is a Bloom filter (Bloom 1970) whose bits of one address lie in one word
// (Putze, Sanders, Singler 2007), and is kept in memory, of blocks that this
// process wrote: about 1.6 bytes for each address of a block.
type addrSketch []uint64

const (
	sketchBits     = 12 // of the filter, for each address
	sketchKeyBits  = 4  // that an address sets, at most: of the addresses that are not there, 1 in 100 seems to be
	mostSketchSize = 32 << 20
)

// sketchSeed keeps a sender from making addresses that seem to be everywhere.
var sketchSeed = rand.Uint64()

// newAddrSketch returns the sketch of the addresses.
func newAddrSketch(lists ...[]flow.Addr) addrSketch {
	n := 0
	for _, list := range lists {
		n += len(list)
	}
	s := make(addrSketch, (n*sketchBits+63)/64)
	for _, list := range lists {
		for _, a := range list {
			at, mask := s.place(a)
			s[at] |= mask
		}
	}
	return s
}

// place returns the word of an address and its bits there. The sketch is not
// empty.
func (s addrSketch) place(a flow.Addr) (at uint64, mask uint64) {
	hi, lo := bits.Mul64(a.Hi^sketchSeed, 0x9e3779b97f4a7c15)
	hi, lo = bits.Mul64(a.Lo^hi^lo, 0xd6e8feb86659fd93^sketchSeed)
	h := hi ^ lo
	for range sketchKeyBits {
		mask |= 1 << (h & 63)
		h >>= 6
	}
	at, _ = bits.Mul64(h<<(6*sketchKeyBits), uint64(len(s)))
	return at, mask
}

// lacks reports whether the address is certainly not there.
func (s addrSketch) lacks(a flow.Addr) bool {
	if len(s) == 0 {
		return true
	}
	at, mask := s.place(a)
	return s[at]&mask != mask
}

func (s addrSketch) size() int { return len(s) * 8 }

// addrSketch returns the sketch of the block that was encoded last.
func (e *encoder) addrSketch() addrSketch {
	var lists [][]flow.Addr
	for _, f := range []flow.Field{flow.SrcAddr, flow.DstAddr} {
		if e.parents[f].codes != nil {
			lists = append(lists, e.parentValues[f])
		}
	}
	return newAddrSketch(lists...)
}

// keepSketch keeps the sketch of a block, unless sketches take much memory
// already. mu is held.
func (s *Store) keepSketch(hs *hourState, block int, sketch addrSketch) {
	if s.sketched+sketch.size() > mostSketchSize {
		return
	}
	s.sketched += sketch.size()
	for len(hs.sketches) < block {
		hs.sketches = append(hs.sketches, nil)
	}
	hs.sketches = append(hs.sketches, sketch)
}

// forgetSketches lets go of those of the blocks before the given one. Views may
// have them still. mu is held.
func (s *Store) forgetSketches(hs *hourState, before int) {
	before = min(before, len(hs.sketches))
	for _, sketch := range hs.sketches[:before] {
		s.sketched -= sketch.size()
	}
	if before == len(hs.sketches) {
		hs.sketches = nil
		return
	}
	hs.sketches = append(make([]addrSketch, before), hs.sketches[before:]...)
}

// LacksAddr reports whether block i is known to have no row with a as source or
// destination, without reading it. It knows so of most addresses in blocks that
// came in lately and are not indexed yet.
func (b *Bucket) LacksAddr(i int, a flow.Addr) bool {
	return i < len(b.sketches) && b.sketches[i] != nil && b.sketches[i].lacks(a)
}
