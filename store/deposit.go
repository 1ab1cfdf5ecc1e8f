package store

import "math/bits"

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
	n := bits.OnesCount64(mask)
	switch {
	case n > 64-fewPlaces:
		for zeros := ^mask; zeros != 0; zeros &= zeros - 1 { // ascending
			below := zeros&-zeros - 1
			w = w&below | w&^below<<1
		}
		return w
	case n <= fewPlaces:
		for ; mask != 0; mask &= mask - 1 {
			out |= mask & -mask & -(w & 1)
			w >>= 1
		}
		return out
	}
	for at := 0; at < 64; at += 4 {
		four := mask >> at & 15
		out |= fourPlaces[four] >> (w & 15 << 2) & 15 << at
		w >>= fourCounts >> (four << 2) & 7
	}
	return out
}

// fewPlaces is up to how many places in a mask, or missing from it, are gone
// through one by one.
const fewPlaces = 12

// fourPlaces has for each mask of four places where the low bits go, four bits for
// each of the 16 ways that these are. fourCounts has how many bits go.
var fourPlaces = [16]uint64{
	0x0000_0000_0000_0000, 0x1010_1010_1010_1010, 0x2020_2020_2020_2020, 0x3210_3210_3210_3210,
	0x4040_4040_4040_4040, 0x5410_5410_5410_5410, 0x6420_6420_6420_6420, 0x7654_3210_7654_3210,
	0x8080_8080_8080_8080, 0x9810_9810_9810_9810, 0xa820_a820_a820_a820, 0xba98_3210_ba98_3210,
	0xc840_c840_c840_c840, 0xdc98_5410_dc98_5410, 0xeca8_6420_eca8_6420, 0xfedc_ba98_7654_3210,
}

const fourCounts = 0x4332_3221_3221_2110
