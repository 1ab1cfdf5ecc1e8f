package store

import (
	"errors"
	"io"
	"os"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// lockedFS is a file system whose data directory is locked already.
type lockedFS struct {
	FS
	fresh atomic.Bool // no file is used again: its old content must go

	mu     sync.Mutex
	absent map[string]bool // names of tables that are missing; List shows them
}

// Lock does nothing: lockDir holds the lock.
func (*lockedFS) Lock(string) (io.Closer, error) { return io.NopCloser(nil), nil }

// Unwrap returns the file system beneath.
func (l *lockedFS) Unwrap() FS { return l.FS }

// MkdirAll makes directories that nobody else may enter. Pebble makes its copies
// readable for everybody.
func (l *lockedFS) MkdirAll(dir string, perm os.FileMode) error {
	return l.FS.MkdirAll(dir, perm&0o700)
}

// miss has tables that are missing listed all the same. Pebble takes a table that
// it does not find in the list for a reason to answer nothing at all; one that
// it cannot open costs the keys that are in it.
func (l *lockedFS) miss(names []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.absent == nil {
		l.absent = map[string]bool{}
	}
	for _, name := range names {
		l.absent[name] = true
	}
}

func (l *lockedFS) isAbsent(path string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.absent[l.FS.PathBase(path)]
}

// List lists a directory and the tables that are missing.
func (l *lockedFS) List(dir string) ([]string, error) {
	names, err := l.FS.List(dir)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	there := map[string]bool{}
	if len(l.absent) > 0 {
		for _, name := range names {
			there[name] = true
		}
	}
	for name := range l.absent {
		if !there[name] {
			names = append(names, name)
		}
	}
	return names, nil
}

// Link makes a hard link. Of a table that is missing there is nothing to link: a
// copy of the store lacks what the store lacks.
func (l *lockedFS) Link(oldname, newname string) error {
	err := l.FS.Link(oldname, newname)
	if isNotExist(err) && l.isAbsent(oldname) {
		return nil
	}
	return err
}

// ReuseForWrite gives Pebble the file of a log that it needs no more under a new
// name, to be written over: past what is written, the old content stays. While
// fresh is set, the old file is removed instead.
func (l *lockedFS) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if !l.fresh.Load() {
		return l.FS.ReuseForWrite(oldname, newname, category)
	}
	f, err := l.FS.Create(newname, category)
	if err != nil {
		return nil, err
	}
	if err := l.FS.Remove(oldname); err != nil && !isNotExist(err) {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
