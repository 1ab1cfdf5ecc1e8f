package store

import (
	"weir/flow"
)

// A part is the rows of one hour that are not yet a block. It takes rows until
// it is full or its hour is closed, is handed over to be encoded, and is gone
// once its block is written. Store.mu guards it; the rows of a part that was
// handed over no longer change.
type part struct {
	hour    *hourState
	id      uint64 // names its tail segments; ascends
	batch   *flow.Batch
	bounds  bounds
	flushed int    // leading rows that are in tail segments
	tails   int64  // bytes of its tail segments
	used    uint64 // Store.clock at the last append
	readers int    // snapshots that need the batch
	expect  int    // while loading: the first row of the next segment
	gap     bool   // while loading: the segment before was damaged
	damaged bool   // a segment was damaged: takes no more rows

	handed  bool
	written bool          // a block on disk, or dropped with its hour
	err     error         // of the last attempt to write it
	done    chan struct{} // closed at the end of the last attempt
	before  *part         // handed over before it in the same hour
}

// partFor returns the open part of hour h with room in it. It may wait, and so
// let go of mu, for parts to be written. mu is held.
func (s *Store) partFor(h Hour) (*part, error) {
	for {
		if s.closed {
			return nil, ErrClosed
		}
		hs := s.hours.get(h)
		if hs == nil {
			hs = s.newHour(h)
		}
		if p := hs.open; p != nil && p.batch.Len() < s.room(p) {
			return p, nil
		}
		if s.writing < maxWriting {
			if hs.open != nil {
				s.enlarge(hs.open)
				return hs.open, nil
			}
			if hs.blocks > 0 && hs.indexed == hs.blocks {
				s.opts.Logger.Warn("records come for an hour that was sealed: it is open again until the next seal", "bucket", h.String())
			}
			hs.open = s.newPart(hs)
			return hs.open, nil
		}
		if err := s.stuck(); err != nil {
			return nil, err
		}
		s.changed.Wait()
	}
}

// stuck returns the error that keeps every handed over part from being written,
// nil while one of them is still being tried. mu is held.
func (s *Store) stuck() error {
	var err error
	for _, hs := range s.hours.all() {
		for _, p := range hs.writing {
			if p.err == nil {
				return nil
			}
			err = p.err
		}
	}
	return err
}

// newPart returns an empty part. mu is held.
func (s *Store) newPart(hs *hourState) *part {
	s.partID++
	p := &part{hour: hs, id: s.partID}
	size := s.opts.blockRows
	if hs.evicted {
		size = s.firstRows()
		hs.evicted = false
	}
	s.makeRoom(size, p)
	if n := len(s.spare); n > 0 && size == s.opts.blockRows {
		p.batch = s.spare[n-1].batch
		s.spare = s.spare[:n-1]
	} else {
		p.batch = flow.NewBatch(size)
	}
	return p
}

// handOver closes a part for rows and has it written. mu is held.
func (s *Store) handOver(p *part) {
	hs := p.hour
	if hs.open == p {
		hs.open = nil
	}
	if n := len(hs.writing); n > 0 {
		p.before = hs.writing[n-1]
	}
	p.handed = true
	hs.writing = append(hs.writing, p)
	s.writing++
	s.startWrite(p)
}

// startWrite has a part written in a goroutine of its own. mu is held.
func (s *Store) startWrite(p *part) {
	p.err, p.done = nil, make(chan struct{})
	s.writers.Add(1)
	go func() {
		defer s.writers.Done()
		s.write(p)
	}()
}

// retryWrites tries parts again whose writing failed.
func (s *Store) retryWrites() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	for _, hs := range s.hours.all() {
		for _, p := range hs.writing {
			if p.err != nil {
				s.startWrite(p)
			}
		}
	}
}

// retire takes a part out of its hour once it is written or dropped, and keeps
// its memory if nobody reads it. mu is held.
func (s *Store) retire(p *part) {
	p.written = true
	for i, other := range p.hour.writing {
		if other == p {
			p.hour.writing = append(p.hour.writing[:i:i], p.hour.writing[i+1:]...)
			s.writing--
			break
		}
	}
	p.before = nil
	s.recycle(p)
}

// recycle keeps the memory of a part that is done. mu is held.
func (s *Store) recycle(p *part) {
	if !p.written || p.readers > 0 || p.batch == nil {
		return
	}
	if len(s.spare) < 2 && p.batch.Size() >= s.opts.blockRows {
		p.batch.Reset()
		s.spare = append(s.spare, &part{batch: p.batch})
	}
	p.batch = nil
}
