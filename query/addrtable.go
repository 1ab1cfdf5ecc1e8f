package query

import (
	"sync"
	"sync/atomic"

	"weir/flow"
)

// addrTables sum records by address where the answer needs no more than records,
// bytes and packets. What blocks with anything rare add goes to the groupTable of
// the question; all that is here then follows in the end.
type addrTables struct {
	v4    addrTable[addr4]
	v6    addrTable[addr6]
	mixed atomic.Bool // addresses are in the groupTable, too
}

// An addrTable is sums by address, in shards by the order of addresses: the
// dictionary of a block ascends, so that what a block adds to one shard stands
// together, and nothing has to be sorted by shard.
type addrTable[K sumKey[K]] struct {
	begun  sync.Once // guards first until it has been set
	first  [shardCount]flow.Addr
	shards [shardCount]sumShard[K]
}

func newAddrTables(t *groupTable) *addrTables {
	a := new(addrTables)
	for i := range shardCount {
		a.v4.shards[i].table, a.v6.shards[i].table = t, t
	}
	return a
}

// divide chooses the bounds of shards so that the addresses of a block are in
// equal parts: a block is like the next.
func (t *addrTable[K]) divide(addrs []flow.Addr, g *grouper) {
	for i := 1; i < shardCount; i++ {
		t.first[i] = g.cut(addrs[i*len(addrs)/shardCount])
	}
}

// drain adds the sums of a run, beginning at a shard of the caller's choice so
// that workers meet less often.
func (t *addrTable[K]) drain(r *addrRun[K], begin int) error {
	for i := range shardCount {
		shard := (begin + i) % shardCount
		if err := t.drainShard(r, shard); err != nil {
			return err
		}
	}
	r.sums, r.blocks = r.sums[:0], r.blocks[:0]
	return nil
}

func (t *addrTable[K]) drainShard(r *addrRun[K], shard int) error {
	s := &t.shards[shard]
	s.mu.Lock()
	defer s.mu.Unlock()
	for k := range r.blocks {
		from, to := r.blocks[k][shard], r.blocks[k][shard+1]
		if err := s.add(r.sums[from:to]); err != nil {
			return err
		}
	}
	return nil
}

// settle adds all that a worker keeps to the tables.
func (t *addrTables) settle(r *addrRuns, begin int) error {
	if err := t.v4.drain(&r.v4, begin); err != nil {
		return err
	}
	return t.v6.drain(&r.v6, begin)
}

// move empties the tables into what waits for a groupTable.
func (t *addrTables) move(p *pending, l *layout) error {
	for i := range shardCount {
		if err := moveSums(&t.v4.shards[i], p, l.key4); err != nil {
			return err
		}
		if err := moveSums(&t.v6.shards[i], p, l.key6); err != nil {
			return err
		}
	}
	return nil
}

func moveSums[K sumKey[K]](s *sumShard[K], p *pending, key func(K) uint64) error {
	for i := range s.rows {
		row := &s.rows[i]
		if row.free() {
			continue
		}
		sums := s.acc(row)
		if err := p.add(key(row.key), &sums); err != nil {
			return err
		}
	}
	s.drop()
	return nil
}

// key4 and key6 return the packed key of an address that is all there is in it.
func (l *layout) key4(a addr4) uint64 { return l.keyOf(flow.AddrFrom4(uint32(a))) }
func (l *layout) key6(a addr6) uint64 { return l.keyOf(flow.Addr(a)) }

func (l *layout) keyOf(a flow.Addr) uint64 {
	var key [1]uint64
	l.putAddr(key[:], 0, a)
	return key[0]
}
