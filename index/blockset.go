package index

import (
	"encoding/binary"
	"errors"
	"math/bits"
)

// A block set is the blocks of a bucket that hold a term, out of n indexed
// blocks. On disk it is a head and, by its kind, more:
//
//	+------------------+------------------------------------------------+
//	| head (uvarint)   |                                                |
//	+------------------+------------------------------------------------+
//	| block<<1         | that one block; nothing follows                |
//	| 1                | all n blocks; nothing follows                  |
//	| 3                | bit set of n bits, lowest first, in bytes      |
//	| 5                | all but a list: count (uvarint), list          |
//	| (count+1)<<2 | 3 | a list of count blocks, count >= 2             |
//	+------------------+------------------------------------------------+
//
// A list is the first block and then each block's distance from the one before
// it, less one, as uvarints. The writer takes what is shortest. A roaring
// bitmap in roaring's own format would add 16 bytes to a payload that is never
// longer than the bit set's n/8 bytes.
const (
	setAll    = 1
	setBits   = 3
	setAllBut = 5
)

var errBlockSet = errors.New("block set is malformed")

// appendBlockSet appends the encoding of blocks, which ascend, are not empty
// and lie below n.
func appendBlockSet(dst []byte, blocks []uint32, n int) []byte {
	switch {
	case len(blocks) == 1:
		return binary.AppendUvarint(dst, uint64(blocks[0])<<1)
	case len(blocks) == n:
		return append(dst, setAll)
	}
	dense := (n + 7) / 8
	if len(blocks) <= dense+1 {
		start := len(dst)
		dst = binary.AppendUvarint(dst, uint64(len(blocks)+1)<<2|3)
		if dst = appendList(dst, blocks); len(dst)-start <= dense+1 {
			return dst
		}
		dst = dst[:start]
	}
	if n-len(blocks) < dense-1 {
		start := len(dst)
		dst = append(dst, setAllBut)
		dst = binary.AppendUvarint(dst, uint64(n-len(blocks)))
		if dst = appendGaps(dst, blocks, n); len(dst)-start <= dense {
			return dst
		}
		dst = dst[:start]
	}
	dst = append(dst, setBits)
	start := len(dst)
	for range dense {
		dst = append(dst, 0)
	}
	for _, b := range blocks {
		dst[start+int(b>>3)] |= 1 << (b & 7)
	}
	return dst
}

func appendList(dst []byte, blocks []uint32) []byte {
	next := uint32(0)
	for _, b := range blocks {
		dst = binary.AppendUvarint(dst, uint64(b-next))
		next = b + 1
	}
	return dst
}

// appendGaps appends the list of the blocks below n that are not in blocks.
func appendGaps(dst []byte, blocks []uint32, n int) []byte {
	next, from := uint32(0), uint32(0)
	for i := 0; i <= len(blocks); i++ {
		to := uint32(n)
		if i < len(blocks) {
			to = blocks[i]
		}
		for b := from; b < to; b++ {
			dst = binary.AppendUvarint(dst, uint64(b-next))
			next = b + 1
		}
		from = to + 1
	}
	return dst
}

// orBlockSet reads one block set at the start of b, adds it to the bit set dst
// of at least n bits unless dst is nil, and returns the length read.
func orBlockSet(b []byte, n int, dst []uint64) (int, error) {
	head, used := binary.Uvarint(b)
	if used <= 0 {
		return 0, errBlockSet
	}
	switch {
	case head&1 == 0:
		block := head >> 1
		if block >= uint64(n) {
			return 0, errBlockSet
		}
		if dst != nil {
			dst[block>>6] |= 1 << (block & 63)
		}
		return used, nil
	case head == setAll:
		if dst != nil {
			orRange(dst, 0, n)
		}
		return used, nil
	case head == setBits:
		return orDense(b, used, n, dst)
	case head == setAllBut:
		count, more := binary.Uvarint(b[used:])
		if more <= 0 || count > uint64(n) {
			return 0, errBlockSet
		}
		return orGaps(b, used+more, int(count), n, dst)
	case head&3 == 3:
		count := head>>2 - 1
		if count < 2 || count > uint64(n) {
			return 0, errBlockSet
		}
		return orList(b, used, int(count), n, dst)
	}
	return 0, errBlockSet
}

// shortSet returns the length of the block set at the start of b if its numbers
// are of one byte each, as in most, else 0.
func shortSet(b []byte, n int) int {
	if len(b) == 0 || b[0] >= 0x80 {
		return 0
	}
	head, size := b[0], 1
	switch {
	case head&1 == 0 || head == setAll:
	case head == setBits:
		size += (n + 7) / 8
	case head&3 == 3 && head >= 15:
		return shortList(b, 1, int(head>>2-1))
	case head == setAllBut && len(b) > 1 && b[1] < 0x80:
		return shortList(b, 2, int(b[1]))
	default:
		return 0
	}
	if size > len(b) {
		return 0
	}
	return size
}

// shortList returns where a list of count bytes from at on ends, 0 if one of
// them goes on in a second byte.
func shortList(b []byte, at, count int) int {
	if len(b)-at < count {
		return 0
	}
	for _, gap := range b[at : at+count] {
		if gap >= 0x80 {
			return 0
		}
	}
	return at + count
}

func orDense(b []byte, at, n int, dst []uint64) (int, error) {
	size := (n + 7) / 8
	if len(b)-at < size || n&7 != 0 && b[at+size-1]>>(n&7) != 0 {
		return 0, errBlockSet
	}
	if dst != nil {
		for i, c := range b[at : at+size] {
			dst[i>>3] |= uint64(c) << (i & 7 * 8)
		}
	}
	return at + size, nil
}

func orList(b []byte, at, count, n int, dst []uint64) (int, error) {
	next := uint64(0)
	for range count {
		gap, used := binary.Uvarint(b[at:])
		if used <= 0 || gap >= uint64(n)-next {
			return 0, errBlockSet
		}
		block := next + gap
		if dst != nil {
			dst[block>>6] |= 1 << (block & 63)
		}
		next, at = block+1, at+used
	}
	return at, nil
}

func orGaps(b []byte, at, count, n int, dst []uint64) (int, error) {
	next := uint64(0)
	for range count {
		gap, used := binary.Uvarint(b[at:])
		if used <= 0 || gap >= uint64(n)-next {
			return 0, errBlockSet
		}
		if dst != nil {
			orRange(dst, int(next), int(next+gap))
		}
		next, at = next+gap+1, at+used
	}
	if dst != nil {
		orRange(dst, int(next), n)
	}
	return at, nil
}

// orRange sets the bits lo to hi-1.
func orRange(words []uint64, lo, hi int) {
	for lo < hi {
		w, bit := lo>>6, lo&63
		take := min(64-bit, hi-lo)
		words[w] |= (^uint64(0) >> (64 - take)) << bit
		lo += take
	}
}

// countBits returns the number of set bits.
func countBits(words []uint64) int {
	n := 0
	for _, w := range words {
		n += bits.OnesCount64(w)
	}
	return n
}
