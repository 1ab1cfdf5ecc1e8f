package store

import (
	"errors"
	"io"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// lockedFS is a file system whose data directory is locked already.
type lockedFS struct {
	FS
	fresh atomic.Bool // no file is used again: its old content must go
}

// Lock does nothing: lockDir holds the lock.
func (*lockedFS) Lock(string) (io.Closer, error) { return io.NopCloser(nil), nil }

// Unwrap returns the file system beneath.
func (l *lockedFS) Unwrap() FS { return l.FS }

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
