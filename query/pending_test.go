package query

import (
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"weir/flow"
)

// groupSum is what a group comes to, counted naively.
type groupSum struct {
	records, bytes, packets, flows, estBytes, estPackets uint64

	variance Variance // of whole numbers, which add up in any order
}

// TestGroupTableSums adds groups in every way that there is, from several
// workers at once, and compares the sums with those of a map.
func TestGroupTableSums(t *testing.T) {
	for _, c := range []struct {
		name   string
		fields []string
		keys   int // different ones, about
		rare   bool
		blocks int // of a thousand records, by each worker
		runs   int // that a worker may have
	}{
		{"small keys", []string{"dst_port"}, 70_000, false, 60, 500},
		{"small keys, some sampled", []string{"dst_port"}, 300, true, 60, 500},
		{"one word", []string{"src_addr", "src_port"}, 200_000, false, 60, 500},
		{"one word, runs", []string{"src_addr", "src_port"}, 500_000, false, 500, 32000},
		{"one word, runs that are drained", []string{"src_addr", "src_port"}, 500_000, false, 500, 500},
		{"one word, no runs", []string{"src_addr", "src_port"}, 500_000, false, 400, 0},
		{"one word, runs, some sampled", []string{"src_addr", "src_port"}, 500_000, true, 500, 1000},
		{"one word, few groups", []string{"src_addr", "src_port"}, 20_000, false, 500, 32000},
		{"one word, some sampled", []string{"src_addr", "src_port"}, 20_000, true, 60, 500},
		{"several words", []string{"src_addr", "dst_addr", "start"}, 20_000, true, 60, 500},
	} {
		t.Run(c.name, func(t *testing.T) {
			groupers, err := parseGroupers(c.fields, nil, ParseOptions{})
			if err != nil {
				t.Fatal(err)
			}
			l := newLayout(groupers)
			table := newGroupTable(l, false, 0, DefaultTopBytes)
			want, waiting := make([]map[[8]uint64]groupSum, 2), make([]*pending, 2)
			var wg sync.WaitGroup
			for worker := range want {
				want[worker] = map[[8]uint64]groupSum{}
				wg.Go(func() {
					rng := rand.New(rand.NewPCG(uint64(worker), 7))
					p := table.newPending(l)
					p.runs.most, waiting[worker] = c.runs, &p
					fillTable(t, rng, &p, l, worker, c.blocks, c.keys, c.rare, want[worker])
				})
			}
			wg.Wait()
			if err := collectAll(table, waiting...); err != nil {
				t.Fatal(err)
			}
			for _, p := range waiting { // what is in the table must not lie there
				p.runs.free()
			}
			for key, from := range want[1] {
				sum := want[0][key]
				want[0][key] = groupSum{sum.records + from.records, sum.bytes + from.bytes, sum.packets + from.packets,
					sum.flows + from.flows, sum.estBytes + from.estBytes, sum.estPackets + from.estPackets,
					Variance{sum.variance.Bytes + from.variance.Bytes, sum.variance.Packets + from.variance.Packets}}
			}
			compareTable(t, table, want[0])
		})
	}
}

// collectAll completes all shards of a table.
func collectAll(table *groupTable, waiting ...*pending) error {
	if !table.plain() {
		return nil
	}
	for i := range shardCount {
		if err := table.collect(i, waiting); err != nil {
			return err
		}
		if err := table.pour(&table.shards[i], &table.compact[i]); err != nil {
			return err
		}
	}
	return nil
}

// fillTable adds blocks of a thousand records of random keys and counts them in
// sums.
func fillTable(t *testing.T, rng *rand.Rand, wait *pending, l *layout, worker, blocks, keys int, rare bool, sums map[[8]uint64]groupSum) {
	table, p := wait.table, new(partial)
	for ; blocks > 0; blocks-- {
		sampled := rare && rng.IntN(3) == 0
		n := 1000
		p.n, p.keys, p.hashes = n, make([]uint64, n*l.words), make([]uint64, n)
		p.records, p.bytes, p.packets = make([]uint64, n), make([]uint64, n), make([]uint64, n)
		p.flows, p.estBytes, p.estPackets, p.variances = nil, nil, nil, nil
		if sampled {
			p.flows, p.estBytes, p.estPackets, p.variances = make([]uint64, n), make([]uint64, n), make([]uint64, n), make([]Variance, n)
		}
		for i := range n {
			key := p.keys[i*l.words : (i+1)*l.words]
			randomKey(rng, l, key, keys)
			s := groupSum{records: uint64(rng.IntN(3)) + 1, bytes: rng.Uint64N(1e6), packets: rng.Uint64N(100)}
			if n := rng.IntN(1000); n < 3 { // more than 32 bits
				s.bytes, s.packets = s.bytes<<(10*n), s.packets<<(28-10*n)
			}
			s.flows, s.estBytes, s.estPackets = s.records, s.bytes, s.packets
			p.records[i], p.bytes[i], p.packets[i] = s.records, s.bytes, s.packets
			if sampled {
				s.flows, s.estBytes, s.estPackets = 5, 10*s.bytes, 10*s.packets
				s.variance = Variance{float64(2 * s.bytes), float64(3 * s.packets)}
				p.flows[i], p.estBytes[i], p.estPackets[i], p.variances[i] = s.flows, s.estBytes, s.estPackets, s.variance
			}
			var k [8]uint64
			copy(k[:], key)
			old := sums[k]
			sums[k] = groupSum{old.records + s.records, old.bytes + s.bytes, old.packets + s.packets,
				old.flows + s.flows, old.estBytes + s.estBytes, old.estPackets + s.estPackets,
				Variance{old.variance.Bytes + s.variance.Bytes, old.variance.Packets + s.variance.Packets}}
			if table.plain() && !sampled {
				if err := wait.add(key[0], &acc{s.records, s.bytes, s.packets}); err != nil {
					t.Error(err)
				}
			}
		}
		if !table.plain() || sampled {
			if err := table.add(p, worker); err != nil {
				t.Error(err)
			}
		}
	}
	if err := wait.settle(); err != nil {
		t.Error(err)
	}
}

// randomKey writes one of about so many keys.
func randomKey(rng *rand.Rand, l *layout, key []uint64, keys int) {
	n := rng.Uint64N(uint64(keys))
	for i := range l.groupers {
		switch g := &l.groupers[i]; {
		case n%11 == uint64(i): // absent
		case !g.isAddr():
			l.putNum(key, i, n&(1<<g.field.Bits()-1))
		case n%7 == 0:
			l.putAddr(key, i, flow.Addr{Hi: 1<<61 | n, Lo: n})
		default:
			l.putAddr(key, i, flow.AddrFrom4(uint32(n)))
		}
	}
}

func compareTable(t *testing.T, table *groupTable, want map[[8]uint64]groupSum) {
	t.Helper()
	found := 0
	for i := range table.shards {
		s := &table.shards[i]
		for g := range s.n {
			var key [8]uint64
			copy(key[:], table.key(s, g))
			sums := table.sums(s, g)
			got := groupSum{records: sums[atRecords], bytes: sums[atBytes], packets: sums[atPackets]}
			got.flows, got.estBytes, got.estPackets = got.records, got.bytes, got.packets
			if s.flows != nil {
				got.flows = s.flows[g]
			}
			if s.estimated != nil {
				e := s.estimatesOf(g)
				got.estBytes, got.estPackets, got.variance = e[atEstimates], e[atEstimates+1], varianceAt(e)
			}
			if got != want[key] {
				t.Fatalf("group %x: %+v, want %+v", key, got, want[key])
			}
			found++
		}
	}
	if found != len(want) {
		t.Errorf("%d groups, want %d", found, len(want))
	}
}

// TestPendingIsBounded checks that groups that wait count as memory, and that
// little memory makes it wait for less, not fail.
func TestPendingIsBounded(t *testing.T) {
	groupers, err := parseGroupers([]string{"src_addr"}, nil, ParseOptions{})
	if err != nil {
		t.Fatal(err)
	}
	l := newLayout(groupers)
	table := newGroupTable(l, false, 0, 4<<20)
	p := table.newPending(l)
	for i := range uint64(1_000_000) {
		if err = p.add(i<<1|1, &acc{1, 1, 1}); err != nil {
			break
		}
	}
	var tooMany *TooManyGroupsError
	if !errors.As(err, &tooMany) || tooMany.Groups < 40_000 {
		t.Errorf("a million groups in 4 MiB: %v, want a TooManyGroupsError after 40,000 at least", err)
	}
}

func TestAddrNumbers(t *testing.T) {
	n := newAddrNumbers()
	addrs := []flow.Addr{{}, {Hi: 1}, {Lo: 1}, flow.AddrFrom4(0), flow.AddrFrom4(1), flow.AddrFrom4(^uint32(0)), lastOne}
	var packed []uint64
	for range 2 {
		for _, a := range addrs {
			packed = append(packed, n.pack(a))
		}
	}
	if !slices.Equal(packed[:len(addrs)], packed[len(addrs):]) {
		t.Errorf("addresses are packed as %x and then as %x", packed[:len(addrs)], packed[len(addrs):])
	}
	for i, a := range addrs {
		if packed[i]>>addrBits != 0 || n.unpack(packed[i]) != a {
			t.Errorf("%v is packed as %x, unpacked as %v", a, packed[i], n.unpack(packed[i]))
		}
	}
}
