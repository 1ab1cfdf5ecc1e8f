package store

import (
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"weir/flow"
)

// throughCache returns blk as it is read the next time, through a cache.
func throughCache(blk *Block, c *columnCache) *Block {
	s, again := blk.src.(*storedBlock), *blk
	again.src = &storedBlock{head: s.head, codecs: s.codecs, read: s.read, cache: c}
	return &again
}

// unread has a block fail that reads a column which the cache should have.
func unread(blk *Block, kept func(f flow.Field) bool) *Block {
	s := blk.src.(*storedBlock)
	read := s.read
	s.read = func(f flow.Field, dst []byte) ([]byte, error) {
		if kept(f) {
			return nil, errors.New("a column that is kept is read")
		}
		return read(f, dst)
	}
	return blk
}

func isNumber(f flow.Field) bool { return !f.IsAddr() && !f.IsText() }

// oddBlocks returns blocks whose columns are written in every way.
func oddBlocks(t *testing.T, rng *rand.Rand) (blocks []*Block) {
	blocks = append(blocks, blockOf(t, lastBlock(t, true)), blockOf(t, lastBlock(t, false)))
	for _, n := range []int{1, 64, 65, 1000, 5000} {
		blocks = append(blocks, blockOf(t, randomBatch(rng, n, 1_700_000_000_000)), blockOf(t, skewed(rng, n)))
	}
	return blocks
}

// TestKeptPoints asks for single values of the same columns again, of other rows
// and in another order: no column of numbers is read, and none is changed.
func TestKeptPoints(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 5))
	for _, blk := range oddBlocks(t, rng) {
		c := newColumnCache(64 << 20)
		for round, share := range []int{3, 1, 100, 7} {
			set := make([]uint64, BlockRows/64)
			for row := range blk.Rows() {
				if rng.IntN(share) == 0 {
					set[row>>6] |= 1 << (row & 63)
				}
			}
			again := throughCache(blk, c)
			if round > 0 {
				unread(again, isNumber)
			}
			for _, f := range shuffled(rng, flow.Fields()) {
				if isNumber(f) {
					comparePoints(t, again, blk, f, set)
				}
			}
		}
	}
}

// TestKeptAddrs reads dictionaries of addresses again, in the memory of others,
// and compares them with those that are decoded.
func TestKeptAddrs(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 5))
	posting := func(f flow.Field) bool { return f.IsAddr() && isPosting(f) }
	var old Dict
	for _, blk := range oddBlocks(t, rng) {
		c := newColumnCache(64 << 20)
		for round := range 3 {
			again := throughCache(blk, c)
			if round > 0 {
				unread(again, posting)
			}
			for f := range blk.Columns().All {
				if posting(f) {
					compareDict(t, again, blk, f, &old)
				}
			}
		}
	}
}

func compareDict(t *testing.T, again, blk *Block, f flow.Field, old *Dict) {
	t.Helper()
	want, err := blk.Dict(f)
	if err != nil {
		t.Fatal(err)
	}
	got, err := again.DictIn(f, old)
	if err != nil {
		t.Fatalf("%v of %d rows: %v", f, blk.Rows(), err)
	}
	values, err := again.Values(f)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got.Addrs(), want.Addrs()) || !slices.Equal(values.Addrs(), want.Addrs()) || got.Len() != want.Len() {
		t.Fatalf("%v of %d rows: other addresses", f, blk.Rows())
	}
	if !slices.Equal(got.RowCodes(), want.RowCodes()) || !got.HasPostings() {
		t.Fatalf("%v of %d rows: other codes", f, blk.Rows())
	}
	for i := range want.Len() {
		if !slices.Equal(got.Rows(i), want.Rows(i)) {
			t.Fatalf("%v of %d rows: other rows of address %d", f, blk.Rows(), i)
		}
	}
	for i := range got.addrs { // its memory is its own
		got.addrs[i] = flow.Addr{}
	}
	clear(got.codes)
}

// TestKeptColumnsAreShared reads kept columns on several goroutines, as several
// questions do; the race detector sees whether one writes to them.
func TestKeptColumnsAreShared(t *testing.T) {
	blk := blockOf(t, lastBlock(t, false))
	want, err := blk.Dict(flow.DstAddr)
	if err != nil {
		t.Fatal(err)
	}
	c := newColumnCache(64 << 20)
	set := make([]uint64, BlockRows/64)
	for row := 5; row < blk.Rows(); row += 1001 {
		set[row>>6] |= 1 << (row & 63)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 3 {
				again := throughCache(blk, c)
				for f := range blk.Columns().All {
					if _, err := again.NumOf(f, set, nil); err != nil {
						t.Errorf("%v: %v", f, err)
					}
				}
				d, err := again.Dict(flow.DstAddr)
				if err != nil || !slices.Equal(d.RowCodes(), want.RowCodes()) || !slices.Equal(d.Addrs(), want.Addrs()) {
					t.Errorf("other addresses, error %v", err)
				}
			}
		})
	}
	wg.Wait()
}
