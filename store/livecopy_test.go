package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// copyFiles copies a directory file by file, without a word to who writes it.
func copyFiles(t *testing.T, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o700)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), text, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// checkpointTest makes a checkpoint of s, as package backup does.
func checkpointTest(t *testing.T, s *Store, name string) {
	t.Helper()
	at := filepath.Join(s.Dir(), CheckpointName, name)
	if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := s.Checkpoint(at); err != nil {
		t.Fatal(err)
	}
	files, err := engineFiles(Disk(), at)
	if err != nil {
		t.Fatal(err)
	}
	l := Listing{Archive: s.ID(), Life: s.Life(), Files: files}
	for i := range l.Files {
		f := &l.Files[i]
		if !f.IsTable() {
			if f.SHA256, err = HashFile(Disk(), filepath.Join(at, f.Name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := l.Write(Disk(), at); err != nil {
		t.Fatal(err)
	}
}

// liveCopy returns a copy of a directory that was made while it was open. The
// checkpoint in it has 300 rows, the archive 400.
func liveCopy(t *testing.T) string {
	t.Helper()
	s := openTest(t, filepath.Join(t.TempDir(), "data"), Options{FlushEvery: -1})
	appendTest(t, s, numbered(testHour, 0, 300))
	sealTest(t, s, testHour)
	checkpointTest(t, s, "2")
	appendTest(t, s, numbered(testHour+1, 0, 100))
	if err := s.Flush(); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "copy")
	copyFiles(t, s.Dir(), dir)
	return dir
}

// A stoppedFS fails from the nth change on that a recovery makes, as if the
// process had died.
type stoppedFS struct {
	FS
	left *atomic.Int64 // Pebble changes things from goroutines of its own
}

var errStopped = errors.New("stopped")

func (s *stoppedFS) change(do func() error) error {
	if s.left.Add(-1) < 0 {
		return errStopped
	}
	return do()
}

func (s *stoppedFS) Rename(from, to string) error {
	return s.change(func() error { return s.FS.Rename(from, to) })
}

func (s *stoppedFS) RemoveAll(name string) error {
	return s.change(func() error { return s.FS.RemoveAll(name) })
}

// Remove ends a recovery, whose last change it is.
func (s *stoppedFS) Remove(name string) error {
	err := s.change(func() error { return s.FS.Remove(name) })
	if err == nil && filepath.Base(name) == recoveryName {
		s.left.Store(1 << 30)
	}
	return err
}

func (s *stoppedFS) Create(name string, category vfs.DiskWriteCategory) (f vfs.File, err error) {
	err = s.change(func() error {
		f, err = s.FS.Create(name, category)
		return err
	})
	return f, err
}

func (s *stoppedFS) Unwrap() FS { return s.FS }

// TestRecoveryIsResumed stops the recovery of a copy at every change that it
// makes to the directory, and opens it again.
func TestRecoveryIsResumed(t *testing.T) {
	master := liveCopy(t)
	stopped := 0
	for n := 0; ; n++ {
		dir := filepath.Join(t.TempDir(), fmt.Sprint(n))
		copyFiles(t, master, dir)
		left := new(atomic.Int64)
		left.Store(int64(n))
		first, err := Open(dir, Options{FlushEvery: -1, FS: &stoppedFS{Disk(), left}})
		if err == nil {
			if first.Recovered() == nil {
				t.Error("not recovered")
			}
			if err := first.Close(); err != nil {
				t.Fatal(err)
			}
			break
		}
		stopped++
		s, err := Open(dir, Options{FlushEvery: -1})
		if err != nil {
			t.Fatalf("stopped at %d: %v", n, err)
		}
		if got := storeRows(t, s).Len(); got != 300 {
			t.Errorf("stopped at %d: %d rows, want 300", n, got)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Lstat(filepath.Join(dir, recoveryName)); err == nil {
			t.Errorf("stopped at %d: %s is left", n, recoveryName)
		}
	}
	if stopped < 15 {
		t.Errorf("stopped %d times only", stopped)
	}
}

// TestCopiesAreTold opens directories that were copied, moved, and left behind.
func TestCopiesAreTold(t *testing.T) {
	rowsIn := func(dir string, o Options) (int, *Recovery, error) {
		s, err := Open(dir, o)
		if err != nil {
			return 0, nil, err
		}
		defer s.Close()
		return storeRows(t, s).Len(), s.Recovered(), nil
	}
	t.Run("for reading", func(t *testing.T) {
		dir := liveCopy(t)
		n, r, err := rowsIn(dir, Options{ReadOnly: true})
		if n != 300 || r == nil || r.From != CheckpointName+"/2" || err != nil {
			t.Errorf("%d rows, %+v, %v", n, r, err)
		}
		if _, err := os.Lstat(filepath.Join(dir, TornName)); err == nil {
			t.Error("reading changed the copy")
		}
	})
	t.Run("a table lies elsewhere", func(t *testing.T) {
		dir := liveCopy(t)
		tables, err := filepath.Glob(filepath.Join(dir, CheckpointName, "2", "*.sst"))
		if err != nil || len(tables) == 0 {
			t.Fatalf("%v, %v", tables, err)
		}
		removed := 0
		for _, name := range tables {
			if _, err := os.Stat(filepath.Join(dir, filepath.Base(name))); err == nil {
				removed++
				if err := os.Remove(name); err != nil {
					t.Fatal(err)
				}
			}
		}
		if n, r, err := rowsIn(dir, Options{}); removed == 0 || n != 300 || r == nil || err != nil {
			t.Errorf("%d tables removed: %d rows, %+v, %v", removed, n, r, err)
		}
	})
	t.Run("a file of another checkpoint", func(t *testing.T) {
		dir := liveCopy(t)
		if err := os.WriteFile(filepath.Join(dir, CheckpointName, "2", "MANIFEST-009999"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if n, _, err := rowsIn(dir, Options{}); !errors.Is(err, ErrTorn) {
			t.Errorf("%d rows, %v", n, err)
		}
	})
	t.Run("a log of another checkpoint", func(t *testing.T) {
		dir := liveCopy(t)
		logs, err := filepath.Glob(filepath.Join(dir, CheckpointName, "2", "*.log"))
		if err != nil || len(logs) == 0 {
			t.Fatalf("%v, %v", logs, err)
		}
		if err := flipLast(logs[0]); err != nil {
			t.Fatal(err)
		}
		if n, _, err := rowsIn(dir, Options{}); !errors.Is(err, ErrTorn) {
			t.Errorf("%d rows, %v", n, err)
		}
	})
	t.Run("half a PLACE", func(t *testing.T) {
		dir := liveCopy(t)
		if err := os.Truncate(filepath.Join(dir, placeName), 30); err != nil {
			t.Fatal(err)
		}
		if n, r, err := rowsIn(dir, Options{}); n != 300 || r == nil || err != nil {
			t.Errorf("%d rows, %+v, %v", n, r, err)
		}
	})
	t.Run("after an orderly end", func(t *testing.T) {
		s := openTest(t, filepath.Join(t.TempDir(), "data"), Options{})
		appendTest(t, s, numbered(testHour, 0, 300))
		life := s.Life()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		dir := filepath.Join(t.TempDir(), "copy")
		copyFiles(t, s.Dir(), dir)
		if n, r, err := rowsIn(dir, Options{}); n != 300 || r != nil || err != nil {
			t.Errorf("%d rows, %+v, %v", n, r, err)
		}
		moved := s.Dir() + "-moved"
		if err := os.Rename(s.Dir(), moved); err != nil {
			t.Fatal(err)
		}
		again := openTest(t, moved, Options{})
		if again.Life() != life {
			t.Errorf("moved: life %s, before %s", again.Life(), life)
		}
	})
	for _, harm := range []struct {
		name, glob string
		harm       func(name string) error
	}{
		{"a table is missing after an orderly end", "*.sst", os.Remove},
		{"a table is cut off after an orderly end", "*.sst", func(name string) error { return os.Truncate(name, 100) }},
		{"a log is missing after an orderly end", "*.log", os.Remove},
	} {
		t.Run(harm.name, func(t *testing.T) {
			s := openTest(t, filepath.Join(t.TempDir(), "data"), Options{})
			appendTest(t, s, numbered(testHour, 0, 300))
			appendTest(t, s, numbered(testHour+1, 300, 300))
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			files, err := filepath.Glob(filepath.Join(s.Dir(), harm.glob))
			if err != nil || len(files) == 0 {
				t.Fatalf("%v, %v", files, err)
			}
			for _, file := range files {
				dir := filepath.Join(t.TempDir(), "copy")
				copyFiles(t, s.Dir(), dir)
				if err := harm.harm(filepath.Join(dir, filepath.Base(file))); err != nil {
					t.Fatal(err)
				}
				copied, err := Open(dir, Options{})
				if err != nil {
					t.Fatalf("%s: %v", file, err)
				}
				if what := copied.Harmed(); len(what) != 1 || !strings.Contains(what[0], filepath.Base(file)) {
					t.Errorf("%s: it says %q", file, what)
				}
				if n := len(copied.Buckets()); n == 0 && len(copied.Damage()) == 0 && harm.glob == "*.sst" {
					t.Errorf("%s: nothing is there, and nothing is said", file)
				}
				if err := copied.Close(); err != nil {
					t.Fatal(err)
				}
				if again := openTest(t, dir, Options{}); len(again.Harmed()) > 0 {
					t.Errorf("%s: said again", file)
				}
			}
		})
	}
	t.Run("the end was caught in the middle", func(t *testing.T) {
		s := openTest(t, filepath.Join(t.TempDir(), "data"), Options{})
		appendTest(t, s, numbered(testHour, 0, 300))
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		dir := filepath.Join(t.TempDir(), "copy")
		copyFiles(t, s.Dir(), dir)
		if err := os.WriteFile(filepath.Join(dir, "000999.log"), []byte("begun anew"), 0o600); err != nil {
			t.Fatal(err)
		}
		if n, _, err := rowsIn(dir, Options{}); !errors.Is(err, ErrTorn) {
			t.Errorf("%d rows, %v", n, err)
		}
	})
}

func flipLast(name string) error {
	text, err := os.ReadFile(name)
	if err != nil || len(text) == 0 {
		return err
	}
	text[len(text)-1] ^= 1
	return os.WriteFile(name, text, 0o600)
}

// FuzzListing reads lists of files that are not what weir wrote.
func FuzzListing(f *testing.F) {
	f.Add([]byte(`{"version":1,"files":[{"name":"000001.sst","size":3}]}`), []byte(`{"open":false,"files":[]}`))
	f.Add([]byte(`{"version":1,"files":[{"name":"../x"}]}`), []byte(`{"inode":1}`))
	f.Add([]byte(`[`), []byte(``))
	f.Fuzz(func(t *testing.T, listing, text []byte) {
		fsys := NewMemFS()
		if err := fsys.MkdirAll("copy", 0o700); err != nil {
			t.Fatal(err)
		}
		for name, text := range map[string][]byte{ListingName: listing, placeName: text} {
			if err := writeSmall(fsys, "copy/"+name, "copy", text); err != nil {
				t.Fatal(err)
			}
		}
		if l, err := ReadListing(fsys, "copy"); err == nil {
			_ = l.CheckFiles(fsys, "copy")
			for i := range l.Files {
				if !filepath.IsLocal(l.Files[i].Name) {
					t.Errorf("takes the name %q", l.Files[i].Name)
				}
			}
		}
		if p, err := readPlace(fsys, "copy"); err == nil {
			_, _ = p.isSound(fsys, "copy")
		}
	})
}
