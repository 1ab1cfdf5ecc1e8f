package store

import (
	"fmt"
	"math/rand/v2"
	"sort"
	"testing"

	"weir/flow"
)

// randomBatch returns n rows with random fields present. shape bounds how wild
// the values are.
func randomBatch(rng *rand.Rand, n int, receivedFrom uint64) *flow.Batch {
	b := flow.NewBatch(n)
	var fields []flow.Field
	for f := range flow.AllFields().All {
		if rng.IntN(2) == 0 {
			fields = append(fields, f)
		}
	}
	b.Grow(n)
	for _, f := range fields {
		density := []int{0, 1, 50, 99, 100}[rng.IntN(5)]
		distinct := []int{1, 3, 200, 1 << 20}[rng.IntN(4)]
		salt := rng.Uint64()
		for row := range n {
			if rng.IntN(100) >= density {
				continue
			}
			v := salt * uint64(1+rng.IntN(distinct))
			switch {
			case f.IsText():
				b.SetText(f, row, randomText(v))
			case !f.IsAddr():
				b.SetNum(f, row, v>>(64-f.Bits()))
			case v&7 == 0:
				b.SetAddr(f, row, flow.Addr{Hi: v, Lo: v * 31})
			default:
				b.SetAddr(f, row, flow.AddrFrom4(uint32(v)))
			}
		}
	}
	for row := range n {
		b.SetNum(flow.Received, row, receivedFrom+uint64(row))
	}
	return b
}

// randomText returns the text of a number: of any bytes, up to the longest.
func randomText(v uint64) string {
	text := make([]byte, v%(flow.MaxText+1)>>(v>>32&7))
	for i := range text {
		v = v*6364136223846793005 + 1
		text[i] = byte(v >> 56)
	}
	return string(text)
}

// texts returns the rows of b as sorted JSON, to compare as a multiset.
func texts(b *flow.Batch) []string {
	out := make([]string, b.Len())
	var r flow.Record
	for row := range out {
		b.Record(row, &r)
		text := r.AppendJSON(nil)
		for f := flow.FirstKeptNumber; f < flow.FieldCount; f++ {
			if r.Has(f) {
				text = fmt.Appendf(text, " %v=%q", f, r.AppendValue(nil, f))
			}
		}
		out[row] = string(text)
	}
	sort.Strings(out)
	return out
}

// blockRows reads all of a block back into dst.
func blockRows(t testing.TB, blk *Block, dst *flow.Batch) {
	t.Helper()
	base := dst.Grow(blk.Rows())
	for f := range blk.Columns().All {
		present, err := blk.Present(f, nil)
		if err != nil {
			t.Fatalf("Present(%v): %v", f, err)
		}
		var nums []uint64
		var addrs []flow.Addr
		var values []string
		switch {
		case f.IsAddr():
			addrs, err = blk.Addr(f, nil)
		case f.IsText():
			values, err = blk.Text(f, nil)
		default:
			nums, err = blk.Num(f, nil)
		}
		if err != nil {
			t.Fatalf("values of %v: %v", f, err)
		}
		for row := range blk.Rows() {
			has := present[row>>6]>>(row&63)&1 != 0
			switch {
			case f.IsAddr() && has:
				dst.SetAddr(f, base+row, addrs[row])
			case f.IsText() && has:
				dst.SetText(f, base+row, values[row])
			case has:
				dst.SetNum(f, base+row, nums[row])
			case f.IsAddr() && addrs[row] != flow.Addr{}, f.IsText() && values[row] != "", nums != nil && nums[row] != 0:
				t.Fatalf("%v of row %d is absent but not zero", f, row)
			}
		}
	}
}

// storeRows reads all rows of a store back.
func storeRows(t testing.TB, s *Store) *flow.Batch {
	t.Helper()
	out := flow.NewBatch(0)
	v, err := s.View(0, ^Hour(0))
	if err != nil {
		t.Fatalf("View: %v", err)
	}
	defer v.Close()
	for _, b := range v.Buckets() {
		rows := out.Len()
		for i := range b.Blocks() {
			blk, err := b.Block(i)
			if err != nil {
				t.Fatalf("Block(%d): %v", i, err)
			}
			blockRows(t, blk, out)
		}
		if got := int64(out.Len() - rows); got != b.Info().Rows {
			t.Fatalf("bucket %v has %d rows, its info says %d", b.Hour(), got, b.Info().Rows)
		}
	}
	return out
}

func compareTexts(t testing.TB, what string, got, want []string) {
	t.Helper()
	i, j := 0, 0
	for i < len(got) || j < len(want) {
		switch {
		case j == len(want) || i < len(got) && got[i] < want[j]:
			t.Fatalf("%s: %d rows, want %d; not wanted: %s", what, len(got), len(want), got[i])
		case i == len(got) || got[i] > want[j]:
			t.Fatalf("%s: %d rows, want %d; missing: %s", what, len(got), len(want), want[j])
		}
		i, j = i+1, j+1
	}
}
