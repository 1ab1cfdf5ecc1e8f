package store

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// A fullDisk is a file system that has no room left while full says so, for the
// files whose names it says.
type fullDisk struct {
	full atomic.Pointer[func(path string) bool]
}

func (d *fullDisk) String() string { return "full disk" }

// MaybeError is called before each operation on the file system.
func (d *fullDisk) MaybeError(op errorfs.Op) error {
	full := d.full.Load()
	if full == nil || !(*full)(op.Path) {
		return nil
	}
	switch op.Kind {
	case errorfs.OpCreate, errorfs.OpFileWrite, errorfs.OpFilePreallocate, errorfs.OpLink, errorfs.OpReuseForWrite:
		return syscall.ENOSPC
	}
	return nil
}

func (d *fullDisk) fill(full func(path string) bool) { d.full.Store(&full) }
func (d *fullDisk) empty()                           { d.full.Store(nil) }

// TestNoSpaceWhileSealing has the disk get full at every write of a seal: it fails,
// the hour is as before, and the next one succeeds once there is room.
func TestNoSpaceWhileSealing(t *testing.T) {
	for after := range int64(12) {
		t.Run(fmt.Sprint("after ", after), func(t *testing.T) {
			disk, mem := &fullDisk{}, NewMemFS()
			s := openTest(t, "data", Options{FS: errorfs.Wrap(mem, disk), FlushEvery: -1, MinFree: -1, blockRows: 100})
			appendTest(t, s, numbered(testHour, 0, 500))
			if err := s.Flush(); err != nil {
				t.Fatal(err)
			}
			writes := int64(0)
			disk.fill(func(path string) bool {
				if !strings.Contains(path, sealPrefix) {
					return false
				}
				writes++
				return writes > after
			})
			err := sealOnce(s)
			disk.empty()
			if after == 0 && err == nil || err != nil && !errors.Is(err, syscall.ENOSPC) {
				t.Errorf("seal on a full disk, after %d writes: %v", after, err) // a link that fails is copied
			}
			if n := s.Buckets()[0].Rows; n != 500 {
				t.Errorf("%d rows, want 500", n)
			}
			sealTest(t, s, testHour)
			if left := filesLike(t, mem, func(name string) bool { return strings.HasPrefix(name, sealPrefix) }); len(left) > 0 {
				t.Errorf("left over: %v", left)
			}
			if n := storeRows(t, s).Len(); n != 500 {
				t.Errorf("%d rows after the seal, want 500", n)
			}
		})
	}
}

// TestNoSpaceForTables has no room for tables while the log can still be written:
// rows are taken and durable, and become tables when there is room.
func TestNoSpaceForTables(t *testing.T) {
	disk, mem := &fullDisk{}, NewMemFS()
	s := openTest(t, "data", Options{FS: errorfs.Wrap(mem, disk), FlushEvery: -1, MinFree: -1, MemTableSize: 256 << 10, blockRows: 1000})
	disk.fill(isTable)
	for at := 0; at < 2000; at += 100 {
		appendTest(t, s, numbered(testHour, at, 100))
		if err := s.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if err := noteTest(s, func(uint64, []byte) ([]byte, error) { return []byte("an entry"), nil }); err != nil {
		t.Errorf("AppendAudit: %v", err)
	}
	left := openTest(t, "data", Options{FS: mem.Crash(rand.New(rand.NewPCG(1, 1)), 0), FlushEvery: -1, MinFree: -1})
	if n := storeRows(t, left).Len(); n != 2000 {
		t.Errorf("%d rows after a power cut, want 2000", n)
	}
	disk.empty()
	sealTest(t, s, testHour)
	if n := storeRows(t, s).Len(); n != 2000 {
		t.Errorf("%d rows, want 2000", n)
	}
}

// TestNoSpaceForTheLog has no room for the log, which MinFree is there to prevent:
// the store ends the process, and everything that was flushed is there afterwards.
func TestNoSpaceForTheLog(t *testing.T) {
	for name, write := range map[string]func(s *Store) error{
		"rows": func(s *Store) error { return errors.Join(s.Append(numbered(testHour, 500, 50)), s.Flush()) },
		"audit": func(s *Store) error {
			return noteTest(s, func(uint64, []byte) ([]byte, error) { return []byte("entry"), nil })
		},
		"state": func(s *Store) error { return errors.Join(s.PutState("key", make([]byte, 100<<10)), s.Flush()) },
	} {
		t.Run(name, func(t *testing.T) {
			disk, mem := &fullDisk{}, NewMemFS()
			ended := make(chan error, 8)
			s, err := Open("data", Options{FS: errorfs.Wrap(mem, disk), FlushEvery: -1, MinFree: -1, Fatal: func(err error) {
				ended <- err
				select {} // as if the process had ended
			}})
			if err != nil {
				t.Fatal(err)
			}
			appendTest(t, s, numbered(testHour, 0, 500))
			if err := s.Flush(); err != nil {
				t.Fatal(err)
			}
			auditTest(t, s)
			disk.fill(isLog)
			failed := make(chan error, 1)
			go func() {
				defer func() {
					if p := recover(); p != nil { // Pebble panics where the log has failed before
						ended <- fmt.Errorf("%v", p)
					}
				}()
				failed <- write(s)
			}()
			select {
			case err := <-ended:
				if !strings.Contains(err.Error(), "no space left") {
					t.Errorf("ended by %v", err)
				}
			case err := <-failed:
				if err == nil {
					t.Error("a write that found no room did not fail")
				}
			case <-time.After(time.Minute):
				t.Fatal("neither failed nor ended")
			}
			left := openTest(t, "data", Options{FS: mem.Crash(rand.New(rand.NewPCG(1, 1)), 0), FlushEvery: -1, MinFree: -1})
			if n := storeRows(t, left).Len(); n < 500 {
				t.Errorf("%d rows are left, want 500", n)
			}
			if last, _, err := left.LastAudit(); err != nil || last < 1 {
				t.Errorf("LastAudit: %d, %v", last, err)
			}
		})
	}
}
