package index

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"weir/flow"
	"weir/store"
)

// VerifyOptions say how Verify goes about it.
type VerifyOptions struct {
	Now      func() time.Time            // the wall clock; nil: time.Now
	Repair   *Sealer                     // makes indexes again that are wrong; nil: they stay
	Progress func(done, total, rows int) // called after each bucket, by one goroutine at a time; nil: nothing
	Workers  int                         // buckets verified at a time; 0: one a processor
	Excerpt  bool                        // ledgers are of whole hours, and records are some of theirs: their sums differ
}

// A Report is what Verify found.
type Report struct {
	Buckets    int      `json:"buckets"`
	Blocks     int      `json:"blocks"`
	Rows       int64    `json:"rows"`
	Terms      int      `json:"indexed_blocks"`       // blocks whose index was made again and compared
	Days       int      `json:"day_summaries"`        // compared
	Ledger     int      `json:"ledger_rows"`          // read
	Audit      uint64   `json:"audit_entries"`        // of the audit log, each of which follows from the one before; counted by who knows it
	Damaged    []string `json:"damaged,omitempty"`    // what cannot be had back from this archive
	Stale      []string `json:"stale,omitempty"`      // what is derived and does not agree with the records
	Unbalanced []string `json:"unbalanced,omitempty"` // hours whose ledger counts other records than they have
	Repaired   []string `json:"repaired,omitempty"`   // of what is stale, made again
	Isolated   []string `json:"isolated,omitempty"`   // hours out of which damage was taken, and what that cost
	Notes      []string `json:"notes,omitempty"`      // nothing is wrong, but somebody may want to know
}

// Sound reports whether everything was as it should be, or could be made again.
func (r *Report) Sound() bool {
	return len(r.Damaged) == 0 && len(r.Unbalanced) == 0 && len(r.Isolated) == 0 && len(r.Stale) == len(r.Repaired)
}

// Join adds what was found in another store, with a prefix that names it.
func (r *Report) Join(prefix string, of *Report) {
	r.Buckets, r.Blocks, r.Rows = r.Buckets+of.Buckets, r.Blocks+of.Blocks, r.Rows+of.Rows
	r.Terms, r.Days, r.Ledger = r.Terms+of.Terms, r.Days+of.Days, r.Ledger+of.Ledger
	for _, list := range []struct {
		all *[]string
		of  []string
	}{{&r.Damaged, of.Damaged}, {&r.Stale, of.Stale}, {&r.Unbalanced, of.Unbalanced}, {&r.Repaired, of.Repaired}, {&r.Isolated, of.Isolated}, {&r.Notes, of.Notes}} {
		for _, line := range list.of {
			*list.all = append(*list.all, prefix+line)
		}
	}
}

// Verify reads everything that the store holds: each block's header and columns,
// each hour's index, which it makes again and compares, each day's summary, and
// each ledger, whose sums it compares with the records. It returns an error only
// if it could not go on; what is wrong with the archive is in the report.
func Verify(ctx context.Context, s *store.Store, o VerifyOptions) (*Report, error) {
	v, err := s.View(0, ^store.Hour(0))
	if err != nil {
		return nil, err
	}
	w := &verification{store: s, o: o, buckets: v.Buckets()}
	w.stale, w.broken, w.rows = map[store.Hour]string{}, map[store.Hour]bool{}, map[store.Hour]map[flow.Addr]uint64{}
	for _, err := range s.Damage() {
		w.damaged(err)
	}
	err = w.all(ctx)
	if err = errors.Join(err, v.Close()); err == nil && o.Repair != nil {
		err = w.repair(ctx) // without the view: it would keep what is replaced
	}
	if err != nil {
		return nil, fmt.Errorf("verify %s: %w", s.Dir(), err)
	}
	return &w.report, nil
}

// A verification is the work on one Verify.
type verification struct {
	store   *store.Store
	o       VerifyOptions
	buckets []*store.Bucket

	mu     sync.Mutex // guards what follows
	report Report
	done   int
	stale  map[store.Hour]string               // hours to be sealed again, and what is wrong with them
	broken map[store.Hour]bool                 // hours whose records are damaged
	rows   map[store.Hour]map[flow.Addr]uint64 // of hours that are not broken, by exporter

	lacking map[store.Hour]map[flow.Addr]uint64 // of hours that are not balanced: records that are counted and not there
}

func (w *verification) now() time.Time {
	if w.o.Now == nil {
		return time.Now()
	}
	return w.o.Now()
}

func (w *verification) all(ctx context.Context) error {
	for _, part := range []func(context.Context) error{w.verifyRest, w.verifyBuckets, w.verifyDays, w.verifyLedgers} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	for _, b := range w.buckets {
		if wrong, ok := w.stale[b.Hour()]; ok {
			w.report.Stale = append(w.report.Stale, wrong)
		}
	}
	slices.Sort(w.report.Damaged) // buckets were verified side by side
	w.report.Damaged = slices.Compact(w.report.Damaged)
	return nil
}

// damaged takes note of damage, and of the hour that it is in.
func (w *verification) damaged(err error) {
	w.report.Damaged = append(w.report.Damaged, err.Error())
	var d *store.DamageError
	if errors.As(err, &d) {
		w.broken[d.Hour] = true
	}
}

// verifyRest reads the tables that are of no bucket: the state and the audit log.
func (w *verification) verifyRest(ctx context.Context) error {
	return w.store.VerifyRest(ctx, w.damaged)
}

// verifyBuckets verifies the buckets, several at a time.
func (w *verification) verifyBuckets(ctx context.Context) error {
	workers := w.o.Workers
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	work := make(chan *store.Bucket)
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for b := range work {
				if err := w.verifyBucket(ctx, b); err != nil {
					cancel(err)
				}
			}
		})
	}
	for _, b := range w.buckets {
		select {
		case work <- b:
		case <-ctx.Done():
		}
	}
	close(work)
	all.Wait()
	return context.Cause(ctx)
}

// verifyBucket verifies the blocks of one bucket, and its index if they are
// whole: it cannot be made again from others.
func (w *verification) verifyBucket(ctx context.Context, b *store.Bucket) error {
	var bad []string
	rows := map[flow.Addr]uint64{}
	for i := range b.Blocks() {
		if err := ctx.Err(); err != nil {
			return err
		}
		blk, err := b.Block(i)
		if err == nil {
			err = blk.Verify()
		}
		if err == nil {
			err = blk.CountExporters(rows)
		}
		switch {
		case err == nil:
		case !store.IsDamage(err):
			return err
		default:
			bad = append(bad, texts(err)...)
		}
	}
	if err := b.VerifyCopy(); store.IsDamage(err) && len(bad) == 0 {
		bad = append(bad, err.Error())
	} else if err != nil && !store.IsDamage(err) {
		return err
	}
	stale := ""
	if b.Indexed() > 0 && len(bad) == 0 {
		switch err := Check(ctx, b); {
		case err == nil:
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, store.ErrClosed):
			return err
		default:
			stale = strings.Join(slices.Compact(strings.Split(err.Error(), "\n")), "; ") // of several joined ones
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.report.Damaged = append(w.report.Damaged, bad...)
	if len(bad) > 0 {
		w.broken[b.Hour()] = true
	} else {
		w.report.Terms += b.Indexed()
		w.rows[b.Hour()] = rows
	}
	if stale != "" {
		w.stale[b.Hour()] = stale
	}
	w.report.Buckets++
	w.report.Blocks += b.Blocks()
	w.report.Rows += b.Info().Rows
	if w.done++; w.o.Progress != nil {
		w.o.Progress(w.done, len(w.buckets), int(w.report.Rows))
	}
	return nil
}

// texts takes apart what was joined.
func texts(err error) []string {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var list []string
		for _, e := range joined.Unwrap() {
			list = append(list, texts(e)...)
		}
		return list
	}
	return []string{err.Error()}
}

// verifyDays compares the summaries of days with their hours.
func (w *verification) verifyDays(ctx context.Context) error {
	for rest := w.buckets; len(rest) > 0; {
		n := 1
		whole := !w.broken[rest[0].Hour()]
		for n < len(rest) && DayOf(rest[n].Hour()) == DayOf(rest[0].Hour()) {
			whole = whole && !w.broken[rest[n].Hour()]
			n++
		}
		day := rest[:n]
		rest = rest[n:]
		if !whole {
			continue
		}
		marks, err := readMarks(w.store, day[0].Hour())
		if err == nil && marks == nil {
			continue
		}
		if err == nil {
			err = CheckDay(ctx, day)
		}
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, store.ErrClosed):
			return err
		case err != nil:
			w.stale[day[0].Hour()] = err.Error()
		default:
			w.report.Days++
		}
	}
	return nil
}

// repair makes good what can be: it takes out of an hour what is damaged, and says
// so in its ledger; and it seals the hours again whose index is wrong.
func (w *verification) repair(ctx context.Context) error {
	if err := errors.Join(w.isolate(ctx), w.noteLacking(ctx)); err != nil {
		return err
	}
	for _, b := range w.buckets {
		h := b.Hour()
		wrong, ok := w.stale[h]
		if !ok {
			continue
		}
		err := w.o.Repair.again(ctx, h)
		switch {
		case err == nil:
			w.report.Repaired = append(w.report.Repaired, fmt.Sprintf("bucket %v: index made again", h))
		case ctx.Err() != nil:
			return ctx.Err()
		case store.IsDamage(err):
			w.report.Damaged = append(w.report.Damaged, err.Error())
		default:
			return fmt.Errorf("make index again (%s): %w", wrong, err)
		}
	}
	return w.o.Repair.SealOver(ctx) // and the summaries of days
}
