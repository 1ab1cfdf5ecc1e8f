package query

import (
	"context"
	"errors"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"weir/flow"
	"weir/store"
)

// dedupRecords are flows that up to three exporters report, with little in
// common or all, received over a few hours.
func dedupRecords(rng *rand.Rand, n int) []*flow.Record {
	addrs := questionAddrs()
	var records []*flow.Record
	for range n {
		one := new(flow.Record)
		received := questionBase + rng.Uint64N(3*3600_000)
		one.SetNum(flow.Received, received)
		lasted := uint64(60_000)
		if rng.IntN(4) == 0 { // or come so late that what they overlap is forgotten
			lasted = 3 * 3600_000
		}
		start := received - rng.Uint64N(lasted)
		one.SetNum(flow.Start, start)
		one.SetNum(flow.End, start+rng.Uint64N(2*lasted))
		most := func(set func()) {
			if rng.IntN(30) != 0 {
				set()
			}
		}
		most(func() { one.SetAddr(flow.SrcAddr, addrs[rng.IntN(3)]) })
		most(func() { one.SetAddr(flow.DstAddr, addrs[rng.IntN(3)]) })
		most(func() { one.SetNum(flow.Proto, []uint64{1, 6, 17, 58}[rng.IntN(4)]) })
		most(func() { one.SetNum(flow.SrcPort, rng.Uint64N(3)) })
		most(func() { one.SetNum(flow.DstPort, rng.Uint64N(3)) })
		if rng.IntN(2) == 0 {
			one.SetNum(flow.ICMPType, rng.Uint64N(2))
			one.SetNum(flow.ICMPCode, rng.Uint64N(2))
		}
		one.SetNum(flow.Bytes, rng.Uint64N(100_000))
		one.SetNum(flow.Packets, rng.Uint64N(100))
		for range 1 + rng.IntN(3) {
			r := *one
			most(func() { r.SetAddr(flow.Exporter, addrs[rng.IntN(3)]) })
			r.SetNum(flow.Domain, rng.Uint64N(2))
			r.SetNum(flow.Received, received+rng.Uint64N(100_000))
			if rng.IntN(2) == 0 {
				r.SetNum(flow.SamplingInterval, []uint64{0, 1, 10, 100}[rng.IntN(4)])
			}
			records = append(records, &r)
		}
	}
	return records
}

// naiveTuple tells whether two records have one five-tuple.
func naiveTuple(a, b *flow.Record) bool {
	fields := []flow.Field{flow.SrcAddr, flow.DstAddr, flow.Proto, flow.SrcPort, flow.DstPort}
	if n := a.Num(flow.Proto); n == 1 || n == 58 {
		fields = append(fields[:3], flow.ICMPType, flow.ICMPCode)
	}
	for i, f := range fields {
		if a.Has(f) != b.Has(f) || !a.Has(f) && i < 3 {
			return false
		}
		if f.IsAddr() && a.Addr(f) != b.Addr(f) || !f.IsAddr() && a.Num(f) != b.Num(f) {
			return false
		}
	}
	return true
}

// naiveDedup compares every record with every one that stays, but with those that
// had ended an hour before an hour of receipt no more from that hour on.
func naiveDedup(records []*flow.Record) (kept []*flow.Record) {
	var known []*flow.Record
	hour := uint64(0)
	for _, r := range records {
		from, to := r.Span()
		if h := r.Num(flow.Received) / 3600_000; h != hour {
			hour = h
			known = slices.DeleteFunc(known, func(k *flow.Record) bool {
				_, t := k.Span()
				return t < (hour-1)*3600_000
			})
		}
		if !slices.ContainsFunc(known, func(k *flow.Record) bool {
			f, t := k.Span()
			return r.Has(flow.Exporter) && k.Has(flow.Exporter) && r.Addr(flow.Exporter) != k.Addr(flow.Exporter) &&
				naiveTuple(r, k) && f <= to && from <= t
		}) {
			kept, known = append(kept, r), append(known, r)
		}
	}
	return kept
}

func TestDedupAgainstNaive(t *testing.T) {
	rng := newRand(t)
	s := questionStore(t, rng, dedupRecords(rng, 2000))
	ctx := context.Background()
	ask := func(req FlowsRequest) (list []*flow.Record, summary Summary) {
		summary, err := Flows(ctx, s, req, func(r *flow.Record) error {
			c := *r
			list = append(list, &c)
			return nil
		})
		if err != nil {
			t.Fatalf("%+v: %v", req, err)
		}
		return list, summary
	}
	total := uint64(0)
	for range 15 * *roundsFlag {
		filter, w := randomFilter(rng), randomWindow(rng)
		if rng.IntN(3) == 0 {
			filter, w = "", Window{}
		}
		all, _ := ask(FlowsRequest{Filter: filter, Window: w})
		want := naiveDedup(all)
		folded := uint64(len(all) - len(want))
		total += folded

		got, summary := ask(FlowsRequest{Filter: filter, Window: w, Dedup: true})
		if !reflect.DeepEqual(got, want) || summary.Folded != folded || summary.RowsMatched != uint64(len(want)) {
			t.Fatalf("%q %+v: got %d records, %d folded, want %d, %d", filter, w, len(got), summary.Folded, len(want), folded)
		}
		limit := 1 + rng.IntN(20)
		if got, _ := ask(FlowsRequest{Filter: filter, Window: w, Dedup: true, Limit: limit}); !reflect.DeepEqual(got, want[:min(limit, len(want)):len(want)]) && len(want) > 0 {
			t.Fatalf("%q %+v: the first %d are wrong", filter, w, limit)
		}
		order := Order{"bytes", true}
		slices.SortStableFunc(want, func(a, b *flow.Record) int {
			switch x, y := a.Num(flow.Bytes), b.Num(flow.Bytes); {
			case x > y:
				return -1
			case x < y:
				return 1
			}
			return 0
		})
		got, _ = ask(FlowsRequest{Filter: filter, Window: w, Dedup: true, Limit: limit, Order: order.Key})
		if n := min(limit, len(want)); len(got) != n || n > 0 && !reflect.DeepEqual(got, want[:n]) {
			t.Fatalf("%q %+v: the largest %d are wrong: got %d", filter, w, limit, len(got))
		}
		checkDedupSums(t, s, filter, w, want, folded)
	}
	if total == 0 {
		t.Error("nothing was folded in any round")
	}
}

// checkDedupSums compares the totals of all questions with those of the records
// that stay.
func checkDedupSums(t *testing.T, s *store.Store, filter string, w Window, want []*flow.Record, folded uint64) {
	t.Helper()
	ctx := context.Background()
	var sums Sums
	var sampling Sampling
	for _, r := range want {
		naiveJoin(&sums, naiveSums(r))
		switch n := r.Num(flow.SamplingInterval); {
		case n == 0:
			sampling.Unknown++
		case n > 1:
			sampling.Sampled++
			sampling.interval(n)
		}
	}
	check := func(question string, got [3]uint64, summary Summary, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if want := [3]uint64{sums.Flows, sums.Bytes, sums.EstimatedBytes}; got != want || summary.Folded != folded {
			t.Errorf("%s %q %+v: got %v, %d folded, want %v, %d", question, filter, w, got, summary.Folded, want, folded)
		}
		summary.Sampling.Mixed = false // of each question's own groups
		if !reflect.DeepEqual(summary.Sampling, sampling) {
			t.Errorf("%s %q %+v: got %+v, want %+v", question, filter, w, summary.Sampling, sampling)
		}
	}
	of := func(s Sums) [3]uint64 { return [3]uint64{s.Flows, s.Bytes, s.EstimatedBytes} }
	top, summary, err := Top(ctx, s, TopRequest{Fields: []string{"proto"}, Filter: filter, Window: w, Dedup: true})
	check("top", of(top.Total), summary, err)
	stats, summary, err := Stats(ctx, s, StatsRequest{Filter: filter, Window: w, Dedup: true})
	check("stats", of(stats.Total), summary, err)
	series, summary, err := Series(ctx, s, SeriesRequest{Filter: filter, Window: w, Dedup: true, Group: "exporter"})
	all := series.Before
	all.add(series.After)
	for _, g := range series.Series {
		all.add(g.Total)
	}
	check("series", [3]uint64{all.Flows, all.Bytes, all.EstimatedBytes}, summary, err)
}

func TestDedupPeers(t *testing.T) {
	a, b := peerFlow("10.0.0.1", 50000, "192.0.2.7", 443), peerFlow("10.0.0.1", 50000, "192.0.2.7", 443)
	a.SetAddr(flow.Exporter, questionAddrs()[4])
	b.SetAddr(flow.Exporter, questionAddrs()[5])
	b.SetNum(flow.SamplingInterval, 100)
	s := questionStore(t, newRand(t), []*flow.Record{a, b})
	for dedup, want := range map[bool]uint64{false: 10_100, true: 100} {
		got, summary, err := Peers(context.Background(), s, PeersRequest{Addr: "192.0.2.7", Dedup: dedup})
		if err != nil || len(got.Peers) != 1 || got.Peers[0].BytesIn != want || summary.Folded != (map[bool]uint64{true: 1})[dedup] {
			t.Errorf("dedup %v: got %+v, %d folded, %v, want %d bytes", dedup, got.Peers, summary.Folded, err, want)
		}
	}
}

// Flows are compared over the border of an hour, and forgotten when no record in
// time can overlap them; what would not fit in memory is refused.
func TestDedupKeepsNoMoreThanItNeeds(t *testing.T) {
	var records []*flow.Record
	for i := range uint64(12) { // one a quarter of an hour, for three hours, each of 15 minutes, by two exporters in turn
		r := peerFlow("10.0.0.1", 50000, "192.0.2.7", 443)
		end := questionBase + (i+1)*900_000
		for f, v := range map[flow.Field]uint64{flow.Received: end, flow.Start: end - 900_000, flow.End: end} {
			r.SetNum(f, v)
		}
		r.SetAddr(flow.Exporter, questionAddrs()[i%2])
		records = append(records, r)
	}
	s := questionStore(t, newRand(t), records)
	sc, err := newScan(s, "", "", Window{}, ParseOptions{})
	if err != nil {
		t.Fatal(err)
	}
	sc.dedup = newDedup()
	look := func(*visit) (struct{}, error) { return struct{}{}, nil }
	drop := func(struct{}) error { return nil }
	if err := scanBlocks(context.Background(), sc, look, drop); err != nil {
		t.Fatal(err)
	}
	// They touch, so every second is folded, whatever the hour.
	if sc.summary.Folded != 6 || sc.summary.RowsMatched != 6 {
		t.Errorf("got %d folded, %d not, want 6 and 6", sc.summary.Folded, sc.summary.RowsMatched)
	}
	// At the last hour (of receipt at its first moment) those that ended more
	// than an hour before are gone.
	if n := len(sc.dedup.spans); n != 2 {
		t.Errorf("%d records are kept after the last hour, want 2", n)
	}
	if sc, err = newScan(s, "", "", Window{}, ParseOptions{}); err != nil {
		t.Fatal(err)
	}
	sc.dedup = newDedup()
	ctx := WithDedupBytes(context.Background(), dedupEntryBytes)
	var large *DedupTooLargeError
	if err := scanBlocks(ctx, sc, look, drop); !errors.As(err, &large) || !strings.Contains(err.Error(), "narrower filter") {
		t.Errorf("got %v, want a DedupTooLargeError", err)
	}
}

// Many records of one flow from one exporter are one to compare with, and folding
// ends when nobody wants the answer any more.
func TestDedupOfOneExporter(t *testing.T) {
	var records []*flow.Record
	for i := range uint64(5000) {
		r := peerFlow("10.0.0.1", 50000, "192.0.2.7", 443)
		for f, v := range map[flow.Field]uint64{flow.Received: i, flow.Start: i / 2, flow.End: i} {
			r.SetNum(f, questionBase+v)
		}
		r.SetAddr(flow.Exporter, questionAddrs()[0])
		records = append(records, r)
	}
	sc, err := newScan(questionStore(t, newRand(t), records), "", "", Window{}, ParseOptions{})
	if err != nil {
		t.Fatal(err)
	}
	sc.dedup = newDedup()
	ctx, cancel := context.WithCancel(context.Background())
	look := func(v *visit) (struct{}, error) {
		if n := len(sc.dedup.spans); n != 1 || sc.summary.Folded != 0 {
			t.Errorf("%d are kept and %d folded, want 1 and 0", n, sc.summary.Folded)
		}
		cancel()
		if _, err := sc.dedup.fold(v, v.bucket.Hour()); !errors.Is(err, context.Canceled) {
			t.Errorf("folding gave %v, want context.Canceled", err)
		}
		return struct{}{}, nil
	}
	if err := scanBlocks(ctx, sc, look, func(struct{}) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}
