package store

import (
	"context"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

const (
	// memTables is how many memtables there are at most; as many logs, and one,
	// does Pebble keep to be used again.
	memTables = 4

	// scrubWait bounds the wait for files that go once nobody reads them.
	scrubWait = 10 * time.Second
	scrubPoll = 20 * time.Millisecond
)

// Scrub sees to it that the directory's files hold no bytes of what was removed
// before the call. Tables that were replaced go by themselves; this has every log
// of before replaced by a new file, also those that wait to be written over, and
// has tables written anew of which a part only is in use, and those of the state
// values whose keys begin with prefix, if it is not empty. Files that were set
// aside for damage are deleted.
//
// What an open View sees stays on the disk until it is closed. Scrub waits a
// little for that, and returns how many files are left; they go when the store
// is closed at the latest.
func (s *Store) Scrub(ctx context.Context, prefix string) (left int, err error) {
	if s.opts.ReadOnly {
		return 0, errReadOnly
	}
	if err := s.Flush(); err != nil {
		return 0, err
	}
	s.scrubbing.Lock()
	defer s.scrubbing.Unlock()
	if err := s.dropAside(0, true); err != nil {
		return 0, err
	}
	s.files.fresh.Store(true)
	defer s.files.fresh.Store(false)
	// Each turn lets go of the log that waits longest to be used again. The one in
	// use at the start may itself have been another one before, so it must go too.
	for range memTables + 2 {
		if err := s.whileOpen(ctx, s.db.Flush); err != nil {
			return 0, fmt.Errorf("begin a new log: %w", err)
		}
	}
	if prefix != "" {
		start := stateKey(prefix)
		end := append(stateKey(prefix), 0xff)
		if err := s.whileOpen(ctx, func() error { return s.db.Compact(ctx, start, end, false) }); err != nil {
			return 0, fmt.Errorf("compact state: %w", err)
		}
	}
	if err := s.whileOpen(ctx, func() error { return s.compactShared(ctx) }); err != nil {
		return 0, fmt.Errorf("compact tables: %w", err)
	}
	return s.waitObsolete(ctx)
}

// whileOpen calls fn, and the store does not close meanwhile.
func (s *Store) whileOpen(ctx context.Context, fn func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.publish.RLock()
	defer s.publish.RUnlock()
	if s.isClosed() {
		return ErrClosed
	}
	return fn()
}

// compactShared writes those tables anew that are a part of a file: the rest of
// it was excised, and its bytes live on. ownTables keeps such from being made
// but for tables of an older weir.
func (s *Store) compactShared(ctx context.Context) error {
	levels, err := s.db.SSTables()
	if err != nil {
		return err
	}
	for _, tables := range levels {
		for i := range tables {
			t := &tables[i]
			if !t.Virtual {
				continue
			}
			end := append(append([]byte(nil), t.Largest.UserKey...), 0)
			if err := s.db.Compact(ctx, t.Smallest.UserKey, end, false); err != nil {
				return err
			}
		}
	}
	return nil
}

// waitObsolete waits until files that nothing refers to are deleted.
func (s *Store) waitObsolete(ctx context.Context) (left int, err error) {
	for end := time.Now().Add(scrubWait); ; {
		err := s.whileOpen(ctx, func() error {
			left = obsoleteFiles(s.db.Metrics())
			return nil
		})
		if err != nil || left == 0 || time.Now().After(end) {
			return left, err
		}
		select {
		case <-ctx.Done():
			return left, ctx.Err()
		case <-time.After(scrubPoll):
		}
	}
}

// obsoleteFiles counts the tables that a reader holds or that wait to be deleted.
func obsoleteFiles(m *pebble.Metrics) int {
	return int(m.Table.ObsoleteCount) + int(m.Table.ZombieCount)
}
