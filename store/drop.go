package store

import (
	"context"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// Drop removes bucket h whole: rows in memory, tails, blocks and index. It
// takes milliseconds whatever the size, is durable when it returns, and leaves
// either all of the bucket or nothing. A View that was taken before still sees
// it; the space is free once those are closed. Dropping what is not there is no
// error. Rows of that hour that are appended later make a new bucket.
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
	start, end := bucketSpan(h, h)
	if err := s.db.Excise(context.Background(), pebble.KeyRange{Start: start, End: end}); err != nil {
		return fmt.Errorf("drop bucket %v: %w", h, err)
	}
	s.markManifest()
	if err := s.dropAside(h, false); err != nil {
		return fmt.Errorf("drop bucket %v: %w", h, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	hs := s.hours[h]
	if hs == nil {
		return nil
	}
	hs.dropped = true
	delete(s.hours, h)
	if hs.open != nil {
		open := hs.open
		hs.open = nil
		s.retire(open)
	}
	return nil
}
