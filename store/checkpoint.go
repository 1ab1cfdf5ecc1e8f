package store

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/cockroachdb/pebble/v2"
)

// Checkpoint makes a consistent copy of the store in dir, which must not exist
// yet. Every row appended before the call is in it. Tables are hard links where
// the file system allows, so that it takes little time and space. The copy is a
// data directory like any other, and was opened to prove it.
func (s *Store) Checkpoint(dir string) error {
	if err := s.checkpoint(dir); err != nil {
		return fmt.Errorf("checkpoint to %s: %w", dir, err)
	}
	return nil
}

func (s *Store) checkpoint(dir string) error {
	fsys := s.opts.FS
	if _, err := fsys.Stat(dir); err == nil {
		return fmt.Errorf("%w: give a directory that does not exist yet", fs.ErrExist)
	} else if !isNotExist(err) {
		return err
	}
	if err := s.Flush(); err != nil {
		return err
	}
	// Pebble makes its copy readable for everybody; it is made inside a directory
	// that is not, and moved up file by file. The identity comes last, so that
	// half a copy is no store.
	if err := fsys.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("create directory: %w", err)
	}
	err := s.copyInto(dir)
	if err != nil {
		err = errors.Join(err, fsys.RemoveAll(dir))
	}
	return err
}

func (s *Store) copyInto(dir string) error {
	fsys := s.opts.FS
	inner := fsys.PathJoin(dir, "incomplete")
	if err := s.copyProven(inner); err != nil {
		return err
	}
	names, err := fsys.List(inner)
	if err != nil {
		return fmt.Errorf("list copy: %w", err)
	}
	for _, name := range names {
		if err := fsys.Rename(fsys.PathJoin(inner, name), fsys.PathJoin(dir, name)); err != nil {
			return fmt.Errorf("move copy: %w", err)
		}
	}
	if err := fsys.Remove(inner); err != nil {
		return fmt.Errorf("remove emptied directory: %w", err)
	}
	if err := writeIdentity(fsys, dir); err != nil {
		return err
	}
	return syncDir(fsys, fsys.PathDir(dir))
}

// maxCopies is how often a copy is made that cannot be opened.
const maxCopies = 3

// copyProven makes a copy that opens. Pebble may write its manifest while it is
// copied, begin a new one even, and the copy was seen to have half of it: nobody
// would notice before the day on which the backup is needed.
func (s *Store) copyProven(dir string) error {
	for n := 1; ; n++ {
		if err := s.copyDB(dir); err != nil {
			return err
		}
		err := s.prove(dir)
		if err == nil || n == maxCopies {
			return err
		}
		s.opts.Logger.Warn("a copy does not open and is made again", "dir", dir, "err", err)
		if err := s.opts.FS.RemoveAll(dir); err != nil {
			return fmt.Errorf("remove bad copy: %w", err)
		}
	}
}

// prove opens a copy for reading, which reads its manifest and its log and looks
// for each of its tables.
func (s *Store) prove(dir string) error {
	o := s.pebbleOptions()
	o.ReadOnly, o.DisableTableStats = true, true
	o.Cache = pebble.NewCache(proofCache)
	defer o.Cache.Unref()
	db, err := s.openDB(dir, s.files, o)
	if err != nil {
		return fmt.Errorf("open the copy: %w", err)
	}
	if err := db.Close(); err != nil {
		return fmt.Errorf("close the copy: %w", err)
	}
	return nil
}

// proofCache is the cache of a store that is opened and not read, in bytes.
const proofCache = 1 << 20

// copyDB holds publish, so that the store does not close meanwhile.
func (s *Store) copyDB(dir string) error {
	s.publish.RLock()
	defer s.publish.RUnlock()
	if s.isClosed() {
		return ErrClosed
	}
	if err := s.db.Checkpoint(dir, pebble.WithFlushedWAL()); err != nil {
		return fmt.Errorf("copy: %w", err)
	}
	return nil
}
