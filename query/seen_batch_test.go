package query

import (
	"maps"
	"slices"
	"testing"

	"weir/flow"
	"weir/store"
)

// TestSeenBatch adds notes to tallies batch by batch and one by one.
func TestSeenBatch(t *testing.T) {
	rng := newRand(t)
	q, err := newSeenQuery(SeenRequest{Addrs: []string{"192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::1"}, Hours: true})
	if err != nil {
		t.Fatal(err)
	}
	var batch seenBatch
	batch.reset(len(q.addrs))
	got, want := q.newPart(), q.newPart()
	peers := make([]map[flow.Addr]bool, len(q.addrs))
	for i := range peers {
		peers[i] = map[flow.Addr]bool{}
	}
	for block := range 500 {
		for addr := range int32(len(q.addrs) - 1) { // the last is nowhere
			n := seenNote{hour: store.Hour(block / 3), source: rng.IntN(2) == 0, records: rng.Uint32N(4)}
			n.ends = n.records + rng.Uint32N(2)
			if n.ends == 0 {
				continue
			}
			tally := want.tally(int(addr))
			tally.see(&n, true)
			roles := batch.newRoles(int(n.records))
			for i := range roles {
				roles[i] = roleOf(6, rng.Uint64N(20), rng.Uint64N(20), n.source)
				tally.role(roles[i], 1)
				peer := flow.Addr{Hi: 0x2001_0db8 << 32, Lo: rng.Uint64N(50)}
				if rng.IntN(3) > 0 {
					peer = flow.AddrFrom4(rng.Uint32N(50))
				}
				peers[addr][peer] = true
				batch.peer(peer)
			}
			batch.note(addr, n)
		}
		if rng.IntN(20) == 0 {
			batch.addTo(got, q)
		}
	}
	batch.addTo(got, q)
	batch.addTo(got, q) // of which nothing is left
	if got.tallies[len(q.addrs)-1] != nil {
		t.Error("what is nowhere has a tally")
	}
	for addr, w := range want.tallies[:len(q.addrs)-1] {
		g := got.tallies[addr]
		if g.records != w.records || g.asSource != w.asSource || g.asDestination != w.asDestination {
			t.Errorf("address %d: got %d records, %d and %d by end, want %d, %d and %d", addr,
				g.records, g.asSource, g.asDestination, w.records, w.asSource, w.asDestination)
		}
		if g.active.n != w.active.n || !slices.Equal(g.active.list, w.active.list) {
			t.Errorf("address %d: got hours %v, want %v", addr, g.active.list, w.active.list)
		}
		if n, _ := g.peers.count(); n != uint64(len(peers[addr])) {
			t.Errorf("address %d: got %d peers, want %d", addr, n, len(peers[addr]))
		}
		if !maps.Equal(portCounts(&g.server), portCounts(&w.server)) || !maps.Equal(portCounts(&g.client), portCounts(&w.client)) {
			t.Errorf("address %d: got ports %v and %v, want %v and %v", addr, g.server, g.client, w.server, w.client)
		}
	}
}

func portCounts(p *seenPorts) map[uint32]uint64 {
	counts := map[uint32]uint64{}
	for i, key := range p.keys {
		counts[key] = p.counts[i]
	}
	return counts
}
