package store

import "encoding/binary"

// A byteTest tells of many bytes at a time which are wanted. Where those are a
// range, or all with a certain bit, as most conditions make them, eight are
// looked at in a few steps; else each is looked up.
type byteTest struct {
	table byteTable
	kind  byteTestKind
	add   uint64 // eight times what is added to a byte before it is looked at
	most  uint64 // inRange: eight times the distance from the first to the last, in 7 bits
	high  uint64 // inRange: all ones if that distance is over 127
	flip  uint64 // inRange: all ones if the range is of those that are not wanted
	bit   int    // hasBit: which
}

type byteTestKind uint8

const (
	inTable byteTestKind = iota
	inRange
	upTo // inRange that begins at 0
	hasBit
)

const (
	eachByte = 0x0101_0101_0101_0101
	low7     = 0x7f7f_7f7f_7f7f_7f7f
	gather8  = 0x0102_0408_1020_4080 // times the lowest bits of eight bytes: they stand together on top
)

// prepare finds out how the table is told. Bits may be of a byte plus base.
func (t *byteTest) prepare(base byte) {
	t.kind, t.flip = inTable, 0
	first, last, n := -1, -1, 0
	for b, wanted := range t.table {
		if wanted != 0 {
			if first < 0 {
				first = b
			}
			last, n = b, n+1
		}
	}
	if n > 0 && n == last-first+1 {
		t.prepareRange(uint8(first), uint8(last))
		return
	}
	for bit := range 8 {
		if t.isBit(base, bit) {
			t.kind, t.add, t.bit = hasBit, uint64(base)*eachByte, bit
			return
		}
	}
}

// setRange makes the bytes from first to last those that are wanted.
func (t *byteTest) setRange(first, last byte) {
	clear(t.table[:])
	for b := int(first); b <= int(last); b++ {
		t.table[b] = 1
	}
	t.flip = 0
	t.prepareRange(first, last)
}

// prepareRange has the bytes from first to last wanted. The rest of a range that
// ends at 255 begins at 0, which is told the soonest.
func (t *byteTest) prepareRange(first, last uint8) {
	if first > 0 && last == 255 {
		first, last, t.flip = 0, first-1, ^uint64(0)
	}
	t.kind = inRange
	if first == 0 {
		t.kind = upTo
	}
	most := uint64(last - first)
	t.add = uint64(-first) * eachByte
	t.most, t.high = (0x7f-most&0x7f)*eachByte, -(most >> 7)
}

// isBit reports whether the table is the bit of a byte plus base.
func (t *byteTest) isBit(base byte, bit int) bool {
	for b, wanted := range t.table {
		if uint64((byte(b)+base)>>bit&1) != wanted {
			return false
		}
	}
	return true
}

// words fills dst with the bits of bytes; those past the last are void.
func (t *byteTest) words(dst []uint64, b []byte) {
	for i := range dst {
		dst[i] = t.word(b[i<<6 : min(i<<6+64, len(b))])
	}
}

// word returns the bits of at most 64 bytes; those past the last are void.
func (t *byteTest) word(b []byte) (word uint64) {
	if t.kind == inTable || len(b) < 64 {
		word, _ = t.table.word(b)
		return word
	}
	switch b := (*[64]byte)(b); t.kind {
	case upTo:
		return t.wordUpTo(b)
	case inRange:
		return t.wordInRange(b)
	default:
		return t.wordOfBit(b)
	}
}

// wordOfBit is word of those that have the bit.
func (t *byteTest) wordOfBit(b *[64]byte) (word uint64) {
	add7, add1, shift := t.add&low7, t.add&^low7, 7-t.bit&7
	for i := 0; i < len(b); i += 8 {
		x := binary.LittleEndian.Uint64(b[i:])
		x = (x&low7 + add7) ^ (x&^low7 ^ add1) // each byte by itself
		word = word>>1 | x<<(shift&7)&^low7
	}
	return transpose8(word)
}

// wordInRange is word of a range.
func (t *byteTest) wordInRange(b *[64]byte) (word uint64) {
	add7, add1, most, high := t.add&low7, t.add&^low7, t.most, t.high
	for i := 0; i < len(b); i += 8 {
		x := binary.LittleEndian.Uint64(b[i:])
		x = (x&low7 + add7) ^ (x&^low7 ^ add1)
		over := x&low7 + most
		word = word>>1 | (over&x|(over|x)&^high)&^low7
	}
	return ^transpose8(word) ^ t.flip
}

// wordUpTo is word of a range that begins at 0.
func (t *byteTest) wordUpTo(b *[64]byte) (word uint64) {
	most := t.most
	if t.high == 0 {
		for i := 0; i < len(b); i += 8 {
			x := binary.LittleEndian.Uint64(b[i:])
			word = word>>1 | ((x&low7+most)|x)&^low7
		}
	} else {
		for i := 0; i < len(b); i += 8 {
			x := binary.LittleEndian.Uint64(b[i:])
			word = word>>1 | (x&low7+most)&x&^low7
		}
	}
	return ^transpose8(word) ^ t.flip
}

// transpose8 moves bit k of byte j to bit j of byte k. That of byte j of eight
// bytes, moved down once for each eight that came after, is then where it stands
// among all 64.
func transpose8(x uint64) uint64 {
	t := (x ^ x>>7) & 0x00aa_00aa_00aa_00aa
	x ^= t ^ t<<7
	t = (x ^ x>>14) & 0x0000_cccc_0000_cccc
	x ^= t ^ t<<14
	t = (x ^ x>>28) & 0x0000_0000_f0f0_f0f0
	return x ^ t ^ t<<28
}
