package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable/block"
)

func isNotExist(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// makeDir makes a directory and those around it that are missing, durably.
func makeDir(fs FS, dir string) error {
	var around []string
	for d := dir; ; d = fs.PathDir(d) {
		if _, err := fs.Stat(d); !isNotExist(err) || d == fs.PathDir(d) {
			break
		}
		around = append(around, fs.PathDir(d))
	}
	if err := fs.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("create data directory: %w", err)
	}
	for _, d := range around {
		if err := syncDir(fs, d); err != nil {
			return err
		}
	}
	return nil
}

// lockDir checks that dir is or can be a store, makes it one, and locks it. It
// returns the version of its format.
func lockDir(dir string, o Options) (lock io.Closer, version int, err error) {
	if _, err := o.FS.Stat(dir); isNotExist(err) {
		if o.ReadOnly || o.Existing {
			return nil, 0, fmt.Errorf("%w: %s does not exist", ErrNotStore, dir)
		}
		if err := makeDir(o.FS, dir); err != nil {
			return nil, 0, err
		}
	}
	// Before the lock: a directory of somebody else's gets no LOCK file.
	version, err = checkIdentity(o.FS, dir)
	if err != nil {
		return nil, 0, err
	}
	if version == 0 && (o.ReadOnly || o.Existing) {
		return nil, 0, fmt.Errorf("%w: %s is empty", ErrNotStore, dir)
	}
	lock, err = o.FS.Lock(o.FS.PathJoin(dir, "LOCK"))
	if o.ReadOnly && errors.Is(err, syscall.EROFS) {
		return io.NopCloser(nil), version, nil // nobody can change it
	}
	if err != nil {
		return nil, 0, lockError(dir, err)
	}
	if version == 0 {
		if err := writeIdentity(o.FS, dir, firstVersion); err != nil {
			return nil, 0, errors.Join(err, lock.Close())
		}
		version = firstVersion
	}
	return lock, version, nil
}

func lockError(dir string, err error) error {
	var path *fs.PathError
	if errors.As(err, &path) && (errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS)) {
		return fmt.Errorf("lock data directory: %w", err)
	}
	return fmt.Errorf("%w: %s: stop that process, or let it answer (%v)", ErrInUse, dir, err)
}

// maxOpenTables is how many times the memtable is written out, about, before what
// it became is merged.
const maxOpenTables = 10

// pebbleOptions sets Pebble up for few, large, compressed values that are written
// once and dropped by range.
func (s *Store) pebbleOptions() *pebble.Options {
	o := &pebble.Options{
		FS:                          s.files,
		FormatMajorVersion:          pebble.FormatNewest,
		ReadOnly:                    s.opts.ReadOnly,
		Cache:                       s.cache,
		MaxOpenFiles:                openTables(),
		MemTableSize:                s.opts.MemTableSize,
		MemTableStopWritesThreshold: memTables,
		// Sealing takes an hour's tables away within the hour, so that merging them
		// before is mostly in vain; filters keep reads from paying for their number.
		L0CompactionThreshold: maxOpenTables,
		L0StopWritesThreshold: 4 * maxOpenTables,
		// They are made by reading every table, and a table that does not read is tried
		// again at once, for ever. Seals and drops leave few tombstones to be found.
		DisableTableStats: true,
		Logger:            pebbleLogger{log: s.opts.Logger, fatal: s.opts.Fatal},
		EventListener:     s.events(),
	}
	o.Experimental.SpanPolicyFunc = ownTables
	for i := range o.Levels {
		// Values are compressed by column already.
		o.Levels[i].Compression = func() *block.CompressionProfile { return block.NoCompression }
		// A table without the key is passed over; else each that spans it would have
		// the value next to it read, some hundred kilobytes.
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	return o
}

// ownTables has Pebble end a table where a bucket ends: at the end key of a
// policy it finishes the table at hand. What is dropped or replaced is then whole
// tables. A table that spans two buckets would live on for the sake of the other
// one, with all bytes of the one that went.
func ownTables(startKey []byte) (policy pebble.SpanPolicy, endKey []byte, err error) {
	switch h, _, _, isBucket := splitBucketKey(startKey); {
	case isBucket:
		_, endKey = bucketSpan(h, h)
	case len(startKey) == 0 || startKey[0] < prefixBucket:
		endKey = []byte{prefixBucket}
	}
	return policy, endKey, nil
}

func (s *Store) events() *pebble.EventListener {
	log, rarely := s.opts.Logger, &rareLog{}
	return &pebble.EventListener{
		ManifestCreated: func(info pebble.ManifestCreateInfo) {
			if info.Err == nil && s.opts.FS.PathDir(info.Path) == s.dir {
				s.mark.setManifest(s.opts.FS.PathBase(info.Path))
			}
		},
		BackgroundError: func(err error) {
			text, _, _ := strings.Cut(err.Error(), "\n")
			if rarely.due(text) {
				log.Error("pebble works in the background", "err", text)
			}
		},
		// Pebble's default ends the process; a bad table must cost its hour only.
		DataCorruption: func(info pebble.DataCorruptionInfo) {
			if rarely.due(info.Path) {
				text, _, _ := strings.Cut(info.Details.Error(), "\n")
				log.Error("data directory is damaged", "file", info.Path, "err", text)
			}
		},
		DiskSlow: func(info pebble.DiskSlowInfo) {
			log.Warn("disk is slow", "op", info.OpType.String(), "path", info.Path, "took", info.Duration)
		},
		WriteStallBegin: func(info pebble.WriteStallBeginInfo) { log.Warn("writes wait for the disk", "reason", info.Reason) },
		WriteStallEnd:   func() { log.Info("writes go on") },
	}
}

// A rareLog keeps the same complaint from being logged again and again.
type rareLog struct {
	mu   sync.Mutex
	last map[string]time.Time
}

// rareEvery is how often one complaint is logged; maxRare bounds how many are told
// apart.
const (
	rareEvery = 10 * time.Minute
	maxRare   = 1000
)

// due reports whether a complaint is to be logged now.
func (r *rareLog) due(text string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if at, ok := r.last[text]; ok && now.Sub(at) < rareEvery {
		return false
	}
	if r.last == nil || len(r.last) >= maxRare {
		r.last = map[string]time.Time{}
	}
	r.last[text] = now
	return true
}

// pebbleLogger passes Pebble's log on.
type pebbleLogger struct {
	log   *slog.Logger
	fatal func(error)
}

// Infof passes a message on at debug level: Pebble speaks of every file.
func (l pebbleLogger) Infof(format string, args ...any) {
	l.log.Debug("pebble: " + fmt.Sprintf(format, args...))
}

// Errorf passes an error on.
func (l pebbleLogger) Errorf(format string, args ...any) {
	l.log.Error("pebble: " + fmt.Sprintf(format, args...))
}

// Fatalf does not return: Pebble's state is undefined afterwards.
func (l pebbleLogger) Fatalf(format string, args ...any) {
	err := fmt.Errorf("pebble cannot go on: %s", strings.TrimSpace(fmt.Sprintf(format, args...)))
	l.log.Error("data directory cannot be written", "err", err)
	if l.fatal != nil {
		l.fatal(err)
	}
	os.Exit(1)
}

// damageLog keeps the first errors of a kind that nobody is left to return to.
type damageLog struct {
	mu   sync.Mutex
	errs []error
}

const maxDamage = 100

func (s *Store) reportDamage(err error) {
	s.opts.Logger.Error("data directory is damaged", "err", err)
	s.damage.mu.Lock()
	defer s.damage.mu.Unlock()
	if len(s.damage.errs) < maxDamage {
		s.damage.errs = append(s.damage.errs, err)
	}
}

// clear forgets what was reported.
func (d *damageLog) clear() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.errs = nil
}

// forget forgets what was reported of a bucket.
func (d *damageLog) forget(h Hour) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.errs = slices.DeleteFunc(d.errs, func(err error) bool {
		var of *DamageError
		return errors.As(err, &of) && of.Hour == h
	})
}

func (d *damageLog) list() []error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]error(nil), d.errs...)
}
