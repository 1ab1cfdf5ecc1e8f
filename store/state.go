package store

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// PutState keeps a small value under a key, apart from the buckets: templates,
// sampling tables, clocks. It is durable after the next Flush.
func (s *Store) PutState(key string, value []byte) error {
	return s.changeState(key, func() error { return s.db.Set(stateKey(key), value, pebble.NoSync) })
}

// DeleteState removes a state value; removing none is no error.
func (s *Store) DeleteState(key string) error {
	return s.changeState(key, func() error { return s.db.Delete(stateKey(key), pebble.NoSync) })
}

// SyncState makes every state value that was put before the call durable, and
// leaves the rows to the next Flush: it costs one write to disk.
func (s *Store) SyncState() error {
	if s.opts.ReadOnly {
		return errReadOnly
	}
	s.publish.RLock() // the store does not close under it
	defer s.publish.RUnlock()
	if s.isClosed() {
		return ErrClosed
	}
	if err := s.db.LogData(nil, pebble.Sync); err != nil {
		return fmt.Errorf("sync the state: %w", err)
	}
	return nil
}

func (s *Store) changeState(key string, change func() error) error {
	if s.opts.ReadOnly {
		return errReadOnly
	}
	s.publish.RLock() // the store does not close under it
	defer s.publish.RUnlock()
	if s.isClosed() {
		return ErrClosed
	}
	if err := change(); err != nil {
		return fmt.Errorf("write state %q: %w", key, err)
	}
	s.mu.Lock()
	s.dirty = true
	s.mu.Unlock()
	return nil
}

// GetState returns a state value, nil if there is none.
func (s *Store) GetState(key string) ([]byte, error) {
	s.publish.RLock()
	defer s.publish.RUnlock()
	if s.isClosed() {
		return nil, ErrClosed
	}
	value, closer, err := s.db.Get(stateKey(key))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read state %q: %w", key, err)
	}
	out := append([]byte{}, value...)
	return out, closer.Close()
}

// ScanState calls fn for every state value whose key begins with prefix, in the
// order of keys, as they were when it was called. fn may change state. The value
// is good until fn returns.
func (s *Store) ScanState(prefix string, fn func(key string, value []byte) error) error {
	entries, err := s.stateEntries(prefix)
	if err != nil {
		return fmt.Errorf("scan state %q: %w", prefix, err)
	}
	for _, e := range entries {
		if err := fn(e.key, e.value); err != nil {
			return err
		}
	}
	return nil
}

type stateEntry struct {
	key   string
	value []byte
}

func (s *Store) stateEntries(prefix string) ([]stateEntry, error) {
	s.publish.RLock()
	defer s.publish.RUnlock()
	if s.isClosed() {
		return nil, ErrClosed
	}
	start := stateKey(prefix)
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: start, UpperBound: []byte{prefixState + 1}})
	if err != nil {
		return nil, err
	}
	var out []stateEntry
	for ok := it.First(); ok && bytes.HasPrefix(it.Key(), start); ok = it.Next() {
		out = append(out, stateEntry{string(it.Key()[1:]), bytes.Clone(it.Value())})
	}
	return out, errors.Join(it.Error(), it.Close())
}
