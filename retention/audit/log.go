package audit

import (
	"errors"
	"fmt"
	"time"
)

// A Store keeps the entries; *store.Store is one.
type Store interface {
	LastAudit() (number uint64, value []byte, err error)
	AppendAudit(next func(number uint64, before []byte) ([]byte, error)) (durable func() error, err error)
	ScanAudit(from uint64, fn func(number uint64, value []byte) error) error
	TrimAudit(before uint64) error
}

// A Log is the audit log of one archive. Its methods may be called by several
// goroutines.
type Log struct {
	store Store
	now   func() time.Time
}

// New returns the log that the store keeps.
func New(s Store, now func() time.Time) *Log { return &Log{s, now} }

// Add writes an entry: it sets number, time and what chains it. The entry is on
// disk when Add returns; what it is about must not be done before.
func (l *Log) Add(e Entry) (number uint64, err error) {
	number, durable, err := l.Begin(e)
	if err == nil {
		err = durable()
	}
	if err != nil {
		return 0, err
	}
	return number, nil
}

// Begin is Add for what can be worked on while the disk takes the entry: it is on
// disk when durable returns nil, and nothing may come of the work before. durable
// is called by one goroutine, or left.
func (l *Log) Begin(e Entry) (number uint64, durable func() error, err error) {
	e.Time = l.now().UTC().Truncate(time.Millisecond)
	e.shorten()
	durable, err = l.store.AppendAudit(func(n uint64, before []byte) ([]byte, error) {
		e.Number, e.Previous, number = n, "", n
		if before != nil {
			// A damaged entry before is linked to as it lies there: Verify names it.
			_, hash, err := decode(before)
			if errors.Is(err, errShape) && hash == "" {
				return nil, fmt.Errorf("entry %d: %w", n-1, err)
			}
			e.Previous = hash
		}
		return e.encode()
	})
	return number, durable, err
}

// Entries calls fn for the entries from the given number on that can be read;
// the hash is the entry's own, in hexadecimal. An error of fn ends it.
func (l *Log) Entries(from uint64, fn func(e Entry, hash string) error) error {
	return l.store.ScanAudit(from, func(_ uint64, value []byte) error {
		e, hash, err := decode(value)
		if err != nil {
			return nil // Verify says so
		}
		return fn(e, hash)
	})
}

// Head returns the hash and the number of the last entry, "" and 0 for an empty
// log.
func (l *Log) Head() (hash string, number uint64, err error) {
	number, value, err := l.store.LastAudit()
	if err == nil && value != nil {
		_, hash, _ = decode(value) // also of one that was changed
	}
	return hash, number, err
}

// Trim deletes the entries that are older than keep, and leaves an entry that
// says up to where. It returns how many went; with nothing to do it writes
// nothing.
func (l *Log) Trim(keep time.Duration, who Who) (gone uint64, err error) {
	if keep <= 0 {
		return 0, nil
	}
	due := l.now().Add(-keep)
	var first, last uint64
	var removed string
	err = l.store.ScanAudit(0, func(n uint64, value []byte) error {
		e, hash, err := decode(value)
		if err == nil && !e.Time.Before(due) {
			return errStop
		}
		if first == 0 {
			first = n
		}
		last, removed = n, hash
		return nil
	})
	if err != nil && err != errStop {
		return 0, err
	}
	if err == nil || first == 0 { // all are old, and the newest stays; or none is
		return 0, nil
	}
	_, err = l.Add(Entry{
		Kind: KindTrim, Who: who, Command: "retention", Of: last + 1, Removed: removed,
		Detail: fmt.Sprintf("entries %d to %d were older than %v", first, last, keep),
	})
	if err != nil {
		return 0, err
	}
	return last - first + 1, l.store.TrimAudit(last + 1)
}

// errStop ends a scan early.
var errStop = errors.New("stop")
