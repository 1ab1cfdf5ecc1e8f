package command

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"weir/collector"
	"weir/flow"
	"weir/query"
)

// Bounds of tails.
const (
	maxTails    = 16          // at once
	maxTailRows = 32 << 10    // that wait for one tail, about 8 MiB
	minTailRows = 64          // that a batch counts for at least: it takes the memory of so many
	tailReport  = time.Second // how often a tail says what it has missed
)

// A tails is the sink of a collector that also shows what it has stored to
// those who watch. Each of them has a queue, and what does not fit into it
// passes by: the collector never waits for a reader. Where nobody watches it
// costs one look at a counter for each batch.
type tails struct {
	sink  collector.Sink
	count atomic.Int32 // of all

	mu  sync.Mutex
	all map[*watcher]struct{}
}

// A watcher is the queue of one tail. A batch in it may be in others too, and
// is only read.
type watcher struct {
	batches chan *flow.Batch
	rows    atomic.Int64  // that wait, or are being looked at
	missed  atomic.Uint64 // rows that did not fit since the last word on it
}

func newTails(sink collector.Sink) *tails {
	return &tails{sink: sink, all: map[*watcher]struct{}{}}
}

// Append implements collector.Sink. What the sink refuses is not shown: it
// could not be asked for later.
func (t *tails) Append(b *flow.Batch) error {
	if err := t.sink.Append(b); err != nil {
		return err
	}
	if t.count.Load() > 0 {
		t.show(b)
	}
	return nil
}

// show puts a copy of the batch into the queues that have room.
func (t *tails) show(b *flow.Batch) {
	var ready []*watcher
	t.mu.Lock()
	for w := range t.all {
		if w.reserve(b.Len()) {
			ready = append(ready, w)
		}
	}
	t.mu.Unlock()
	if len(ready) == 0 {
		return
	}
	shown := flow.NewBatch(b.Len())
	shown.AppendRows(b, 0, b.Len())
	for _, w := range ready {
		w.batches <- shown // does not wait: there are as many places as batches that fit
	}
}

// tailWeight returns how many rows a batch of n counts for.
func tailWeight(n int) int64 { return int64(max(n, minTailRows)) }

// reserve takes room for a batch of n rows, if there is any. It is called with
// the lock of the tails held.
func (w *watcher) reserve(n int) bool {
	if rows := w.rows.Load(); rows > 0 && rows+tailWeight(n) > maxTailRows {
		w.missed.Add(uint64(n))
		return false
	}
	w.rows.Add(tailWeight(n))
	return true
}

// release gives the room of a batch back.
func (w *watcher) release(b *flow.Batch) { w.rows.Add(-tailWeight(b.Len())) }

// watch begins a tail; the caller ends it with leave.
func (t *tails) watch() (*watcher, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.all) >= maxTails {
		return nil, fmt.Errorf("%d tails run already; end one of them first", maxTails)
	}
	w := &watcher{batches: make(chan *flow.Batch, maxTailRows/minTailRows+1)}
	t.all[w] = struct{}{}
	t.count.Store(int32(len(t.all)))
	return w, nil
}

func (t *tails) leave(w *watcher) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.all, w)
	t.count.Store(int32(len(t.all)))
}

// follow hands the batches that come in to look until it wants no more or ctx
// is done. It calls missed with 0 when it watches, and later with the number of
// records that passed by unseen.
func (t *tails) follow(ctx context.Context, look func(*flow.Batch) (more bool, err error), missed func(n uint64)) error {
	w, err := t.watch()
	if err != nil {
		return err
	}
	defer t.leave(w)
	missed(0)
	report := time.NewTicker(tailReport)
	defer report.Stop()
	defer w.report(missed)
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-report.C:
			w.report(missed)
		case b := <-w.batches:
			more, err := look(b)
			w.release(b)
			if err != nil || !more {
				return err
			}
		}
	}
}

func (w *watcher) report(missed func(n uint64)) {
	if n := w.missed.Swap(0); n > 0 {
		missed(n)
	}
}

// errNothingComesIn is why an archive without a collector has no tail.
var errNothingComesIn = errors.New("no collector runs here: nothing comes in")

// Tail implements backend.
func (l *local) Tail(ctx context.Context, req query.TailRequest, emit func(*flow.Record) error, missed func(n uint64)) error {
	if l.tails == nil {
		return errNothingComesIn
	}
	tail, err := query.NewTail(req, l.parse())
	if err != nil {
		return err
	}
	return l.tails.follow(ctx, func(b *flow.Batch) (bool, error) { return tail.Pick(b, emit) }, missed)
}

// Tail implements backend.
func (r *remote) Tail(ctx context.Context, req query.TailRequest, emit func(*flow.Record) error, missed func(n uint64)) error {
	report := func(p query.Progress) { missed(p.Missed) }
	return r.ask(withReports(ctx, reports{asked: report}), pathTail, req, nil, eachFlow(emit))
}
