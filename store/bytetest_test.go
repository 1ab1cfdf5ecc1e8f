package store

import (
	"math/rand/v2"
	"testing"
)

// TestByteTest compares what is told of bytes, eight at a time, with the table:
// for all ranges, all bits of a byte plus any base, and tables of chance.
func TestByteTest(t *testing.T) {
	var all [256]byte
	for i := range all {
		all[i] = byte(i)
	}
	check := func(test *byteTest, base byte, want byteTestKind) {
		t.Helper()
		if test.prepare(base); test.kind != want {
			t.Fatalf("kind %d, want %d", test.kind, want)
		}
		for from := 0; from < 256; from += 64 {
			for _, n := range []int{64, 61, 8, 1} {
				got, wanted := test.word(all[from:from+n]), uint64(0)
				for i := range n {
					wanted |= test.table[from+i] << i
				}
				if got &= ^uint64(0) >> (64 - n); got != wanted {
					t.Fatalf("kind %d, base %d: %d bytes from %d are %x, want %x", test.kind, base, n, from, got, wanted)
				}
			}
		}
	}
	for lo := range 256 {
		for hi := lo; hi < 256; hi++ {
			test := new(byteTest)
			for b := lo; b <= hi; b++ {
				test.table[b] = 1
			}
			kind := inRange
			if lo == 0 || hi == 255 {
				kind = upTo
			}
			check(test, 0, kind)
		}
	}
	for base := range 256 {
		for bit := range 7 {
			test := new(byteTest)
			n := 0
			for b := range 256 {
				test.table[b] = uint64((byte(b)+byte(base))>>bit) & 1
			}
			for b := 1; b < 256; b++ {
				n += int(test.table[b] ^ test.table[b-1])
			}
			if n > 2 { // else it is a range
				check(test, byte(base), hasBit)
			}
		}
	}
	check(new(byteTest), 0, inTable)
	rng := rand.New(rand.NewPCG(1, 1))
	for range 100 {
		test := new(byteTest)
		for b := range test.table {
			test.table[b] = uint64(rng.IntN(2))
		}
		check(test, byte(rng.IntN(256)), inTable)
	}
}
