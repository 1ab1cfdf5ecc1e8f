package store

import (
	"encoding/binary"
	"math/bits"
)

// A sparsePlane is a plane most of whose bytes are 0, as the high ones are. Only
// columns that are kept have such.
type sparsePlane struct {
	some   []uint64 // bit i%64 of word i/64: byte i is not 0
	before []uint16 // how many of those come before each word
	bytes  []byte   // that are not 0, in order
}

// sparseFrom is how many bytes of a plane there must be for each that is not 0.
const sparseFrom = 6

// sparsed returns a plane so, and false if too many bytes are not 0.
func sparsed(plane []byte) (s sparsePlane, ok bool) {
	words := (len(plane) + 63) / 64
	s = sparsePlane{some: make([]uint64, words), before: make([]uint16, words)}
	n := 0
	for i := range words {
		s.before[i] = uint16(n)
		s.some[i] = notZero(plane[i<<6 : min(i<<6+64, len(plane))])
		if n += bits.OnesCount64(s.some[i]); n > len(plane)/sparseFrom {
			return sparsePlane{}, false
		}
	}
	s.bytes = make([]byte, 0, n)
	for i, word := range s.some {
		for ; word != 0; word &= word - 1 {
			s.bytes = append(s.bytes, plane[i<<6+bits.TrailingZeros64(word)])
		}
	}
	return s, true
}

// notZero returns which of at most 64 bytes are not 0.
func notZero(b []byte) (word uint64) {
	at := 0
	for ; len(b) >= 8; at, b = at+8, b[8:] {
		if x := binary.LittleEndian.Uint64(b); x != 0 {
			x = (x&low7 + low7 | x) >> 7 & eachByte // 1 in each byte that is not 0
			word |= x * gather8 >> 56 << (at & 63)
		}
	}
	for i, x := range b {
		word |= uint64(min(x, 1)) << ((at + i) & 63)
	}
	return word
}

func (s *sparsePlane) size() int64 { return int64(8*len(s.some) + 2*len(s.before) + len(s.bytes)) }

// at returns byte i.
func (s *sparsePlane) at(i int) byte {
	word, bit := s.some[i>>6], uint64(1)<<(i&63)
	if word&bit == 0 {
		return 0
	}
	return s.bytes[int(s.before[i>>6])+bits.OnesCount64(word&(bit-1))]
}

// addAt adds the bytes at the given places, times 2^shift.
func (s *sparsePlane) addAt(dst []uint64, at []uint16, shift int) {
	for j, i := range at {
		word, bit := s.some[i>>6], uint64(1)<<(i&63)
		if word&bit != 0 { // few are
			dst[j] += uint64(s.bytes[int(s.before[i>>6])+bits.OnesCount64(word&(bit-1))]) << (shift & 63)
		}
	}
}

// addTo adds the bytes from byte from on, times 2^shift.
func (s *sparsePlane) addTo(dst []uint64, from, shift int) {
	for i := from >> 6; i<<6 < from+len(dst); i++ {
		next := s.bytes[s.before[i]:]
		for word := s.some[i]; word != 0; word, next = word&(word-1), next[1:] {
			if at := i<<6 + bits.TrailingZeros64(word) - from; at >= len(dst) {
				return
			} else if at >= 0 {
				dst[at] += uint64(next[0]) << shift
			}
		}
	}
}
