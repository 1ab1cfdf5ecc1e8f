package query

import (
	"container/heap"
	"context"
	"slices"
)

// A ranked is a group and what it is ranked by.
type ranked struct {
	value  uint64
	shard  *shard
	group  int
	sorter *top
}

// before reports whether a stands before b in the answer.
func (a *ranked) before(b *ranked) bool {
	if a.value != b.value {
		return (a.value > b.value) != a.sorter.ascending
	}
	t := a.sorter
	return t.layout.compare(t.table.key(a.shard, a.group), t.table.key(b.shard, b.group)) < 0
}

// A rankHeap keeps the groups that come first, the last of them on top.
type rankHeap []ranked

// Len, Less, Swap, Push and Pop are for container/heap.
func (h rankHeap) Len() int           { return len(h) }
func (h rankHeap) Less(i, j int) bool { return h[j].before(&h[i]) }
func (h rankHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *rankHeap) Push(x any)        { *h = append(*h, x.(ranked)) }
func (h *rankHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}

// best returns the groups of the answer in their order, and counts all groups
// in r. Several goroutines each complete and rank a part of the shards.
func (t *top) best(ctx context.Context, r *TopResult) (best rankHeap, err error) {
	n := len(t.workers)
	waiting := make([]*pending, n)
	err = inOrder(ctx, n, n,
		func(i int) (struct{}, error) { return struct{}{}, t.settle(i) },
		func(i int, _ struct{}) error {
			waiting[i] = &t.workers[i].pending
			return nil
		})
	if err != nil {
		return nil, err
	}
	if t.addrs != nil && t.addrs.mixed.Load() {
		if err := t.addrs.move(waiting[0], t.layout); err != nil {
			return nil, err
		}
	}
	rankers := make([]ranker, n)
	err = inOrder(ctx, n, n,
		func(i int) (struct{}, error) {
			rankers[i] = ranker{top: t, waiting: waiting}
			return struct{}{}, rankers[i].shards(ctx, t.firstShard(i), t.firstShard(i+1))
		},
		func(i int, _ struct{}) error {
			best = append(best, rankers[i].best...)
			r.Groups += rankers[i].groups
			return nil
		})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(best, func(a, b ranked) int {
		if a.before(&b) {
			return -1
		}
		return 1
	})
	if limit := t.request.Limit; limit > 0 && len(best) > limit {
		best = best[:limit]
	}
	return best, nil
}

// settle has what a worker keeps be where the rankers look for it.
func (t *top) settle(worker int) error {
	w := &t.workers[worker]
	if t.addrs != nil {
		if err := t.addrs.settle(&w.addrs, t.firstShard(worker)); err != nil {
			return err
		}
	}
	return w.pending.settle()
}

// A ranker completes one shard after the other and keeps the groups that come
// first, in any order.
type ranker struct {
	*top
	waiting []*pending
	best    rankHeap
	groups  int // in all shards so far

	// Memory of a shard that is done, for the next.
	slots  []uint32
	chunks [][]uint64
}

func (r *ranker) shards(ctx context.Context, first, end int) error {
	for i := first; i < end; i++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		s := &r.table.shards[i]
		r.lend(s)
		if err := r.table.collect(i, r.waiting); err != nil {
			return err
		}
		r.groups += s.n
		r.rankShard(s)
		r.retire(s)
		if r.addrs != nil {
			r.rankAddrs(i)
		}
	}
	return nil
}

// rankShard puts those groups of a shard that may be in the answer among the
// best.
func (r *ranker) rankShard(s *shard) {
	t := r.top
	if r.request.Limit == 0 {
		r.best = slices.Grow(r.best, s.n)
	}
	for g := range s.n {
		value := t.rank(s, g)
		if r.passesOver(value) {
			continue // nearly all
		}
		e := ranked{value, s, g, t}
		r.offer(&e)
	}
}

// passesOver reports whether a group of that value is not among the best,
// whatever its key.
func (r *ranker) passesOver(value uint64) bool {
	limit := r.request.Limit
	return limit > 0 && len(r.best) == limit && (value < r.best[0].value) != r.ascending && value != r.best[0].value
}

// offer puts a group among the best if it belongs there.
func (r *ranker) offer(e *ranked) {
	switch limit := r.request.Limit; {
	case limit == 0:
		r.best = append(r.best, *e)
	case len(r.best) < limit:
		heap.Push(&r.best, *e)
	case e.before(&r.best[0]):
		r.best[0] = *e
		heap.Fix(&r.best, 0)
	}
}

// lend gives an empty shard the memory of one that is done.
func (r *ranker) lend(s *shard) {
	if s.n > 0 || s.slots != nil || r.slots == nil {
		return
	}
	clear(r.slots)
	s.slots, s.chunks, s.spare = r.slots, r.chunks[:1:1], r.chunks[1:]
	r.slots, r.chunks = nil, nil
}

// retire takes the memory of a shard that is done, but for the groups that are
// among the best. A shard that has anything rare keeps its memory.
func (r *ranker) retire(s *shard) {
	if limit := r.request.Limit; limit == 0 || limit > chunkRows ||
		!r.table.plain() || s.flows != nil || s.estimated != nil || s.slots == nil {
		return
	}
	kept := &shard{chunks: make([][]uint64, 1)}
	for i := range r.best {
		if e := &r.best[i]; e.shard == s {
			kept.chunks[0] = append(kept.chunks[0], r.table.row(s, e.group)...)
			e.shard, e.group = kept, kept.n
			kept.n++
		}
	}
	if r.slots == nil || len(r.slots) < len(s.slots) {
		r.slots, r.chunks = s.slots, append(s.chunks, s.spare...)
	}
	s.n, s.slots, s.chunks, s.spare = 0, nil, nil, nil
}
