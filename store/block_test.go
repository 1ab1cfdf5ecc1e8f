package store

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"weir/flow"
)

// blockOf encodes b and returns it as a block that is read from memory.
func blockOf(tb testing.TB, b *flow.Batch) *Block {
	tb.Helper()
	enc := newEncoder().encode(b)
	blk, err := openEncoded(enc, newCodecs())
	if err != nil {
		tb.Fatalf("read header: %v", err)
	}
	return blk
}

func openEncoded(enc *encodedBlock, c *codecs) (*Block, error) {
	head, err := parseHeader(enc.head)
	if err != nil {
		return nil, err
	}
	src := &storedBlock{head: head, codecs: c, read: func(f flow.Field, dst []byte) ([]byte, error) {
		if i := slices.Index(enc.fields, f); i >= 0 {
			return append(dst[:0], enc.columns[i]...), nil
		}
		return nil, errMissing
	}}
	return &Block{hour: testHour, bounds: head.bounds, columns: head.columns, src: src}, nil
}

// checkBlock reads all of blk and compares it with the rows it was made of.
func checkBlock(t *testing.T, blk *Block, want *flow.Batch) {
	t.Helper()
	got := flow.NewBatch(0)
	blockRows(t, blk, got)
	compareTexts(t, "block", texts(got), texts(want))
	if b := boundsOf(want, 0, want.Len()); blk.bounds != b {
		t.Errorf("bounds are %+v, want %+v", blk.bounds, b)
	}
	for f := range flow.AllFields().All {
		if has := want.PresentCount(f) > 0; blk.Columns().Has(f) != has {
			t.Errorf("Columns() has %v: %v, want %v", f, !has, has)
		}
		checkStat(t, blk, want, f)
		checkDict(t, blk, f)
	}
}

func checkStat(t *testing.T, blk *Block, want *flow.Batch, f flow.Field) {
	t.Helper()
	var s Stat
	for row := range want.Len() {
		if !want.Has(f, row) {
			continue
		}
		first := s.Present == 0
		s.Present++
		if f.IsAddr() {
			if a := want.GetAddr(f, row); first {
				s.MinAddr, s.MaxAddr = a, a
			} else if a.Less(s.MinAddr) {
				s.MinAddr = a
			} else if s.MaxAddr.Less(a) {
				s.MaxAddr = a
			}
			continue
		}
		if f.IsText() {
			continue
		}
		if v := want.GetNum(f, row); first {
			s.MinNum, s.MaxNum = v, v
		} else {
			s.MinNum, s.MaxNum = min(v, s.MinNum), max(v, s.MaxNum)
		}
	}
	got := blk.Stat(f)
	got.Size = 0
	if got != s {
		t.Errorf("Stat(%v) = %+v, want %+v", f, got, s)
	}
}

// checkDict compares a dictionary with the plain column.
func checkDict(t *testing.T, blk *Block, f flow.Field) {
	t.Helper()
	d, err := blk.Dict(f)
	if err != nil {
		t.Fatalf("Dict(%v): %v", f, err)
	}
	if d == nil {
		if blk.Columns().Has(f) && (f.IsAddr() || f.IsText() || isPosting(f)) {
			t.Errorf("Dict(%v) is nil", f)
		}
		return
	}
	present, _ := blk.Present(f, nil)
	nums, _ := blk.Num(f, nil)
	addrs, _ := blk.Addr(f, nil)
	values, _ := blk.Text(f, nil)
	rows := 0
	for row, code := range d.Codes(nil) {
		has := present[row>>6]>>(row&63)&1 != 0
		if has != (int(code) < d.Len()) {
			t.Fatalf("%v, row %d: code %d of %d, present %v", f, row, code, d.Len(), has)
		}
		if has && f.IsText() && d.Text(int(code)) != values[row] {
			t.Fatalf("%v, row %d: code %d is not the row's text", f, row, code)
		}
		if has && !f.IsText() && (f.IsAddr() && d.Addr(int(code)) != addrs[row] || !f.IsAddr() && d.Num(int(code)) != nums[row]) {
			t.Fatalf("%v, row %d: code %d is not the row's value", f, row, code)
		}
	}
	if !d.HasPostings() {
		return
	}
	for i := range d.Len() {
		of := d.Rows(i)
		rows += len(of)
		if !slices.IsSorted(of) || len(of) == 0 {
			t.Fatalf("%v: Rows(%d) = %v", f, i, of)
		}
		for _, row := range of {
			if d.codes[row] != uint16(i) {
				t.Fatalf("%v: Rows(%d) holds row %d of code %d", f, i, row, d.codes[row])
			}
		}
	}
	if want := blk.Stat(f).Present; rows != want {
		t.Errorf("%v: postings hold %d rows, want %d", f, rows, want)
	}
}

// TestBlockKeepsRows encodes random batches and reads them back.
func TestBlockKeepsRows(t *testing.T) {
	sizes := []int{1, 2, 63, 64, 65, 300, 1000, 5000}
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 7))
		b := randomBatch(rng, sizes[rng.IntN(len(sizes))], rng.Uint64()>>rng.IntN(64))
		if rng.IntN(4) == 0 {
			b.Unmark(flow.Received, 0, b.Len()/2)
		}
		t.Run(fmt.Sprint("seed", seed), func(t *testing.T) { checkBlock(t, blockOf(t, b), b) })
	}
	for _, uniform := range []bool{true, false} {
		b := traffic(t, 20_000, uniform)
		t.Run(fmt.Sprint("traffic", uniform), func(t *testing.T) { checkBlock(t, blockOf(t, b), b) })
	}
}

// TestBlockExtremes encodes the batches that are at some end.
func TestBlockExtremes(t *testing.T) {
	full := flow.NewBatch(BlockRows)
	full.Grow(BlockRows)
	rng := rand.New(rand.NewPCG(3, 3))
	perm := rng.Perm(BlockRows)
	for row := range BlockRows {
		full.SetNum(flow.Received, row, uint64(row)<<40)
		full.SetNum(flow.End, row, math.MaxUint64-uint64(row))
		full.SetNum(flow.Start, row, rng.Uint64())
		full.SetNum(flow.SrcPort, row, uint64(perm[row]))
		full.SetNum(flow.Bytes, row, rng.Uint64())
		full.SetAddr(flow.SrcAddr, row, flow.Addr{Hi: rng.Uint64(), Lo: uint64(row)})
		full.SetAddr(flow.DstAddr, row, flow.AddrFrom4(uint32(perm[row])<<16))
		full.SetAddr(flow.Exporter, row, flow.AddrFrom4(uint32(row)))
		full.SetNum(flow.SrcAS, row, uint64(row&1)<<31)
	}
	allMax := flow.NewBatch(100)
	allMax.Grow(100)
	wide := flow.NewBatch(300)
	wide.Grow(300)
	for _, f := range flow.Fields() {
		for row := range 100 {
			if f.IsAddr() {
				allMax.SetAddr(f, row, flow.Addr{Hi: math.MaxUint64, Lo: math.MaxUint64})
			} else {
				allMax.SetNum(f, row, math.MaxUint64>>(64-f.Bits()))
			}
		}
		for row := range 300 { // beyond the width of the field
			if !f.IsAddr() {
				wide.SetNum(f, row, rng.Uint64())
			}
		}
	}
	absent := flow.NewBatch(10)
	absent.Grow(10)
	absent.Num(flow.Bytes)
	for name, b := range map[string]*flow.Batch{
		"65,536 distinct values": full, "all at their maximum": allMax, "wider than the field": wide,
		"nothing present": absent, "no rows": flow.NewBatch(0),
	} {
		t.Run(name, func(t *testing.T) { checkBlock(t, blockOf(t, b), b) })
	}
}

// TestEncoderIsReusable encodes different batches with one encoder: nothing of
// one may be left in the next.
func TestEncoderIsReusable(t *testing.T) {
	e := newEncoder()
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 8))
		b := randomBatch(rng, 1+rng.IntN(3000), 0)
		blk, err := openEncoded(e.encode(b), newCodecs())
		if err != nil {
			t.Fatal(err)
		}
		got := flow.NewBatch(0)
		blockRows(t, blk, got)
		compareTexts(t, fmt.Sprint("seed ", seed), texts(got), texts(b))
	}
}

// TestDictionariesAreReused reads the dictionaries of several blocks into the
// same memory, as a query does, and compares them with fresh ones.
func TestDictionariesAreReused(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	var old [flow.FieldCount]*Dict
	for _, rows := range []int{3000, 17, 20_000, 1, 5000} {
		blk := blockOf(t, randomBatch(rng, rows, 0))
		for _, f := range PostingFields {
			want, err := blk.Dict(f)
			if err != nil {
				t.Fatal(err)
			}
			got, err := blk.DictIn(f, old[f])
			if err != nil {
				t.Fatal(err)
			}
			if want == nil || got == nil {
				if want != got {
					t.Errorf("%d rows, %v: %v, want %v", rows, f, got, want)
				}
				continue
			}
			same := slices.Equal(got.Addrs(), want.Addrs()) && slices.Equal(got.Nums(), want.Nums()) && slices.Equal(got.RowCodes(), want.Codes(nil))
			for i := range want.Len() {
				same = same && slices.Equal(got.Rows(i), want.Rows(i))
			}
			if !same {
				t.Errorf("%d rows, %v: differs from the dictionary in memory of its own", rows, f)
			}
			old[f] = got
		}
	}
}
