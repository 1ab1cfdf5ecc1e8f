package store

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"weir/flow"
)

// A segment is rows of a part on their way to a tail key.
type segment struct {
	part *part
	from int // first row
	rows *flow.Batch
}

// Flush makes every row that was appended, and every state value that was put,
// before the call durable: it returns once they are on disk.
func (s *Store) Flush() error {
	if s.opts.ReadOnly {
		return nil
	}
	s.flushing.Lock()
	defer s.flushing.Unlock()
	s.waitWrites()

	dirty, err := s.writeTails()
	if err != nil || !dirty {
		return err
	}
	if err := s.db.LogData(nil, pebble.Sync); err != nil {
		s.mu.Lock()
		s.dirty = true
		s.mu.Unlock()
		return fmt.Errorf("sync the log: %w", err)
	}
	return nil
}

// waitWrites waits for the parts that are being written now. Their rows would
// else go to disk twice, as a tail first.
func (s *Store) waitWrites() {
	s.mu.Lock()
	var wait []chan struct{}
	for _, hs := range s.hours {
		for _, p := range hs.writing {
			wait = append(wait, p.done)
		}
	}
	s.mu.Unlock()
	for _, done := range wait {
		<-done
	}
}

// writeTails writes the rows that are in no segment yet, in one batch, and
// reports whether anything waits for a sync. It holds publish, so that no part
// becomes a block meanwhile: its new segments would outlive it.
func (s *Store) writeTails() (dirty bool, err error) {
	s.publish.Lock()
	defer s.publish.Unlock()
	segments, err := s.takeSegments()
	if err != nil {
		return false, err
	}
	batch := s.db.NewBatch()
	defer batch.Close()
	sizes := make([]int, len(segments))
	var value []byte
	for i, g := range segments {
		value = appendTail(value[:0], g.rows)
		sizes[i] = len(value)
		err = errors.Join(err, batch.Set(tailKey(g.part.hour.hour, g.part.id, g.from), value, nil))
	}
	if err == nil && len(segments) > 0 {
		err = batch.Commit(pebble.NoSync)
	}
	if err != nil {
		return false, fmt.Errorf("write tail segments: %w", err)
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	for i, g := range segments {
		g.part.flushed = g.from + g.rows.Len()
		g.part.tails += int64(sizes[i])
	}
	dirty = s.dirty || len(segments) > 0
	s.dirty = false
	return dirty, nil
}

// takeSegments copies the rows that are in no segment yet.
func (s *Store) takeSegments() ([]segment, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	var out []segment
	for _, hs := range s.hours {
		for _, p := range hs.parts() {
			n := p.batch.Len()
			if p.flushed == n {
				continue
			}
			rows := flow.NewBatch(n - p.flushed)
			rows.AppendRows(p.batch, p.flushed, n)
			out = append(out, segment{part: p, from: p.flushed, rows: rows})
		}
	}
	return out, nil
}
