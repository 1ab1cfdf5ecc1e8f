package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2/objstorage"
	"github.com/cockroachdb/pebble/v2/sstable"
)

// A liveTable is a table of Pebble's that holds a part of what counts.
type liveTable struct {
	name     string // of its file
	smallest []byte // key
	largest  []byte // key
	size     int64  // of the file; -1 where a part of it counts and the size is not known
}

func tableName(number uint64) string { return fmt.Sprintf("%06d.sst", number) }

// hours returns the buckets that the table has keys of, false if it has none.
func (t *liveTable) hours() (from, to Hour, ok bool) {
	from, _, _, ok = splitBucketKey(t.smallest)
	if !ok {
		return 0, 0, false
	}
	to, _, _, ok = splitBucketKey(t.largest)
	if !ok {
		to = ^Hour(0)
	}
	return from, to, true
}

// kinds returns the kinds of keys that it has of a bucket, from least to most.
func (t *liveTable) kinds(h Hour) (least, most byte) {
	least, most = kindLedger, kindCopy
	if of, kind, _, ok := splitBucketKey(t.smallest); ok && of == h {
		least = kind
	}
	if of, kind, _, ok := splitBucketKey(t.largest); ok && of == h {
		most = kind
	}
	return least, most
}

// span returns the range of the table's keys; end is exclusive.
func (t *liveTable) span() (start, end []byte) {
	return bytes.Clone(t.smallest), append(bytes.Clone(t.largest), 0)
}

// within reports whether the table has keys from start on and before end.
func (t *liveTable) within(start, end []byte) bool {
	return bytes.Compare(t.largest, start) >= 0 && bytes.Compare(t.smallest, end) < 0
}

// liveTables returns the tables that have keys from start on and before end, in
// the order of their smallest keys.
func (s *Store) liveTables(start, end []byte) ([]liveTable, error) {
	levels, err := s.db.SSTables()
	if err != nil {
		return nil, fmt.Errorf("list tables: %w", err)
	}
	var tables []liveTable
	for _, level := range levels {
		for i := range level {
			t := &level[i]
			live := liveTable{name: tableName(uint64(t.BackingSSTNum)), smallest: t.Smallest.UserKey, largest: t.Largest.UserKey, size: int64(t.Size)}
			if t.Virtual {
				live.size = -1
			}
			if live.within(start, end) {
				tables = append(tables, live)
			}
		}
	}
	slices.SortStableFunc(tables, func(a, b liveTable) int { return bytes.Compare(a.smallest, b.smallest) })
	return tables, nil
}

// checkSize says what is wrong with a table that is missing or not as long as it
// was written.
func (s *Store) checkSize(t *liveTable) error {
	info, err := s.opts.FS.Stat(s.opts.FS.PathJoin(s.dir, t.name))
	switch {
	case isNotExist(err):
		return errNoFile
	case err != nil:
		return err
	case t.size >= 0 && info.Size() != t.size:
		return fmt.Errorf("%w: it has %d bytes of %d", errShort, info.Size(), t.size)
	}
	return nil
}

// checkTable reads all of a table and compares the checksum of each block.
func (s *Store) checkTable(ctx context.Context, t *liveTable) (err error) {
	if err := s.checkSize(t); err != nil {
		return err
	}
	f, err := s.opts.FS.Open(s.opts.FS.PathJoin(s.dir, t.name))
	if err != nil {
		return err
	}
	readable, err := sstable.NewSimpleReadable(f)
	if err != nil {
		return errors.Join(err, f.Close())
	}
	r, err := sstable.NewReader(ctx, readable, s.readerOptions())
	if err != nil {
		return errors.Join(err, closeReadable(readable))
	}
	return errors.Join(r.ValidateBlockChecksums(), r.Close())
}

// closeReadable closes what a reader did not take over; one that it closed
// already says so, which is nothing to us.
func closeReadable(r objstorage.Readable) (err error) {
	defer func() {
		if recover() != nil {
			err = nil
		}
	}()
	return r.Close()
}

func (s *Store) readerOptions() sstable.ReaderOptions {
	o := s.pebbleOptions()
	o.EnsureDefaults()
	return o.MakeReaderOptions()
}

// VerifyRest reads every table that is of no bucket, the state and the audit log,
// and compares the checksums of its blocks. It calls bad for each that is not what
// was written. A table that goes meanwhile is not looked at.
func (s *Store) VerifyRest(ctx context.Context, bad func(error)) error {
	for _, prefix := range []byte{prefixAudit, prefixState} {
		tables, err := s.tablesIn([]byte{prefix}, []byte{prefix + 1})
		if err != nil {
			return err
		}
		for i := range tables {
			t := &tables[i]
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := s.checkTable(ctx, t); err != nil && s.stillLive(t) {
				bad(t.damage(err))
			}
		}
	}
	return nil
}

// tablesIn is liveTables for a store that may be closed.
func (s *Store) tablesIn(start, end []byte) ([]liveTable, error) {
	s.publish.RLock()
	defer s.publish.RUnlock()
	if s.isClosed() {
		return nil, ErrClosed
	}
	return s.liveTables(start, end)
}

func (s *Store) stillLive(t *liveTable) bool {
	start, end := t.span()
	now, err := s.tablesIn(start, end)
	return err != nil || slices.ContainsFunc(now, func(o liveTable) bool { return o.name == t.name })
}

// damage names the table with what it holds.
func (t *liveTable) damage(err error) error {
	h, to, isBucket := t.hours()
	if !isBucket {
		what := "the collector's state"
		if len(t.smallest) > 0 && t.smallest[0] == prefixAudit {
			what = "the audit log"
		}
		return &PartError{What: what + ", table " + t.name, Err: err}
	}
	what := "table " + t.name
	switch least, most := t.kinds(h); {
	case to != h:
	case least > kindIndex:
		what += " of its records"
	case most < kindIndex:
		what += " of its headers and ledger"
	case least == kindIndex && most == kindIndex:
		what += " of its index"
	}
	return &DamageError{Hour: h, What: what, Err: err}
}

// lookAtTables finds the tables with keys of a range that are missing or cut off,
// and takes note of what that costs. The store is being opened.
func (s *Store) lookAtTables(start, end []byte) error {
	tables, err := s.liveTables(start, end)
	if err != nil {
		return err
	}
	for i := range tables {
		t := &tables[i]
		fault := s.checkSize(t)
		if fault == nil {
			continue
		}
		from, to, ok := t.hours()
		if !ok {
			continue
		}
		for h := from; ; h++ {
			s.noteFault(t, h, fault)
			if h == to {
				break
			}
		}
	}
	return nil
}

// noteFault takes note of a table that is lost to bucket h.
func (s *Store) noteFault(t *liveTable, h Hour, fault error) {
	err := t.damage(fault)
	hs := s.hours.get(h)
	least, most := t.kinds(h)
	if least == kindIndex && most == kindIndex && hs != nil && len(hs.damage) == 0 {
		// The records answer without it, and the next seal makes it again.
		s.opts.Logger.Warn("an index is lost and will be made again from the records", "bucket", h.String(), "err", err)
		hs.indexIs(0, 0)
		return
	}
	if hs == nil {
		hs = s.newHour(h)
	}
	if hs.hidden && least < kindIndex && len(hs.damage) == 1 { // what load met, in better words
		hs.damage = nil
		s.damage.forget(h)
	}
	hs.hidden = hs.hidden || least < kindIndex
	hs.damage = append(hs.damage, err)
	s.reportDamage(err)
}
