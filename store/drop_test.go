package store

import (
	"errors"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// A stuckFile is a file system on which nothing that was set aside can be deleted
// while it is set.
type stuckFile struct{ atomic.Bool }

func (f *stuckFile) String() string { return "stuck file" }

// MaybeError is called before each operation on the file system.
func (f *stuckFile) MaybeError(op errorfs.Op) error {
	if f.Load() && op.Kind == errorfs.OpRemove && strings.Contains(op.Path, asideDir+"/") {
		return syscall.EACCES
	}
	return nil
}

// TestDropOfWhatCannotBeDeleted drops buckets beside which a file was set aside
// that cannot be deleted: all of the bucket stays, in memory as on the disk, takes
// rows, and goes with the file once that can be deleted.
func TestDropOfWhatCannotBeDeleted(t *testing.T) {
	const rows, late = 500, 50
	drops := map[string]func(s *Store, rows int64) error{
		"Drop":   func(s *Store, _ int64) error { return s.Drop(testHour) },
		"DropIf": func(s *Store, rows int64) error { return s.DropIf(testHour, rows) },
	}
	states := map[string]func(t *testing.T, s *Store){
		"in memory": func(*testing.T, *Store) {},
		"flushed": func(t *testing.T, s *Store) {
			if err := s.Flush(); err != nil {
				t.Fatal(err)
			}
		},
		"sealed": func(t *testing.T, s *Store) { sealTest(t, s, testHour) },
	}
	for name, drop := range drops {
		for state, bring := range states {
			t.Run(name+" "+state, func(t *testing.T) {
				stuck := &stuckFile{}
				o := Options{FS: errorfs.Wrap(NewMemFS(), stuck), FlushEvery: -1, blockRows: 100}
				s := openTest(t, "data", o)
				appendTest(t, s, numbered(testHour, 0, rows))
				bring(t, s)
				if _, err := s.setAside(manifestName(t, o.FS), testHour); err != nil {
					t.Fatal(err)
				}

				stuck.Store(true)
				if err := drop(s, rows); !errors.Is(err, syscall.EACCES) {
					t.Errorf("the drop says %v, want %v", err, syscall.EACCES)
				}
				wantNumbers(t, numbersOf(t, s), rows)
				appendTest(t, s, numbered(testHour, rows, late))
				wantNumbers(t, numbersOf(t, s), rows+late)
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				s = openTest(t, "data", o)
				wantNumbers(t, numbersOf(t, s), rows+late)
				if bad := s.Damage(); len(bad) > 0 {
					t.Errorf("after another start: %v", bad)
				}

				stuck.Store(false)
				if err := drop(s, rows+late); err != nil {
					t.Errorf("the drop of what can be deleted says %v", err)
				}
				if buckets, left := s.Buckets(), s.Aside(); len(buckets) > 0 || len(left) > 0 {
					t.Errorf("left over: %v, and aside %v", buckets, left)
				}
			})
		}
	}
}

// manifestName returns the name of a file that every directory has.
func manifestName(t *testing.T, fs FS) string {
	t.Helper()
	paths := filesLike(t, fs, func(name string) bool { return strings.HasPrefix(name, manifestPrefix) })
	return fs.PathBase(paths[0])
}

// numbersOf returns the sorted numbers in Bytes of all that s has.
func numbersOf(t *testing.T, s *Store) []uint64 {
	t.Helper()
	v, err := s.View(0, ^Hour(0))
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	return viewNumbers(t, v)
}
