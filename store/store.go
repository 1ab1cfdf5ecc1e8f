// Package store keeps flow records in hourly buckets of one Pebble store, with
// the ledger of each hour and, apart from them, the audit log. It is the only
// package that knows Pebble.
//
// # What it promises
//
// A row given to [Store.Append] is visible to every [View] taken from then on.
// It is durable once [Store.Flush] has returned, which also happens by itself
// every [Options.FlushEvery]; a crash, a kill -9 or a power cut loses at most
// the rows since. No row is ever stored twice. A bucket is dropped whole or not
// at all. Damage on disk costs the block or column it is in and is reported as
// a [DamageError].
//
// # How a row lives
//
// Rows collect in memory, one open part for each hour. Twice a second what is
// new in a part goes to disk as a tail segment, which exists for recovery only.
// At [BlockRows] rows the part is encoded by column into a block, and the block
// replaces the tail segments in one atomic batch. When the hour is over, a
// [Sealing] rewrites the bucket as sorted tables, verbatim but with an index
// beside it. [Store.Drop] removes a bucket in milliseconds, whatever its size.
// [Store.Remove] deletes single rows: it writes the bucket anew without them.
//
// # What lies beside the rows
//
// A bucket has a ledger, what was counted while its records came in
// ([Store.PutLedger]), which is there also where no row is, and goes with the
// bucket. The audit log ([Store.AppendAudit]) belongs to no hour: an entry is on
// disk before the look that it notes gives anything out, and no Drop touches it.
//
// # What it does not do
//
// It knows nothing of what an index entry means (package index), of filters
// (package query), of when a bucket has expired (package retention), or of what
// an entry of the audit log says (package retention/audit).
package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// ErrClosed is returned by a store or view that was closed.
var ErrClosed = errors.New("store is closed")

// A Store is an open data directory. All its methods may be called by several
// goroutines.
type Store struct {
	dir    string
	opts   Options
	db     *pebble.DB
	files  *lockedFS
	cache  *pebble.Cache
	lock   io.Closer
	codecs *codecs

	version int // of the format; guarded by publish once the store is open

	columns *columnCache

	// publish is held to change what is on disk and in memory together: writing a
	// block, a tail, a seal, a drop. A View is taken under its read side and so
	// sees every row once. It is taken before mu.
	publish sync.RWMutex

	mu      sync.Mutex
	changed *sync.Cond // on mu: a part was written, or the store closed
	hours   hourTable
	writing int    // parts handed over and not yet written, in all hours
	clock   uint64 // counts uses of parts
	partID  uint64 // the last part's
	changes uint64 // counts writes of ledgers

	incarnations uint64 // of hours so far
	sketched     int    // bytes of the sketches of all hours
	viewed       uint64 // views so far
	views        map[*View]struct{}
	spare        []*part // written parts whose memory can be used again
	dirty        bool    // something was written without a sync
	closed       bool

	scrubbing sync.Mutex // one Scrub at a time

	flushing sync.Mutex // one Flush at a time; guards tailBuf
	tailBuf  []byte     // memory of the last segments
	writers  sync.WaitGroup
	scans    sync.WaitGroup // of ledgers, and copies; begun under mu while the store is open
	stop     context.CancelFunc
	stopped  chan struct{}
	damage   damageLog
	space    spaceGuard
	mark     manifestMark
	audit    auditTail

	place     *place    // of this opening; nil for reading
	recovered *Recovery // nil: the directory was opened as it is
	harm      []string  // see Harmed
	secret    []byte    // what is the archive's own is derived from it; nil: it has none
	turns     turns
	lostState bool // see LostState; set when the store is opened
}

// maxWriting bounds the parts that wait to be written; Append waits beyond.
const maxWriting = 3

// Open opens the store in dir, and makes one if dir is empty or missing. See
// ErrInUse, ErrNotStore and ErrNewerFormat. A copy that a tool made while weir
// wrote is opened at the checkpoint in it, see Recovered and ErrTorn.
func Open(dir string, o Options) (*Store, error) {
	o = o.withDefaults()
	s := &Store{
		dir: dir, opts: o, codecs: newCodecs(), columns: newColumnCache(o.ColumnCacheSize), files: &lockedFS{FS: o.FS},
		hours: newHourTable(), views: map[*View]struct{}{},
		stopped: make(chan struct{}), turns: turns{signal: make(chan struct{}, 1)},
	}
	s.changed = sync.NewCond(&s.mu)
	if err := s.open(); err != nil {
		return nil, errors.Join(err, s.release())
	}
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	go s.run(ctx)
	return s, nil
}

func (s *Store) open() error {
	lock, version, err := lockDir(s.dir, s.opts)
	if err != nil {
		return err
	}
	s.lock, s.version = lock, version
	if err := s.settlePlace(); err != nil {
		return err
	}
	if s.version, err = readIdentity(s.opts.FS, s.dir); err != nil { // a checkpoint's that took its place
		return err
	}
	if !s.opts.ReadOnly {
		if err := removeLeftovers(s.opts.FS, s.dir); err != nil {
			return err
		}
	}
	if err := s.mend(); err != nil {
		return err
	}
	s.cache = pebble.NewCache(s.opts.CacheSize)
	var lost []logLoss
	if s.db, err = s.openDB(s.dir, s.files, s.pebbleOptions()); err != nil && !s.opts.ReadOnly {
		var cutErr error
		if lost, cutErr = s.cutLogs(err); len(lost) > 0 && cutErr == nil {
			s.db, err = s.openDB(s.dir, s.files, s.pebbleOptions())
		}
		err = errors.Join(err, cutErr)
	}
	if err != nil {
		return fmt.Errorf("open %s: %w", s.dir, err)
	}
	if err := s.afterOpen(lost); err != nil {
		return err
	}
	return s.loadSecret()
}

// afterOpen reads what is kept in memory, and sees what damage costs.
func (s *Store) afterOpen(lost []logLoss) error {
	if err := s.load(); err != nil {
		return err
	}
	start, end := []byte{prefixBucket}, []byte{prefixBucket + 1}
	if err := s.lookAtTables(start, end); err != nil {
		return err
	}
	if err := s.restoreHidden(); err != nil {
		return err
	}
	if err := s.lookAtRest(); err != nil {
		return err
	}
	s.handOverFull()
	return s.noteLosses(lost)
}

// release gives back what open took.
func (s *Store) release() error {
	var err error
	if s.db != nil {
		if err = s.db.Close(); err == nil && s.place != nil {
			err = s.leavePlace()
		}
	}
	if s.cache != nil {
		s.cache.Unref()
	}
	if s.lock != nil {
		err = errors.Join(err, s.lock.Close())
	}
	return err
}

// run flushes at intervals until ctx is done.
func (s *Store) run(ctx context.Context) {
	defer close(s.stopped)
	if s.opts.FlushEvery < 0 || s.opts.ReadOnly {
		return
	}
	tick := time.NewTicker(s.opts.FlushEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.retryWrites()
			if err := s.Flush(); err != nil && !errors.Is(err, ErrClosed) {
				s.opts.Logger.Error("flush appended rows", "err", err)
			}
			s.markManifest()
		}
	}
}

// Close makes every appended row durable and closes the store. Views that are
// still open turn to ErrClosed.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.mu.Unlock()

	s.stop()
	<-s.stopped
	err := s.Flush()

	views := s.markClosed()
	s.writers.Wait()
	s.scans.Wait()
	for v := range views {
		err = errors.Join(err, v.shut())
	}
	s.settle()
	s.markManifest()
	if err := errors.Join(err, s.release()); err != nil {
		return fmt.Errorf("close %s: %w", s.dir, err)
	}
	return nil
}

// settleFor bounds settle: on a full disk Pebble tries to write for ever.
const settleFor = 10 * time.Second

// settle has the memtable written out. Tables that a seal put in place count
// only once the memtable before them is on disk, and until then the disk holds
// what they replace, too. Nothing is lost without: the log has it.
func (s *Store) settle() {
	if s.opts.ReadOnly {
		return
	}
	written, err := s.db.AsyncFlush()
	if err != nil {
		s.opts.Logger.Warn("write out what the log has", "err", err)
		return
	}
	select {
	case <-written:
	case <-time.After(settleFor):
		s.opts.Logger.Warn("the log is left to be read at the next start", "reason", "writing takes too long")
	}
}

// markClosed lets nothing new begin, waits for what has begun on Pebble, and
// returns the open views.
func (s *Store) markClosed() map[*View]struct{} {
	s.flushing.Lock()
	defer s.flushing.Unlock()
	s.publish.Lock()
	defer s.publish.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.changed.Broadcast()
	views := s.views
	s.views = map[*View]struct{}{}
	return views
}

func (s *Store) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// Dir returns the directory of the store.
func (s *Store) Dir() string { return s.dir }

// ReadOnly reports whether the store was opened for reading only.
func (s *Store) ReadOnly() bool { return s.opts.ReadOnly }

// Buckets returns what is known of every bucket, ascending, from memory.
func (s *Store) Buckets() []BucketInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]BucketInfo, 0, len(s.hours.all()))
	for _, h := range s.hours.all() {
		if info := h.info(); info.Rows > 0 || info.Blocks > 0 {
			out = append(out, info)
		}
	}
	return out
}

// Damage returns the damage met since Open in what Open itself read: tables that
// are missing or cut off, tails, headers and totals, write-ahead logs. Damage in
// columns is returned to who reads them. What was dropped since is left out.
func (s *Store) Damage() []error {
	list := s.damage.list()
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(list, func(err error) bool {
		var d *DamageError
		return errors.As(err, &d) && s.hours.get(d.Hour) == nil
	})
}
