package query

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"reflect"
	"sync"
	"testing"

	"weir/flow"
)

// naivePoint counts one record in one series.
type naivePoint struct {
	SeriesPoint
	addrs map[flow.Addr]bool
}

// naiveSeries counts records in steps one by one, for a given grid of steps.
func naiveSeries(records []*flow.Record, from, step uint64, n int, lo, hi uint64, spread bool, distinct []flow.Field) (points []SeriesPoint, before, after SeriesPoint) {
	grid := make([]naivePoint, n)
	for _, r := range records {
		s := naiveSums(r)
		p := SeriesPoint{Flows: s.Flows, Bytes: s.Bytes, Packets: s.Packets, EstimatedBytes: s.EstimatedBytes, EstimatedPackets: s.EstimatedPackets, Variance: s.Variance}
		for i := range grid {
			first, end := max(from+uint64(i)*step, lo), min(from+uint64(i+1)*step, hi)
			active := s.First >= first && s.First < end
			part := p
			if spread && s.Last > s.First {
				active = s.First < end && s.Last > first
				part = naivePart(p, s.First, s.Last, first, end)
			}
			if !active {
				continue
			}
			part.Flows = p.Flows
			grid[i].add(part)
			for _, f := range distinct {
				if r.Has(f) {
					if grid[i].addrs == nil {
						grid[i].addrs = map[flow.Addr]bool{}
					}
					grid[i].addrs[r.Addr(f)] = true
				}
			}
		}
		naiveOutside(&before, &after, s.First, s.Last, p, lo, hi, spread)
	}
	points = make([]SeriesPoint, n)
	for i, g := range grid {
		points[i] = g.SeriesPoint
		points[i].Distinct = uint64(len(g.addrs))
	}
	return points, before, after
}

// naiveOutside counts what falls outside of the window.
func naiveOutside(before, after *SeriesPoint, start, end uint64, p SeriesPoint, lo, hi uint64, spread bool) {
	if !spread || end <= start || start >= hi || end <= lo {
		if start < lo {
			before.add(p)
		} else if start >= hi {
			after.add(p)
		}
		return
	}
	if start < lo {
		part := naivePart(p, start, end, start, lo)
		if lo >= hi { // nothing of the flow is in the window
			part.Flows = p.Flows
		}
		before.add(part)
	}
	if end > hi {
		part := naivePart(p, start, end, hi, end)
		after.add(part)
	}
}

// naivePart returns what a flow from start to end has between two times.
func naivePart(p SeriesPoint, start, end, from, to uint64) SeriesPoint {
	upTo := func(v, t uint64) uint64 {
		t = min(max(t, start), end) - start
		n := new(big.Int).Mul(new(big.Int).SetUint64(v), new(big.Int).SetUint64(t))
		return n.Div(n, new(big.Int).SetUint64(end-start)).Uint64()
	}
	part := func(v uint64) uint64 { return upTo(v, to) - upTo(v, from) }
	share := float64(min(max(to, start), end)-min(max(from, start), end)) / float64(end-start)
	return SeriesPoint{Bytes: part(p.Bytes), Packets: part(p.Packets), EstimatedBytes: part(p.EstimatedBytes), EstimatedPackets: part(p.EstimatedPackets),
		Variance: Variance{p.Variance.Bytes * share, p.Variance.Packets * share}}
}

func randomSeriesRequest(rng *rand.Rand) SeriesRequest {
	return SeriesRequest{
		Filter: randomFilter(rng), Window: randomWindow(rng), Spread: rng.IntN(2) == 0,
		Step:     []uint64{0, 60_000, 300_000, 3600_000, 7 * 60_000, 86400_000}[rng.IntN(6)],
		Group:    []string{"", "", "proto", "src_addr", "dst_addr/24/48", "version", "src_port", "flows", "mpls_label1", "duration", "start/1h"}[rng.IntN(11)],
		By:       []string{"", "bytes", "packets", "flows"}[rng.IntN(4)],
		Limit:    rng.IntN(4),
		Distinct: []string{"", "", "src_addr", "addr"}[rng.IntN(4)],
	}
}

// naiveGroup returns the text of a record's group.
func naiveGroup(r *flow.Record, group string) string {
	name, bits4, bits6 := group, 32, 128
	if group == "dst_addr/24/48" {
		name, bits4, bits6 = "dst_addr", 24, 48
	}
	switch group {
	case "flows":
		return fmt.Sprint(naiveSums(r).Flows)
	case "duration":
		if v, ok := computedDuration.of(r); ok {
			return fmt.Sprint(v)
		}
		return ""
	case "start/1h":
		name = "start"
	}
	f, _ := flow.ParseField(name)
	if !r.Has(f) {
		return ""
	}
	if group == "start/1h" {
		return string(flow.AppendTime(nil, r.Num(f)/3600_000*3600_000))
	}
	if name == group {
		return string(r.AppendValue(nil, f))
	}
	if a := r.Addr(f); a.Is4() {
		return a.Mask(bits4).String() + "/24"
	}
	return r.Addr(f).Mask(bits6).String() + "/48"
}

func TestSeriesAgainstNaive(t *testing.T) {
	rng := newRand(t)
	records := randomRecords(rng, 1500)
	for _, r := range records {
		if rng.IntN(3) > 0 { // labels that differ in other bits of the entry too
			r.SetNum(flow.MPLSLabel1, rng.Uint64N(3)<<4|rng.Uint64N(16))
		}
	}
	s := questionStore(t, rng, records)
	for range 40 * *roundsFlag {
		req := randomSeriesRequest(rng)
		got, _, err := Series(context.Background(), s, req)
		if err != nil {
			t.Fatalf("%+v: %v", req, err)
		}
		checkSeries(t, req, got, matching(t, records, req.Filter, req.Window), s.Buckets()[0].FirstReceived)
	}
}

// checkSeries compares an answer with the naive one on the same grid.
func checkSeries(t *testing.T, req SeriesRequest, got *SeriesResult, matched []*flow.Record, _ uint64) {
	t.Helper()
	var distinct []flow.Field
	switch req.Distinct {
	case "src_addr":
		distinct = []flow.Field{flow.SrcAddr}
	case "addr":
		distinct = []flow.Field{flow.SrcAddr, flow.DstAddr}
	}
	own := map[string]bool{}
	for _, g := range got.Series {
		if !g.Other && req.Group != "" {
			own[g.Value] = true
		}
	}
	lo, hi := got.From, got.End()
	if req.From != 0 {
		lo = max(lo, req.From)
	}
	if req.To != 0 {
		hi = min(hi, req.To)
	}
	var sum SeriesPoint
	for _, g := range got.Series {
		var mine []*flow.Record
		for _, r := range matched {
			name := ""
			if req.Group != "" {
				name = naiveGroup(r, req.Group)
			}
			if req.Group == "" || g.Other && !own[name] || !g.Other && name == g.Value {
				mine = append(mine, r)
			}
		}
		want, _, _ := naiveSeries(mine, got.From, got.Step, len(g.Points), lo, hi, req.Spread, distinct)
		for i := range min(len(want), len(g.Points)) {
			snap(&g.Points[i].Variance, want[i].Variance)
		}
		if !reflect.DeepEqual(g.Points, want) && len(want)+len(g.Points) > 0 {
			t.Errorf("%+v: group %q (other %v):\n got %+v\nwant %+v", req, g.Value, g.Other, g.Points, want)
		}
		sum.add(g.Total)
	}
	if req.From != 0 && req.To != 0 { // elsewhere the time covered is cut to what there is
		_, before, after := naiveSeries(matched, got.From, got.Step, 0, req.From, req.To, req.Spread, nil)
		snap(&got.Before.Variance, before.Variance)
		snap(&got.After.Variance, after.Variance)
		if got.Before != before || got.After != after {
			t.Errorf("%+v: got before %+v and after %+v, want %+v and %+v", req, got.Before, got.After, before, after)
		}
	}
	// Nothing is lost or counted twice.
	sum.add(got.Before)
	sum.add(got.After)
	var all SeriesPoint
	for _, r := range matched {
		s := naiveSums(r)
		all.add(SeriesPoint{Flows: s.Flows, Bytes: s.Bytes, Packets: s.Packets, EstimatedBytes: s.EstimatedBytes, EstimatedPackets: s.EstimatedPackets, Variance: s.Variance})
	}
	snap(&sum.Variance, all.Variance)
	if sum != all {
		t.Errorf("%+v: the parts come to %+v, the whole is %+v", req, sum, all)
	}
}

// seriesFlow is a flow of one exporter between two times after questionBase.
func seriesFlow(start, end, bytes uint64) *flow.Record {
	r := new(flow.Record)
	r.SetNum(flow.Received, questionBase+end)
	r.SetNum(flow.Start, questionBase+start)
	r.SetNum(flow.End, questionBase+end)
	r.SetNum(flow.Bytes, bytes)
	return r
}

func bytesOf(g SeriesGroup) []uint64 {
	var list []uint64
	for _, p := range g.Points {
		list = append(list, p.Bytes)
	}
	return list
}

func TestSeriesAtBorders(t *testing.T) {
	const minute = 60_000
	rng := newRand(t)
	s := questionStore(t, rng, []*flow.Record{
		seriesFlow(0, 0, 1),                         // on the first border
		seriesFlow(minute-1, minute-1, 10),          // the last ms of the first step
		seriesFlow(minute, minute, 100),             // on the second border
		seriesFlow(minute/2, 2*minute+minute/2, 40), // over three steps
		seriesFlow(minute, 2*minute, 7),             // ends on a border
	})
	window := Window{From: questionBase, To: questionBase + 3*minute}
	for _, c := range []struct {
		name   string
		req    SeriesRequest
		want   []uint64
		before uint64
		after  uint64
	}{
		{"start", SeriesRequest{Window: window, Step: minute}, []uint64{51, 107, 0}, 0, 0},
		{"spread", SeriesRequest{Window: window, Step: minute, Spread: true}, []uint64{21, 127, 10}, 0, 0},
		{"later start", SeriesRequest{Window: Window{From: questionBase + minute, To: questionBase + 2*minute}, Step: minute}, []uint64{107}, 40, 0},
		{"later spread", SeriesRequest{Window: Window{From: questionBase + minute, To: questionBase + 2*minute}, Step: minute, Spread: true}, []uint64{127}, 10, 10},
		{"steps beyond the window", SeriesRequest{Window: Window{From: questionBase + minute, To: questionBase + 2*minute}, Step: 60 * minute}, []uint64{107}, 40, 0},
		{"open", SeriesRequest{Step: minute}, []uint64{51, 107}, 0, 0},
		{"empty", SeriesRequest{Window: Window{From: questionBase + minute, To: questionBase + minute}, Step: minute, Spread: true}, nil, 10, 30},
		{"nothing there", SeriesRequest{Window: Window{From: questionBase + 30*minute, To: questionBase + 32*minute}, Step: minute}, []uint64{0, 0}, 0, 0},
	} {
		got, _, err := Series(context.Background(), s, c.req)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if b := bytesOf(got.Series[0]); !reflect.DeepEqual(b, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, b, c.want)
		}
		if got.Before.Bytes != c.before || got.After.Bytes != c.after {
			t.Errorf("%s: got %d before and %d after, want %d and %d", c.name, got.Before.Bytes, got.After.Bytes, c.before, c.after)
		}
		if got.From%got.Step != 0 {
			t.Errorf("%s: the first step begins at %d, not at a multiple of %d", c.name, got.From, got.Step)
		}
	}
}

func TestSeriesOfNothing(t *testing.T) {
	rng := newRand(t)
	s := questionStore(t, rng, nil)
	for _, req := range []SeriesRequest{{}, {Group: "src_addr", Distinct: "addr"}, {Window: Window{From: 5}}, {Window: Window{To: questionBase}}} {
		got, _, err := Series(context.Background(), s, req)
		if err != nil {
			t.Fatal(err)
		}
		if got.Steps() != 0 || len(got.Series) != 1 {
			t.Errorf("%+v: got %d steps of %d series, want none of one", req, got.Steps(), len(got.Series))
		}
	}
}

func TestSeriesRefuses(t *testing.T) {
	rng := newRand(t)
	s := questionStore(t, rng, []*flow.Record{seriesFlow(0, 0, 1), seriesFlow(3600_000, 3600_000, 1)})
	for _, req := range []SeriesRequest{
		{Group: "source"}, {Group: "addr"}, {Group: "org"}, {Group: "mpls_labels"}, {Group: "proto/8"}, {Group: "src_addr/129"}, {Group: "src_addr/x"},
		{By: "size"}, {Distinct: "proto"}, {Distinct: "x"}, {Group: "proto", Limit: -1}, {Group: "proto", Limit: maxSeriesGroups + 1},
		{Window: Window{From: 1, To: ^uint64(0)}, Step: 1}, {Window: Window{From: questionBase, To: questionBase + 90*86400_000}, Step: 1000},
		{Exporter: "nowhere"},
	} {
		var wrong *RequestError
		if _, _, err := Series(context.Background(), s, req); !errors.As(err, &wrong) {
			t.Errorf("%+v: got %v, want a *RequestError", req, err)
		}
	}
}

func TestChooseStep(t *testing.T) {
	for _, c := range []struct{ lo, span, want uint64 }{
		{0, 1, 1e3}, {0, 60e3, 1e3}, {0, 3600e3, 30e3}, {0, 2 * 3600e3, 60e3}, {0, 86400e3, 15 * 60e3}, {0, 7 * 86400e3, 2 * 3600e3},
		{0, 90 * 86400e3, 86400e3}, {0, 120e3, 1e3}, {999, 120e3, 5e3}, {59e3, 7200e3, 2 * 60e3}, {0, 120 * 7 * 86400e3, 7 * 86400e3}, {0, 1e13, 7 * 86400e3},
	} {
		axis, err := newSeriesAxis(c.lo, c.lo+c.span, 0)
		if err != nil || axis.step != c.want || axis.n > 120 && axis.step != 7*86400e3 {
			t.Errorf("%d ms from %d: got %d steps of %d, %v, want %d", c.span, c.lo, axis.n, axis.step, err, c.want)
		}
	}
}

// TestSeriesByColumn compares the sums of whole columns with those row by row,
// over windows and steps that blocks lie within, across or outside of.
func TestSeriesByColumn(t *testing.T) {
	rng := rand.New(rand.NewPCG(31, 32))
	a := newArchive(t, rng, 4000)
	m := &filterMaker{rng, a.records}
	unsampled := seenArchive(t, 3, 500)
	whole := 0
	for i := range 80 {
		from, req := a.store, SeriesRequest{Window: m.window(), Step: []uint64{1, 7, 100, 1000, 3600_000, 24 * 3600_000}[rng.IntN(6)]}
		if i%2 == 0 {
			from = unsampled
			if req.Window = (Window{}); rng.IntN(4) > 0 {
				req.From = questionBase + rng.Uint64N(3*3600_000)
				req.To = req.From + 1 + rng.Uint64N(2*3600_000)
			}
		}
		if rng.IntN(2) == 0 {
			req.Filter = m.filter(1)
		}
		sums := func(byColumn bool) *SeriesResult {
			q, err := newSeriesQuery(context.Background(), from, req, ParseOptions{})
			if err != nil {
				t.Fatal(err)
			}
			axis, err := newSeriesAxis(q.lo, q.hi, req.Step)
			if err != nil {
				return nil
			}
			axis.widen(q.trimStart, q.trimEnd)
			total := newSeriesSums(q, &axis)
			var mu sync.Mutex
			err = sumBlocks(context.Background(), q.scan, q.fields(), func(int) *cells { return &total.cells },
				func(v *visit) (bool, error) {
					mu.Lock()
					if !byColumn {
						return false, nil
					}
					done, err := total.block(v)
					if done || err != nil {
						whole++
						mu.Unlock()
					}
					return done, err
				},
				func(v *visit) error {
					defer mu.Unlock()
					return total.rows(v)
				})
			if err != nil {
				t.Fatal(err)
			}
			return total.result()
		}
		if got, want := sums(true), sums(false); !reflect.DeepEqual(got, want) {
			t.Errorf("%+v: %+v, want %+v", req, got, want)
		}
	}
	if whole < 40 {
		t.Errorf("%d blocks were summed by column", whole)
	}
}
