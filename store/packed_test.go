package store

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"

	"weir/flow"
)

// TestPackedIsNum compares what is told of columns that are not put together
// with their values, and that all ways of writing numbers that it serves occur.
func TestPackedIsNum(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 11))
	blocks := []*flow.Batch{lastBlock(t, true), lastBlock(t, false)}
	for _, n := range []int{1, 63, 64, 65, 300, 1000, 5000} {
		blocks = append(blocks, randomBatch(rng, n, 1_700_000_000_000), skewed(rng, n))
	}
	var frequent, plain, dict, partial, large int
	for _, b := range blocks {
		blk := blockOf(t, b)
		var p *Packed // its memory serves all columns
		for _, f := range flow.Fields() {
			got, err := blk.PackedIn(f, p)
			if err != nil {
				t.Fatalf("%d rows: PackedIn(%v): %v", blk.Rows(), f, err)
			}
			if got == nil {
				continue
			}
			p = got
			checkPacked(t, rng, blk, f, p)
			checkPacked(t, rng, blk, f, &Packed{packedColumn: p.clone(), room: new(room)})
			frequent += boolInt(p.frequent)
			plain += boolInt(!p.frequent)
			dict += boolInt(p.coded)
			partial += boolInt(p.present != nil)
			large += boolInt(!p.frequent && p.plain.width > 1)
		}
	}
	if frequent == 0 || plain == 0 || dict == 0 || partial == 0 || large == 0 {
		t.Errorf("columns: %d frequent, %d plain, %d of dictionaries, %d of some rows, %d of two planes and more; want some of each",
			frequent, plain, dict, partial, large)
	}
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// skewed returns rows most of whose numbers are small and repeat, as real ones
// do, with fields that few, most and all of the rows have.
func skewed(rng *rand.Rand, n int) *flow.Batch {
	b := flow.NewBatch(n)
	b.Grow(n)
	fields := flow.Fields()
	for row := range n {
		b.SetNum(flow.Received, row, 1_700_000_000_000+uint64(row))
		for i, f := range fields {
			if f.IsAddr() || f == flow.Received || i%3 == 0 && rng.IntN(20) == 0 || i%3 == 1 && rng.IntN(20) != 0 {
				continue
			}
			v := uint64(40 + 13*rng.IntN(20))
			switch rng.IntN(10) {
			case 0:
				v = uint64(rng.IntN(1 << 16))
			case 1:
				v = rng.Uint64() >> rng.IntN(64)
			}
			b.SetNum(f, row, v&(^uint64(0)>>(64-f.Bits())))
		}
	}
	return b
}

func checkPacked(t *testing.T, rng *rand.Rand, blk *Block, f flow.Field, p *Packed) {
	t.Helper()
	what := fmt.Sprintf("%v of %d rows", f, blk.Rows())
	values, err := blk.Num(f, nil)
	if err != nil {
		t.Fatalf("%s: Num: %v", what, err)
	}
	present, err := blk.Present(f, nil)
	if err != nil {
		t.Fatalf("%s: Present: %v", what, err)
	}
	for _, share := range []int{1, 2, 8, 100} {
		set := make([]uint64, BlockRows/64)
		for row := range values {
			if rng.IntN(share) == 0 {
				set[row>>6] |= 1 << (row & 63)
			}
		}
		lo := values[rng.IntN(len(values))]
		hi := max(lo, values[rng.IntN(len(values))])
		check := func(how string, got []uint64) {
			t.Helper()
			for row, v := range values {
				was, has := set[row>>6]>>(row&63)&1 != 0, present[row>>6]>>(row&63)&1 != 0
				want := was && has && v >= lo && v <= hi
				if in := got[row>>6]>>(row&63)&1 != 0; in != want {
					t.Fatalf("%s: %s, one in %d asked for %d to %d: row %d (value %d, present %v, asked for %v) is in: %v, want %v",
						what, how, share, lo, hi, row, v, has, was, in, want)
				}
			}
			if n := len(values); n < BlockRows && got[n>>6]>>(n&63) != 0 {
				t.Fatalf("%s: %s: rows past the last are in", what, how)
			}
		}
		got := slices.Clone(set)
		p.Restrict(func(values []uint64) (word uint64) {
			for i, v := range values {
				if v >= lo && v <= hi {
					word |= 1 << i
				}
			}
			if len(values) < 64 {
				word |= ^uint64(0) << len(values) // those bits are void
			}
			return word
		}, got)
		check("Restrict", got)
		got = slices.Clone(set)
		p.RestrictRange(lo, hi, got)
		check("RestrictRange", got)
		if lo = values[0] + 1; !slices.Contains(values, lo) {
			hi, got = lo, slices.Clone(set)
			p.RestrictRange(lo, hi, got)
			check("RestrictRange", got)
		}
		few := []uint64{values[0], values[len(values)/2], values[len(values)-1] + 1}
		got = slices.Clone(set)
		p.Restrict(func(values []uint64) (word uint64) {
			for i, v := range values {
				word |= uint64(boolInt(slices.Contains(few, v))) << i
			}
			return word
		}, got)
		for row, v := range values {
			want := set[row>>6]&present[row>>6]>>(row&63)&1 != 0 && slices.Contains(few, v)
			if in := got[row>>6]>>(row&63)&1 != 0; in != want {
				t.Fatalf("%s: one in %d asked for %v: row %d (value %d) is in: %v, want %v", what, share, few, row, v, in, want)
			}
		}
		if p.HasDict() {
			continue
		}
		gathered, sum, n := p.Gather(nil, set), uint64(0), 0
		for i, w := range set {
			for ; w != 0; w &= w - 1 {
				row := i<<6 + bits.TrailingZeros64(w)
				if gathered[row] != values[row] {
					t.Fatalf("%s: row %d is gathered as %d, want %d", what, row, gathered[row], values[row])
				}
				sum, n = sum+values[row], n+1
			}
		}
		if got := p.Sum(set, n); got != sum {
			t.Fatalf("%s: one in %d adds up to %d, want %d", what, share, got, sum)
		}
	}
	if p.HasDict() {
		checkPackedDict(t, blk, f, p)
		return
	}
	for row, v := range p.Fill(nil) {
		if v != values[row] {
			t.Fatalf("%s: row %d is filled in as %d, want %d", what, row, v, values[row])
		}
	}
}

// checkPackedDict compares a packed column's dictionary with the block's.
func checkPackedDict(t *testing.T, blk *Block, f flow.Field, p *Packed) {
	t.Helper()
	want, err := blk.DictIn(f, nil)
	if err != nil {
		t.Fatalf("DictIn(%v): %v", f, err)
	}
	got := p.Dict(nil)
	if got == nil || got.Len() != want.Len() || !slices.Equal(got.Nums(), want.Nums()) || !slices.Equal(got.RowCodes(), want.RowCodes()) || got.HasPostings() != want.HasPostings() {
		t.Fatalf("%v of %d rows: the dictionary of the packed column is not that of the block", f, blk.Rows())
	}
	values, err := blk.Num(f, nil)
	if err != nil {
		t.Fatalf("Num(%v): %v", f, err)
	}
	if !slices.Equal(got.RowNums(nil), values) {
		t.Fatalf("%v of %d rows: the values by the dictionary are not those of the block", f, blk.Rows())
	}
}
