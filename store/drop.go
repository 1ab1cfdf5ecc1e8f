package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// Drop removes bucket h whole: rows in memory, tails, blocks and index. It
// takes milliseconds whatever the size, is durable when it returns, and leaves
// either all of the bucket or nothing. A View that was taken before still sees
// it; the space is free once those are closed. Dropping what is not there is no
// error. Rows of that hour that are appended later make a new bucket.
//
// Files that were set aside of the hour go first. One that cannot be deleted is
// an error, and the bucket stays.
func (s *Store) Drop(h Hour) error {
	if s.opts.ReadOnly {
		return errReadOnly
	}
	s.publish.Lock()
	defer s.publish.Unlock()
	if s.isClosed() {
		return ErrClosed
	}
	// Everything of the bucket, tails included, lies in one range of keys, so one
	// excise is the whole act. Rows that are appended meanwhile count as before it.
	if err := s.excise(h); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if hs := s.hours.get(h); hs != nil {
		s.hours.drop(h)
		s.forget(hs)
	}
	return nil
}

// forget says that a bucket is no longer there. mu is held.
func (s *Store) forget(hs *hourState) {
	hs.dropped = true
	s.columns.forget(hs.incarnation)
	s.forgetSketches(hs, len(hs.sketches))
	if open := hs.open; open != nil {
		hs.open = nil
		s.retire(open)
	}
}

// ErrMoved says that rows came to a bucket meanwhile.
var ErrMoved = errors.New("bucket was written to meanwhile")

// DropIf is Drop of a bucket that has as many rows as the caller has seen, and
// ErrMoved of one that has more or fewer: rows that nobody looked at do not go.
func (s *Store) DropIf(h Hour, rows int64) error {
	if s.opts.ReadOnly {
		return errReadOnly
	}
	s.publish.Lock()
	defer s.publish.Unlock()
	// No row can come while mu is held. An excise takes milliseconds, as long as
	// a large batch would.
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	hs, now := s.hours.get(h), int64(0)
	if hs != nil {
		now = hs.info().Rows
	}
	if now != rows {
		return fmt.Errorf("drop bucket %v: %w", h, ErrMoved)
	}
	if err := s.excise(h); err != nil {
		return err
	}
	if hs != nil {
		s.hours.drop(h)
		s.forget(hs)
	}
	return nil
}

// excise takes a bucket out of the files, and what was set aside of it before
// that: where that cannot be deleted the bucket stays as it was, and the next
// drop tries both again. Behind a bucket that has gone nobody would come back for
// it. publish is held.
func (s *Store) excise(h Hour) error {
	start, end := bucketSpan(h, h)
	err := s.dropAside(h, false)
	if err == nil {
		err = s.db.Excise(context.Background(), pebble.KeyRange{Start: start, End: end})
	}
	if err != nil {
		return fmt.Errorf("drop bucket %v: %w", h, err)
	}
	s.noteTurn(&s.turns.gone)
	s.markManifest()
	return nil
}
