package backup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"weir/store"
)

// A Source is the archive that is copied.
type Source struct {
	Store *store.Store

	// Held returns the store of a data directory within the archive's, held/NAME,
	// and what ends its use. nil: it is opened, which fails if somebody has it.
	Held func(rel string) (s *store.Store, release func() error, err error)

	// Steady keeps records from passing between the archive and what it holds until
	// the function it returns is called. nil: none pass.
	Steady func() (release func())
}

// heldMemory bounds what a store takes that is opened to be copied, in bytes.
const heldMemory = 4 << 20

func (src *Source) held(rel string) (s *store.Store, release func() error, err error) {
	if src.Held != nil {
		return src.Held(rel)
	}
	s, err = store.Open(filepath.Join(src.Store.Dir(), rel), store.Options{Existing: true, CacheSize: heldMemory, MemTableSize: heldMemory})
	if err != nil {
		return nil, nil, err
	}
	return s, s.Close, nil
}

// snapshot makes a copy in dir, which must not exist, by hard links where the
// file system allows.
func (src *Source) snapshot(dir string) (*store.Listing, error) {
	if src.Steady != nil {
		defer src.Steady()()
	}
	l := &store.Listing{Archive: src.Store.ID(), Life: src.Store.Life(), Made: time.Now().UTC()}
	for _, b := range src.Store.Buckets() {
		l.Hours++
		l.Records += b.Rows
		l.Newest = max(l.Newest, b.LastReceived)
	}
	if err := src.Store.Checkpoint(dir); err != nil {
		return nil, err
	}
	held, err := store.HeldDirs(store.Disk(), src.Store.Dir())
	if err != nil {
		return nil, err
	}
	for _, rel := range held {
		if err := src.snapshotHeld(rel, filepath.Join(dir, rel)); err != nil {
			return nil, fmt.Errorf("copy %s: %w", rel, err)
		}
	}
	l.Files, err = listFiles(dir)
	return l, err
}

func (src *Source) snapshotHeld(rel, to string) error {
	s, release, err := src.held(rel)
	if err != nil {
		return err
	}
	if err = os.MkdirAll(filepath.Dir(to), 0o700); err == nil {
		err = s.Checkpoint(to)
	}
	return errors.Join(err, release())
}

// listFiles lists the files of a copy, with the hashes of those that are small
// enough to be read each time: all but the tables.
func listFiles(dir string) ([]store.ListedFile, error) {
	var files []store.ListedFile
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if own := d.Name(); own == "LOCK" || own == store.ListingName || !info.Mode().IsRegular() {
			return nil
		}
		f := store.ListedFile{Name: filepath.ToSlash(rel), Size: info.Size(), Modified: info.ModTime().UnixNano()}
		if !f.IsTable() {
			if f.SHA256, err = store.HashFile(store.Disk(), path); err != nil {
				return err
			}
		}
		files = append(files, f)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list the copy: %w", err)
	}
	return files, nil
}

// syncDir makes the names in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
