package index

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"weir/flow"
	"weir/store"
)

const testHour = store.Hour(494_000)

// openStore opens a store that makes a short block whenever another hour is
// written.
func openStore(t testing.TB, dir string, fs store.FS) *store.Store {
	t.Helper()
	s, err := store.Open(dir, store.Options{FS: fs, MaxOpenHours: 1})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return s
}

// randBatch returns rows of one hour whose fields are sometimes absent.
func randBatch(rng *rand.Rand, h store.Hour, rows int, pool []flow.Addr) *flow.Batch {
	b := flow.NewBatch(rows)
	for range rows {
		row := b.Grow(1)
		b.SetNum(flow.Received, row, h.StartMS()+rng.Uint64N(3_600_000))
		b.SetNum(flow.Bytes, row, rng.Uint64N(1e6))
		if rng.IntN(20) > 0 {
			b.SetAddr(flow.SrcAddr, row, pool[rng.IntN(len(pool))])
			b.SetAddr(flow.DstAddr, row, pool[rng.IntN(1+rng.IntN(len(pool)))])
		}
		if rng.IntN(10) > 0 {
			b.SetNum(flow.SrcPort, row, rng.Uint64N(1<<(1+rng.IntN(16))))
			b.SetNum(flow.DstPort, row, 443)
		}
	}
	return b
}

// randPool returns addresses, as many as there may be different ones in a hour.
func randPool(rng *rand.Rand) []flow.Addr {
	pool := make([]flow.Addr, 1+rng.IntN(4000))
	for i := range pool {
		pool[i] = randValue(rng)
	}
	return pool
}

// fill appends blocks of random rows to the test hour.
func fill(t testing.TB, s *store.Store, rng *rand.Rand, blocks int, pool []flow.Addr) {
	t.Helper()
	for range blocks {
		for h, rows := range map[store.Hour]int{testHour: 1 + rng.IntN(2000), testHour + 1: 1} {
			if err := s.Append(randBatch(rng, h, rows, pool)); err != nil {
				t.Fatalf("append: %v", err)
			}
		}
	}
}

// withBucket calls fn with the test hour's bucket.
func withBucket(t testing.TB, s *store.Store, fn func(b *store.Bucket)) {
	t.Helper()
	v, err := s.View(testHour, testHour)
	if err != nil {
		t.Fatalf("view: %v", err)
	}
	defer v.Close()
	if len(v.Buckets()) != 1 {
		t.Fatalf("%d buckets, want the test hour's", len(v.Buckets()))
	}
	fn(v.Buckets()[0])
}

// column reads field f of every block, nil for a row without it.
func column(t testing.TB, b *store.Bucket, f flow.Field) [][]*flow.Addr {
	t.Helper()
	all := make([][]*flow.Addr, b.Blocks())
	for i := range all {
		blk, err := b.Block(i)
		if err != nil {
			t.Fatalf("block %d: %v", i, err)
		}
		present, err := blk.Present(f, nil)
		if err != nil {
			t.Fatalf("presence of %v: %v", f, err)
		}
		values := make([]flow.Addr, blk.Rows())
		if f.IsAddr() {
			values, err = blk.Addr(f, values)
		} else {
			var nums []uint64
			nums, err = blk.Num(f, nil)
			for row, v := range nums {
				values[row] = flow.Addr{Lo: v}
			}
		}
		if err != nil {
			t.Fatalf("column %v: %v", f, err)
		}
		all[i] = make([]*flow.Addr, blk.Rows())
		for row := range values {
			if present[row>>6]>>(row&63)&1 != 0 {
				all[i][row] = &values[row]
			}
		}
	}
	return all
}

// bruteForce returns the blocks and the ordinals that hold a value of ranges.
func bruteForce(col [][]*flow.Addr, ranges []ValueRange) (blocks, rows []uint32) {
	for i, values := range col {
		found := false
		for row, v := range values {
			if v != nil && slices.ContainsFunc(ranges, func(r ValueRange) bool { return !v.Less(r.Lo) && !r.Hi.Less(*v) }) {
				rows = append(rows, uint32(i<<16|row))
				found = true
			}
		}
		if found {
			blocks = append(blocks, uint32(i))
		}
	}
	return blocks, rows
}

// somewhere returns ranges that often hit values of the column.
func somewhere(rng *rand.Rand, f flow.Field, col [][]*flow.Addr) []ValueRange {
	var ranges []ValueRange
	for range 1 + rng.IntN(1<<rng.IntN(7)) {
		v := randValue(rng)
		if values := col[rng.IntN(len(col))]; rng.IntN(4) > 0 {
			if p := values[rng.IntN(len(values))]; p != nil {
				v = *p
			}
		}
		r := ValueRange{v, v}
		switch {
		case !f.IsAddr():
			r = NumRange(v.Lo&0xffff, v.Lo&0xffff+rng.Uint64N(1<<rng.IntN(12)))
		case rng.IntN(3) == 0:
			p, _ := flow.PrefixFrom(v, 8+rng.IntN(24))
			r = PrefixRange(p)
		}
		ranges = append(ranges, r)
	}
	return ranges
}

// compareAll compares look-ups with brute force, many times.
func compareAll(t *testing.T, b *store.Bucket, rng *rand.Rand, tries int) {
	t.Helper()
	for _, f := range orderedFields() {
		col := column(t, b, f)
		for range tries {
			ranges := somewhere(rng, f, col)
			compareOne(t, b, f, col, ranges)
			if t.Failed() {
				return
			}
		}
	}
}

func compareOne(t *testing.T, b *store.Bucket, f flow.Field, col [][]*flow.Addr, ranges []ValueRange) {
	t.Helper()
	wantBlocks, wantRows := bruteForce(col, ranges)
	for i := b.Indexed(); i < b.Blocks(); i++ {
		if !lacksAll(b, i, f, ranges) {
			wantBlocks = append(wantBlocks, uint32(i))
		}
	}
	slices.Sort(wantBlocks)
	blocks, err := Blocks(b, f, ranges)
	if err != nil {
		t.Fatalf("blocks of %v: %v", f, err)
	}
	if got, want := blocks.Slice(), slices.Compact(wantBlocks); !slices.Equal(got, want) {
		t.Errorf("blocks of %v in %v: got %v, want %v (indexed %d)", f, ranges, got, want, b.Indexed())
	}
	rows, err := Rows(b, f, ranges, nil)
	if err != nil {
		t.Fatalf("rows of %v: %v", f, err)
	}
	if got := rows.Slice(); !slices.Equal(got, wantRows) {
		t.Errorf("rows of %v in %v: got %d, want %d", f, ranges, len(got), len(wantRows))
	}
	if err := rows.bm.Validate(); err != nil && !rows.Empty() {
		t.Errorf("rows of %v are no valid roaring bitmap: %v", f, err)
	}
}

// lacksAll reports whether the store knows without reading block i that it has
// none of the values.
func lacksAll(b *store.Bucket, i int, f flow.Field, ranges []ValueRange) bool {
	if f != flow.SrcAddr && f != flow.DstAddr {
		return false
	}
	return !slices.ContainsFunc(ranges, func(r ValueRange) bool { return r.Lo != r.Hi || !b.LacksAddr(i, r.Lo) })
}

// TestAbsentInOpenHour asks an hour that is not indexed for addresses that it does
// not have: nearly no block has to be read, but for the one that fills.
func TestAbsentInOpenHour(t *testing.T) {
	rng := newRand(t)
	s := openStore(t, "archive", store.NewMemFS())
	defer s.Close()
	pool := make([]flow.Addr, 4000)
	for i := range pool {
		pool[i] = flow.Addr{Lo: rng.Uint64()}
	}
	fill(t, s, rng, 40, pool)
	withBucket(t, s, func(b *store.Bucket) {
		const tries = 200
		for _, f := range []flow.Field{flow.SrcAddr, flow.DstAddr} {
			blocks := 0
			for range tries {
				a := flow.Addr{Hi: rng.Uint64() | 1<<63, Lo: rng.Uint64()}
				set, err := Blocks(b, f, []ValueRange{AddrRange(a, a)})
				if err != nil {
					t.Fatal(err)
				}
				blocks += set.Len()
			}
			if most := tries * (2 + b.Blocks()/10); blocks > most {
				t.Errorf("%v: %d of %d blocks are candidates in %d look-ups, want at most %d", f, blocks, b.Blocks(), tries, most)
			}
		}
	})
}

func TestAnswersEqualBruteForce(t *testing.T) {
	rng := newRand(t)
	rounds := 5
	if testing.Short() {
		rounds = 2
	}
	for round := range rounds {
		s := openStore(t, "archive", store.NewMemFS())
		pool := randPool(rng)
		fill(t, s, rng, 1+rng.IntN(40), pool)
		withBucket(t, s, func(b *store.Bucket) { compareAll(t, b, rng, 5) }) // open: nothing is indexed
		if err := Seal(context.Background(), s, testHour); err != nil {
			t.Fatalf("seal: %v", err)
		}
		withBucket(t, s, func(b *store.Bucket) {
			if b.Indexed() != b.Blocks() {
				t.Errorf("%d of %d blocks are indexed after sealing", b.Indexed(), b.Blocks())
			}
			compareAll(t, b, rng, 20)
		})
		fill(t, s, rng, 1+rng.IntN(5), pool) // late
		withBucket(t, s, func(b *store.Bucket) {
			if b.Indexed() >= b.Blocks() {
				t.Errorf("%d of %d blocks are indexed after late rows", b.Indexed(), b.Blocks())
			}
			compareAll(t, b, rng, 10)
		})
		checkAll(t, s)
		if err := Seal(context.Background(), s, testHour); err != nil {
			t.Fatalf("seal again: %v", err)
		}
		withBucket(t, s, func(b *store.Bucket) {
			if b.Indexed() != b.Blocks() {
				t.Errorf("%d of %d blocks are indexed after sealing again", b.Indexed(), b.Blocks())
			}
			compareAll(t, b, rng, 10)
		})
		checkAll(t, s)
		if err := s.Close(); err != nil {
			t.Fatalf("close: %v", err)
		}
		if t.Failed() {
			t.Fatalf("round %d failed", round)
		}
	}
}

func TestOnDisk(t *testing.T) {
	rng := newRand(t)
	dir := t.TempDir()
	s := openStore(t, dir, nil)
	fill(t, s, rng, 10, randPool(rng))
	if err := Seal(context.Background(), s, testHour); err != nil {
		t.Fatalf("seal: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	s = openStore(t, dir, nil)
	defer s.Close()
	withBucket(t, s, func(b *store.Bucket) { compareAll(t, b, rng, 20) })
	checkAll(t, s)
}

// TestCrashDuringSeal cuts the machine's power at moments all through sealing.
func TestCrashDuringSeal(t *testing.T) {
	rng := newRand(t)
	rounds := 30
	if testing.Short() {
		rounds = 6
	}
	for range rounds {
		fs := store.NewMemFS()
		s := openStore(t, "archive", fs)
		fill(t, s, rng, 1+rng.IntN(8), randPool(rng))
		if err := s.Flush(); err != nil {
			t.Fatalf("flush: %v", err)
		}
		want := bucketRows(s)
		sealed := make(chan error, 1)
		go func() { sealed <- Seal(context.Background(), s, testHour) }()
		time.Sleep(time.Duration(rng.IntN(15)) * time.Millisecond)
		crashed := fs.Crash(rng, rng.IntN(101))
		if err := <-sealed; err != nil {
			t.Errorf("seal: %v", err)
		}
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		s = openStore(t, "archive", crashed)
		if got := bucketRows(s); got != want {
			t.Errorf("%d rows after the crash, want %d", got, want)
		}
		now := func() time.Time { return time.UnixMilli(int64(testHour.EndMS()) + 20_000) }
		if err := NewSealer(s, Options{Now: now}).SealOver(context.Background()); err != nil {
			t.Errorf("seal after the crash: %v", err)
		}
		withBucket(t, s, func(b *store.Bucket) {
			if info := b.Info(); info.State != store.StateSealed || info.Rows != want {
				t.Errorf("bucket is %v with %d rows, want sealed with %d", info.State, info.Rows, want)
			}
			compareAll(t, b, rng, 3)
		})
		checkAll(t, s)
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
}

func bucketRows(s *store.Store) int64 {
	for _, b := range s.Buckets() {
		if b.Hour == testHour {
			return b.Rows
		}
	}
	return 0
}

// TestQueriesWhileSealing looks things up while rows arrive, hours are sealed,
// and one is dropped.
func TestQueriesWhileSealing(t *testing.T) {
	rng := newRand(t)
	s := openStore(t, "archive", store.NewMemFS())
	pool := randPool(rng)
	fill(t, s, rng, 10, pool)
	var work sync.WaitGroup
	stop := make(chan struct{})
	for range 2 {
		seed := rng.Uint64()
		work.Go(func() {
			rng := rand.New(rand.NewPCG(seed, 0))
			for {
				select {
				case <-stop:
					return
				default:
				}
				withBucket(t, s, func(b *store.Bucket) { compareAll(t, b, rng, 1) })
			}
		})
	}
	for range 10 {
		fill(t, s, rng, 2, pool)
		if err := Seal(context.Background(), s, testHour); err != nil {
			t.Errorf("seal: %v", err)
		}
	}
	close(stop)
	work.Wait()
	checkAll(t, s)
	if err := s.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}
