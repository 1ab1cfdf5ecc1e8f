package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// What BeginSeal, and Commit, can say about a bucket.
var (
	// ErrSealing: the bucket is being sealed already.
	ErrSealing = errors.New("bucket is being sealed already")
	// ErrNoBucket: the bucket has no rows, or was dropped meanwhile.
	ErrNoBucket = errors.New("no such bucket")
)

// A Sealing closes one bucket for writing: its blocks are copied as they are
// into sorted tables of their own, with the index entries given to Add beside
// them, and the tables replace all the bucket had in one atomic step. Until
// Commit returns nothing has changed; a crash leaves the bucket open, to be
// sealed again.
//
// Rows that arrive meanwhile are not lost: they go on as blocks and tails of the
// bucket that the index does not cover.
//
// A Sealing belongs to one goroutine. End it with Commit or Abort.
type Sealing struct {
	store  *Store
	hour   *hourState
	view   *View
	bucket *Bucket
	index  *tableWriter
	last   []byte // the last key given to Add
	ended  bool
}

// BeginSeal starts to seal bucket h. Its rows in memory become its last block.
// Whether the hour is over is the caller's business.
func (s *Store) BeginSeal(h Hour) (*Sealing, error) {
	if s.opts.ReadOnly {
		return nil, errReadOnly
	}
	if err := s.checkSpace(); err != nil {
		return nil, fmt.Errorf("seal bucket %v: %w", h, err)
	}
	z := &Sealing{store: s}
	if err := z.begin(h); err != nil {
		if z.hour != nil {
			err = errors.Join(err, z.Abort())
		}
		return nil, fmt.Errorf("seal bucket %v: %w", h, err)
	}
	return z, nil
}

func (z *Sealing) begin(h Hour) error {
	if err := z.closeOpen(h); err != nil {
		return err
	}
	view, err := z.store.View(h, h)
	if err != nil {
		return err
	}
	z.view = view
	if len(view.buckets) == 0 {
		return ErrNoBucket
	}
	z.bucket = &Bucket{view: view, info: view.buckets[0].info} // without rows in memory
	z.index, err = z.store.newTable(h, "index", true)
	return err
}

// closeOpen has the rows in memory of the bucket written and waits for it.
func (z *Sealing) closeOpen(h Hour) error {
	s := z.store
	s.mu.Lock()
	hs := s.hours.get(h)
	switch {
	case s.closed:
		s.mu.Unlock()
		return ErrClosed
	case hs == nil:
		s.mu.Unlock()
		return ErrNoBucket
	case hs.sealing != nil:
		s.mu.Unlock()
		return ErrSealing
	}
	hs.sealing, z.hour = z, hs
	if hs.open != nil {
		s.handOver(hs.open)
	}
	parts := append([]*part(nil), hs.writing...)
	for _, p := range parts {
		if p.err != nil {
			s.startWrite(p)
		}
	}
	s.mu.Unlock()
	for _, p := range parts {
		if err := s.waitPart(p); err != nil {
			return err
		}
	}
	return nil
}

// waitPart waits for the present attempt to write p.
func (s *Store) waitPart(p *part) error {
	s.mu.Lock()
	done := p.done
	s.mu.Unlock()
	<-done
	s.mu.Lock()
	defer s.mu.Unlock()
	return p.err
}

// Bucket returns the bucket with all the blocks that are to be indexed.
func (z *Sealing) Bucket() *Bucket { return z.bucket }

// Add adds an index entry. Keys must ascend.
func (z *Sealing) Add(key, value []byte) error {
	if z.ended {
		return ErrClosed
	}
	if z.index.entries > 0 && bytes.Compare(key, z.last) <= 0 {
		return fmt.Errorf("seal bucket %v: index key %x does not ascend", z.hour.hour, key)
	}
	z.last = append(z.last[:0], key...)
	if err := z.index.set(indexKey(z.hour.hour, key), value); err != nil {
		return fmt.Errorf("seal bucket %v: add index entry: %w", z.hour.hour, err)
	}
	return nil
}

// Commit writes the tables and puts them in place of what the bucket had. It is
// durable when it returns.
func (z *Sealing) Commit() error {
	if z.ended {
		return ErrClosed
	}
	if err := z.commit(); err != nil {
		return fmt.Errorf("seal bucket %v: %w", z.hour.hour, errors.Join(err, z.Abort()))
	}
	z.store.noteTurn(&z.store.turns.sealed)
	return z.end()
}

func (z *Sealing) commit() error {
	s := z.store
	if err := z.index.close(); err != nil {
		return err
	}
	// The columns, nearly all of the bucket, are copied before anybody has to
	// wait. In the rare case that a block of late rows was written meanwhile they
	// are copied again.
	columns, err := z.copyColumns(z.view.scan)
	if err != nil {
		return err
	}
	defer func() { columns.remove() }()

	s.publish.Lock()
	defer s.publish.Unlock()
	s.mu.Lock()
	closed, dropped := s.closed, z.hour.dropped
	sealed := *z.hour // what the bucket will be
	s.mu.Unlock()
	switch {
	case closed:
		return ErrClosed
	case dropped:
		return ErrNoBucket
	}
	if sealed.blocks > z.bucket.info.Blocks {
		columns.remove()
		if columns, err = z.copyColumns(s.scan); err != nil {
			return err
		}
	}
	sealed.indexed = z.bucket.info.Blocks
	sealed.indexBytes = z.index.size
	heads, err := z.writeHeads(&sealed, columns.values)
	if err != nil {
		return err
	}
	defer heads.remove()
	if err := columns.closeWith(z.hour.hour, heads); err != nil {
		return err
	}
	if err := z.ingest(heads, z.index, columns); err != nil {
		return err
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	z.hour.indexIs(sealed.indexed, sealed.indexBytes)
	z.hour.bytes = sealed.bytes
	s.forgetSketches(z.hour, sealed.indexed)
	return nil
}

// ingest puts the tables in place of the bucket's range of keys. The sync before
// makes what the bucket's blocks replaced, and everything else that was written
// before, no less durable than the tables.
func (z *Sealing) ingest(tables ...*tableWriter) error {
	if err := z.store.db.LogData(nil, pebble.Sync); err != nil {
		return fmt.Errorf("sync the log: %w", err)
	}
	var paths []string
	for _, t := range tables {
		if t.entries > 0 {
			paths = append(paths, t.path)
		}
	}
	start, end := bucketSpan(z.hour.hour, z.hour.hour)
	_, err := z.store.db.IngestAndExcise(context.Background(), paths, nil, nil, pebble.KeyRange{Start: start, End: end})
	if err != nil {
		return fmt.Errorf("ingest tables: %w", err)
	}
	z.store.markManifest()
	return nil
}

// A scanFunc calls fn for the keys from start on and before end.
type scanFunc func(start, end []byte, fn func(key, value []byte) error) error

// copyColumns writes the table of all columns that scan finds in the bucket, and
// leaves it open.
func (z *Sealing) copyColumns(scan scanFunc) (*tableWriter, error) {
	h := z.hour.hour
	t, err := z.store.newTable(h, "columns", false)
	if err != nil {
		return nil, err
	}
	err = scan(bucketKey(h, kindColumn), bucketKey(h, kindCopy), t.set)
	if err == nil {
		err = t.syncBeforehand()
	}
	if err != nil {
		t.remove()
		return nil, fmt.Errorf("copy columns: %w", err)
	}
	return t, nil
}

// writeHeads writes the table of the bucket's small values: its ledger, its totals, the
// headers, and the tail segments of rows that are not in a block. publish is
// held.
func (z *Sealing) writeHeads(sealed *hourState, columnBytes int64) (*tableWriter, error) {
	s, h := z.store, z.hour.hour
	t, err := s.newTable(h, "heads", false)
	if err != nil {
		return nil, err
	}
	t.keep = true
	var entries []tableEntry
	keep := func(key, value []byte) error {
		if _, kind, rest, _ := splitBucketKey(key); kind == kindTail && !s.hasTail(z.hour, rest) {
			return nil
		} else if kind == kindHeader {
			columnBytes += int64(len(value))
		}
		entries = append(entries, tableEntry{bytes.Clone(key), bytes.Clone(value)})
		return nil
	}
	err = s.scan(ledgerKey(h, nil), metaKey(h), t.set)
	if err == nil {
		err = s.scan(headerKey(h, 0), endKey(h), keep)
	}
	sealed.bytes = columnBytes + sealed.indexBytes
	if err == nil {
		err = t.set(metaKey(h), sealed.appendMeta(nil))
	}
	for _, e := range entries {
		if err == nil {
			err = t.set(e.key, e.value)
		}
	}
	if err == nil {
		err = t.set(endKey(h), nil)
	}
	if err := errors.Join(err, t.close()); err != nil {
		t.remove()
		return nil, fmt.Errorf("copy headers: %w", err)
	}
	return t, nil
}

// hasTail reports whether the tail segment with that key belongs to a part of
// the hour.
func (s *Store) hasTail(hs *hourState, rest []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range hs.parts() {
		key := tailKey(hs.hour, p.id, 0)[bucketPrefixLen+1:]
		if bytes.HasPrefix(rest, key[:8]) {
			return true
		}
	}
	return false
}

// Abort gives up; the bucket stays as it is. After Commit it does nothing.
func (z *Sealing) Abort() error {
	if z.ended {
		return nil
	}
	return z.end()
}

func (z *Sealing) end() error {
	z.ended = true
	var err error
	if z.index != nil {
		err = z.index.close()
		z.index.remove()
	}
	if z.view != nil {
		err = errors.Join(err, z.view.Close())
	}
	s := z.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if z.hour.sealing == z {
		z.hour.sealing = nil
	}
	return err
}
