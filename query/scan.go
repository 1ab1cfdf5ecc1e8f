package query

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"weir/flow"
	"weir/store"
)

// A scan looks at the blocks of a store that may hold an answer: buckets and
// blocks in order, several blocks at once. Its methods are called by one
// goroutine.
type scan struct {
	store   Archive
	root    node
	window  Window
	texts   *textNumbers
	reverse bool // last block first

	unneeded func(*store.Block) bool // a block can be left out whatever matches in it; nil: none
	left     atomic.Bool             // one was

	samples bool   // the summary says what was sampled
	dedup   *dedup // folds what several exporters saw; nil: nothing is folded

	last func(context.Context) error // called when all blocks have been looked at, while they can be read; nil: nothing

	summary Summary // buckets, damage and notes are guarded by mu while the scan runs
	planned time.Duration
	buckets int // in the store
	mu      sync.Mutex
	damage  []string
	notes   []string
}

// newScan returns a scan for a filter and the other conditions that requests
// have in common.
func newScan(s Archive, filter, exporter string, w Window, o ParseOptions) (*scan, error) {
	root, err := conditions(filter, exporter, o)
	if err != nil {
		return nil, err
	}
	return &scan{store: s, root: joined(root), window: w, texts: newTextNumbers()}, nil
}

// conditions returns the condition of a filter and an exporter.
func conditions(filter, exporter string, o ParseOptions) (node, error) {
	f, err := Parse(filter, o)
	if err != nil {
		return nil, err
	}
	root := f.root
	if exporter != "" {
		n, err := exporterCondition(exporter, o)
		if err != nil {
			return nil, err
		}
		root = and(root, n)
	}
	return root, nil
}

// exporterCondition reads the exporter that a request names.
func exporterCondition(exporter string, o ParseOptions) (node, error) {
	p := &parser{text: exporter, options: o}
	p.tok = lex(exporter, 0)
	n, err := p.addrCondition(flow.Exporter)
	if err == nil && p.tok.kind != tokenEnd {
		err = p.unexpectedAfterTerm()
	}
	if err != nil {
		return nil, &RequestError{Part: "exporter", Text: exporter, Expected: "an address, a prefix or an exporter's name"}
	}
	return n, nil
}

// A visit is one block and the rows of it that match, for the worker that
// looks at it. All of it is void after the visit.
type visit struct {
	*evaluator
	bucket  *store.Bucket
	rows    *rowSet
	matched int // rows in the set, at least one
	worker  int // which worker, from 0
	place   uint64
}

// place returns what orders blocks over buckets, with 16 zero bits for the row.
// Hour and block number are below 2^24 for the next three hundred years and for
// 10^12 records an hour; beyond, ties between equal keys lose their order.
func place(h store.Hour, block int) uint64 { return uint64(h)<<40 | uint64(block)<<16 }

// A task is one block on its way through a scan.
type task[R any] struct {
	bucket *store.Bucket
	block  int
	done   chan struct{}

	result R
	some   bool // result is set
	err    error
	tally  tally
}

// A tally is what one block adds to the summary.
type tally struct {
	read, skipped     int
	scanned, matched  uint64
	evaluate, collect time.Duration
	folded            uint64
	sampling          Sampling
}

// errEnough is returned by an emit function to end a scan early.
var errEnough = errors.New("enough")

// workers returns how many blocks are looked at side by side.
func workers() int { return runtime.GOMAXPROCS(0) }

// scanBlocks calls look for every block with matching rows, on several
// goroutines, and emit for its results, in order, on this one. It returns early
// when ctx is done, when either returns an error, and without an error when
// emit returns errEnough.
func scanBlocks[R any](ctx context.Context, s *scan, look func(v *visit) (R, error), emit func(R) error) error {
	start := time.Now()
	defer func() { s.summary.Elapsed = time.Since(start) }()
	// All buckets: a flow can have been received any time after it began and, by
	// a clock that runs ahead, before. Their own spans decide, in planBucket.
	view, err := s.store.View(0, math.MaxUint32)
	if err != nil {
		return err
	}
	defer view.Close()
	s.buckets = len(view.Buckets())
	s.damage = append(s.damage, hiddenDamage(view, s.window)...)
	if s.dedup != nil {
		s.dedup.bound(ctx)
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait() // before the view closes
	defer cancel()

	ahead := 2 * workers()
	ordered, work := make(chan *task[R], ahead), make(chan *task[R], ahead)
	wg.Go(func() {
		defer close(ordered)
		defer close(work)
		produce(ctx, s, view, func(t *task[R]) bool {
			for _, c := range []chan *task[R]{ordered, work} {
				select {
				case c <- t:
				case <-ctx.Done():
					close(t.done)
					return false
				}
			}
			return true
		})
	})
	for i := range s.workers() {
		wg.Go(func() {
			e, rows := newEvaluator(s.root, s.window), new(rowSet)
			defer e.recycle()
			e.texts, e.wanted = s.texts, rows
			for t := range work {
				if t.err = ctx.Err(); t.err == nil {
					t.visit(s, &visit{evaluator: e, rows: rows, worker: i}, look)
				}
				close(t.done)
			}
		})
	}
	err = consume(ctx, s, ordered, emit)
	if err == nil && s.last != nil {
		err = s.last(ctx)
	}
	cancel()
	wg.Wait()
	s.finish()
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// workers returns how many blocks the scan looks at side by side. Which records
// are folded depends on those before them, so that dedup takes one block after
// the other.
func (s *scan) workers() int {
	if s.dedup != nil {
		return 1
	}
	return workers()
}

// consume waits for the tasks in order and emits their results.
func consume[R any](ctx context.Context, s *scan, ordered <-chan *task[R], emit func(R) error) error {
	report := ProgressOf(ctx)
	for t := range ordered {
		<-t.done
		s.mu.Lock()
		s.summary.add(&t.tally)
		s.mu.Unlock()
		if report != nil {
			report(s.progress())
		}
		switch {
		case t.err == nil:
		case store.IsDamage(t.err):
			s.damaged(t.err)
			continue
		default:
			return t.err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if t.some {
			if err := emit(t.result); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

// progress returns how far the scan has come.
func (s *scan) progress() Progress {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Progress{Buckets: s.summary.BucketsConsidered, Total: s.buckets, Rows: s.summary.RowsScanned, Matched: s.summary.RowsMatched}
}

// produce plans the buckets and hands out the blocks to be looked at.
func produce[R any](ctx context.Context, s *scan, view *store.View, hand func(*task[R]) bool) {
	buckets := view.Buckets()
	reverse := s.reverse && s.dedup == nil
	if reverse {
		buckets = slices.Clone(buckets)
		slices.Reverse(buckets)
	}
	s.plan(ctx, view, buckets, func(p *bucketPlan, took time.Duration) bool {
		blocks := p.candidates()
		s.plannedBucket(p, len(blocks), took)
		if reverse {
			slices.Reverse(blocks)
		}
		for _, block := range blocks {
			if !hand(&task[R]{bucket: p.bucket, block: int(block), done: make(chan struct{})}) {
				return false
			}
		}
		return true
	})
}

// plannedBucket counts a plan. It is called by the goroutine of produce only.
func (s *scan) plannedBucket(p *bucketPlan, blocks int, took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.planned += took
	s.summary.BucketsConsidered++
	if p.pruned != "" {
		s.summary.BucketsPruned++
	} else {
		s.summary.BlocksConsidered += p.bucket.Blocks()
		s.summary.BlocksPruned += p.bucket.Blocks() - blocks
	}
	if p.damage != nil {
		s.notes = append(s.notes, unusedIndex(p.damage))
	}
}

// unusedIndex says that an index could not be read. The blocks were read instead,
// so that the answer lacks nothing.
func unusedIndex(err error) string { return "read without an index that is damaged: " + err.Error() }

// damaged notes a part of the store that could not be read.
func (s *scan) damaged(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.damage = append(s.damage, err.Error())
}

// finish completes the summary when no goroutine runs any more.
func (s *scan) finish() {
	slices.Sort(s.damage)
	s.summary.Damaged = slices.Compact(s.damage)
	slices.Sort(s.notes)
	s.summary.Notes = slices.Compact(s.notes)
	s.summary.Timing.Plan = s.planned
	s.summary.Dedup = s.dedup != nil
}

func (s *Summary) add(t *tally) {
	s.BlocksRead += t.read
	s.BlocksPruned += t.skipped
	s.RowsScanned += t.scanned
	s.RowsMatched += t.matched
	s.Folded += t.folded
	s.Sampling.add(&t.sampling)
	s.Timing.Evaluate += t.evaluate
	s.Timing.Collect += t.collect
}

// visit evaluates the task's block and, if rows match, looks at it. A mistake of
// ours ends the query, not the collector that answers it.
func (t *task[R]) visit(s *scan, v *visit, look func(v *visit) (R, error)) {
	defer func() {
		if p := recover(); p != nil {
			t.err = fmt.Errorf("look at block %d of bucket %v: panic: %v\n%s", t.block, t.bucket.Hour(), p, debug.Stack())
		}
	}()
	start := time.Now()
	blk, err := t.bucket.Block(t.block)
	if err != nil {
		t.err = err
		return
	}
	if v.skip(blk) {
		t.tally.skipped = 1
		return
	}
	if s.unneeded != nil && s.dedup == nil && s.unneeded(blk) {
		s.left.Store(true)
		t.tally.skipped = 1
		return
	}
	t.tally.read, t.tally.scanned = 1, uint64(blk.Rows())
	v.matched, t.err = v.evaluate(blk, v.rows)
	evaluated := time.Now()
	t.tally.evaluate = evaluated.Sub(start)
	if t.err != nil || v.matched == 0 {
		return
	}
	if t.err = t.count(s, v); t.err != nil || v.matched == 0 {
		return
	}
	v.bucket, v.place = t.bucket, place(blk.Hour(), t.block)
	t.result, t.err = look(v)
	t.some = t.err == nil
	t.tally.collect = time.Since(evaluated)
}

// count folds rows of the visit, if the scan does, and tallies the others.
func (t *task[R]) count(s *scan, v *visit) (err error) {
	if s.dedup != nil {
		folded, err := s.dedup.fold(v, t.bucket.Hour())
		if err != nil {
			return err
		}
		v.matched -= folded
		t.tally.folded = uint64(folded)
	}
	t.tally.matched = uint64(v.matched)
	if s.samples {
		t.tally.sampling, err = v.sampling()
	}
	return err
}
