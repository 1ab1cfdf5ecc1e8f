package query

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"weir/flow"
	"weir/index"
	"weir/store"
)

// TestUnionIsMatch checks that two stores asked as one answer as one would, with
// hours in both of them, whatever is sealed: each record once.
func TestUnionIsMatch(t *testing.T) {
	for _, seed := range seeds(6) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 7))
			a, b := newArchive(t, rng, 200), newArchive(t, rng, 100)
			hidden := b.store.Buckets()[0].Hour
			both := store.Union{{Store: a.store}, {Store: b.store, Hidden: func(h store.Hour) bool { return h == hidden }}}
			all := &archive{records: slices.Clone(a.records)}
			for _, r := range b.records {
				if store.HourOf(r.Num(flow.Received)) != hidden {
					all.records = append(all.records, r)
				}
			}
			m := &filterMaker{rng: rng, records: all.records}
			for range 150 {
				text, w := m.filter(2), m.window()
				f, err := Parse(text, ParseOptions{})
				if err != nil {
					t.Fatalf("%s: %v", text, err)
				}
				want := all.matching(f, w)
				for _, order := range []string{"", "bytes:desc"} {
					var got []flow.Record
					_, err = Flows(context.Background(), both, FlowsRequest{Filter: text, Window: w, Order: order}, func(r *flow.Record) error {
						got = append(got, *r)
						return nil
					})
					if err != nil || !slices.Equal(texts(got), texts(want)) {
						t.Fatalf("%s in %v by %q: %d flows, %v, want %d", text, w, order, len(got), err, len(want))
					}
				}
				top, _, err := Top(context.Background(), both, TopRequest{Filter: text, Window: w, By: "flows"})
				if err != nil || top.Total.Records != uint64(len(want)) {
					t.Fatalf("%s in %v: counted %+v, %v, want %d", text, w, top, err, len(want))
				}
			}
		})
	}
}

// TestUnionOfDays asks two stores as one that have the same hours with as many
// rows received at the same moments, and other addresses: the summary of a day in
// one of them must not speak for the other.
func TestUnionOfDays(t *testing.T) {
	const hours, rows = 24, 20
	first := store.Hour(494_400) // midnight
	open := func(net uint32) *store.Store {
		s, err := store.Open("archive", store.Options{FS: store.NewMemFS()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		for h := range store.Hour(hours) {
			b := flow.NewBatch(rows)
			for i := range uint32(rows) {
				row := b.Grow(1)
				b.SetNum(flow.Received, row, (first+h).StartMS()+uint64(i))
				b.SetAddr(flow.SrcAddr, row, flow.AddrFrom4(net|uint32(h)<<8|i))
			}
			if err := s.Append(b); err != nil {
				t.Fatal(err)
			}
		}
		now := func() time.Time { return time.UnixMilli(int64((first + 30).StartMS())) }
		if err := index.NewSealer(s, index.Options{Now: now, Logger: slog.New(slog.DiscardHandler)}).SealOver(context.Background()); err != nil {
			t.Fatal(err)
		}
		return s
	}
	both := store.Union{{Store: open(10 << 24)}, {Store: open(20 << 24)}}
	for _, addr := range []string{"10.0.5.3", "20.0.7.9", "20.0.0.0", "10.0.23.19"} {
		top, _, err := Top(context.Background(), both, TopRequest{Filter: "ip " + addr, By: "flows"})
		if err != nil || top.Total.Records != 1 {
			t.Errorf("%s: counted %+v, %v, want 1", addr, top, err)
		}
		seen, _, err := Seen(context.Background(), both, SeenRequest{Addrs: []string{addr}})
		if err != nil || seen.Addrs[0].Records != 1 {
			t.Errorf("%s: seen %+v, %v, want 1", addr, seen, err)
		}
	}
}
