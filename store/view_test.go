package store

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"weir/flow"
)

// numbered returns n rows of an hour with the numbers from first on in Bytes.
func numbered(h Hour, first, n int) *flow.Batch {
	b := flow.NewBatch(n)
	b.Grow(n)
	for row := range n {
		b.SetNum(flow.Received, row, h.StartMS()+uint64(row%hourMS))
		b.SetNum(flow.Bytes, row, uint64(first+row))
		b.SetAddr(flow.SrcAddr, row, flow.AddrFrom4(uint32(row%77)))
	}
	return b
}

func appendTest(t testing.TB, s *Store, b *flow.Batch) {
	t.Helper()
	if err := s.Append(b); err != nil {
		t.Fatalf("Append: %v", err)
	}
}

func sealTest(t testing.TB, s *Store, h Hour) {
	t.Helper()
	z, err := s.BeginSeal(h)
	if err != nil {
		t.Fatalf("BeginSeal: %v", err)
	}
	for i := range 1000 {
		if err := z.Add(fmt.Appendf(nil, "key%04d", 2*i), fmt.Append(nil, i)); err != nil {
			t.Fatalf("Add: %v", err)
		}
	}
	if err := z.Commit(); err != nil {
		t.Fatalf("Commit: %v", err)
	}
}

// viewNumbers returns the sorted numbers in Bytes of all that v sees.
func viewNumbers(t testing.TB, v *View) []uint64 {
	t.Helper()
	var out []uint64
	for _, b := range v.Buckets() {
		for i := range b.Blocks() {
			blk, err := b.Block(i)
			if err != nil {
				t.Fatalf("Block(%d): %v", i, err)
			}
			nums, err := blk.Num(flow.Bytes, nil)
			if err != nil {
				t.Fatalf("Num: %v", err)
			}
			out = append(out, nums...)
		}
	}
	slices.Sort(out)
	return out
}

func wantNumbers(t testing.TB, got []uint64, n int) {
	t.Helper()
	for i, v := range got {
		if v != uint64(i) {
			t.Fatalf("number %d of %d is %d, want each from 0 once", i, len(got), v)
		}
	}
	if len(got) != n {
		t.Fatalf("%d rows, want %d", len(got), n)
	}
}

// TestViewStays takes views before each change and reads them after all.
func TestViewStays(t *testing.T) {
	s := openTest(t, t.TempDir(), Options{FlushEvery: -1, blockRows: 1000})
	var views []*View
	var rows []int
	take := func(n int) {
		v, err := s.View(testHour, testHour)
		if err != nil {
			t.Fatal(err)
		}
		views, rows = append(views, v), append(rows, n)
	}
	take(0)
	appendTest(t, s, numbered(testHour, 0, 2500))
	take(2500)
	appendTest(t, s, numbered(testHour, 2500, 100))
	take(2600)
	if err := s.Flush(); err != nil {
		t.Fatal(err)
	}
	appendTest(t, s, numbered(testHour, 2600, 1400))
	take(4000)
	sealTest(t, s, testHour)
	take(4000)
	appendTest(t, s, numbered(testHour, 4000, 10))
	take(4010)
	sealTest(t, s, testHour)
	take(4010)
	if err := s.Drop(testHour); err != nil {
		t.Fatal(err)
	}
	take(0)
	appendTest(t, s, numbered(testHour, 0, 5))
	take(5)
	for i, v := range views {
		wantNumbers(t, viewNumbers(t, v), rows[i])
		if err := v.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if err := v.Close(); err != nil {
			t.Errorf("second Close: %v", err)
		}
	}
}

// TestCloseUnderView closes the store while views are read.
func TestCloseUnderView(t *testing.T) {
	s := openTest(t, t.TempDir(), Options{FlushEvery: -1, blockRows: 1000})
	appendTest(t, s, numbered(testHour, 0, 5500))
	sealTest(t, s, testHour)
	appendTest(t, s, numbered(testHour, 5500, 500))
	var readers sync.WaitGroup
	for range 4 {
		v, err := s.View(0, ^Hour(0))
		if err != nil {
			t.Fatal(err)
		}
		b := v.Buckets()[0]
		it, err := b.IndexIter(nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		readers.Go(func() {
			for i := 0; ; i++ {
				blk, err := b.Block(i % b.Blocks())
				if err == nil {
					_, err = blk.Num(flow.Bytes, nil)
				}
				if err == nil && !it.SeekGE([]byte("key1")) {
					err = it.Err()
				}
				if errors.Is(err, ErrClosed) {
					return
				}
				if err != nil {
					t.Errorf("read while the store closes: %v", err)
					return
				}
			}
		})
	}
	time.Sleep(20 * time.Millisecond)
	if err := s.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	readers.Wait()
	if _, err := s.View(0, 1); !errors.Is(err, ErrClosed) {
		t.Errorf("View of a closed store: %v", err)
	}
	if err := s.Append(numbered(testHour, 0, 1)); !errors.Is(err, ErrClosed) {
		t.Errorf("Append to a closed store: %v", err)
	}
	if err := s.Flush(); !errors.Is(err, ErrClosed) {
		t.Errorf("Flush of a closed store: %v", err)
	}
}

func TestIndexIter(t *testing.T) {
	s := openTest(t, t.TempDir(), Options{FlushEvery: -1})
	appendTest(t, s, numbered(testHour, 0, 50))
	appendTest(t, s, numbered(testHour+1, 0, 50))
	sealTest(t, s, testHour)
	v, err := s.View(0, ^Hour(0))
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	b := v.Buckets()[0]
	if b.Indexed() != 1 || b.Info().State != StateSealed || v.Buckets()[1].Info().State != StateOpen {
		t.Fatalf("buckets are %+v, %+v", b.Info(), v.Buckets()[1].Info())
	}
	it, err := b.IndexIter([]byte("key0100"), []byte("key0200"))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for ok := it.First(); ok; ok = it.Next() {
		if want := fmt.Sprintf("key%04d", 100+2*n); string(it.Key()) != want || string(it.Value()) != fmt.Sprint(50+n) {
			t.Fatalf("entry %d is %s=%s, want %s", n, it.Key(), it.Value(), want)
		}
		n++
	}
	if err := it.Close(); err != nil || n != 50 {
		t.Errorf("%d entries, %v, want 50", n, err)
	}
	all, err := b.IndexIter(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer all.Close()
	if !all.Last() || string(all.Key()) != "key1998" || !all.Prev() || string(all.Key()) != "key1996" {
		t.Errorf("Last, Prev stand at %q", all.Key())
	}
	if !all.SeekGE([]byte("key0101")) || string(all.Key()) != "key0102" {
		t.Errorf("SeekGE(key0101) stands at %q", all.Key())
	}
	if !all.SeekLT([]byte("key0102")) || string(all.Key()) != "key0100" {
		t.Errorf("SeekLT(key0102) stands at %q", all.Key())
	}
	if all.SeekGE([]byte("key2000")) || all.Err() != nil {
		t.Errorf("SeekGE past the end stands at %q, %v", all.Key(), all.Err())
	}
	open, err := v.Buckets()[1].IndexIter(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if open.First() || open.Close() != nil {
		t.Errorf("an open bucket has an index entry %q, %v", open.Key(), open.Err())
	}
}

// TestConcurrent appends, flushes, views, seals and copies at the same time; in
// the end, and in every view, each row is there once.
func TestConcurrent(t *testing.T) {
	s := openTest(t, t.TempDir(), Options{FlushEvery: 5 * time.Millisecond, blockRows: 500, MaxOpenHours: 2})
	const appenders, each, rows = 3, 60, 50
	var work, others sync.WaitGroup
	done := make(chan struct{})
	for g := range appenders {
		work.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(g), 1))
			for i := range each {
				if err := s.Append(numbered(testHour+Hour(rng.IntN(3)), (g*each+i)*rows, rows)); err != nil {
					t.Errorf("Append: %v", err)
				}
			}
		})
	}
	others.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			default:
			}
			z, err := s.BeginSeal(testHour + Hour(i%3))
			if errors.Is(err, ErrNoBucket) {
				continue
			}
			if err != nil {
				t.Errorf("BeginSeal: %v", err)
				return
			}
			if err := z.Commit(); err != nil {
				t.Errorf("Commit: %v", err)
			}
		}
	})
	others.Go(func() {
		for last := 0; ; {
			v, err := s.View(0, ^Hour(0))
			if err != nil {
				t.Errorf("View: %v", err)
				return
			}
			got := viewNumbers(t, v)
			rows := len(got)
			if distinct := len(slices.Compact(got)); distinct != rows || rows < last {
				t.Errorf("a view has %d rows, %d distinct, after one of %d", rows, distinct, last)
			}
			last = rows
			v.Close()
			select {
			case <-done:
				return
			default:
			}
		}
	})
	work.Wait()
	close(done)
	others.Wait()
	v, err := s.View(0, ^Hour(0))
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	wantNumbers(t, viewNumbers(t, v), appenders*each*rows)
}

func TestState(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir, Options{FlushEvery: -1})
	for _, key := range []string{"b/2", "a/1", "a/2", "a/", "c"} {
		if err := s.PutState(key, []byte("value of "+key)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.DeleteState("a/2"); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openTest(t, dir, Options{FlushEvery: -1})
	var keys []string
	err := s.ScanState("a/", func(key string, value []byte) error {
		if string(value) != "value of "+key {
			t.Errorf("value of %q is %q", key, value)
		}
		keys = append(keys, key)
		return s.DeleteState(key)
	})
	if err != nil || !slices.Equal(keys, []string{"a/", "a/1"}) {
		t.Errorf("ScanState(a/): %q, %v", keys, err)
	}
	if v, err := s.GetState("a/1"); v != nil || err != nil {
		t.Errorf("GetState of none: %q, %v", v, err)
	}
	if v, err := s.GetState("c"); string(v) != "value of c" || err != nil {
		t.Errorf("GetState(c): %q, %v", v, err)
	}
	if n := len(s.Buckets()); n != 0 {
		t.Errorf("%d buckets", n)
	}
}

// TestReadsOfOneBlock reads column after column of one block among others: each
// must cost the column's own pages, not those that stand between the two.
func TestReadsOfOneBlock(t *testing.T) {
	var reads atomic.Int64
	count := errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpFileReadAt && strings.HasSuffix(op.Path, ".sst") {
			reads.Add(1)
		}
		return nil
	})
	s := openTest(t, "data", Options{FS: errorfs.Wrap(NewMemFS(), count), FlushEvery: -1, blockRows: 8000})
	rng := rand.New(rand.NewPCG(4, 2))
	fields := []flow.Field{flow.Bytes, flow.Packets, flow.SrcAS, flow.DstAS, flow.InIf, flow.OutIf}
	b := numbered(testHour, 0, 80_000)
	for row := range b.Len() {
		for _, f := range fields {
			b.SetNum(f, row, rng.Uint64()>>(64-f.Bits()))
		}
	}
	appendTest(t, s, b)
	if err := sealOnce(s); err != nil {
		t.Fatal(err)
	}
	v, err := s.View(testHour, testHour)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	blk, err := v.Buckets()[0].Block(3)
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range fields {
		if i == 1 {
			reads.Store(0) // what is read of the table at first
		}
		if _, err := blk.Num(f, nil); err != nil {
			t.Fatal(err)
		}
	}
	if most := int64(2 * (len(fields) - 1)); reads.Load() > most {
		t.Errorf("%d reads for %d columns, want %d at most", reads.Load(), len(fields)-1, most)
	}
}
