package store

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// A tightFS has as much room as it is told.
type tightFS struct {
	FS
	free atomic.Int64
}

func (f *tightFS) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{AvailBytes: uint64(f.free.Load()), TotalBytes: 1 << 40}, nil
}

// TestFullDisk fills the disk up to the bound: rows are refused whole, and
// everything else goes on; after a drop they are taken again.
func TestFullDisk(t *testing.T) {
	fs := &tightFS{FS: NewMemFS()}
	set := func(s *Store, free int64) {
		fs.free.Store(free)
		s.space.mu.Lock()
		s.space.checked = time.Time{} // as if the time had passed
		s.space.mu.Unlock()
	}
	fs.free.Store(1 << 30)
	s := openTest(t, "data", Options{FS: fs, FlushEvery: -1, MinFree: 100 << 20})
	appendTest(t, s, numbered(testHour, 0, 100))

	set(s, 100<<20-1)
	if err := s.Append(numbered(testHour, 100, 50)); !errors.Is(err, ErrDiskFull) {
		t.Fatalf("Append: got %v, want ErrDiskFull", err)
	}
	if err := sealOnce(s); !errors.Is(err, ErrDiskFull) {
		t.Errorf("seal: got %v, want ErrDiskFull", err)
	}
	putLedger(t, s, testHour, ledgerRow(1, 2, 5))
	if err := s.Flush(); err != nil {
		t.Errorf("Flush: %v", err)
	}
	v, err := s.View(testHour, testHour)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(viewNumbers(t, v)); n != 100 {
		t.Errorf("%d rows, want the 100 of before", n)
	}
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Drop(testHour + 1); err != nil {
		t.Errorf("Drop: %v", err)
	}

	set(s, 101<<20) // not yet: it would flutter
	if err := s.Append(numbered(testHour, 100, 50)); !errors.Is(err, ErrDiskFull) {
		t.Errorf("Append just above the bound: got %v, want ErrDiskFull", err)
	}
	set(s, 106<<20)
	if err := s.Append(numbered(testHour, 100, 50)); err != nil {
		t.Errorf("Append with room: %v", err)
	}
	if err := sealOnce(s); err != nil {
		t.Errorf("seal with room: %v", err)
	}
	if n := s.Buckets()[0].Rows; n != 150 {
		t.Errorf("%d rows, want 150", n)
	}
}

// TestFreeSpace asks the disk itself.
func TestFreeSpace(t *testing.T) {
	s := openTest(t, t.TempDir(), Options{FlushEvery: -1})
	free, total, known := s.FreeSpace()
	if !known || free == 0 || free > total {
		t.Errorf("got %d of %d, %v", free, total, known)
	}
}
