package store

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// ErrDiskFull is returned by Append and BeginSeal while the disk has less room
// than Options.MinFree. Everything else goes on, and so do these once there is
// room again: after a drop, or when somebody has made some.
var ErrDiskFull = errors.New("disk is full")

// spaceEvery is how often free space is looked at while rows arrive.
const spaceEvery = 250 * time.Millisecond

// A spaceGuard keeps the log writable: Pebble cannot go on after a failed write
// to it, so no rows are taken while room is short.
type spaceGuard struct {
	mu      sync.Mutex
	checked time.Time // by the monotonic clock
	full    bool
	free    uint64 // bytes, at the last look
}

// FreeSpace returns how many bytes the file system of the directory has left
// for this process, and how many there are in all; false if it does not tell.
func (s *Store) FreeSpace() (free, total uint64, known bool) {
	usage, err := s.opts.FS.GetDiskUsage(s.dir)
	return usage.AvailBytes, usage.TotalBytes, err == nil
}

// checkSpace returns ErrDiskFull while there is too little room. Storing goes on
// at a twentieth above the bound, so that it does not flutter.
func (s *Store) checkSpace() error {
	if s.opts.MinFree < 0 {
		return nil
	}
	g := &s.space
	g.mu.Lock()
	defer g.mu.Unlock()
	if now := time.Now(); now.Sub(g.checked) >= spaceEvery {
		g.checked = now
		s.lookAtSpace(uint64(s.opts.MinFree))
	}
	if !g.full {
		return nil
	}
	return fmt.Errorf("%w: %d MB are free, and %d are kept free", ErrDiskFull, g.free>>20, s.opts.MinFree>>20)
}

// lookAtSpace looks at the disk and logs a change. The guard is held.
func (s *Store) lookAtSpace(least uint64) {
	free, _, known := s.FreeSpace()
	if !known {
		return
	}
	g := &s.space
	g.free = free
	switch {
	case !g.full && free < least:
		g.full = true
		s.opts.Logger.Error("disk is full: records are counted but not stored", "dir", s.dir, "free_mb", free>>20, "kept_free_mb", least>>20)
	case g.full && free >= least+least/20:
		g.full = false
		s.opts.Logger.Info("disk has room again: records are stored", "dir", s.dir, "free_mb", free>>20)
	}
}

// IsFull reports whether the disk has less room than Options.MinFree.
func (s *Store) IsFull() bool { return s.checkSpace() != nil }
