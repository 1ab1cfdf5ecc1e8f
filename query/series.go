package query

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"weir/flow"
	"weir/store"
)

// A SeriesRequest asks for volumes over time.
type SeriesRequest struct {
	Filter   string `json:"filter,omitempty"` // files expanded (Filter.Source); "" matches all
	Window   `json:"window,omitzero"`
	Exporter string `json:"exporter,omitempty"` // as in FlowsRequest
	Step     uint64 `json:"step_ms,omitempty"`  // 0: chosen so that there are at most 120, or each is a week
	Group    string `json:"group,omitempty"`    // a field as in TopRequest, of one end of the flow: each value gets its series; "": one of all
	Limit    int    `json:"limit,omitempty"`    // how many values get their own, the others share one; 0: 5
	By       string `json:"by,omitempty"`       // what decides which: bytes (also ""), packets or flows
	Spread   bool   `json:"spread,omitempty"`   // a flow counts over the time it lasted, not where it began
	Distinct string `json:"distinct,omitempty"` // an address field, or addr for both ends, whose values are counted in every step

	Raw   bool `json:"raw,omitempty"`   // By means what was exported, not the estimates
	Dedup bool `json:"dedup,omitempty"` // as in FlowsRequest

	Labels LabelTables `json:"labels,omitempty"` // as in TopRequest
}

// A SeriesResult is the answer to a SeriesRequest. Steps are aligned to the
// epoch: with a step of an hour they begin at full hours UTC, whatever the
// window. The first and the last may reach beyond the window; what is outside of
// it is not counted there.
//
// A flow is counted once, in the step in which it starts. One that started
// before the window and reaches into it is in no step, since its record does not
// say when its traffic came; it is in Before. With Spread, bytes and packets of
// a flow are divided over the time from its start to its end in proportion,
// without loss by rounding; Before and After take what lies outside the window;
// and Flows and Distinct count, in every step, what was active in it.
type SeriesResult struct {
	From     uint64        `json:"from_ms"` // start of the first step
	Step     uint64        `json:"step_ms"`
	Group    string        `json:"group,omitempty"`
	Distinct string        `json:"distinct,omitempty"`
	Spread   bool          `json:"spread,omitempty"`
	Series   []SeriesGroup `json:"series"`  // those of values by size, then that of the others; one without a group
	Before   SeriesPoint   `json:"before"`  // of the flows that match, what falls before the window
	After    SeriesPoint   `json:"after"`   // and after it
	Sampled  uint64        `json:"sampled"` // records with a sampling interval above 1
}

// A SeriesGroup is the volumes of one group over time.
type SeriesGroup struct {
	Value   string        `json:"value,omitempty"`   // of the group's field, of a text maybe ""
	Absent  bool          `json:"absent,omitempty"`  // the records have no value
	Literal bool          `json:"literal,omitempty"` // Value is a number or a boolean of a kept element
	Other   bool          `json:"other,omitempty"`   // all values that have no series of their own
	Total   SeriesPoint   `json:"total"`             // within the window, each flow counted once, without Distinct
	Points  []SeriesPoint `json:"points"`            // one for each step
}

// A SeriesPoint is what one step holds. Estimates have each record multiplied by
// its sampling interval.
type SeriesPoint struct {
	Flows            uint64   `json:"flows"`
	Bytes            uint64   `json:"bytes"`
	Packets          uint64   `json:"packets"`
	EstimatedBytes   uint64   `json:"estimated_bytes"`
	EstimatedPackets uint64   `json:"estimated_packets"`
	Variance         Variance `json:"variance,omitzero"` // of the estimates
	Distinct         uint64   `json:"distinct,omitempty"`
}

// End returns the end of the last step, in ms.
func (r *SeriesResult) End() uint64 { return r.From + r.Step*uint64(r.Steps()) }

// Steps returns the number of steps.
func (r *SeriesResult) Steps() int {
	if len(r.Series) == 0 {
		return 0
	}
	return len(r.Series[0].Points)
}

func (p *SeriesPoint) add(q SeriesPoint) {
	p.Flows = plus(p.Flows, q.Flows)
	p.Bytes = plus(p.Bytes, q.Bytes)
	p.Packets = plus(p.Packets, q.Packets)
	p.EstimatedBytes = plus(p.EstimatedBytes, q.EstimatedBytes)
	p.EstimatedPackets = plus(p.EstimatedPackets, q.EstimatedPackets)
	p.Variance.add(q.Variance)
}

// Bounds of a series: its steps, its points over all groups, its groups, and
// the pairs of step and value that counting distinct ones keeps, each about 60
// bytes.
const (
	maxSeriesSteps    = 100_000
	maxSeriesPoints   = 1_000_000
	maxSeriesGroups   = 1_000
	maxSeriesDistinct = 4_000_000
)

// trim cuts steps without anything off the ends of all series.
func (r *SeriesResult) trim(start, end bool) {
	n := r.Steps()
	first, last := n, 0
	for _, s := range r.Series {
		for i, p := range s.Points {
			if p != (SeriesPoint{}) {
				first, last = min(first, i), max(last, i+1)
			}
		}
	}
	if first >= last { // nothing at all
		first, last = 0, 0
		if !start && !end {
			last = n
		}
	}
	if !start {
		first = 0
	}
	if !end && last > 0 {
		last = n
	}
	for i := range r.Series {
		r.Series[i].Points = slices.Clone(r.Series[i].Points[first:last])
	}
	r.From += uint64(first) * r.Step
}

// Series answers how much there was when.
func Series(ctx context.Context, s Archive, req SeriesRequest) (*SeriesResult, Summary, error) {
	return SeriesWith(ctx, s, req, ParseOptions{})
}

// SeriesWith is Series with what the filter and the groups may refer to.
func SeriesWith(ctx context.Context, s Archive, req SeriesRequest, o ParseOptions) (*SeriesResult, Summary, error) {
	q, err := newSeriesQuery(ctx, s, req, o)
	if err != nil {
		return nil, Summary{}, err
	}
	axis, err := newSeriesAxis(q.lo, q.hi, req.Step)
	if err != nil {
		return nil, Summary{}, err
	}
	axis.widen(q.trimStart, q.trimEnd)
	if points := axis.n * (len(q.values) + 1); points > maxSeriesPoints {
		return nil, Summary{}, &RequestError{Part: "step", Text: fmt.Sprint(axis.step), Expected: fmt.Sprintf("a longer one: %d steps for each of %d groups are more than %d points",
			axis.n, len(q.values)+1, maxSeriesPoints)}
	}
	sums := perWorker(func() *seriesSums { return newSeriesSums(q, &axis) })
	err = sumBlocks(ctx, q.scan, q.fields(), func(worker int) *cells { return &sums[worker].cells },
		func(v *visit) (bool, error) { return sums[v.worker].block(v) },
		func(v *visit) error { return sums[v.worker].rows(v) })
	if err != nil {
		return nil, q.summary, err
	}
	for _, other := range sums[1:] {
		if err := sums[0].merge(other); err != nil {
			return nil, q.summary, err
		}
	}
	r := sums[0].result()
	r.trim(q.trimStart, q.trimEnd)
	for _, g := range r.Series {
		q.summary.Sampling.note(g.Total.sums())
	}
	q.summary.Emitted = uint64(r.Steps())
	return r, q.summary, nil
}

// A seriesQuery is a SeriesRequest on its way to its answer.
type seriesQuery struct {
	*scan
	req                SeriesRequest
	lo, hi             uint64   // the time that steps cover
	trimStart, trimEnd bool     // where the window is open, empty steps go
	group              *grouper // nil: there is one series
	kept               *flow.Kept
	values             []Value // that get a series of their own
}

func newSeriesQuery(ctx context.Context, s Archive, req SeriesRequest, o ParseOptions) (*seriesQuery, error) {
	sc, err := newScan(s, req.Filter, req.Exporter, req.Window, o)
	if err != nil {
		return nil, err
	}
	sc.sums(req.Dedup)
	q := &seriesQuery{scan: sc, req: req, kept: o.Kept}
	if q.req.By, err = seriesOrder(req.By); err != nil {
		return nil, err
	}
	if err := checkDistinct(req.Distinct, o.Kept); err != nil {
		return nil, err
	}
	q.cover(s.Buckets())
	if req.Group == "" {
		return q, nil
	}
	if q.group, err = parseSeriesGroup(req.Group, req.Labels, o); err != nil {
		return nil, err
	}
	q.values, err = q.largest(ctx, s, o)
	return q, err
}

// seriesOrders are what can decide which groups get a series.
var seriesOrders = []string{"bytes", "packets", "flows"}

func seriesOrder(by string) (string, error) {
	by = cmp.Or(by, seriesOrders[0])
	if !slices.Contains(seriesOrders, by) {
		return "", &RequestError{"order", by, "one of " + joinNames(seriesOrders), nearest(by, seriesOrders)}
	}
	return by, nil
}

// checkDistinct refuses what is not a field of addresses.
func checkDistinct(name string, kept *flow.Kept) error {
	if name == "" || name == sideAddr {
		return nil
	}
	if f, ok := kept.Field(name); ok && f.IsAddr() {
		return nil
	}
	return &RequestError{Part: "field", Text: name, Expected: "a field of addresses, or addr for both ends"}
}

// cover finds the time that the steps cover: the window or, where that is open,
// what the buckets hold. Times that are more than a day off the receipt of all
// records are some exporter's wrong clock; they do not stretch the series.
func (q *seriesQuery) cover(buckets []store.BucketInfo) {
	const slack = 24 * 3600_000
	q.lo, q.hi = q.window.From, q.window.To
	q.trimStart, q.trimEnd = q.lo == 0, q.hi == 0
	first, last, minStart, maxEnd := ^uint64(0), uint64(0), ^uint64(0), uint64(0)
	for _, b := range buckets {
		if b.Rows > 0 {
			first, last = min(first, b.FirstReceived), max(last, b.LastReceived)
			minStart, maxEnd = min(minStart, b.MinStart), max(maxEnd, b.MaxEnd)
		}
	}
	if q.trimStart {
		q.lo = max(minStart, first-min(first, slack))
	}
	if q.trimEnd {
		q.hi = min(maxEnd, last+slack-1) + 1 // an end may be the last ms that there is
	}
}

// fields returns what a series reads.
func (q *seriesQuery) fields() flow.FieldSet {
	fields := spanFields.Union(sumFields)
	if q.group != nil && q.group.field != 0 {
		fields.Add(q.group.field)
	}
	if q.req.Distinct == sideAddr {
		return fields.Union(flow.SetOf(flow.SrcAddr, flow.DstAddr))
	}
	if f, ok := q.kept.Field(q.req.Distinct); ok {
		fields.Add(f)
	}
	return fields
}

// largest returns the values of the group's field that get a series.
func (q *seriesQuery) largest(ctx context.Context, s Archive, o ParseOptions) ([]Value, error) {
	limit := cmp.Or(q.req.Limit, 5)
	if limit < 0 || limit > maxSeriesGroups {
		return nil, &RequestError{Part: "limit", Text: fmt.Sprint(q.req.Limit), Expected: fmt.Sprintf("a number of groups up to %d", maxSeriesGroups)}
	}
	top, _, err := TopWith(ctx, s, TopRequest{Fields: []string{q.req.Group}, Filter: q.req.Filter, Window: q.req.Window,
		Exporter: q.req.Exporter, By: q.req.By, Raw: q.req.Raw, Dedup: q.req.Dedup,
		Limit: limit, Labels: q.req.Labels}, o)
	if err != nil {
		return nil, err
	}
	values := make([]Value, 0, len(top.Rows))
	for _, row := range top.Rows {
		values = append(values, row.Key[0])
	}
	return values, nil
}
