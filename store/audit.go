package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// An auditTail is where the audit log ends.
type auditTail struct {
	mu     sync.Mutex // one entry at a time
	known  bool       // what follows was read
	number uint64     // of the last entry; 0: there is none
	value  []byte     // of the last entry
}

// AppendAudit adds an entry to the audit log, which lies apart from the buckets
// and is not dropped with them. next makes its value from its number, the first
// being 1, and the value of the entry before, nil if there is none. The entry is
// in the log when AppendAudit returns, and on disk when durable does, which may
// be called by one goroutine and left uncalled; an error of AppendAudit says that
// there is none, one of durable that nobody knows. What MinFree keeps free is for
// these as well: a full disk stops no question.
func (s *Store) AppendAudit(next func(number uint64, before []byte) ([]byte, error)) (durable func() error, err error) {
	if s.opts.ReadOnly {
		return nil, fmt.Errorf("write audit log: %w", errReadOnly)
	}
	batch, err := s.appendAudit(next)
	if err != nil {
		return nil, fmt.Errorf("write audit log: %w", err)
	}
	return func() error {
		if err := batch.SyncWait(); err != nil {
			s.audit.forget()
			return fmt.Errorf("write audit log: %w", err)
		}
		return nil
	}, nil
}

// appendAudit returns the batch of the entry, whose sync has been asked for.
// Entries are one after the other in Pebble's log too, so that none is on disk
// without those before it, and several wait for one sync.
func (s *Store) appendAudit(next func(number uint64, before []byte) ([]byte, error)) (*pebble.Batch, error) {
	s.publish.RLock() // the store does not close under it
	defer s.publish.RUnlock()
	if s.isClosed() {
		return nil, ErrClosed
	}
	t := &s.audit
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := s.readAuditTail(t); err != nil {
		return nil, err
	}
	value, err := next(t.number+1, t.value)
	if err != nil {
		return nil, err
	}
	batch := s.db.NewBatch()
	if err := batch.Set(auditKey(t.number+1), value, nil); err != nil {
		return nil, err
	}
	if err := s.db.ApplyNoSyncWait(batch, pebble.Sync); err != nil {
		t.known = false // it may be there or not
		return nil, err
	}
	t.number, t.value = t.number+1, bytes.Clone(value)
	return batch, nil
}

// forget lets the tail be read anew: the last entry may be there or not.
func (t *auditTail) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.known = false
}

// readAuditTail finds the last entry. t is held.
func (s *Store) readAuditTail(t *auditTail) error {
	if t.known {
		return nil
	}
	it, err := s.auditIter(0)
	if err != nil {
		return err
	}
	if it.Last() && binary.BigEndian.Uint64(it.Key()[1:]) >= t.number {
		t.number, t.value = binary.BigEndian.Uint64(it.Key()[1:]), bytes.Clone(it.Value())
	}
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return err
	}
	t.known = true
	return nil
}

func (s *Store) auditIter(from uint64) (*pebble.Iterator, error) {
	return s.db.NewIter(&pebble.IterOptions{LowerBound: auditKey(from), UpperBound: []byte{prefixAudit + 1}})
}

// LastAudit returns the number and the value of the last entry, 0 and nil for an
// empty log.
func (s *Store) LastAudit() (number uint64, value []byte, err error) {
	s.publish.RLock()
	defer s.publish.RUnlock()
	if s.isClosed() {
		return 0, nil, ErrClosed
	}
	t := &s.audit
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := s.readAuditTail(t); err != nil {
		return 0, nil, fmt.Errorf("read audit log: %w", err)
	}
	return t.number, bytes.Clone(t.value), nil
}

// An auditEntry is an entry as it lies in the store.
type auditEntry struct {
	number uint64
	value  []byte
}

// Bounds of what is read of the audit log while the store is held.
const (
	auditPageEntries = 1000
	auditPageBytes   = 1 << 20
)

// ScanAudit calls fn for every entry of the audit log from the given number on,
// in order, without holding up the store. An error of fn ends it and is returned
// as it is.
func (s *Store) ScanAudit(from uint64, fn func(number uint64, value []byte) error) error {
	for {
		page, err := s.auditPage(from)
		if err != nil {
			return fmt.Errorf("read audit log: %w", err)
		}
		if len(page) == 0 {
			return nil
		}
		for _, e := range page {
			if err := fn(e.number, e.value); err != nil {
				return err
			}
		}
		from = page[len(page)-1].number + 1
	}
}

// auditPage returns some entries from the given number on, none at the end.
func (s *Store) auditPage(from uint64) (page []auditEntry, err error) {
	s.publish.RLock()
	defer s.publish.RUnlock()
	if s.isClosed() {
		return nil, ErrClosed
	}
	it, err := s.auditIter(from)
	if err != nil {
		return nil, err
	}
	bytesRead := 0
	for ok := it.First(); ok && len(page) < auditPageEntries && bytesRead < auditPageBytes; ok = it.Next() {
		if len(it.Key()) != 9 {
			return nil, errors.Join(fmt.Errorf("unknown key %x", it.Key()), it.Close())
		}
		value, err := it.ValueAndErr()
		if err != nil {
			return nil, errors.Join(err, it.Close())
		}
		bytesRead += len(value)
		page = append(page, auditEntry{binary.BigEndian.Uint64(it.Key()[1:]), bytes.Clone(value)})
	}
	return page, errors.Join(it.Error(), it.Close())
}

// TrimAudit deletes the entries before the given number; the last one stays,
// because the next follows from it.
func (s *Store) TrimAudit(before uint64) error {
	if s.opts.ReadOnly {
		return errReadOnly
	}
	s.publish.RLock()
	defer s.publish.RUnlock()
	if s.isClosed() {
		return ErrClosed
	}
	t := &s.audit
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := s.readAuditTail(t); err != nil {
		return fmt.Errorf("trim audit log: %w", err)
	}
	if err := s.db.DeleteRange(auditKey(0), auditKey(min(before, t.number)), pebble.Sync); err != nil {
		return fmt.Errorf("trim audit log: %w", err)
	}
	return nil
}
