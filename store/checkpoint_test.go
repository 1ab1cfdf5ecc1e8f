package store

import (
	"io/fs"
	"math/rand/v2"
	"path"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// A halfFS writes the manifests of the next copies by half only, as if Pebble
// had begun a new one meanwhile.
type halfFS struct {
	FS
	copies int // to be spoiled
	made   int // manifests of copies
}

func (h *halfFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := h.FS.Create(name, category)
	if err != nil || path.Dir(name) != "copy" || !strings.HasPrefix(path.Base(name), "MANIFEST-") {
		return f, err
	}
	if h.made++; h.made > h.copies {
		return f, nil
	}
	return halfFile{f}, nil
}

type halfFile struct{ vfs.File }

func (f halfFile) Write(p []byte) (int, error) {
	if _, err := f.File.Write(p[:len(p)/2]); err != nil {
		return 0, err
	}
	return len(p), nil
}

// A copy that does not open is made again, a few times; a directory with one
// that still does not is not left behind.
func TestCheckpointIsProven(t *testing.T) {
	for _, test := range []struct {
		name    string
		spoiled int
		made    int
		fails   bool
	}{
		{"the first is sound", 0, 1, false},
		{"the first is spoiled", 1, 2, false},
		{"two are spoiled", 2, 3, false},
		{"all are spoiled", 99, 3, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			fsys := &halfFS{FS: NewMemFS(), copies: test.spoiled}
			s := openTest(t, "data", Options{FS: fsys})
			if err := s.Append(randomBatch(rand.New(rand.NewPCG(1, 2)), 100, testHour.StartMS())); err != nil {
				t.Fatal(err)
			}
			err := s.Checkpoint("copy")
			if fsys.made != test.made {
				t.Errorf("%d copies made, want %d", fsys.made, test.made)
			}
			if test.fails {
				if err == nil {
					t.Error("a copy that does not open is taken for one")
				}
				if _, err := fsys.Stat("copy"); !isNotExist(err) {
					t.Errorf("the directory of the copy: got %v, want %v", err, fs.ErrNotExist)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			c := openTest(t, "copy", Options{FS: fsys, ReadOnly: true})
			compareTexts(t, "copy", texts(storeRows(t, c)), texts(storeRows(t, s)))
		})
	}
}
