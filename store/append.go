package store

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"weir/flow"
)

// errReadOnly is returned by whatever would change a store opened read-only.
var errReadOnly = errors.New("store is open for reading only")

// Append copies the rows of b into the open parts of their hours, the hours of
// Received, which every row must have. They are visible to Views from then on,
// and durable after the next Flush. When the disk does not keep up, Append
// waits; when writing fails, it returns the error, and rows may have been
// taken in part. With ErrDiskFull none are.
func (s *Store) Append(b *flow.Batch) error {
	if s.opts.ReadOnly {
		return errReadOnly
	}
	n := b.Len()
	if n == 0 {
		return nil
	}
	if b.PresentCount(flow.Received) != n {
		return fmt.Errorf("append %d rows: a row has no time of receipt", n)
	}
	if err := s.checkSpace(); err != nil {
		return fmt.Errorf("append %d rows: %w", n, err)
	}
	received := b.Num(flow.Received)
	s.mu.Lock()
	defer s.mu.Unlock()
	for lo := 0; lo < n; {
		h := HourOf(received[lo])
		hi := sameHour(received, lo, h)
		if err := s.appendRun(h, b, lo, hi); err != nil {
			return fmt.Errorf("append to bucket %v: %w", h, err)
		}
		lo = hi
	}
	return nil
}

// sameHour returns the end of the run of rows from lo that are of hour h.
func sameHour(received []uint64, lo int, h Hour) int {
	start, end := h.StartMS(), h.EndMS()
	if h == ^Hour(0) {
		end = ^uint64(0)
	}
	hi := lo + 1
	for hi < len(received) && received[hi] >= start && received[hi] < end {
		hi++
	}
	return hi
}

// appendRun appends the rows lo to hi-1, which are of one hour. mu is held.
func (s *Store) appendRun(h Hour, b *flow.Batch, lo, hi int) error {
	for lo < hi {
		p, err := s.partFor(h)
		if err != nil {
			return err
		}
		n := min(hi-lo, s.room(p)-p.batch.Len())
		p.batch.AppendRows(b, lo, lo+n)
		p.bounds.add(boundsOf(b, lo, lo+n))
		s.clock++
		p.used = s.clock
		if p.batch.Len() >= s.opts.blockRows {
			s.handOver(p)
		}
		lo += n
	}
	return nil
}

// write encodes a part and writes it as the next block of its hour. Parts are
// encoded side by side and written in the order they were handed over.
func (s *Store) write(p *part) {
	e := s.codecs.encoder()
	blk := e.encode(p.batch)
	sketch := e.addrSketch()
	s.codecs.putEncoder(e)

	s.waitBefore(p)
	err := s.writeBlock(p, blk, sketch)

	s.mu.Lock()
	defer s.mu.Unlock()
	p.err = err
	if err != nil {
		s.opts.Logger.Error("write block", "bucket", p.hour.hour, "err", err)
	}
	close(p.done)
	s.changed.Broadcast()
}

// waitBefore waits for the attempt to write the part before p, if there is one.
func (s *Store) waitBefore(p *part) {
	s.mu.Lock()
	if p.before == nil || p.before.written {
		s.mu.Unlock()
		return
	}
	done := p.before.done
	s.mu.Unlock()
	<-done
}

// writeBlock writes blk in place of the tail segments of p, and p is gone.
func (s *Store) writeBlock(p *part, blk *encodedBlock, sketch addrSketch) error {
	s.publish.Lock()
	defer s.publish.Unlock()
	hs := p.hour
	s.mu.Lock()
	dropped, number := hs.dropped, hs.blocks
	s.mu.Unlock()
	if !dropped {
		if err := s.putBlock(p, number, blk); err != nil {
			return fmt.Errorf("write block %d of bucket %v: %w", number, hs.hour, err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !dropped && blk.rows > 0 {
		hs.blocks++
		s.keepSketch(hs, number, sketch)
		hs.bounds.add(blk.bounds)
		hs.bytes += int64(blk.size())
		s.dirty = true
	}
	s.retire(p)
	return nil
}

// newBatch returns a batch with room for size bytes. Pebble keeps the memory of
// batches for the next ones; by default not of those as large as ours.
func (s *Store) newBatch(size int) *pebble.Batch {
	return s.db.NewBatchWithSize(size, pebble.WithMaxRetainedSizeBytes(8<<20))
}

func (s *Store) putBlock(p *part, number int, blk *encodedBlock) error {
	h := p.hour.hour
	batch := s.newBatch(blk.size() + 64*(len(blk.fields)+4))
	defer batch.Close()
	var err error
	if blk.rows > 0 { // a part whose only segments are damaged has none
		err = batch.Set(headerKey(h, number), blk.head, nil)
	}
	for i, f := range blk.fields {
		if err == nil {
			err = batch.Set(columnKey(h, f, number), blk.columns[i], nil)
		}
	}
	if err == nil && p.tails > 0 {
		start, end := tailSpan(h, p.id)
		err = batch.DeleteRange(start, end, nil)
	}
	if err != nil {
		return err
	}
	// Without a sync: until the next one, the tail segments are still there.
	return batch.Commit(pebble.NoSync)
}
