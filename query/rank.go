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

	kept  *shard         // groups of compact shards that are, or were, among the best
	spare []keySum[word] // memory of a compact shard that is done, for the next
}

func (r *ranker) shards(ctx context.Context, first, end int) error {
	for i := first; i < end; i++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		if r.addrs != nil {
			if err := r.rankAddrs(i); err != nil {
				return err
			}
		}
		if r.table.compact != nil {
			if err := r.rankCompact(i); err != nil {
				return err
			}
		}
		s := &r.table.shards[i]
		r.groups += s.n
		r.rankShard(s)
	}
	return nil
}

// rankAddrs ranks the addresses of one shard of both tables.
func (r *ranker) rankAddrs(i int) error {
	if err := rankSums(r, &r.addrs.v4.shards[i], r.layout.key4); err != nil {
		return err
	}
	return rankSums(r, &r.addrs.v6.shards[i], r.layout.key6)
}

// rankCompact completes a compact shard and ranks it. If there are groups in
// shards, it is moved to the one that may have the same groups.
func (r *ranker) rankCompact(i int) error {
	s := &r.table.compact[i]
	if r.spare != nil && len(s.rows) < len(r.spare) {
		clear(r.spare)
		s.moveTo(r.spare)
		r.spare = nil
	}
	if err := r.table.collect(i, r.waiting); err != nil {
		return err
	}
	if r.table.mixed.Load() {
		return r.table.pour(&r.table.shards[i], s)
	}
	if err := rankSums(r, s, func(key word) uint64 { return r.table.mixer.unmix(uint64(key)) }); err != nil {
		return err
	}
	if len(r.spare) < len(s.rows) {
		r.spare = s.rows
	}
	s.rows, s.large = nil, nil
	return nil
}

// rankSums puts those groups of a shard that may be in the answer among the best.
func rankSums[K sumKey[K]](r *ranker, s *sumShard[K], key func(K) uint64) error {
	r.groups += s.n
	if r.request.Limit == 0 {
		r.best = slices.Grow(r.best, s.n)
	}
	byBytes := r.by == "bytes" && !r.ascending && r.request.Limit > 0
	for i := range s.rows {
		row := &s.rows[i]
		packed := row.sums()
		if packed == 0 { // free
			continue
		}
		if byBytes && packed&inLarge == 0 && len(r.best) == r.request.Limit && packed.bytes() < r.best[0].value {
			continue // nearly all, without looking at more of it
		}
		sums := s.acc(row)
		value := r.rankOf(&sums)
		if r.passesOver(value) {
			continue
		}
		if err := r.keep(key(row.key), &sums, value); err != nil {
			return err
		}
	}
	return nil
}

// keep offers a group that is in no shard, in one of the ranker's own, of which
// answers are made.
func (r *ranker) keep(key uint64, sums *acc, value uint64) error {
	if r.kept == nil {
		r.kept = new(shard)
	}
	g, err := r.table.newGroup(r.kept, []uint64{key})
	if err != nil {
		return err
	}
	row := r.table.sums(r.kept, g)
	row[atRecords], row[atBytes], row[atPackets] = sums.records, sums.bytes, sums.packets
	if !r.offer(&ranked{value, r.kept, g, r.top}) {
		r.kept.n-- // many may have the value of the last among the best
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

// offer puts a group among the best if it belongs there, and reports whether it
// does.
func (r *ranker) offer(e *ranked) bool {
	switch limit := r.request.Limit; {
	case limit == 0:
		r.best = append(r.best, *e)
	case len(r.best) < limit:
		heap.Push(&r.best, *e)
	case e.before(&r.best[0]):
		r.best[0] = *e
		heap.Fix(&r.best, 0)
	default:
		return false
	}
	return true
}
