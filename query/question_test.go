package query

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"weir/flow"
	"weir/index"
	"weir/store"
)

// The tests of series, seen, peers and stats compare each answer with a naive
// one over all records.

// questionBase is where the random records of these tests begin: an hour before
// midnight, so that both an hour's and a day's border lie among them.
const questionBase = 1763766000000 // 2025-11-21T23:00:00Z

// newRand returns a random source and prints its seed.
func newRand(t testing.TB) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// questionAddrs are few, so that records share them.
func questionAddrs() []flow.Addr {
	var list []flow.Addr
	for _, text := range []string{"10.0.0.1", "10.0.0.2", "10.0.0.200", "10.0.1.1", "192.0.2.7", "192.0.2.8", "203.0.113.5",
		"2001:db8::1", "2001:db8::2", "2001:db8:1::1", "0.0.0.0", "255.255.255.255"} {
		a, err := flow.ParseAddr(text)
		if err != nil {
			panic(err)
		}
		list = append(list, a)
	}
	return list
}

// randomRecords are records of a few hours with everything that goes wrong with
// them: absent fields, times the wrong way round and decades off, flows longer
// than an hour.
func randomRecords(rng *rand.Rand, n int) []*flow.Record {
	addrs := questionAddrs()
	var records []*flow.Record
	for range n {
		r := new(flow.Record)
		received := questionBase + rng.Uint64N(4*3600_000)
		r.SetNum(flow.Received, received)
		most := func(f flow.Field, v uint64) {
			if rng.IntN(12) != 0 {
				r.SetNum(f, v)
			}
		}
		start := received - rng.Uint64N(1+3600_000>>rng.UintN(20))
		if rng.IntN(8) == 0 {
			start -= start % 3600_000 // on the border
		}
		end := start + rng.Uint64N(1+2*3600_000>>rng.UintN(20))
		switch rng.IntN(40) {
		case 0:
			start = rng.Uint64N(1e9)
		case 1:
			end = start - rng.Uint64N(5000)
		case 2:
			start, end = start+400*86400_000, end+400*86400_000
		}
		most(flow.Start, start)
		most(flow.End, end)
		if rng.IntN(20) != 0 {
			r.SetAddr(flow.SrcAddr, addrs[rng.IntN(len(addrs))])
		}
		if rng.IntN(20) != 0 {
			r.SetAddr(flow.DstAddr, addrs[rng.IntN(len(addrs))])
		}
		r.SetAddr(flow.Exporter, addrs[rng.IntN(3)])
		most(flow.SrcPort, []uint64{0, 22, 53, 123, 443, 40000, 50000 + rng.Uint64N(5)}[rng.IntN(7)])
		most(flow.DstPort, []uint64{0, 22, 53, 123, 443, 40000, 50000 + rng.Uint64N(5)}[rng.IntN(7)])
		most(flow.Proto, []uint64{1, 6, 6, 17, 17, 58, 47}[rng.IntN(7)])
		most(flow.Bytes, rng.Uint64N(1<<rng.UintN(40)))
		most(flow.Packets, rng.Uint64N(1000))
		most(flow.Version, []uint64{5, 9, 10, 105}[rng.IntN(4)])
		if rng.IntN(3) == 0 {
			r.SetNum(flow.SamplingInterval, []uint64{0, 1, 100, 1000}[rng.IntN(4)])
		}
		if rng.IntN(10) == 0 {
			r.SetNum(flow.Flows, rng.Uint64N(20))
		}
		if rng.IntN(10) == 0 {
			r.SetNum(flow.ReverseBytes, rng.Uint64N(1e6))
			r.SetNum(flow.ReversePackets, rng.Uint64N(1000))
		}
		records = append(records, r)
	}
	return records
}

// questionStore returns a store that holds the records, some of its hours
// sealed.
func questionStore(t testing.TB, rng *rand.Rand, records []*flow.Record) *store.Store {
	t.Helper()
	s, err := store.Open("archive", store.Options{FS: store.NewMemFS(), FlushEvery: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	batch := flow.NewBatch(len(records))
	for _, r := range records {
		batch.AppendRecord(r)
	}
	if err := s.Append(batch); err != nil {
		t.Fatal(err)
	}
	if rng.IntN(2) == 0 { // all of it, with the summaries of its days
		later := func() time.Time { return time.UnixMilli(questionBase).AddDate(3, 0, 0) }
		if err := index.NewSealer(s, index.Options{Now: later, Logger: slog.New(slog.DiscardHandler)}).SealAll(context.Background()); err != nil {
			t.Fatal(err)
		}
		return s
	}
	for _, b := range s.Buckets() {
		if rng.IntN(3) == 0 {
			continue
		}
		if err := index.Seal(context.Background(), s, b.Hour); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// randomWindow is often unbounded and often ends on a border.
func randomWindow(rng *rand.Rand) Window {
	var w Window
	at := func() uint64 {
		ms := questionBase + rng.Uint64N(4*3600_000)
		if rng.IntN(2) == 0 {
			ms -= ms % 3600_000
		}
		return ms
	}
	if rng.IntN(3) > 0 {
		w.From = at()
	}
	if rng.IntN(3) > 0 {
		w.To = at()
	}
	if w.To != 0 && w.To < w.From {
		w.From, w.To = w.To, w.From
	}
	return w
}

// randomFilter is one of a few, some of which match nothing.
func randomFilter(rng *rand.Rand) string {
	return []string{"", "", "proto tcp", "src net 10.0.0.0/24", "port 53 or bytes > 1000", "ip 198.51.100.1", "not ip 10.0.0.1"}[rng.IntN(7)]
}

// matching returns the records that a filter and a window select.
func matching(t *testing.T, records []*flow.Record, filter string, w Window) []*flow.Record {
	t.Helper()
	f, err := Parse(filter, ParseOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var list []*flow.Record
	for _, r := range records {
		if from, to := r.Span(); w.Holds(from, to) && f.Match(r) {
			list = append(list, r)
		}
	}
	return list
}

// naiveSums is what a record adds to sums.
func naiveSums(r *flow.Record) Sums {
	s := Sums{Records: 1, Flows: 1, Bytes: r.Num(flow.Bytes), Packets: r.Num(flow.Packets)}
	if r.Has(flow.Flows) {
		s.Flows = r.Num(flow.Flows)
	}
	n := max(r.Num(flow.SamplingInterval), 1)
	if n > 1 {
		s.Sampled = 1
	}
	s.EstimatedBytes, s.EstimatedPackets = s.Bytes*n, s.Packets*n
	s.Variance = naiveVariance(s, n)
	s.First, s.Last = r.Span()
	return s
}

func naiveJoin(s *Sums, t Sums) {
	if s.Records == 0 {
		*s = t
		return
	}
	s.Records += t.Records
	s.Flows += t.Flows
	s.Bytes += t.Bytes
	s.Packets += t.Packets
	s.EstimatedBytes += t.EstimatedBytes
	s.EstimatedPackets += t.EstimatedPackets
	s.Sampled += t.Sampled
	s.Variance.Bytes += t.Variance.Bytes
	s.Variance.Packets += t.Variance.Packets
	s.First, s.Last = min(s.First, t.First), max(s.Last, t.Last)
}
