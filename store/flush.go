package store

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

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
	for _, hs := range s.hours.all() {
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
	s.tailBuf = s.tailBuf[:0]
	for i := range segments {
		from := len(s.tailBuf)
		s.tailBuf = appendTail(s.tailBuf, &segments[i])
		segments[i].value = s.tailBuf[from:]
	}
	if err := s.putTails(segments, len(s.tailBuf)); err != nil {
		return false, fmt.Errorf("write tail segments: %w", err)
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range segments {
		g.part.flushed = g.from + g.rows
		g.part.tails += int64(len(g.value))
	}
	dirty = s.dirty || len(segments) > 0
	s.dirty = false
	return dirty, nil
}

// putTails writes segments whose values have size bytes.
func (s *Store) putTails(segments []segment, size int) error {
	if len(segments) == 0 {
		return nil
	}
	batch := s.newBatch(size + 64*len(segments))
	defer batch.Close()
	for _, g := range segments {
		if err := batch.Set(tailKey(g.part.hour.hour, g.part.id, g.from), g.value, nil); err != nil {
			return err
		}
	}
	return batch.Commit(pebble.NoSync)
}

// takeSegments returns the rows that are in no segment yet. They are good while
// publish is held, which keeps their parts.
func (s *Store) takeSegments() ([]segment, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	var out []segment
	for _, hs := range s.hours.all() {
		for _, p := range hs.parts() {
			if n := p.batch.Len(); p.flushed < n {
				g := segmentOf(p.batch, p.flushed, n)
				g.part = p
				out = append(out, g)
			}
		}
	}
	return out, nil
}
