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

// The names of checkpoints while they are made or on their way out.
const (
	newName  = ".new"
	goneName = ".gone"
	copyName = ".backup" // what a backup on another file system is copied from
)

const (
	// renewGap is the least time between two renewals: a tool that copies a small
	// directory meets one at most, and after a drop the space is back in seconds.
	renewGap = 2 * time.Second
	// fullEvery is how often a full disk is looked at.
	fullEvery = 5 * time.Second
	// firstAge and lastAge bound the time since the start at which one is renewed
	// without cause.
	firstAge = 10 * time.Second
	lastAge  = time.Hour
)

// errNoLinks is returned where checkpoints would take as much room as the archive.
var errNoLinks = errors.New("the file system has no hard links, so that no checkpoints are kept; use weir backup")

// A Fixed keeps two checkpoints in the directory checkpoint of the data
// directory, which share their tables with it by hard links. The older of the two
// is the next to be renewed: the other one stays as it is, whole, under its name.
type Fixed struct {
	Source
	Log *slog.Logger // nil: nothing is logged

	mu   sync.Mutex // one renewal at a time
	last time.Time  // when the last one ended
}

// Run renews one now and whenever an hour is sealed, and both once records went,
// until ctx is done. In the first hour it also renews one whenever the time since
// the start has doubled: a new archive has no sealed hour yet. What fails is
// logged and tried again.
func (f *Fixed) Run(ctx context.Context) {
	full := time.NewTicker(fullEvery)
	defer full.Stop()
	age := firstAge
	young := time.NewTimer(age)
	defer young.Stop()
	_, gone := f.Store.Turns()
	if err := f.renew(); errors.Is(err, errNoLinks) {
		f.logger().Warn("no checkpoints", "dir", f.dir(), "reason", err)
		return
	} else if err != nil {
		f.logger().Error("renew the checkpoint", "dir", f.dir(), "err", err)
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-full.C:
			f.yieldSpace()
			continue
		case <-young.C:
			if age *= 2; age <= lastAge {
				young.Reset(age / 2)
			}
		case <-f.Store.Turned():
		}
		f.settle(ctx)
		_, now := f.Store.Turns()
		lost := now != gone
		gone = now
		f.attempt(ctx, lost)
		if lost {
			f.settle(ctx)
			f.attempt(ctx, true)
		}
	}
}

// settle waits until renewGap has passed since the last renewal. Two that follow
// each other fast would take both checkpoints from under a tool that copies them.
func (f *Fixed) settle(ctx context.Context) { sleep(ctx, renewGap-time.Since(f.renewed())) }

// renewed returns when a checkpoint was renewed last.
func (f *Fixed) renewed() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.last
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// attempt renews one and logs what fails. Checkpoints that cannot be renewed after
// records went would keep on the disk what went: they go.
func (f *Fixed) attempt(ctx context.Context, lost bool) {
	err := f.renew()
	if err == nil || ctx.Err() != nil || errors.Is(err, store.ErrClosed) {
		return
	}
	f.logger().Error("renew the checkpoint", "dir", f.dir(), "err", err)
	if lost {
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

// yieldSpace gives up the older one while the disk is full.
func (f *Fixed) yieldSpace() {
	if !f.Store.IsFull() {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	older, both := f.older()
	if !both {
		return // it is the only one
	}
	if err := os.RemoveAll(older); err != nil {
		f.logger().Error("make room on a full disk", "dir", older, "err", err)
	}
}

// older returns the path of the checkpoint that is to be renewed next, and whether
// there are two.
func (f *Fixed) older() (path string, both bool) {
	var oldest time.Time
	for _, name := range store.CheckpointNames() {
		at := filepath.Join(f.dir(), name)
		l, err := store.ReadListing(store.Disk(), at)
		switch {
		case l == nil || err != nil:
			return at, false
		case path == "" || l.Made.Before(oldest):
			path, oldest = at, l.Made
		}
	}
	return path, true
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

// RemoveUnfinished removes what a backup to another file system was copied from
// when a crash cut it short. None may be under way.
func (f *Fixed) RemoveUnfinished() error { return os.RemoveAll(filepath.Join(f.dir(), copyName)) }

// Remove removes both.
func (f *Fixed) Remove() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	var err error
	for _, name := range append(store.CheckpointNames(), newName, goneName) {
		err = errors.Join(err, os.RemoveAll(filepath.Join(f.dir(), name)))
	}
	return err
}

func (f *Fixed) dir() string { return filepath.Join(f.Store.Dir(), store.CheckpointName) }

// renew makes a new checkpoint and puts it in the place of the older one.
func (f *Fixed) renew() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	at := func(name string) string { return filepath.Join(f.dir(), name) }
	if err := os.MkdirAll(f.dir(), 0o700); err != nil {
		return fmt.Errorf("make the directory of checkpoints: %w", err)
	}
	if !canLink(f.Store.Dir(), f.dir()) {
		return errNoLinks
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
	older, _ := f.older()
	for _, step := range [][2]string{{older, at(goneName)}, {at(newName), older}} {
		if err := os.Rename(step[0], step[1]); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("put the checkpoint in place: %w", err)
		}
	}
	f.last = time.Now()
	if err := syncDir(f.dir()); err != nil {
		return err
	}
	return os.RemoveAll(at(goneName))
}
