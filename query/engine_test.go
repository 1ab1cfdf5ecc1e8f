package query

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"weir/flow"
	"weir/index"
	"weir/store"
)

var (
	seedFlag   = flag.Uint64("seed", 0, "run the random tests with this seed only")
	roundsFlag = flag.Int("rounds", 1, "run the random tests with so many times as many seeds")
)

// seeds returns the seeds of a random test, one if it is to be short.
func seeds(n int) []uint64 {
	switch {
	case *seedFlag != 0:
		return []uint64{*seedFlag}
	case testing.Short():
		n = 1
	}
	list := make([]uint64, n**roundsFlag)
	for i := range list {
		list[i] = uint64(i + 1)
	}
	return list
}

// An archive is a store in memory and the records that are in it.
type archive struct {
	store   *store.Store
	records []flow.Record
}

// newArchive stores random records in a random mixture of sealed hours, open
// hours and short blocks.
func newArchive(t testing.TB, rng *rand.Rand, n int) *archive {
	t.Helper()
	s, err := store.Open("weir-data", store.Options{FS: store.NewMemFS(), FlushEvery: -1, MaxOpenHours: 1 + rng.IntN(3)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	a := &archive{store: s}
	m := &recordMaker{rng: rng, hours: uint64(1 + rng.IntN(4)), wild: rng.IntN(2) == 0}
	for len(a.records) < n {
		batch := flow.NewBatch(1)
		for range 1 + rng.IntN(n/3) {
			r := m.record(uint64(rng.IntN(1000)))
			a.records = append(a.records, r)
			batch.AppendRecord(&r)
		}
		if err := s.Append(batch); err != nil {
			t.Fatal(err)
		}
		for _, b := range s.Buckets() {
			if rng.IntN(4) == 0 {
				if err := index.Seal(context.Background(), s, b.Hour); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	return a
}

// matching returns the records that a filter matches and a window selects, one
// after another: what every answer must agree with.
func (a *archive) matching(f *Filter, w Window) []flow.Record {
	var out []flow.Record
	for i := range a.records {
		if r := &a.records[i]; f.Match(r) && w.Holds(r.Span()) {
			out = append(out, *r)
		}
	}
	return out
}

// texts returns records as sorted JSON, for comparison as a set.
func texts(records []flow.Record) []string {
	out := make([]string, len(records))
	for i := range records {
		r := &records[i]
		if r.Num(flow.Received) >= maxTextTime || r.Num(flow.Start) >= maxTextTime || r.Num(flow.End) >= maxTextTime {
			out[i] = fmt.Sprintf("%+v", *r)
			continue
		}
		out[i] = string(r.AppendJSON(nil))
	}
	slices.Sort(out)
	return out
}

// TestFlowsIsMatch is the central promise: for random records and filters, the
// engine over a store finds exactly what Match does, whatever is sealed.
//
//	go test ./query -run TestFlowsIsMatch -rounds 20
func TestFlowsIsMatch(t *testing.T) {
	for _, seed := range seeds(5) {
		t.Run(fmt.Sprint("seed", seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 17))
			a := newArchive(t, rng, 20+rng.IntN(900))
			m := &filterMaker{rng, a.records}
			hits := 0
			for range 150 {
				hits += a.checkFlows(t, m.filter(rng.IntN(4)), m.window())
				if t.Failed() {
					t.Fatalf("go test ./query -run TestFlowsIsMatch -seed %d", seed)
				}
			}
			if hits == 0 {
				t.Errorf("no filter matched any record")
			}
		})
	}
}

// checkFlows compares Flows with matching and returns how many records match.
func (a *archive) checkFlows(t *testing.T, text string, w Window) int {
	t.Helper()
	f, err := Parse(text, ParseOptions{})
	if err != nil {
		t.Fatalf("made filter %s: %v", text, err)
	}
	again, err := Parse(f.String(), ParseOptions{})
	if err != nil {
		t.Fatalf("%s: canonical form %s: %v", text, f, err)
	}
	want := a.matching(f, w)
	for i := range a.records {
		if r := &a.records[i]; f.Match(r) != again.Match(r) {
			t.Fatalf("%s and its canonical form %s differ on %+v", text, f, *r)
		}
	}
	var got []flow.Record
	summary, err := Flows(context.Background(), a.store, FlowsRequest{Filter: text, Window: w}, func(r *flow.Record) error {
		got = append(got, *r)
		return nil
	})
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if !slices.Equal(texts(got), texts(want)) {
		t.Errorf("%s in %+v: %d records, want %d\ncanonical %s", text, w, len(got), len(want), f)
	}
	if summary.RowsMatched != uint64(len(want)) || summary.Emitted != uint64(len(want)) || len(summary.Damaged) > 0 {
		t.Errorf("%s: summary %+v, want %d records and no damage", text, summary, len(want))
	}
	if summary.BlocksRead+summary.BlocksPruned != summary.BlocksConsidered {
		t.Errorf("%s: %d blocks read and %d pruned of %d", text, summary.BlocksRead, summary.BlocksPruned, summary.BlocksConsidered)
	}
	return len(want)
}

// orderKey returns what an order sorts a record by.
func orderKey(r *flow.Record, key string) (uint64, bool) {
	if key == "duration" {
		return computedDuration.of(r)
	}
	f, _ := flow.ParseField(key)
	return r.Num(f), r.Has(f)
}

// TestFlowsOrderAndLimit checks that every order is one, that a limit gives the
// first records of the answer without it, and that the answer is the same
// every time.
func TestFlowsOrderAndLimit(t *testing.T) {
	for _, seed := range seeds(3) {
		rng := rand.New(rand.NewPCG(seed, 18))
		a := newArchive(t, rng, 20+rng.IntN(900))
		m := &filterMaker{rng, a.records}
		for range 25 {
			order := orderKeys[rng.IntN(len(orderKeys))] + []string{"", ":asc", ":desc"}[rng.IntN(3)]
			req := FlowsRequest{Filter: m.filter(1), Window: m.window(), Order: order}
			all := collect(t, a.store, req)
			if t.Failed() {
				return
			}
			checkOrder(t, all, order)
			req.Limit = 1 + rng.IntN(40)
			limited := collect(t, a.store, req)
			if want := all[:min(req.Limit, len(all))]; !slices.Equal(limited, want) {
				t.Fatalf("seed %d: %+v: %d records that are not the first of %d", seed, req, len(limited), len(all))
			}
		}
	}
}

func collect(t *testing.T, s *store.Store, req FlowsRequest) []flow.Record {
	t.Helper()
	var out []flow.Record
	_, err := Flows(context.Background(), s, req, func(r *flow.Record) error {
		out = append(out, *r)
		return nil
	})
	if err != nil {
		t.Fatalf("%+v: %v", req, err)
	}
	return out
}

func checkOrder(t *testing.T, records []flow.Record, text string) {
	t.Helper()
	order, err := ParseOrder(text)
	if err != nil {
		t.Fatal(err)
	}
	if order.Key == "received" && !order.Descending {
		for i := 1; i < len(records); i++ { // only buckets and blocks are ordered among each other
			if store.HourOf(records[i].Num(flow.Received)) < store.HourOf(records[i-1].Num(flow.Received)) {
				t.Fatalf("record %d is of an hour before that of record %d", i, i-1)
			}
		}
		return
	}
	sorted := slices.IsSortedFunc(records, func(x, y flow.Record) int {
		a, hasA := orderKey(&x, order.Key)
		b, hasB := orderKey(&y, order.Key)
		switch {
		case hasA != hasB && hasA:
			return -1
		case hasA != hasB:
			return 1
		case order.Descending:
			a, b = b, a
		}
		return cmp.Compare(a, b)
	})
	if !sorted {
		t.Fatalf("records are not in the order %s", text)
	}
}

// topFields are the groups that TestTopIsASum draws from.
var topFields = []string{
	"src_addr", "dst_addr", "src_addr/24/48", "dst_addr/16", "src_port", "dst_port", "proto", "version", "exporter",
	"in_if", "src_as", "tcp_flags", "received", "start/1h", "duration", "bpp", "next_hop", "src_mac", "mpls_label1",
	"bytes", "nat_src_addr", "sampling_interval", "addr", "port", "as", "if", "addr/24", "observation_point",
}

// twoEnds reports whether a flow counts in two groups of a field.
func twoEnds(field string) bool {
	name, _, _ := strings.Cut(field, "/")
	return eitherGroups[name] != pair{}
}

// TestTopIsASum compares Top with sums over the records that match.
func TestTopIsASum(t *testing.T) {
	for _, seed := range seeds(4) {
		rng := rand.New(rand.NewPCG(seed, 19))
		a := newArchive(t, rng, 20+rng.IntN(900))
		m := &filterMaker{rng, a.records}
		for range 40 {
			req := TopRequest{Filter: m.filter(1), Window: m.window(), Times: rng.IntN(2) == 0, Raw: rng.IntN(2) == 0}
			for range rng.IntN(4) {
				field := topFields[rng.IntN(len(topFields))]
				if !twoEnds(field) || !slices.ContainsFunc(req.Fields, twoEnds) {
					req.Fields = append(req.Fields, field)
				}
			}
			req.By = rankings[rng.IntN(len(rankings))]
			if rng.IntN(3) == 0 || req.By == "distinct" {
				req.Distinct = m.pick("dst_addr", "dst_port", "src_addr/24", "proto", "duration")
			}
			if rng.IntN(2) == 0 {
				req.Limit = 1 + rng.IntN(10)
			}
			a.checkTop(t, req)
			if t.Failed() {
				t.Fatalf("go test ./query -run TestTopIsASum -seed %d", seed)
			}
		}
	}
}

// A sumGroup is a group as the reference has it.
type sumGroup struct {
	key      []string
	sums     Sums
	distinct map[string]bool
}

// groupValue returns the text of a record's value of a grouper, for one end.
func groupValue(r *flow.Record, g grouper, other bool) string {
	f := g.field
	if other && g.other != 0 {
		f = g.other
	}
	if f == 0 {
		v, ok := g.computed.of(r)
		return valueKey(Value{Present: ok, Num: v})
	}
	v := Value{Field: f, Present: r.Has(f), Num: g.round(r.Num(f)), Bits: -1}
	if f.IsAddr() {
		v.Addr = g.cut(r.Addr(f))
		v.Bits = g.bits6
		if v.Addr.Is4() {
			v.Bits = g.bits4
		}
	}
	return valueKey(v)
}

// valueKey returns text that is another for every other value.
func valueKey(v Value) string {
	if v.Present && (v.Field == 0 || !v.Field.IsAddr()) {
		return fmt.Sprint(v.Num)
	}
	return v.String()
}

// naiveTop sums the records that match, record by record.
func (a *archive) naiveTop(t *testing.T, req TopRequest) (map[string]*sumGroup, Sums) {
	t.Helper()
	f, err := Parse(req.Filter, ParseOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var groupers []grouper
	for _, field := range req.Fields {
		g, err := parseGrouper(field, nil)
		if err != nil {
			t.Fatal(err)
		}
		groupers = append(groupers, g)
	}
	var distinct grouper
	if req.Distinct != "" {
		distinct, _ = parseGrouper(req.Distinct, nil)
	}
	groups := map[string]*sumGroup{}
	var total Sums
	for _, r := range a.matching(f, req.Window) {
		one := Sums{Records: 1, Flows: 1, Bytes: r.Num(flow.Bytes), Packets: r.Num(flow.Packets)}
		if r.Has(flow.Flows) {
			one.Flows = r.Num(flow.Flows)
		}
		factor := max(r.Num(flow.SamplingInterval), 1)
		one.EstimatedBytes, one.EstimatedPackets = times(one.Bytes, factor), times(one.Packets, factor)
		one.Variance = naiveVariance(one, factor)
		if req.Times || req.By == "bps" || req.By == "pps" {
			one.First, one.Last = r.Span()
		}
		total.Join(one)
		keys := map[string][]string{}
		for _, other := range []bool{false, true} {
			var key []string
			for _, g := range groupers {
				if g.other != 0 && lacksEnd(&r, g, other) {
					key = nil
					break
				}
				key = append(key, groupValue(&r, g, other))
			}
			if key != nil || len(groupers) == 0 {
				keys[strings.Join(key, "|")] = key
			}
		}
		for text, key := range keys {
			g := groups[text]
			if g == nil {
				g = &sumGroup{key: key, distinct: map[string]bool{}}
				groups[text] = g
			}
			g.sums.Join(one)
			if req.Distinct != "" {
				if v := groupValue(&r, distinct, false); v != "" {
					g.distinct[v] = true
				}
			}
		}
	}
	return groups, total
}

// lacksEnd reports whether a record does not count for an end: it has only the
// other, or neither and the end is the second.
func lacksEnd(r *flow.Record, g grouper, other bool) bool {
	if other {
		return !r.Has(g.other)
	}
	return !r.Has(g.field) && r.Has(g.other)
}

func (a *archive) checkTop(t *testing.T, req TopRequest) {
	t.Helper()
	got, _, err := Top(context.Background(), a.store, req)
	if err != nil {
		t.Errorf("%+v: %v", req, err)
		return
	}
	groups, total := a.naiveTop(t, req)
	got.Total.Sampled = 0
	snap(&got.Total.Variance, total.Variance)
	if got.Total != total {
		t.Errorf("%+v: total %+v, want %+v", req, got.Total, total)
	}
	if got.Groups != len(groups) {
		t.Errorf("%+v: %d groups, want %d", req, got.Groups, len(groups))
		return
	}
	want := len(groups)
	if req.Limit > 0 {
		want = min(want, req.Limit)
	}
	if len(got.Rows) != want {
		t.Errorf("%+v: %d rows, want %d", req, len(got.Rows), want)
	}
	rank := func(g *sumGroup) uint64 {
		if req.By == "distinct" {
			return uint64(len(g.distinct))
		}
		return g.sums.by(req.By, req.Raw)
	}
	var ranks []uint64
	for _, g := range groups {
		ranks = append(ranks, rank(g))
	}
	slices.SortFunc(ranks, func(a, b uint64) int { return cmp.Compare(b, a) })
	for i, row := range got.Rows {
		var key []string
		for _, v := range row.Key {
			key = append(key, valueKey(v))
		}
		g := groups[strings.Join(key, "|")]
		if g == nil {
			t.Errorf("%+v: group %v is none", req, key)
			return
		}
		snap(&row.Variance, g.sums.Variance)
		if row.Sums != g.sums || req.Distinct != "" && row.Distinct != uint64(len(g.distinct)) {
			t.Errorf("%+v: group %v is %+v distinct %d, want %+v distinct %d", req, key, row.Sums, row.Distinct, g.sums, len(g.distinct))
		}
		if rank(g) != ranks[i] {
			t.Errorf("%+v: row %d ranks %d, want %d", req, i, rank(g), ranks[i])
		}
	}
}
