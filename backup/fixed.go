package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"weir/store"
)

// The two checkpoints, and the names that others have while they are made or on
// their way out.
const (
	currentName  = "current"
	previousName = "previous"
	newName      = ".new"
	goneName     = ".gone"
	copyName     = ".backup" // what a backup on another file system is copied from
)

const (
	// turnGap is the least time between two renewals of the current one: a tool
	// that copies a small directory meets one at most.
	turnGap = 10 * time.Second
	// goneGap is the time between the renewals of both after records went: long
	// enough for that tool, and short enough for the space to be back in seconds.
	goneGap = 2 * time.Second
	// fullEvery is how often a full disk is looked at.
	fullEvery = 5 * time.Second
)

// A Fixed keeps two checkpoints in the directory checkpoint of the data
// directory: current, and previous, the one before. They are hard links. At every
// instant at least one of them is whole.
type Fixed struct {
	Source
	Log *slog.Logger // nil: nothing is logged

	mu sync.Mutex // one renewal at a time
}

// Run renews the current one now, whenever an hour is sealed, and both once
// records went, until ctx is done. What fails is logged and tried again.
func (f *Fixed) Run(ctx context.Context) {
	sealed, gone := f.Store.Turns()
	f.attempt(ctx, false)
	full := time.NewTicker(fullEvery)
	defer full.Stop()
	for last := time.Now(); ; {
		select {
		case <-ctx.Done():
			return
		case <-full.C:
			f.yieldSpace()
			continue
		case <-f.Store.Turned():
		}
		nowSealed, nowGone := f.Store.Turns()
		lost := nowGone != gone
		if wait := turnGap - time.Since(last); !lost && nowSealed != sealed && wait > 0 {
			f.pause(ctx, wait)
			nowSealed, nowGone = f.Store.Turns()
			lost = nowGone != gone
		}
		sealed, gone = nowSealed, nowGone
		f.attempt(ctx, lost)
		last = time.Now()
	}
}

// pause waits, but not when records go meanwhile.
func (f *Fixed) pause(ctx context.Context, wait time.Duration) {
	_, before := f.Store.Turns()
	for end := time.Now().Add(wait); time.Now().Before(end) && ctx.Err() == nil; {
		if _, gone := f.Store.Turns(); gone != before {
			return
		}
		sleep(ctx, 100*time.Millisecond)
	}
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// attempt renews one or both and logs what fails. Checkpoints that cannot be
// renewed after records went would keep what went on the disk: they go.
func (f *Fixed) attempt(ctx context.Context, both bool) {
	err := f.renew()
	if err == nil && both {
		sleep(ctx, goneGap)
		err = f.renew()
	}
	if err == nil || ctx.Err() != nil || errors.Is(err, store.ErrClosed) {
		return
	}
	f.logger().Error("renew the checkpoint", "dir", f.dir(), "err", err)
	if both {
		if err := f.Remove(); err != nil {
			f.logger().Error("remove checkpoints", "dir", f.dir(), "err", err)
		}
	}
}

func (f *Fixed) logger() *slog.Logger {
	if f.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return f.Log
}

// yieldSpace gives up the previous one while the disk is full.
func (f *Fixed) yieldSpace() {
	if !f.Store.IsFull() {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	previous := filepath.Join(f.dir(), previousName)
	if _, err := os.Lstat(filepath.Join(f.dir(), currentName)); err != nil {
		return // it is the only one
	}
	if _, err := os.Lstat(previous); err != nil {
		return
	}
	if err := os.RemoveAll(previous); err != nil {
		f.logger().Error("make room on a full disk", "dir", previous, "err", err)
	}
}

// RenewBoth renews both, so that neither holds bytes of what went before.
func (f *Fixed) RenewBoth() error {
	return errors.Join(f.renew(), f.renew())
}

// Exists reports whether the data directory has checkpoints.
func (f *Fixed) Exists() bool {
	_, err := os.Lstat(f.dir())
	return err == nil
}

// Remove removes both.
func (f *Fixed) Remove() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	var err error
	for _, name := range []string{newName, goneName, previousName, currentName} {
		err = errors.Join(err, os.RemoveAll(filepath.Join(f.dir(), name)))
	}
	return err
}

func (f *Fixed) dir() string { return filepath.Join(f.Store.Dir(), store.CheckpointName) }

// renew makes a new checkpoint and puts it in the place of the current one, which
// becomes the previous one. Each step leaves a whole one under one of the two
// names.
func (f *Fixed) renew() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	at := func(name string) string { return filepath.Join(f.dir(), name) }
	if err := os.MkdirAll(f.dir(), 0o700); err != nil {
		return fmt.Errorf("make the directory of checkpoints: %w", err)
	}
	for _, name := range []string{newName, goneName} {
		if err := os.RemoveAll(at(name)); err != nil {
			return fmt.Errorf("remove an unfinished checkpoint: %w", err)
		}
	}
	l, err := f.snapshot(at(newName))
	if err == nil {
		err = l.Write(store.Disk(), at(newName))
	}
	if err != nil {
		return errors.Join(err, os.RemoveAll(at(newName)))
	}
	for _, step := range [][2]string{{previousName, goneName}, {currentName, previousName}, {newName, currentName}} {
		if err := os.Rename(at(step[0]), at(step[1])); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("put the checkpoint in place: %w", err)
		}
	}
	if err := syncDir(f.dir()); err != nil {
		return err
	}
	return os.RemoveAll(at(goneName))
}
