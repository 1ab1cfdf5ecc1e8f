package query

import (
	"unsafe"

	"weir/flow"
	"weir/store"
)

// addrRuns are what one worker has summed by address and not yet added to the
// tables.
type addrRuns struct {
	v4 addrRun[addr4]
	v6 addrRun[addr6]
}

// An addrRun is the sums of several blocks. Those of a block ascend by address,
// so that those of a shard stand together.
type addrRun[K addrKey[K]] struct {
	sums   []addrSum[K]
	blocks [][addrShards + 1]int32 // where the sums of each shard begin in sums, by block
}

// mostAddrBytes is what sums of each kind may take before a worker adds them.
const mostAddrBytes = 4 << 20

// addAddrs adds the sums of a block by the codes of its dictionary, of which the
// one past the last is for rows without an address.
func (t *top) addAddrs(w *topWorker, d *store.Dict, g *grouper) error {
	accs, addrs := w.accs[:d.Len()], d.Addrs()
	if none := &w.accs[d.Len()]; none.records > 0 {
		if err := w.pending.add(0, none.records, none.bytes, none.packets); err != nil {
			return err
		}
	}
	lo, hi := d.FindAddr(flow.AddrFrom4(0), flow.AddrFrom4(^uint32(0)))
	of4 := func(a flow.Addr) addr4 { return addr4(a.As4()) }
	of6 := func(a flow.Addr) addr6 { return addr6(a) }
	if err := addRun(&w.addrs.v4, &t.addrs.v4, accs[lo:hi], addrs[lo:hi], g, of4); err != nil {
		return err
	}
	if err := addRun(&w.addrs.v6, &t.addrs.v6, accs[:lo], addrs[:lo], g, of6); err != nil {
		return err
	}
	return addRun(&w.addrs.v6, &t.addrs.v6, accs[hi:], addrs[hi:], g, of6)
}

// addRun adds the sums of addresses that ascend.
func addRun[K addrKey[K]](r *addrRun[K], t *addrTable[K], accs []acc, addrs []flow.Addr, g *grouper, key func(flow.Addr) K) error {
	if len(accs) == 0 {
		return nil
	}
	t.begun.Do(func() { t.divide(addrs, g) })
	if len(r.sums)+len(accs) > cap(r.sums) {
		if err := t.drain(r, 0); err != nil {
			return err
		}
		most := mostAddrBytes / int(unsafe.Sizeof(addrSum[K]{}))
		if had := cap(r.sums); had < max(len(accs), most) { // new, not grown: nothing has to be copied
			r.sums = make([]addrSum[K], 0, max(len(accs), min(max(4*len(accs), 8*had), most)))
		}
	}
	r.blocks = append(r.blocks, [addrShards + 1]int32{})
	begins := &r.blocks[len(r.blocks)-1]
	begins[0] = int32(len(r.sums))
	shard, next := 0, &t.first[1]
	for i := range accs {
		s := &accs[i]
		if s.records == 0 {
			continue
		}
		addr := g.cut(addrs[i])
		for shard < addrShards-1 && !addr.Less(*next) {
			shard++
			begins[shard] = int32(len(r.sums))
			next = &t.first[min(shard+1, addrShards-1)]
		}
		if packed, fits := s.pack(); fits {
			r.sums = append(r.sums, newAddrSum(key(addr), packed))
		} else if err := t.addWhole(&t.shards[shard], key(addr), *s); err != nil {
			return err
		}
	}
	for shard++; shard <= addrShards; shard++ {
		begins[shard] = int32(len(r.sums))
	}
	return nil
}

// divide chooses the bounds of shards so that the addresses of a block are in
// equal parts: a block is like the next.
func (t *addrTable[K]) divide(addrs []flow.Addr, g *grouper) {
	for i := 1; i < addrShards; i++ {
		t.first[i] = g.cut(addrs[i*len(addrs)/addrShards])
	}
}

// drain adds the sums to the table, beginning at a shard of the caller's choice
// so that workers meet less often.
func (t *addrTable[K]) drain(r *addrRun[K], begin int) error {
	for i := range addrShards {
		shard := (begin + i) % addrShards
		for k := range r.blocks {
			from, to := r.blocks[k][shard], r.blocks[k][shard+1]
			if from == to {
				continue
			}
			if err := t.add(&t.shards[shard], r.sums[from:to]); err != nil {
				return err
			}
		}
	}
	r.sums, r.blocks = r.sums[:0], r.blocks[:0]
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
	key := func(a flow.Addr) uint64 {
		var key [1]uint64
		l.putAddr(key[:], 0, a)
		return key[0]
	}
	if err := t.v4.moveTo(p, func(a addr4) uint64 { return key(flow.AddrFrom4(uint32(a))) }); err != nil {
		return err
	}
	return t.v6.moveTo(p, func(a addr6) uint64 { return key(flow.Addr(a)) })
}

// rankAddrs is rankShard for the addresses of one shard of both tables.
func (r *ranker) rankAddrs(i int) {
	rankAddrs(r, &r.addrs.v4.shards[i], func(a addr4) flow.Addr { return flow.AddrFrom4(uint32(a)) })
	rankAddrs(r, &r.addrs.v6.shards[i], func(a addr6) flow.Addr { return flow.Addr(a) })
}

// rankAddrs offers the addresses of a shard.
func rankAddrs[K addrKey[K]](r *ranker, s *addrShard[K], addr func(K) flow.Addr) {
	r.groups += s.n
	for i := range s.rows {
		row := &s.rows[i]
		if row.free() {
			continue
		}
		sums := s.acc(row)
		if value := r.rankOf(&sums); !r.passesOver(value) { // few
			r.offerAddr(addr(row.addr), &sums, value)
		}
	}
}

// offerAddr offers an address, in a shard of its own, which is what an answer is
// made of.
func (r *ranker) offerAddr(addr flow.Addr, sums *acc, value uint64) {
	group := make([]uint64, plainWidth)
	r.layout.putAddr(group[:1], 0, addr)
	group[1+atRecords], group[1+atBytes], group[1+atPackets] = sums.records, sums.bytes, sums.packets
	r.offer(&ranked{value, &shard{n: 1, chunks: [][]uint64{group}}, 0, r.top})
}
