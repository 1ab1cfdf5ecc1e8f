package query

import (
	"fmt"

	"weir/flow"
)

// sideAddr is the name of the addresses at both ends of a flow.
const sideAddr = "addr"

// parseSeriesGroup reads a field as TopRequest.Fields have them, but for those
// that make one flow belong to two groups.
func parseSeriesGroup(text string, tables LabelTables, o ParseOptions) (*grouper, error) {
	groupers, err := parseGroupers([]string{text}, tables, o)
	if err != nil {
		return nil, err
	}
	g := &groupers[0]
	if g.other == 0 {
		return g, nil
	}
	src, dst := g.field.String(), g.other.String()
	if g.labels != nil {
		src, dst = "src_"+text, "dst_"+text
	}
	return nil, &RequestError{Part: "field", Text: text, Expected: "one end of a flow: " + src + " or " + dst}
}

// A seriesKey is a value of the group's field: an address, or a number in its
// low word.
type seriesKey struct {
	value  flow.Addr
	absent bool
}

// A seriesGroup tells the groups of a block's rows.
type seriesGroup struct {
	*grouper                      // nil: all rows are of one group
	value    func(row int) uint64 // a computed value
	defined  rowSet               // rows that have it
}

// load reads what a computed value follows from. Other values are in cells.
func (g *seriesGroup) load(v *visit) (err error) {
	if g.grouper != nil && g.field == 0 {
		g.defined = *v.rows
		g.value, err = v.computed(g.computed, &g.defined)
	}
	return err
}

// key returns the group of a row.
func (g *seriesGroup) key(c *cells, row int) seriesKey {
	switch {
	case g.field == 0 && inWords(g.defined[:], row):
		return seriesKey{value: flow.Addr{Lo: g.value(row)}}
	case g.field == 0 || !c.has(g.field, row):
		return seriesKey{absent: true}
	case g.labels != nil:
		label := g.labels.Find(c.addr(g.field, row))
		return seriesKey{value: flow.Addr{Lo: uint64(label)}, absent: label == 0}
	case g.isAddr():
		return seriesKey{value: g.cut(c.addr(g.field, row))}
	}
	return seriesKey{value: flow.Addr{Lo: g.round(c.num(g.field, row))}}
}

// keyOf returns the group that a value of TopResult stands for.
func (q *seriesQuery) keyOf(v Value) seriesKey {
	switch {
	case !v.Present:
		return seriesKey{absent: true}
	case q.group.field.IsText():
		n, _ := q.texts.number(v.raw) // there are few of them
		return seriesKey{value: flow.Addr{Lo: uint64(n)}}
	case v.Field != 0 && v.Field.IsAddr():
		return seriesKey{value: v.Addr}
	}
	return seriesKey{value: flow.Addr{Lo: v.Num}}
}

// A seriesPair is an address that was active in a step of a group.
type seriesPair struct {
	group, step int32
	addr        flow.Addr
}

// seriesSums adds up the rows that matched, for one worker.
type seriesSums struct {
	cells
	query    *seriesQuery
	axis     *seriesAxis
	group    seriesGroup
	places   map[seriesKey]int // of the groups in sums
	sums     []*seriesSum      // of the groups, and last of the others
	distinct []flow.Field
	pairs    map[seriesPair]struct{}
	sampled  uint64

	codeSums codeSums
	starts   []uint16 // where rows of a block start, of block
}

func newSeriesSums(q *seriesQuery, axis *seriesAxis) *seriesSums {
	a := &seriesSums{query: q, axis: axis, group: seriesGroup{grouper: q.group}, places: map[seriesKey]int{}, pairs: map[seriesPair]struct{}{}}
	for i, v := range q.values {
		a.places[q.keyOf(v)] = i
	}
	for range len(q.values) + 1 {
		a.sums = append(a.sums, newSeriesSum(axis))
	}
	if q.req.Distinct == sideAddr {
		a.distinct = []flow.Field{flow.SrcAddr, flow.DstAddr}
	} else if f, ok := q.kept.Field(q.req.Distinct); ok {
		a.distinct = []flow.Field{f}
	}
	return a
}

// rows adds the rows of a visit, whose block is loaded, one by one.
func (a *seriesSums) rows(v *visit) error {
	if err := a.group.load(v); err != nil {
		return err
	}
	return tryEach(v.rows, a.row)
}

// row adds a row of the loaded block.
func (a *seriesSums) row(row int) error {
	group := len(a.sums) - 1
	if a.group.grouper != nil {
		if i, ok := a.places[a.group.key(&a.cells, row)]; ok {
			group = i
		}
	}
	s := a.cells.sums(row)
	a.sampled += s.Sampled
	p := SeriesPoint{Flows: s.Flows, Bytes: s.Bytes, Packets: s.Packets, EstimatedBytes: s.EstimatedBytes, EstimatedPackets: s.EstimatedPackets, Variance: s.Variance}
	if a.query.req.Spread {
		a.sums[group].addSpread(s.First, s.Last, p)
	} else {
		a.sums[group].addStart(s.First, p)
	}
	if a.distinct == nil {
		return nil
	}
	return a.active(row, group, s.First, s.Last)
}

// active notes the addresses of a row in the steps that it counts in.
func (a *seriesSums) active(row, group int, start, end uint64) error {
	first, last, ok := a.axis.steps(start, end, a.query.req.Spread)
	if !ok {
		return nil
	}
	for _, f := range a.distinct {
		if !a.has(f, row) {
			continue
		}
		for step := first; step <= last; step++ {
			a.pairs[seriesPair{int32(group), int32(step), a.addr(f, row)}] = struct{}{}
		}
	}
	return a.checkPairs()
}

func (a *seriesSums) checkPairs() error {
	if len(a.pairs) > maxSeriesDistinct {
		return fmt.Errorf("there are more than %d addresses to tell apart over all steps; ask for longer steps, a shorter window or a narrower filter", maxSeriesDistinct)
	}
	return nil
}

// merge adds the sums of b.
func (a *seriesSums) merge(b *seriesSums) error {
	for i, s := range b.sums {
		a.sums[i].merge(s)
	}
	for p := range b.pairs {
		a.pairs[p] = struct{}{}
	}
	a.sampled += b.sampled
	return a.checkPairs()
}

// result returns the answer. The series of the others is left out where there
// are groups and nothing else.
func (a *seriesSums) result() *SeriesResult {
	for p := range a.pairs {
		a.sums[p.group].points[p.step].Distinct++
	}
	req := &a.query.req
	r := &SeriesResult{From: a.axis.from, Step: a.axis.step, Group: req.Group, Distinct: req.Distinct, Spread: req.Spread, Sampled: a.sampled}
	for i, s := range a.sums {
		r.Before.add(s.before)
		r.After.add(s.after)
		g := SeriesGroup{Total: s.total, Points: s.points}
		if i < len(a.query.values) {
			v := &a.query.values[i]
			g.Value, g.Literal, g.Absent = v.String(), v.Literal, !v.Present
		} else if g.Other = req.Group != ""; g.Other && s.total == (SeriesPoint{}) && i > 0 {
			continue
		}
		r.Series = append(r.Series, g)
	}
	return r
}
