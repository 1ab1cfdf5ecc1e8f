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
type addrRun[K sumKey[K]] struct {
	sums   []keySum[K]
	blocks [][shardCount + 1]int32 // where the sums of each shard begin in sums, by block
}

// mostAddrBytes is what sums of each kind may take before a worker adds them.
const mostAddrBytes = 4 << 20

// addAddrs adds the sums of a block by the codes of its dictionary, of which the
// one past the last is for rows without an address.
func (t *top) addAddrs(w *topWorker, d *store.Dict, g *grouper) error {
	accs, addrs := w.accs[:d.Len()], d.Addrs()
	if none := &w.accs[d.Len()]; none.records > 0 {
		if err := w.pending.add(0, none); err != nil {
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
func addRun[K sumKey[K]](r *addrRun[K], t *addrTable[K], accs []acc, addrs []flow.Addr, g *grouper, key func(flow.Addr) K) error {
	if len(accs) == 0 {
		return nil
	}
	t.begun.Do(func() { t.divide(addrs, g) })
	if len(r.sums)+len(accs) > cap(r.sums) {
		if err := t.drain(r, 0); err != nil {
			return err
		}
		most := mostAddrBytes / int(unsafe.Sizeof(keySum[K]{}))
		if had := cap(r.sums); had < max(len(accs), most) { // new, not grown: nothing has to be copied
			r.sums = make([]keySum[K], 0, max(len(accs), min(max(4*len(accs), 8*had), most)))
		}
	}
	r.blocks = append(r.blocks, [shardCount + 1]int32{})
	begins := &r.blocks[len(r.blocks)-1]
	begins[0] = int32(len(r.sums))
	shard, next := 0, &t.first[1]
	for i := range accs {
		s := &accs[i]
		if s.records == 0 {
			continue
		}
		addr := g.cut(addrs[i])
		for shard < shardCount-1 && !addr.Less(*next) {
			shard++
			begins[shard] = int32(len(r.sums))
			next = &t.first[min(shard+1, shardCount-1)]
		}
		if packed, fits := s.pack(); fits {
			r.sums = append(r.sums, newKeySum(key(addr), packed))
		} else if err := t.shards[shard].addWhole(key(addr), *s); err != nil {
			return err
		}
	}
	for shard++; shard <= shardCount; shard++ {
		begins[shard] = int32(len(r.sums))
	}
	return nil
}
