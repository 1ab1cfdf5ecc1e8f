package retention

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"weir/store"
)

// A Store is what a Keeper watches over; *store.Store is one.
type Store interface {
	Buckets() []store.BucketInfo
	BareBuckets() []store.BucketInfo // without records, with a ledger
	Drop(store.Hour) error
}

// A State keeps small values across restarts; *store.Store is one. GetState
// returns nil for a key that is not there.
type State interface {
	GetState(key string) ([]byte, error)
	PutState(key string, value []byte) error
}

// Options configure a Keeper. Store and State are needed.
type Options struct {
	Store      Store
	State      State
	Keep       time.Duration            // how long a bucket is kept after its hour; 0: for ever
	Every      time.Duration            // time between two looks; 0: 1 min
	Now        func() time.Time         // the wall clock; nil: time.Now
	Monotonic  func() time.Duration     // a clock nobody sets; nil: the runtime's
	BeforeDrop func(h store.Hour) error // called before an hour is dropped that has expired; an error keeps it; nil: nothing
	Holds      Holds                    // what must stay of hours that go; nil: nothing
	Pressure   Pressure                 // drops hours for want of room; zero: none is
	Doubt      string                   // why nothing may be dropped until the clock is confirmed; "": nothing is wrong
	Logger     *slog.Logger             // nil: slog.Default
}

// ErrStays is why an expired hour is still there: it is under a hold.
var ErrStays = errors.New("the hour is under a hold")

// Holds keep hours, or parts of them, from going. All ways by which a Keeper
// drops an hour lead through them.
type Holds interface {
	// Stays returns for which cases a bucket stays whole, none if it may go.
	Stays(b store.BucketInfo) []string
	// Drop takes out of a bucket what must stay, calls note, and drops the bucket.
	// Its error is ErrStays if the bucket stays whole.
	Drop(ctx context.Context, b store.BucketInfo, note func() error) error
	// Lapse ends the holds whose time is over. It is called before hours are
	// dropped, and never while the clock is not believed.
	Lapse(ctx context.Context, now time.Time) error
}

// holdLogEvery is how often a hold is logged while it lasts.
const holdLogEvery = time.Hour

// A Keeper drops what has expired. Make it with New, start it with Run; the
// other methods may be called at any time, with or without Run.
type Keeper struct {
	o     Options
	keeps atomic.Int64 // Options.Keep, or what SetKeep gave since

	looking sync.Mutex // one look at a time; taken before mu

	mu      sync.Mutex // guards what follows; not held while hours are dropped
	clock   clock
	logged  time.Duration // monotonic time of the last log of a hold
	told    bool          // a hold was logged
	futures int           // buckets of the future that were logged
	dropped Dropped
	pressed pressing
}

// Dropped counts what a Keeper has dropped since New.
type Dropped struct {
	Buckets int   `json:"buckets"`
	Records int64 `json:"records"`
	Bytes   int64 `json:"bytes"` // on disk
	Early   int   `json:"early"` // of the buckets, those before their time, for want of room
}

func (d *Dropped) add(b store.BucketInfo) {
	d.Buckets++
	d.Records += b.Rows
	d.Bytes += b.Bytes
}

// New returns a Keeper that knows what an earlier one wrote down.
func New(o Options) (*Keeper, error) {
	if o.Store == nil || o.State == nil {
		return nil, errors.New("retention needs a store and its state")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Monotonic == nil {
		start := time.Now()
		o.Monotonic = func() time.Duration { return time.Since(start) }
	}
	if o.Every <= 0 {
		o.Every = time.Minute
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	rec, err := loadClock(o.State)
	if errors.Is(err, errClockRecord) { // must not keep a collector from starting
		o.Logger.Error("last known time is lost", "err", err)
	} else if err != nil {
		return nil, err
	}
	k := &Keeper{o: o, clock: clock{mono: o.Monotonic}}
	k.SetKeep(o.Keep)
	k.clock.start(o.Now().UnixMilli(), rec, newestReceipt(o.Store.Buckets()))
	if o.Doubt != "" && !k.clock.held() {
		k.clock.doubt(o.Doubt)
	}
	return k, nil
}

// Run drops what has expired now and then every minute, until ctx is done. What
// fails is logged and tried again at the next look.
func (k *Keeper) Run(ctx context.Context) {
	ticker := time.NewTicker(k.o.Every)
	defer ticker.Stop()
	for ctx.Err() == nil {
		k.Tick(ctx)
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
}

// Tick looks once: at the clock, and at the buckets if the clock is believed.
func (k *Keeper) Tick(ctx context.Context) {
	k.looking.Lock()
	defer k.looking.Unlock()
	now := k.o.Now()
	buckets := append(k.o.Store.BareBuckets(), k.o.Store.Buckets()...)
	expired := expiredOf(buckets, now, k.keep())
	if !k.look(now, buckets, len(expired)) {
		return
	}
	if k.o.Holds != nil {
		if err := k.o.Holds.Lapse(ctx, now); err != nil && ctx.Err() == nil {
			k.o.Logger.Error("end holds", "err", err)
		}
	}
	k.drop(ctx, expired)
	k.press(ctx, now)
}

// look checks the clock, and reports whether hours may go by it. expired is how
// many would.
func (k *Keeper) look(now time.Time, buckets []store.BucketInfo, expired int) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	wasHeld := k.clock.held()
	k.clock.check(now.UnixMilli())
	if back := k.clock.stepBack(now.UnixMilli()); back > 0 {
		k.o.Logger.Warn("clock was set back", "by", back.Round(time.Second), "now", now.UTC().Format(time.RFC3339))
	}
	if err := k.clock.save(k.o.State, now.UnixMilli()); err != nil {
		k.o.Logger.Error("retention state", "err", err)
	}
	k.logFuture(buckets, now)
	if k.clock.held() {
		k.logHold(now, expired)
		return false
	}
	if wasHeld {
		k.o.Logger.Info("clock is back where it was expected: retention goes on")
	}
	k.told = false
	return true
}

// drop drops expired buckets, oldest first.
func (k *Keeper) drop(ctx context.Context, expired []store.BucketInfo) {
	for _, b := range expired {
		if ctx.Err() != nil {
			return
		}
		start := k.o.Monotonic()
		err := k.dropOne(ctx, b, k.o.BeforeDrop)
		if errors.Is(err, ErrStays) {
			continue
		}
		if err != nil {
			k.o.Logger.Error("drop bucket", "bucket", b.Hour.String(), "err", err)
			continue
		}
		k.mu.Lock()
		k.dropped.add(b)
		k.mu.Unlock()
		k.o.Logger.Info("bucket dropped", "bucket", b.Hour.String(), "records", b.Rows, "bytes", b.Bytes,
			"took", (k.o.Monotonic() - start).Round(10*time.Microsecond), "keep", k.keep())
	}
}

// dropOne drops a bucket, whatever for, but for what is under a hold. before is
// called once it is known that it goes, if it is not nil; an error of it keeps
// the bucket.
func (k *Keeper) dropOne(ctx context.Context, b store.BucketInfo, before func(store.Hour) error) error {
	note := func() error {
		if before == nil {
			return nil
		}
		if err := before(b.Hour); err != nil {
			return fmt.Errorf("before the drop: %w", err)
		}
		return nil
	}
	if k.o.Holds != nil {
		return k.o.Holds.Drop(ctx, b, note)
	}
	if err := note(); err != nil {
		return err
	}
	return k.o.Store.Drop(b.Hour)
}

func (k *Keeper) logHold(now time.Time, expired int) {
	mono := k.o.Monotonic()
	if k.told && mono-k.logged < holdLogEvery {
		return
	}
	k.told, k.logged = true, mono
	k.o.Logger.Warn("retention drops nothing until the clock is confirmed", "reason", k.clock.reason,
		"clock", now.UTC().Format(time.RFC3339), "expired_by_it", expired,
		"if_the_clock_is_right", confirmCommand)
}

func (k *Keeper) logFuture(buckets []store.BucketInfo, now time.Time) {
	hours := future(buckets, now)
	if len(hours) > k.futures {
		k.o.Logger.Warn("buckets lie in the future and will be kept longer than the policy says",
			"buckets", len(hours), "first", hours[0].String(), "last", hours[len(hours)-1].String())
	}
	k.futures = len(hours)
}

// SetKeep replaces Options.Keep, from the next look on.
func (k *Keeper) SetKeep(keep time.Duration) {
	k.keeps.Store(int64(keep))
}

// keep returns for how long hours are kept.
func (k *Keeper) keep() time.Duration { return time.Duration(k.keeps.Load()) }

// Confirm says that the clock is right as it stands. What was held back goes at
// the next look.
func (k *Keeper) Confirm() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	was, now := k.clock, k.o.Now()
	k.clock.believe(now.UnixMilli())
	if err := k.clock.save(k.o.State, now.UnixMilli()); err != nil {
		k.clock = was
		return fmt.Errorf("confirm clock: %w", err)
	}
	k.told = false
	k.o.Logger.Info("clock confirmed", "clock", now.UTC().Format(time.RFC3339))
	return nil
}
