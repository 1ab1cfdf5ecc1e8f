package store

import (
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestRowList asks one list for sets that are the last one again, parts of it, more
// than it, and those of blocks of other sizes.
func TestRowList(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 5))
	var l rowList
	set := make([]uint64, BlockRows/64)
	for step := range 3000 {
		switch rng.IntN(6) {
		case 0:
			set = make([]uint64, 1+rng.IntN(BlockRows/64))
			fillBits(set, 64*len(set)-rng.IntN(64))
		case 1: // the same again
		case 2: // as many others
			i := rng.IntN(len(set))
			set[i] = bits.RotateLeft64(set[i], 1)
		default:
			for i, drop := 0, 1+rng.IntN(20); i < len(set); i++ {
				if rng.IntN(drop) == 0 {
					set[i] &= rng.Uint64()
				}
			}
		}
		want := rowsIn(set)
		was := slices.Clone(set)
		got := l.of(set, len(want))
		if !slices.Equal(got, want) {
			t.Fatalf("step %d: %d rows are listed of %d words, want %d, or others", step, len(got), len(set), len(want))
		}
		if !slices.Equal(set, was) {
			t.Fatalf("step %d: the set is another after it is listed", step)
		}
		if rng.IntN(3) > 0 {
			continue
		}
		left := 0
		for _, row := range got {
			if rng.IntN(2) == 0 {
				got[left] = row
				left++
			}
		}
		want = slices.Clone(got[:left])
		l.cut(set, left)
		if rows := rowsIn(set); !slices.Equal(rows, want) {
			t.Fatalf("step %d: %d rows are in the set after the list is cut, want %d, or others", step, len(rows), left)
		}
	}
}

// rowsIn returns the rows in a set.
func rowsIn(set []uint64) (rows []uint16) {
	for row := range 64 * len(set) {
		if set[row>>6]>>(row&63)&1 != 0 {
			rows = append(rows, uint16(row))
		}
	}
	return rows
}
