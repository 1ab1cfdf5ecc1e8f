package query

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"testing"
	"time"

	"weir/flow"
	"weir/index"
	"weir/store"
)

// Times of the tests below, in ms.
const (
	edgeSecond = 1000
	edgeHour   = 3600 * edgeSecond
	edgeDay    = 24 * edgeHour
	edgeYear   = 1_798_761_600_000 // 2027-01-01T00:00Z: the border of an hour, a day and a year
	edgeNoon   = edgeYear + 12*edgeHour
	edgeAbsent = math.MaxUint64 - 1 // no such field
	edgeBytes  = 1001
)

// An edgeWindow is a window and whether the flow of its case is in it.
type edgeWindow struct {
	from, to uint64
	want     bool
}

// edgeCases are flows at the edges of time. from and to are the time that the
// flow covers, written out: the tests do not take flow.Span's word for it.
var edgeCases = []struct {
	name                 string
	received, start, end uint64
	from, to             uint64
	windows              []edgeWindow
}{
	{"a second long", edgeNoon + 5, edgeNoon - edgeSecond, edgeNoon, edgeNoon - edgeSecond, edgeNoon, []edgeWindow{
		{edgeNoon, edgeNoon + edgeHour, true}, // ends at From
		{edgeNoon + 1, edgeNoon + edgeHour, false},
		{edgeNoon - edgeHour, edgeNoon - edgeSecond, false}, // starts at To
		{edgeNoon - edgeHour, edgeNoon - edgeSecond + 1, true},
		{edgeNoon - 500, edgeNoon - 499, true}, // wholly around a window of 1 ms
		{edgeNoon - 500, edgeNoon - 500, true}, // and of none: From is still before its end
		{edgeNoon, 0, true}, {edgeNoon + 1, 0, false},
		{0, edgeNoon - edgeSecond, false}, {0, edgeNoon - edgeSecond + 1, true},
	}},
	{"without length", edgeNoon + 5, edgeNoon, edgeNoon, edgeNoon, edgeNoon, []edgeWindow{
		{edgeNoon, edgeNoon + 1, true}, {edgeNoon, edgeNoon + edgeHour, true},
		{edgeNoon - 1, edgeNoon, false}, {edgeNoon - edgeHour, edgeNoon, false},
		{edgeNoon - 1, edgeNoon + 1, true}, {edgeNoon + 1, edgeNoon + 2, false}, {edgeNoon, edgeNoon, false},
	}},
	{"longer than the window", edgeNoon + 10*edgeHour, edgeNoon - 30*edgeHour, edgeNoon + 9*edgeHour, edgeNoon - 30*edgeHour, edgeNoon + 9*edgeHour, []edgeWindow{
		{edgeNoon, edgeNoon + edgeHour, true}, {edgeNoon - edgeDay, edgeNoon - edgeDay + 1, true}, {edgeYear, edgeYear + edgeHour, true},
		{edgeNoon + 9*edgeHour + 1, edgeNoon + 10*edgeHour, false}, // around its receipt
		{edgeNoon - 40*edgeHour, edgeNoon - 30*edgeHour, false},
	}},
	{"exported five hours late", edgeNoon + 5*edgeHour, edgeNoon - edgeSecond, edgeNoon, edgeNoon - edgeSecond, edgeNoon, []edgeWindow{
		{edgeNoon - edgeHour, edgeNoon + edgeHour, true}, {edgeNoon + 4*edgeHour, edgeNoon + 6*edgeHour, false},
	}},
	{"exported two days late", edgeNoon + 2*edgeDay, edgeNoon - edgeSecond, edgeNoon, edgeNoon - edgeSecond, edgeNoon, []edgeWindow{
		{edgeNoon - edgeHour, edgeNoon + edgeHour, true}, {edgeYear, edgeYear + edgeDay, true},
		{edgeYear + edgeDay, edgeYear + 2*edgeDay, false}, {edgeYear + 2*edgeDay, edgeYear + 3*edgeDay, false},
	}},
	{"the last ms of an hour", edgeNoon - 1, edgeNoon - 1, edgeNoon - 1, edgeNoon - 1, edgeNoon - 1, []edgeWindow{
		{edgeNoon - edgeHour, edgeNoon, true}, {edgeNoon, edgeNoon + edgeHour, false}, {edgeNoon - 1, edgeNoon, true},
	}},
	{"the first ms of an hour", edgeNoon, edgeNoon, edgeNoon, edgeNoon, edgeNoon, []edgeWindow{
		{edgeNoon - edgeHour, edgeNoon, false}, {edgeNoon, edgeNoon + edgeHour, true}, {edgeNoon + 1, edgeNoon + edgeHour, false},
	}},
	{"the last ms of a year", edgeYear - 1, edgeYear - 1, edgeYear - 1, edgeYear - 1, edgeYear - 1, []edgeWindow{
		{edgeYear - edgeDay, edgeYear, true}, {edgeYear, edgeYear + edgeDay, false},
	}},
	{"the first ms of a year", edgeYear, edgeYear, edgeYear, edgeYear, edgeYear, []edgeWindow{
		{edgeYear - edgeDay, edgeYear, false}, {edgeYear, edgeYear + edgeDay, true},
	}},
	{"over a day's border", edgeYear + edgeDay, edgeYear + edgeDay - 1, edgeYear + edgeDay, edgeYear + edgeDay - 1, edgeYear + edgeDay, []edgeWindow{
		{edgeYear, edgeYear + edgeDay, true}, {edgeYear + edgeDay, edgeYear + 2*edgeDay, true},
		{edgeYear, edgeYear + edgeDay - 1, false}, {edgeYear + edgeDay + 1, edgeYear + 2*edgeDay, false},
	}},
	{"start after end", edgeNoon + edgeHour, edgeNoon, edgeNoon - 2*edgeHour, edgeNoon - 2*edgeHour, edgeNoon, []edgeWindow{
		{edgeNoon - edgeHour, edgeNoon - edgeHour + 1, true}, {edgeNoon, edgeNoon + 1, true},
		{edgeNoon + 1, edgeNoon + edgeHour, false}, {edgeNoon - 3*edgeHour, edgeNoon - 2*edgeHour, false},
	}},
	{"years ahead", edgeNoon, edgeNoon + 3000*edgeDay, edgeNoon + 3000*edgeDay + 7, edgeNoon + 3000*edgeDay, edgeNoon + 3000*edgeDay + 7, []edgeWindow{
		{edgeNoon - edgeHour, edgeNoon + edgeHour, false}, {edgeNoon + 3000*edgeDay, edgeNoon + 3001*edgeDay, true}, {edgeYear, 0, true},
	}},
	{"start years ahead of the end", edgeNoon, edgeNoon + 3000*edgeDay, edgeNoon, edgeNoon, edgeNoon + 3000*edgeDay, []edgeWindow{
		{edgeNoon - edgeHour, edgeNoon + edgeHour, true}, {edgeNoon + 1000*edgeDay, edgeNoon + 1001*edgeDay, true}, {edgeYear, edgeNoon, false},
	}},
	{"in 1970", edgeNoon, 0, 7, 0, 7, []edgeWindow{
		{edgeNoon - edgeHour, edgeNoon + edgeHour, false}, {1, edgeHour, true}, {0, 1, true}, {7, 8, true}, {8, edgeHour, false}, {0, edgeNoon, true},
	}},
	{"since 1970", edgeNoon, 0, edgeNoon, 0, edgeNoon, []edgeWindow{
		{edgeNoon, edgeNoon + edgeHour, true}, {edgeNoon + 1, edgeNoon + edgeHour, false}, {edgeYear - 9000*edgeDay, edgeYear - 8999*edgeDay, true},
	}},
	{"to the end of time", edgeNoon, edgeNoon, math.MaxUint64, edgeNoon, math.MaxUint64, []edgeWindow{
		{edgeNoon - edgeHour, edgeNoon + edgeHour, true}, {edgeNoon - edgeHour, edgeNoon, false}, {edgeNoon + 9*edgeDay, edgeNoon + 10*edgeDay, true}, {edgeNoon + edgeHour, 0, true},
	}},
	{"clock five hours back", edgeNoon, edgeNoon - 5*edgeHour - edgeSecond, edgeNoon - 5*edgeHour, edgeNoon - 5*edgeHour - edgeSecond, edgeNoon - 5*edgeHour, []edgeWindow{
		{edgeNoon - 6*edgeHour, edgeNoon - 4*edgeHour, true}, {edgeNoon - edgeHour, edgeNoon + edgeHour, false},
	}},
	{"clock set back during the flow", edgeNoon, edgeNoon - edgeSecond, edgeNoon - 5*edgeHour, edgeNoon - 5*edgeHour, edgeNoon - edgeSecond, []edgeWindow{
		{edgeNoon - 5*edgeHour, edgeNoon - 5*edgeHour + 1, true}, {edgeNoon - edgeSecond, edgeNoon, true}, {edgeNoon - edgeSecond + 1, edgeNoon, false},
	}},
	{"start alone", edgeNoon, edgeNoon - 3*edgeHour, edgeAbsent, edgeNoon - 3*edgeHour, edgeNoon - 3*edgeHour, []edgeWindow{
		{edgeNoon - 3*edgeHour, edgeNoon - 2*edgeHour, true}, {edgeNoon - 4*edgeHour, edgeNoon - 3*edgeHour, false}, {edgeNoon, edgeNoon + edgeHour, false},
	}},
	{"end alone", edgeNoon, edgeAbsent, edgeNoon - 3*edgeHour, edgeNoon - 3*edgeHour, edgeNoon - 3*edgeHour, []edgeWindow{
		{edgeNoon - 3*edgeHour, edgeNoon - 2*edgeHour, true}, {edgeNoon - 4*edgeHour, edgeNoon - 3*edgeHour, false}, {edgeNoon, edgeNoon + edgeHour, false},
	}},
	{"neither", edgeNoon, edgeAbsent, edgeAbsent, edgeNoon, edgeNoon, []edgeWindow{
		{edgeNoon, edgeNoon + 1, true}, {edgeNoon - edgeHour, edgeNoon, false}, {edgeNoon + 1, edgeNoon + edgeHour, false}, {1, edgeHour, false},
	}},
}

// edgeAddr is the source of the flow that a test looks for; nothing else has it.
const edgeAddr = "10.9.0.1"

// edgeRecord is a flow of the address to 10.9.0.2.
func edgeRecord(received, start, end uint64) *flow.Record {
	r := peerFlow(edgeAddr, 50000, "10.9.0.2", 443)
	r.SetNum(flow.Received, received)
	r.SetNum(flow.Bytes, edgeBytes)
	for f, v := range map[flow.Field]uint64{flow.Start: start, flow.End: end} {
		if r.SetNum(f, v); v == edgeAbsent {
			r.Clear(f)
		}
	}
	return r
}

// edgeStore holds r, alone in its hour, and flows of others in enough hours of the
// day that r was received in for a summary of it.
func edgeStore(t *testing.T, state string, r *flow.Record) *store.Store {
	t.Helper()
	s, err := store.Open("archive", store.Options{FS: store.NewMemFS(), FlushEvery: -1, CacheSize: 1 << 20, MemTableSize: 1 << 20, MaxOpenHours: 30})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	write := func(records ...*flow.Record) {
		batch := flow.NewBatch(len(records))
		for _, r := range records {
			batch.AppendRecord(r)
		}
		if err := s.Append(batch); err != nil {
			t.Fatal(err)
		}
	}
	seal := func() {
		later := func() time.Time { return time.UnixMilli(edgeYear).AddDate(1, 0, 0) }
		if err := index.NewSealer(s, index.Options{Now: later, Logger: slog.New(slog.DiscardHandler)}).SealAll(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	received := r.Num(flow.Received)
	hour, midnight := received-received%edgeHour, received-received%edgeDay
	var others []*flow.Record
	for _, at := range []uint64{midnight, midnight + edgeHour, midnight + 2*edgeHour, hour, midnight + 23*edgeHour} {
		if at == hour && state != "late" {
			continue
		}
		o := peerFlow("10.9.1.1", 50000, "10.9.1.2", 443)
		for _, f := range []flow.Field{flow.Received, flow.Start, flow.End} {
			o.SetNum(f, at+edgeHour/2)
		}
		others = append(others, o)
	}
	switch state {
	case "late": // its hour was sealed before
		write(others...)
		seal()
		write(r)
	case "open":
		write(append(others, r)...)
	case "sealed":
		write(r)
		if err := index.Seal(context.Background(), s, store.HourOf(received)); err != nil {
			t.Fatal(err)
		}
	case "mixed":
		write(others...)
		for i, b := range s.Buckets() {
			if i%2 == 0 {
				if err := index.Seal(context.Background(), s, b.Hour); err != nil {
					t.Fatal(err)
				}
			}
		}
		write(r)
	case "day":
		write(append(others, r)...)
		seal()
		checkDaySummary(t, s)
	}
	return s
}

func checkDaySummary(t *testing.T, s *store.Store) {
	t.Helper()
	view, err := s.View(0, math.MaxUint32)
	if err != nil {
		t.Fatal(err)
	}
	defer view.Close()
	day, err := index.OpenDay(view.Buckets()[0])
	if err != nil || day == nil {
		t.Fatalf("the day has no summary (%v)", err)
	}
	if err := day.Close(); err != nil {
		t.Error(err)
	}
}

// TestTimesAtTheEdges asks every question for flows at the edges of windows,
// hours, days and years, and for those of clocks that are wrong.
func TestTimesAtTheEdges(t *testing.T) {
	for _, c := range edgeCases {
		for _, state := range []string{"open", "sealed", "mixed", "late", "day"} {
			t.Run(c.name+"/"+state, func(t *testing.T) {
				t.Parallel()
				s := edgeStore(t, state, edgeRecord(c.received, c.start, c.end))
				for _, w := range append(c.windows, edgeWindow{0, 0, true}, edgeWindow{c.from, 0, true}, edgeWindow{c.to, 0, true}) {
					q := edgeQuestion{t, s, Window{From: w.from, To: w.to}, 0, c.from, c.to, c.received}
					if w.want {
						q.want = 1
					}
					q.sums()
					q.series()
					q.address()
					q.plan()
				}
			})
		}
	}
}

// An edgeQuestion is a window and what is to be found of one flow in it.
type edgeQuestion struct {
	t        *testing.T
	store    *store.Store
	window   Window
	want     uint64 // flows: 0 or 1
	from, to uint64 // of the flow
	received uint64
}

func (q *edgeQuestion) check(what string, err error, got, want any) {
	q.t.Helper()
	if err != nil {
		q.t.Fatalf("%+v: %s: %v", q.window, what, err)
	}
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		q.t.Errorf("%+v: %s: got %s, want %s", q.window, what, g, w)
	}
}

// times returns the first and last ms that an answer must have.
func (q *edgeQuestion) times() [3]uint64 { return [3]uint64{q.want, q.want * q.from, q.want * q.to} }

func (q *edgeQuestion) sums() {
	q.t.Helper()
	for _, order := range []string{"", "start:desc", "end", "duration"} {
		n := 0
		_, err := Flows(context.Background(), q.store, FlowsRequest{Filter: "src ip " + edgeAddr, Window: q.window, Order: order, Limit: 2}, func(*flow.Record) error { n++; return nil })
		q.check("flows by "+order, err, n, q.want)
	}
	n := uint64(0)
	_, err := Flows(context.Background(), q.store, FlowsRequest{Window: q.window}, func(r *flow.Record) error {
		if r.Addr(flow.SrcAddr).String() == edgeAddr {
			n++
		}
		return nil
	})
	q.check("flows without a filter", err, n, q.want)
	top, _, err := Top(context.Background(), q.store, TopRequest{Fields: []string{"src_addr"}, Filter: "src ip " + edgeAddr, Window: q.window, Times: true})
	q.check("top", err, nil, nil)
	q.check("groups of top", nil, len(top.Rows), q.want)
	q.check("top", nil, [3]uint64{top.Total.Records, top.Total.First, top.Total.Last}, q.times())
	stats, _, err := Stats(context.Background(), q.store, StatsRequest{Filter: "src ip " + edgeAddr, Window: q.window, Hourly: true})
	q.check("stats", err, nil, nil)
	q.check("stats", nil, [3]uint64{stats.Total.Records, stats.Total.First, stats.Total.Last}, q.times())
	q.check("hours of stats", nil, len(stats.Hours), q.want)
	if len(stats.Hours) == 1 {
		q.check("hour of stats", nil, stats.Hours[0].Key, string(flow.AppendTime(nil, q.from-q.from%edgeHour)))
	}
}

// series checks that a series loses nothing, and that it counts what starts in
// the window there.
func (q *edgeQuestion) series() {
	q.t.Helper()
	for _, spread := range []bool{false, true} {
		req := SeriesRequest{Filter: "src ip " + edgeAddr, Window: q.window, Spread: spread}
		if q.window.From == 0 && q.window.To != 0 || q.window.To == 0 && q.window.From != 0 {
			req.Step = 7 * edgeDay
		}
		r, _, err := Series(context.Background(), q.store, req)
		q.check("series", err, nil, nil)
		total := r.Series[0].Total
		q.check(fmt.Sprintf("series, spread %v: bytes in all", spread), nil, r.Before.Bytes+total.Bytes+r.After.Bytes, q.want*edgeBytes)
		inside := uint64(0)
		for _, p := range r.Series[0].Points {
			inside += p.Bytes
		}
		q.check(fmt.Sprintf("series, spread %v: points", spread), nil, inside, total.Bytes)
		if !spread && q.window.From != 0 && q.window.To != 0 {
			starts := q.want
			if q.from < q.window.From {
				starts = 0
			}
			q.check("series: flows that start inside, before, after", nil, [3]uint64{total.Flows, r.Before.Flows, r.After.Flows}, [3]uint64{starts, q.want - starts, 0})
		}
		if !spread && q.window.From == 0 && q.window.To == 0 && q.from >= q.received-edgeDay && q.from < q.received+edgeDay {
			q.check("open series: flows", nil, total.Flows, q.want)
		}
	}
}

// address checks the questions about an address.
func (q *edgeQuestion) address() {
	q.t.Helper()
	seen, _, err := Seen(context.Background(), q.store, SeenRequest{Addrs: []string{edgeAddr}, Window: q.window, Hours: true})
	q.check("seen", err, nil, nil)
	e := seen.Addrs[0]
	q.check("seen", nil, [3]uint64{e.Records, e.First, e.Last}, q.times())
	q.check("hours seen", nil, []int{e.Active, len(e.Hours)}, []uint64{q.want, q.want})
	peers, _, err := Peers(context.Background(), q.store, PeersRequest{Addr: edgeAddr, Window: q.window})
	q.check("peers", err, nil, nil)
	q.check("number of peers", nil, peers.Count, q.want)
	for _, p := range append(peers.Peers, peers.Total) {
		q.check("peer", nil, [3]uint64{p.Flows, p.First, p.Last}, q.times())
	}
}

// plan checks that the flow's hour is left out only where the flow is not asked
// for, and that where it is alone in its hour the hour is.
func (q *edgeQuestion) plan() {
	q.t.Helper()
	for _, filter := range []string{"", "src ip " + edgeAddr} {
		plan, err := Explain(context.Background(), q.store, ExplainRequest{Filter: filter, Window: q.window})
		q.check("explain", err, nil, nil)
		found := false
		for _, b := range plan.Buckets {
			if b.Hour != store.HourOf(q.received).String() {
				continue
			}
			found = true
			if q.want == 1 && (b.Pruned != "" || b.Read == 0 || b.ReadRows == 0) {
				q.t.Errorf("%+v: %q: the flow's hour is left out: %+v", q.window, filter, b)
			}
			if q.want == 0 && b.Rows == 1 && b.Pruned != "window" {
				q.t.Errorf("%+v: %q: an hour without a flow in the window is not left out: %+v", q.window, filter, b)
			}
		}
		q.check("hour in the plan", nil, found, true)
	}
}
