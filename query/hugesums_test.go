package query

import (
	"context"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"weir/flow"
)

// hugeRecords are records of two hours with counters as a broken or hostile
// exporter may send them; intervals is what their sampling intervals are of, 0 for
// none.
func hugeRecords(rng *rand.Rand, n int, intervals []uint64) (records []*flow.Record) {
	counters := []uint64{math.MaxUint64, math.MaxUint64 - 1, 1 << 63, 1 << 62, 1 << 40, 1500, 40, 1, 0}
	for range n {
		r := peerFlow("10.0.0.1", 50000, questionAddrs()[4+rng.IntN(3)].String(), 443+uint64(rng.IntN(2)))
		start := questionBase - 1000 + uint64(rng.IntN(2))*3600_000
		for f, v := range map[flow.Field]uint64{flow.Start: start, flow.Received: start + 1000, flow.End: start + 1000,
			flow.Bytes: counters[rng.IntN(len(counters))], flow.Packets: counters[rng.IntN(len(counters))]} {
			r.SetNum(f, v)
		}
		if interval := intervals[rng.IntN(len(intervals))]; interval > 0 {
			r.SetNum(flow.SamplingInterval, interval)
		}
		if rng.IntN(2) == 0 && len(intervals) > 1 {
			r.SetNum(flow.Flows, counters[rng.IntN(len(counters))])
		}
		records = append(records, r)
	}
	return records
}

// A hugeSum is flows, bytes, packets and the estimates of both, without a bound.
type hugeSum [5]big.Int

func (h *hugeSum) add(r *flow.Record) {
	number := func(v uint64) *big.Int { return new(big.Int).SetUint64(v) }
	flows := uint64(1)
	if r.Has(flow.Flows) {
		flows = r.Num(flow.Flows)
	}
	interval := number(max(r.Num(flow.SamplingInterval), 1))
	bytes, packets := number(r.Num(flow.Bytes)), number(r.Num(flow.Packets))
	for i, v := range []*big.Int{number(flows), bytes, packets, new(big.Int).Mul(bytes, interval), new(big.Int).Mul(packets, interval)} {
		h[i].Add(&h[i], v)
	}
}

// bounded returns the sums, those above 2^64-1 as that.
func (h *hugeSum) bounded() (sums [5]uint64) {
	for i := range h {
		sums[i] = math.MaxUint64
		if h[i].IsUint64() {
			sums[i] = h[i].Uint64()
		}
	}
	return sums
}

func fiveOf(s *Sums) [5]uint64 {
	return [5]uint64{s.Flows, s.Bytes, s.Packets, s.EstimatedBytes, s.EstimatedPackets}
}

// hugeSums returns the sums of records by what key says of them.
func hugeSums(records []*flow.Record, key func(*flow.Record) string) map[string][5]uint64 {
	sums := map[string]*hugeSum{}
	for _, r := range records {
		if sums[key(r)] == nil {
			sums[key(r)] = new(hugeSum)
		}
		sums[key(r)].add(r)
	}
	bounded := map[string][5]uint64{}
	for k, h := range sums {
		bounded[k] = h.bounded()
	}
	return bounded
}

var hugeIntervals = map[string][]uint64{
	"unsampled": {0}, "one interval": {100}, "intervals": {0, 1, 100, 1000, math.MaxUint32},
}

// TestHugeSums checks that sums above 2^64-1 stay at that on all ways that groups
// are summed.
func TestHugeSums(t *testing.T) {
	ctx, rng := context.Background(), newRand(t)
	byDst := func(r *flow.Record) string { return r.Addr(flow.DstAddr).String() }
	byPort := func(r *flow.Record) string { return string(r.AppendValue(nil, flow.DstPort)) }
	for name, intervals := range hugeIntervals {
		for range 6 {
			records := hugeRecords(rng, 2+rng.IntN(40), intervals)
			s := questionStore(t, rng, records)
			whole := hugeSums(records, func(*flow.Record) string { return "" })[""]
			for _, c := range []struct {
				req TopRequest
				key func(*flow.Record) string
			}{
				{TopRequest{}, nil},
				{TopRequest{Times: true}, nil},
				{TopRequest{Fields: []string{"dst_addr"}, Limit: 10}, byDst},
				{TopRequest{Fields: []string{"dst_port"}}, byPort},
				{TopRequest{Fields: []string{"dst_port"}, Times: true}, byPort},
				{TopRequest{Fields: []string{"dst_addr", "src_addr", "proto"}, Distinct: "src_port"}, byDst},
				{TopRequest{Fields: []string{"dst_addr", "proto"}}, byDst},
			} {
				got, _, err := Top(ctx, s, c.req)
				if err != nil {
					t.Fatal(err)
				}
				if total := fiveOf(&got.Total); total != whole {
					t.Errorf("%s: %+v: the total is %d, want %d", name, c.req, total, whole)
				}
				if c.key == nil {
					c.key = func(*flow.Record) string { return "" }
				}
				want := hugeSums(records, c.key)
				for _, row := range got.Rows {
					key := ""
					if len(row.Key) > 0 {
						key = row.Key[0].String()
					}
					if sums := fiveOf(&row.Sums); sums != want[key] {
						t.Errorf("%s: %+v: %s has %d, want %d", name, c.req, key, sums, want[key])
					}
					if row.Share < 0 || row.Share > 1 {
						t.Errorf("%s: %+v: the share of %s is %v", name, c.req, key, row.Share)
					}
				}
				if len(got.Rows) != len(want) {
					t.Errorf("%s: %+v: %d groups, want %d", name, c.req, len(got.Rows), len(want))
				}
			}
		}
	}
}

// TestHugeTotals is TestHugeSums for totals, series and peers.
func TestHugeTotals(t *testing.T) {
	ctx, rng := context.Background(), newRand(t)
	for name, intervals := range hugeIntervals {
		for range 6 {
			records := hugeRecords(rng, 2+rng.IntN(40), intervals)
			s := questionStore(t, rng, records)
			whole := hugeSums(records, func(*flow.Record) string { return "" })[""]
			stats, _, err := Stats(ctx, s, StatsRequest{Hourly: true})
			if err != nil {
				t.Fatal(err)
			}
			if got := fiveOf(&stats.Total); got != whole {
				t.Errorf("%s: stats: %d, want %d", name, got, whole)
			}
			hours := hugeSums(records, func(r *flow.Record) string { return string(flow.AppendTime(nil, r.Num(flow.Start)/3600_000*3600_000)) })
			for _, row := range stats.Hours {
				if got := fiveOf(&row.Sums); got != hours[row.Key] {
					t.Errorf("%s: stats of %s: %d, want %d", name, row.Key, got, hours[row.Key])
				}
			}
			for _, req := range []SeriesRequest{{Step: 3600_000}, {Step: 86400_000}, {Step: 600_000}, {Group: "src_addr", Step: 3600_000}, {Spread: true, Step: 3600_000}} {
				r, _, err := Series(ctx, s, req)
				if err != nil {
					t.Fatal(err)
				}
				p := &r.Series[0].Total
				if got := [5]uint64{p.Flows, p.Bytes, p.Packets, p.EstimatedBytes, p.EstimatedPackets}; got != whole {
					t.Errorf("%s: %+v: %d, want %d", name, req, got, whole)
				}
			}
			peers, _, err := Peers(ctx, s, PeersRequest{Addr: "10.0.0.1"})
			if err != nil {
				t.Fatal(err)
			}
			p := &peers.Total
			if got := [5]uint64{p.Flows, p.Raw.BytesOut, p.Raw.PacketsOut, p.BytesOut, p.PacketsOut}; got != whole {
				t.Errorf("%s: peers: %d, want %d", name, got, whole)
			}
		}
	}
}
