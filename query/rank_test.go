package query

import (
	"cmp"
	"context"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestRankTakesTurns ranks groups of all shards, whose memory serves one after
// the other, and compares the answer with a sorted list.
func TestRankTakesTurns(t *testing.T) {
	type group struct{ key, records, bytes, packets uint64 }
	rng := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct {
		by            string
		limit, groups int
	}{
		{"bytes", 10, 0}, {"bytes", 10, 20}, {"bytes", 1, 5000}, {"bytes", 10, 200_000},
		{"packets:asc", 7, 30_000}, {"records", chunkRows, 30_000}, {"bytes", chunkRows + 1, 30_000}, {"bytes", 0, 30_000},
	} {
		limit := c.limit
		top, err := newTop(nil, TopRequest{Fields: []string{"src_addr", "src_port"}, By: c.by, Limit: limit}, ParseOptions{})
		if err != nil {
			t.Fatal(err)
		}
		want := make([]group, c.groups)
		for i := range want {
			want[i].key = uint64(i)<<2 | 3
		}
		for range 2 * c.groups {
			g := &want[rng.IntN(1+rng.IntN(len(want)))] // the first more often
			bytes, packets := rng.Uint64N(1000), rng.Uint64N(3)
			g.records, g.bytes, g.packets = g.records+1, g.bytes+bytes, g.packets+packets
			if err := top.workers[rng.IntN(len(top.workers))].pending.add(g.key, &acc{1, bytes, packets}); err != nil {
				t.Fatal(err)
			}
		}
		want = slices.DeleteFunc(want, func(g group) bool { return g.records == 0 })
		slices.SortFunc(want, func(a, b group) int {
			order := cmp.Compare(b.bytes, a.bytes)
			switch c.by {
			case "packets:asc":
				order = cmp.Compare(a.packets, b.packets)
			case "records":
				order = cmp.Compare(b.records, a.records)
			}
			return cmp.Or(order, top.layout.compare([]uint64{a.key}, []uint64{b.key}))
		})
		got, err := top.result(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if got.Groups != len(want) {
			t.Errorf("%+v: %d groups, want %d", c, got.Groups, len(want))
		}
		if limit > 0 {
			want = want[:min(limit, len(want))]
		}
		if len(got.Rows) != len(want) {
			t.Fatalf("%+v: %d rows, want %d", c, len(got.Rows), len(want))
		}
		for i, w := range want {
			row := &got.Rows[i]
			g := group{w.key, row.Sums.Records, row.Sums.Bytes, row.Sums.Packets}
			if !slices.Equal(row.Key, top.layout.values([]uint64{w.key})) || g != w {
				t.Fatalf("%+v: row %d is %v %+v, want %+v", c, i, row.Key, g, w)
			}
		}
	}
}

// TestRankKeepsFew ranks groups that are all alike, of which any may be in the
// answer: those that are not take no memory.
func TestRankKeepsFew(t *testing.T) {
	const groups, limit = 100_000, 5
	top, err := newTop(nil, TopRequest{Fields: []string{"src_addr", "src_port"}, By: "records:asc", Limit: limit}, ParseOptions{})
	if err != nil {
		t.Fatal(err)
	}
	p := &top.workers[0].pending
	for i := range uint64(groups) {
		if err := p.add(i<<2|3, &acc{1, i, 1}); err != nil {
			t.Fatal(err)
		}
	}
	r := ranker{top: top, waiting: []*pending{p}}
	if err := r.shards(context.Background(), 0, shardCount); err != nil {
		t.Fatal(err)
	}
	if r.groups != groups || len(r.best) != limit || r.kept.n > 50*limit {
		t.Errorf("%d groups, %d best, %d kept, want %d, %d and few", r.groups, len(r.best), r.kept.n, groups, limit)
	}
}
