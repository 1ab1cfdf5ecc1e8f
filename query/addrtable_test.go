package query

import (
	"context"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync"
	"testing"

	"weir/flow"
	"weir/index"
	"weir/store"
)

// TestAddrTables adds sums by address from two workers at once, large ones among
// them, and compares what the tables hold with maps.
func TestAddrTables(t *testing.T) {
	top, err := newTop(nil, TopRequest{Fields: []string{"src_addr"}, Limit: 10}, ParseOptions{})
	if err != nil || top.addrs == nil {
		t.Fatalf("no tables of addresses: %v", err)
	}
	g := &top.layout.groupers[0]
	want := make([]map[flow.Addr]acc, 2)
	var wg sync.WaitGroup
	for worker := range want {
		want[worker] = map[flow.Addr]acc{}
		wg.Go(func() {
			rng, runs := rand.New(rand.NewPCG(uint64(worker), 1)), new(addrRuns)
			for block := range 60 {
				v4, v6 := randomAddrs(rng, block)
				a4, a6 := randomAccs(rng, want[worker], v4), randomAccs(rng, want[worker], v6)
				err := addRun(&runs.v4, &top.addrs.v4, a4, v4, g, func(a flow.Addr) addr4 { return addr4(a.As4()) })
				if err == nil {
					err = addRun(&runs.v6, &top.addrs.v6, a6, v6, g, func(a flow.Addr) addr6 { return addr6(a) })
				}
				if err != nil {
					t.Error(err)
				}
			}
			if err := top.addrs.settle(runs, 100*worker); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	got, large := map[flow.Addr]acc{}, 0
	for i := range shardCount {
		s4, s6 := &top.addrs.v4.shards[i], &top.addrs.v6.shards[i]
		eachSum(t, s4, func(a addr4, s acc) { addTo(got, flow.AddrFrom4(uint32(a)), s) })
		eachSum(t, s6, func(a addr6, s acc) { addTo(got, flow.Addr(a), s) })
		large += len(s4.large) + len(s6.large)
	}
	for a, s := range want[1] {
		addTo(want[0], a, s)
	}
	if len(want[0]) < 300_000 || large < 1000 {
		t.Fatalf("only %d addresses, %d of them with large sums", len(want[0]), large)
	}
	if !reflect.DeepEqual(got, want[0]) {
		t.Errorf("%d addresses with other sums than the %d of the map", len(got), len(want[0]))
	}
}

// eachSum calls fn for the addresses of a shard, which must be as many as it says.
func eachSum[K sumKey[K]](t *testing.T, s *sumShard[K], fn func(K, acc)) {
	n := 0
	for i := range s.rows {
		if row := &s.rows[i]; !row.free() {
			fn(row.key, s.acc(row))
			n++
		}
	}
	if n != s.n {
		t.Errorf("%d addresses in a shard of %d", n, s.n)
	}
}

func addTo(m map[flow.Addr]acc, a flow.Addr, s acc) {
	sum := m[a]
	sum.add(s)
	m[a] = sum
}

// randomAddrs returns the addresses of a block: some occur in all, others in
// few, and the first and last that there are among them.
func randomAddrs(rng *rand.Rand, block int) (v4, v6 []flow.Addr) {
	for range 1 + rng.IntN(20_000) {
		v4 = append(v4, flow.AddrFrom4(uint32(rng.Uint64N(1<<(8+rng.IntN(25))))))
	}
	for range rng.IntN(3000) {
		v6 = append(v6, flow.Addr{Hi: 0x2001_0db8 << 32, Lo: rng.Uint64N(1 << (8 + rng.IntN(56)))})
	}
	if block%3 == 0 {
		v4 = append(v4, flow.AddrFrom4(0), flow.AddrFrom4(^uint32(0)))
		v6 = append(v6, flow.Addr{}, flow.Addr{Hi: ^uint64(0), Lo: ^uint64(0)})
	}
	for _, list := range []*[]flow.Addr{&v4, &v6} {
		slices.SortFunc(*list, flow.Addr.Compare)
		*list = slices.Compact(*list)
	}
	return v4, v6
}

// randomAccs returns sums for addresses, and adds them to a map.
func randomAccs(rng *rand.Rand, sums map[flow.Addr]acc, addrs []flow.Addr) []acc {
	accs := make([]acc, len(addrs))
	for i, a := range addrs {
		s := &accs[i]
		if s.records = rng.Uint64N(4); s.records == 0 {
			continue
		}
		s.bytes, s.packets = rng.Uint64N(10_000), rng.Uint64N(100)
		switch rng.IntN(500) {
		case 0: // at most what fits, so that two of them do not
			*s = acc{1<<recordBits - 1, 1<<byteBits - 1, 1<<packetBits - 1}
		case 1:
			s.packets = 1 << packetBits
		case 2:
			s.bytes = 1 << (byteBits + rng.IntN(20))
		case 3:
			s.records = 1 << recordBits
		}
		addTo(sums, a, *s)
	}
	return accs
}

// TestTopAddrsLimit compares the largest groups with the first of all groups,
// which are added up in another way: sampled and unsampled blocks, rows without
// an address, prefixes, every ranking.
func TestTopAddrsLimit(t *testing.T) {
	for _, seed := range seeds(3) {
		rng := rand.New(rand.NewPCG(seed, 3))
		a := newArchive(t, rng, 1500)
		for _, fields := range [][]string{{"src_addr"}, {"dst_addr/24/48"}, {"addr"}, {"next_hop"}, {"src_addr/0"}} {
			for _, by := range rankings[:7] {
				if by == "bps" || by == "pps" {
					continue
				}
				for _, order := range []string{"", ":asc"} {
					req := TopRequest{Fields: fields, By: by + order, Filter: []string{"", "proto tcp", "bytes > 3000"}[rng.IntN(3)]}
					compareLimited(t, a.store, req, 1+rng.IntN(12))
				}
			}
		}
	}
}

// TestTopAddrsPlain is the same for blocks without anything rare.
func TestTopAddrsPlain(t *testing.T) {
	s, err := store.Open("weir-data", store.Options{FS: store.NewMemFS(), FlushEvery: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	rng := rand.New(rand.NewPCG(4, 4))
	batch := flow.NewBatch(0)
	for i := range 150_000 {
		var r flow.Record
		r.SetNum(flow.Received, baseTime+uint64(i)*40) // two hours
		if rng.IntN(50) > 0 {
			v4, v6 := flow.AddrFrom4(0x0a000000+uint32(rng.Uint64N(1<<rng.IntN(20)))), flow.Addr{Hi: 7, Lo: rng.Uint64N(500)}
			r.SetAddr(flow.SrcAddr, []flow.Addr{v4, v4, v6}[rng.IntN(3)])
		}
		r.SetNum(flow.Bytes, rng.Uint64N(1<<rng.IntN(44)))
		r.SetNum(flow.Packets, rng.Uint64N(1<<rng.IntN(34)))
		batch.AppendRecord(&r)
	}
	if err := s.Append(batch); err != nil {
		t.Fatal(err)
	}
	for _, b := range s.Buckets()[:1] { // the other stays open
		if err := index.Seal(context.Background(), s, b.Hour); err != nil {
			t.Fatal(err)
		}
	}
	for _, by := range []string{"bytes", "packets", "records:asc", "bpp"} {
		for _, limit := range []int{1, 10, chunkRows} {
			compareLimited(t, s, TopRequest{Fields: []string{"src_addr"}, By: by}, limit)
			compareLimited(t, s, TopRequest{Fields: []string{"src_addr/16/64"}, By: by, Filter: "bytes > 1000"}, limit)
		}
	}
}

func compareLimited(t *testing.T, s *store.Store, req TopRequest, limit int) {
	t.Helper()
	all, _, err := Top(context.Background(), s, req)
	if err != nil {
		t.Fatal(err)
	}
	req.Limit = limit
	some, _, err := Top(context.Background(), s, req)
	if err != nil {
		t.Fatal(err)
	}
	want := all.Rows[:min(limit, len(all.Rows))]
	for _, r := range []*TopResult{all, some} { // of fractions, which come out by the order that they are added in
		r.Total.Variance = Variance{}
		for i := range r.Rows {
			r.Rows[i].Sums.Variance = Variance{}
		}
	}
	if some.Groups != all.Groups || some.Total != all.Total || !reflect.DeepEqual(some.Rows, want) {
		t.Fatalf("%+v:\n%d of %d groups\n%+v\nwant %d\n%+v", req, len(some.Rows), some.Groups, some.Rows, all.Groups, want)
	}
}
