package store

import (
	"errors"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"weir/flow"
)

// TestSealOnFullDisk fails each operation on a seal's tables in turn. The bucket
// must stay as it was, and be sealed once there is room.
func TestSealOnFullDisk(t *testing.T) {
	var failAt, seen atomic.Int64
	inject := errorfs.InjectorFunc(func(op errorfs.Op) error {
		if !strings.Contains(op.Path, sealPrefix) || op.Kind.ReadOrWrite() == errorfs.OpIsRead {
			return nil
		}
		if seen.Add(1) == failAt.Load() {
			return syscall.ENOSPC
		}
		return nil
	})
	s := openTest(t, "data", Options{FS: errorfs.Wrap(NewMemFS(), inject), FlushEvery: -1, blockRows: 500})
	appendTest(t, s, numbered(testHour, 0, 1234))
	failed := 0
	for n := int64(1); ; n++ {
		failAt.Store(n)
		seen.Store(0)
		err := sealOnce(s)
		if seen.Load() < n {
			break // no operation was left to fail
		}
		if err != nil {
			failed++
			if !errors.Is(err, syscall.ENOSPC) {
				t.Fatalf("operation %d fails: seal says %v, want ENOSPC", n, err)
			}
		}
		v, err := s.View(testHour, testHour)
		if err != nil {
			t.Fatal(err)
		}
		wantNumbers(t, viewNumbers(t, v), 1234)
		if err := v.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if failed < 5 {
		t.Errorf("%d operations failed, want several", failed)
	}
	if b := s.Buckets(); len(b) != 1 || b[0].State != StateSealed {
		t.Errorf("buckets are %+v, want one sealed", b)
	}
	names, err := s.opts.FS.List("data")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasPrefix(name, sealPrefix) {
			t.Errorf("table %s is left over", name)
		}
	}
}

func sealOnce(s *Store) error {
	z, err := s.BeginSeal(testHour)
	if err != nil {
		return err
	}
	for _, key := range []string{"a", "b", "c"} {
		if err := z.Add([]byte(key), make([]byte, 1000)); err != nil {
			return errors.Join(err, z.Abort())
		}
	}
	return z.Commit()
}

func TestSealRefuses(t *testing.T) {
	s := openTest(t, t.TempDir(), Options{FlushEvery: -1})
	if _, err := s.BeginSeal(testHour); !errors.Is(err, ErrNoBucket) {
		t.Errorf("BeginSeal of nothing: %v, want %v", err, ErrNoBucket)
	}
	appendTest(t, s, numbered(testHour, 0, 10))
	z, err := s.BeginSeal(testHour)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.BeginSeal(testHour); !errors.Is(err, ErrSealing) {
		t.Errorf("second BeginSeal: %v, want %v", err, ErrSealing)
	}
	if err := z.Add([]byte("b"), nil); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"b", "a"} {
		if err := z.Add([]byte(key), nil); err == nil {
			t.Errorf("Add(%q) after b: no error", key)
		}
	}
	if err := s.Drop(testHour); err != nil {
		t.Fatal(err)
	}
	if err := z.Commit(); !errors.Is(err, ErrNoBucket) {
		t.Errorf("Commit of a dropped bucket: %v, want %v", err, ErrNoBucket)
	}
	if n := len(s.Buckets()); n != 0 {
		t.Errorf("%d buckets after a drop", n)
	}
}

// TestLateRows appends to a sealed bucket, reopens, and seals again.
func TestLateRows(t *testing.T) {
	fs := NewMemFS()
	o := Options{FS: fs, FlushEvery: -1, blockRows: 100}
	s := openTest(t, "data", o)
	appendTest(t, s, numbered(testHour, 0, 250))
	sealTest(t, s, testHour)
	appendTest(t, s, numbered(testHour, 250, 130))
	want := BucketInfo{Hour: testHour, Rows: 380, Blocks: 4, Indexed: 3}
	for _, reopened := range []bool{false, true} {
		if reopened {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = openTest(t, "data", o)
		}
		if err := s.Flush(); err != nil {
			t.Fatal(err)
		}
		got := s.Buckets()[0]
		if got.Rows != want.Rows || got.Blocks != want.Blocks || got.Indexed != want.Indexed || got.State != StateOpen {
			t.Errorf("reopened %v: %+v, want %+v", reopened, got, want)
		}
		if got.FirstReceived != testHour.StartMS() || got.LastReceived != testHour.StartMS()+249 || got.MinStart != got.FirstReceived {
			t.Errorf("reopened %v: times are %+v", reopened, got)
		}
	}
	sealTest(t, s, testHour)
	if got := s.Buckets()[0]; got.State != StateSealed || got.Indexed != 5 || got.Rows != 380 {
		t.Errorf("sealed again: %+v", got)
	}
	got := storeRows(t, s).Num(flow.Bytes)
	if len(got) != 380 {
		t.Errorf("%d rows, want 380", len(got))
	}
}

// TestManyHours appends rows of many hours in no order: few may be in memory, and
// blocks are to have more than the rows of one visit.
func TestManyHours(t *testing.T) {
	s := openTest(t, t.TempDir(), Options{FlushEvery: -1, MaxOpenRows: 3 * 4096, blockRows: 4096})
	const hours, rounds, rows = 20, 100, 20
	most := 0
	for round := range rounds {
		for i := range hours {
			appendTest(t, s, numbered(testHour+Hour(i*7%hours), round*100+i, rows))
			s.mu.Lock()
			_, taken, _ := s.others(nil)
			s.mu.Unlock()
			most = max(most, taken)
		}
	}
	if most > 3*4096 {
		t.Errorf("memory of %d rows was taken, want that of %d at most", most, 3*4096)
	}
	blocks := 0
	for _, b := range s.Buckets() {
		blocks += b.Blocks
	}
	if blocks > 6*hours { // one of its first visit, and the rows by hundreds
		t.Errorf("%d rows in each of %d hours are %d blocks, want %d at most", rounds*rows, hours, blocks, 6*hours)
	}
	if got := storeRows(t, s).Len(); got != hours*rounds*rows {
		t.Errorf("%d rows, want %d", got, hours*rounds*rows)
	}
}

// TestHoursInOrder appends hours that are shorter than a block, one after the
// other: each is one block, though there is no memory for all of them.
func TestHoursInOrder(t *testing.T) {
	s := openTest(t, t.TempDir(), Options{FlushEvery: -1, MaxOpenRows: 3 * 1024, blockRows: 1024})
	for i := range 20 {
		for range 9 {
			appendTest(t, s, numbered(testHour+Hour(i), i, 100))
		}
	}
	if err := s.Flush(); err != nil {
		t.Fatal(err)
	}
	for _, b := range s.Buckets() {
		if b.Blocks > 1 || b.Rows != 900 {
			t.Errorf("hour %v has %d rows and %d blocks, want 900 in one", b.Hour, b.Rows, b.Blocks)
		}
	}
}
