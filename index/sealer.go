package index

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"weir/store"
)

// Options configure a Sealer. The zero value of each has a meaning.
type Options struct {
	Now    func() time.Time // the wall clock; nil: time.Now
	Grace  time.Duration    // wait after an hour's end, for batches on their way; 0: 10 s
	Every  time.Duration    // the longest time between two looks at the store; 0: 1 min
	Logger *slog.Logger     // nil: slog.Default
}

const (
	defaultGrace = 10 * time.Second
	defaultEvery = time.Minute

	// A failing hour is tried again after retryFirst, then after twice as long
	// each time up to retryLast.
	retryFirst = 10 * time.Second
	retryLast  = 10 * time.Minute
)

// A Sealer seals hours when they are over. All that it needs to know is in the
// store: it can be stopped, or die, at any moment, and the next one goes on.
// Its methods may be called from several goroutines; one hour is sealed at a
// time.
type Sealer struct {
	store *store.Store
	o     Options

	mu     sync.Mutex // one sealing at a time; guards what follows
	failed map[store.Hour]failure
	seen   map[store.Hour]int64 // rows of hours long over at the last look
	days   map[store.Hour]dayState
}

type failure struct {
	next  time.Time
	delay time.Duration
}

// NewSealer returns a Sealer of s. It does nothing by itself.
func NewSealer(s *store.Store, o Options) *Sealer {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Grace <= 0 {
		o.Grace = defaultGrace
	}
	if o.Every <= 0 {
		o.Every = defaultEvery
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return &Sealer{store: s, o: o, failed: map[store.Hour]failure{}, seen: map[store.Hour]int64{}, days: map[store.Hour]dayState{}}
}

// Run seals every hour that is over, then each hour Grace after its end, until
// ctx is done. Errors are logged and the hour tried again later, with growing
// delays: an hour that cannot be sealed stays open and can be queried.
func (r *Sealer) Run(ctx context.Context) {
	if err := r.SealOver(ctx); err != nil && ctx.Err() == nil {
		r.o.Logger.Warn("hours are left to be sealed", "err", err)
	}
	timer := time.NewTimer(r.wait())
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		r.tick(ctx)
		timer.Reset(r.wait())
	}
}

// wait returns the time to the next look: an hour's end and the grace, but not
// more than Every, so that a clock that is set meanwhile does no harm.
func (r *Sealer) wait() time.Duration {
	now := r.o.Now()
	due := now.Add(-r.o.Grace).Truncate(time.Hour).Add(time.Hour + r.o.Grace)
	return min(r.o.Every, max(due.Sub(now), time.Millisecond))
}

// tick seals what is due.
func (r *Sealer) tick(ctx context.Context) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.o.Now()
	seen := map[store.Hour]int64{}
	for _, b := range r.store.Buckets() {
		if !r.over(b, now) {
			continue
		}
		seen[b.Hour] = b.Rows
		if f, ok := r.failed[b.Hour]; ok && now.Before(f.next) {
			continue
		}
		if r.settled(b, now) {
			_ = r.seal(ctx, b.Hour) // logged
		}
	}
	r.seen = seen
	_ = r.summarise(ctx, now) // logged
}

// over reports whether b has rows that wait for its hour's sealing, which is
// due at now.
func (r *Sealer) over(b store.BucketInfo, now time.Time) bool {
	return b.State != store.StateSealed && b.Rows > 0 && now.UnixMilli() >= int64(b.Hour.EndMS())+r.o.Grace.Milliseconds()
}

// settled reports whether b is worth sealing now: its hour ended just now, or
// no row came since the last look. Else an import into an hour long past would
// have it sealed again and again.
func (r *Sealer) settled(b store.BucketInfo, now time.Time) bool {
	rows, ok := r.seen[b.Hour]
	if ok {
		return rows == b.Rows
	}
	return now.UnixMilli() < int64(b.Hour.EndMS())+(r.o.Grace+2*r.o.Every).Milliseconds()
}

// SealOver seals every hour that is over and not sealed. It goes on after an
// error and returns all of them.
func (r *Sealer) SealOver(ctx context.Context) error {
	now := r.o.Now()
	return r.sealAll(ctx, func(b store.BucketInfo) bool { return r.over(b, now) })
}

// SealAll seals every hour that is not sealed, whether it is over or not, as an
// import does when it ends. It goes on after an error and returns all of them.
func (r *Sealer) SealAll(ctx context.Context) error {
	return r.sealAll(ctx, func(b store.BucketInfo) bool { return b.State != store.StateSealed && b.Rows > 0 })
}

func (r *Sealer) sealAll(ctx context.Context, due func(store.BucketInfo) bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var errs []error
	for _, b := range r.store.Buckets() {
		if !due(b) {
			continue
		}
		if ctx.Err() != nil {
			return errors.Join(append(errs, ctx.Err())...)
		}
		errs = append(errs, r.seal(ctx, b.Hour))
	}
	errs = append(errs, r.summarise(ctx, r.o.Now()))
	return errors.Join(errs...)
}

// seal seals one hour, logs how that went and remembers a failure.
func (r *Sealer) seal(ctx context.Context, h store.Hour) error {
	start := time.Now()
	day := r.beginsDay(h)
	err := seal(ctx, r.store, h, day)
	damaged := day && store.IsDamage(err)
	if damaged { // maybe in another hour, which must not keep this one open
		r.o.Logger.Error("day is left without a summary", "bucket", h.String(), "err", err)
		err = seal(ctx, r.store, h, false)
	}
	info, exists := r.info(h)
	switch {
	case err == nil:
		delete(r.failed, h)
		r.days[DayOf(h)] = dayState{touched: true, damaged: damaged}
		r.o.Logger.Info("bucket sealed", "bucket", h.String(), "records", info.Rows, "blocks", info.Blocks,
			"bytes", info.Bytes, "took", time.Since(start).Round(time.Millisecond))
		return nil
	case ctx.Err() != nil:
		return err
	case !exists:
		delete(r.failed, h) // dropped meanwhile: nothing is left to seal
		return nil
	}
	f := r.failed[h]
	f.delay = min(max(2*f.delay, retryFirst), retryLast)
	f.next = r.o.Now().Add(f.delay)
	r.failed[h] = f
	r.o.Logger.Error("seal bucket", "bucket", h.String(), "err", err, "again_in", f.delay)
	return err
}

// again seals an hour whose index is wrong, whatever was tried before.
func (r *Sealer) again(ctx context.Context, h store.Hour) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.failed, h)
	return r.seal(ctx, h)
}

func (r *Sealer) info(h store.Hour) (store.BucketInfo, bool) {
	for _, b := range r.store.Buckets() {
		if b.Hour == h {
			return b, true
		}
	}
	return store.BucketInfo{}, false
}
