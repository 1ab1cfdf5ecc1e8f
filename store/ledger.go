package store

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"weir/flow/ledger"
)

// PutLedger writes rows of the ledger of hour h, in hours since the Unix epoch,
// over those with the same keys. They can be read at once, are durable after the
// next Flush, and go with the bucket when it is dropped. A bucket may have a
// ledger and no rows: nothing came, which is worth knowing.
func (s *Store) PutLedger(h uint32, rows []ledger.Row) error {
	if s.opts.ReadOnly {
		return errReadOnly
	}
	if len(rows) == 0 {
		return nil
	}
	hour := Hour(h)
	s.publish.RLock() // no seal or drop of the bucket meanwhile, and no close
	defer s.publish.RUnlock()
	if s.isClosed() {
		return ErrClosed
	}
	if err := s.writeLedger(hour, rows); err != nil {
		return fmt.Errorf("write ledger of bucket %v: %w", hour, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	hs := s.hours.get(hour)
	if hs == nil {
		hs = s.newHour(hour)
	}
	s.changes++
	hs.ledger, hs.change, s.dirty = true, s.changes, true
	return nil
}

func (s *Store) writeLedger(h Hour, rows []ledger.Row) error {
	batch := s.db.NewBatch()
	defer batch.Close()
	for i := range rows {
		value, err := rows[i].AppendValue(nil)
		if err == nil {
			err = batch.Set(ledgerKey(h, rows[i].AppendKey(nil)), value, nil)
		}
		if err != nil {
			return err
		}
	}
	return batch.Commit(pebble.NoSync)
}

// ScanLedger calls fn for every row of the ledgers of the hours from to to, both
// inclusive, ascending. An error of fn ends it and is returned as it is. Rows
// that are damaged are left out; once all others were seen, the error is a
// DamageError for each bucket that has some, or a table that is damaged. Close waits for fn, which must not
// call it, and lets no further bucket begin: the error is then ErrClosed.
func (s *Store) ScanLedger(from, to Hour, fn func(h Hour, row ledger.Row) error) error {
	it, hours, faults, err := s.ledgerIter(from, to)
	if err != nil {
		return err
	}
	defer s.scans.Done()
	var bad error
	for _, fault := range faults {
		bad = errors.Join(bad, fault)
	}
	for _, h := range hours {
		if s.isClosed() {
			_ = it.Close()
			return ErrClosed
		}
		damage, err := scanLedgerOf(it, h, fn)
		if err != nil {
			_ = it.Close() // fn's error goes before what else there may be
			return err
		}
		if damage != nil && faults[h] == nil {
			bad = errors.Join(bad, damaged(h, "ledger", damage))
		}
	}
	// The iterator's own error has been reported with its bucket.
	_ = it.Close()
	return bad
}

// A LedgerHour is a bucket that has a ledger.
type LedgerHour struct {
	Hour   Hour
	Change uint64 // another one after each PutLedger for the hour; it means nothing to another process
}

// LedgerHours returns the buckets that have a ledger, or damage that ScanLedger
// names, ascending, from memory.
// While an hour is in it with the same Change, ScanLedger finds the same rows.
func (s *Store) LedgerHours() []LedgerHour {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]LedgerHour, 0, len(s.hours.all()))
	for _, hs := range s.hours.all() {
		if hs.ledger || len(hs.damage) > 0 {
			list = append(list, LedgerHour{hs.hour, hs.change})
		}
	}
	return list
}

// ledgerIter returns an iterator over the buckets from to to, which of them have
// a ledger, and what is known to be damaged of each. The iterator keeps them readable, whatever is dropped, and it is
// one of Store.scans, which the caller ends once the iterator is closed.
func (s *Store) ledgerIter(from, to Hour) (*pebble.Iterator, []Hour, map[Hour]error, error) {
	start, end := bucketSpan(from, max(from, to))
	s.publish.RLock()
	defer s.publish.RUnlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, nil, nil, ErrClosed
	}
	var hours []Hour
	faults := map[Hour]error{}
	for _, hs := range s.hours.between(from, to) {
		if hs.ledger || hs.hidden {
			hours = append(hours, hs.hour)
		}
		if len(hs.damage) > 0 {
			faults[hs.hour] = hs.damage[0]
		}
	}
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: start, UpperBound: end})
	if err != nil {
		return nil, nil, nil, fmt.Errorf("read ledger: %w", err)
	}
	s.scans.Add(1)
	return it, hours, faults, nil
}

// scanLedgerOf calls fn for the rows of one bucket and returns what is damaged,
// and apart from that the error of fn.
func scanLedgerOf(it *pebble.Iterator, h Hour, fn func(h Hour, row ledger.Row) error) (damage, err error) {
	it.SetBounds(ledgerKey(h, nil), metaKey(h)) // what comes after is not its damage
	for ok := it.First(); ok; ok = it.Next() {
		of, kind, key, isBucket := splitBucketKey(it.Key())
		if !isBucket || of != h || kind != kindLedger {
			return damage, nil
		}
		value, err := it.ValueAndErr()
		if err != nil {
			return err, nil
		}
		row, err := ledger.ParseRow(key, value)
		if err != nil {
			damage = err
			continue
		}
		if err := fn(h, row); err != nil {
			return damage, err
		}
	}
	return errors.Join(damage, it.Error()), nil
}

// BareBuckets returns the buckets that have no rows, but a ledger or damage that
// hides what they have, ascending.
// Buckets leaves them out: they hold nothing to be asked for, but they too must
// go when their time has come.
func (s *Store) BareBuckets() []BucketInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	var bare []BucketInfo
	for _, hs := range s.hours.all() {
		if info := hs.info(); (hs.ledger || hs.hidden) && info.Rows == 0 && info.Blocks == 0 {
			bare = append(bare, info)
		}
	}
	return bare
}
