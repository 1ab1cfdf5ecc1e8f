package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

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
	mark, err := s.markCopy()
	if err != nil {
		return err
	}
	if err := s.copyInto(dir, mark); err != nil {
		return errors.Join(err, fsys.RemoveAll(dir))
	}
	return nil
}

// copyInto makes the copy. Its identity comes last, so that half a copy is no
// store.
func (s *Store) copyInto(dir, mark string) error {
	if err := s.copyProven(dir, mark); err != nil {
		return err
	}
	fsys := s.opts.FS
	if err := writeIdentity(fsys, dir, s.formatVersion()); err != nil {
		return err
	}
	return syncDir(fsys, fsys.PathDir(dir))
}

// markKey is the state value that a copy is recognised by.
const markKey = "store/copied"

// markCopy makes all that was stored durable, with a mark at its end, and has it
// written out. A copy that has the mark has all that is before it: half a manifest
// opens as well as a whole one, and lacks tables.
func (s *Store) markCopy() (mark string, err error) {
	if s.opts.ReadOnly {
		return "", nil
	}
	mark = randomID()
	if err := s.PutState(markKey, []byte(mark)); err != nil {
		return "", err
	}
	if err := s.Flush(); err != nil {
		return "", err
	}
	s.writeOut()
	return mark, nil
}

// writeOut has the memtable written out, so that the log, which is copied, is
// short. On a full disk that may take for ever: then the copy has the log.
func (s *Store) writeOut() {
	if s.opts.ReadOnly {
		return
	}
	var written <-chan struct{}
	err := s.whileOpen(context.Background(), func() (err error) {
		written, err = s.db.AsyncFlush()
		return err
	})
	if err != nil {
		return // what follows says so
	}
	select {
	case <-written:
	case <-time.After(settleFor):
	}
}

// formatVersion returns the format version of the store.
func (s *Store) formatVersion() int {
	s.publish.RLock()
	defer s.publish.RUnlock()
	return s.version
}

// maxCopies is how often a copy is made that is not whole.
const maxCopies = 3

// copyProven makes a copy that opens and is whole. Pebble may write its manifest while it is
// copied, begin a new one even, and the copy was seen to have half of it: nobody
// would notice before the day on which the backup is needed.
func (s *Store) copyProven(dir, mark string) error {
	for n := 1; ; n++ {
		if err := s.copyDB(dir); err != nil {
			return err
		}
		err := s.prove(dir, mark)
		if err == nil || n == maxCopies {
			return err
		}
		s.opts.Logger.Warn("a copy is not whole and is made again", "dir", dir, "err", err)
		if err := s.opts.FS.RemoveAll(dir); err != nil {
			return fmt.Errorf("remove bad copy: %w", err)
		}
	}
}

// prove opens a copy for reading, which reads its manifest and its log and looks
// for each of its tables, and looks for the mark.
func (s *Store) prove(dir, mark string) (err error) {
	o := s.pebbleOptions()
	o.ReadOnly, o.DisableTableStats = true, true
	o.Cache = pebble.NewCache(proofCache)
	defer o.Cache.Unref()
	db, err := s.openDB(dir, s.files, o)
	if err != nil {
		return fmt.Errorf("open the copy: %w", err)
	}
	defer func() {
		if closeErr := db.Close(); closeErr != nil {
			err = errors.Join(err, fmt.Errorf("close the copy: %w", closeErr))
		}
	}()
	if mark == "" {
		return nil
	}
	value, closer, err := db.Get(stateKey(markKey))
	if err != nil {
		return fmt.Errorf("look for the mark in the copy: %w", err)
	}
	defer closer.Close()
	if string(value) != mark {
		return errors.New("the copy lacks what was stored last")
	}
	return nil
}

// proofCache is the cache of a store that is opened and not read, in bytes.
const proofCache = 1 << 20

// copyDB counts as a scan, so that the store does not close meanwhile. It does
// not hold publish: to link the tables of a large archive takes a while, and rows
// go on to be written.
func (s *Store) copyDB(dir string) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return ErrClosed
	}
	s.scans.Add(1)
	s.mu.Unlock()
	defer s.scans.Done()
	if err := s.db.Checkpoint(dir, pebble.WithFlushedWAL()); err != nil {
		return fmt.Errorf("copy: %w", err)
	}
	return nil
}
