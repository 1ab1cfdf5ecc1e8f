package query

import (
	"fmt"
	"strconv"
	"strings"

	"weir/flow"
)

// sideAddr is the name of the addresses at both ends of a flow.
const sideAddr = "addr"

// A seriesGrouping is what the flows of one series have in common: a field and,
// for addresses, the prefix lengths that they are cut to.
type seriesGrouping struct {
	field flow.Field
	bits4 int  // of IPv4 addresses; 32 for whole ones
	bits6 int  // of the others
	whole bool // not cut

	labels *Labels // the group is the name of the address; nil: the field itself
}

// parseSeriesGrouping reads a field as TopRequest.Fields have them, but for
// those that make one flow belong to two groups.
func parseSeriesGrouping(text string, tables LabelTables, o ParseOptions) (g seriesGrouping, err error) {
	if f, ok := ParseLabelField(text); ok {
		if f.Other != 0 {
			return g, &RequestError{Part: "field", Text: text, Expected: "one end of a flow: src_" + text + " or dst_" + text}
		}
		table, err := tables.table(text, f.Kind, o.Names)
		return seriesGrouping{field: f.Field, labels: table}, err
	}
	name, rest, cut := strings.Cut(text, "/")
	f, ok := o.Kept.Field(name)
	if !ok {
		if name == "mpls_labels" {
			f, ok = flow.MPLSLabel1, true
		} else {
			return g, unknownField(name, o.Kept)
		}
	}
	g = seriesGrouping{field: f, bits4: 32, bits6: 128, whole: !cut}
	if !cut {
		return g, nil
	}
	four, six, both := strings.Cut(rest, "/")
	if !both {
		six = four
	}
	n4, err4 := strconv.Atoi(four)
	n6, err6 := strconv.Atoi(six)
	if !f.IsAddr() || err4 != nil || err6 != nil || n4 < 0 || n6 < 0 || n4 > 128 || n6 > 128 {
		return g, &RequestError{Part: "field", Text: text, Expected: "an address field with a prefix length, as in src_addr/24 or src_addr/24/48"}
	}
	g.bits4, g.bits6 = min(n4, 32), n6
	return g, nil
}

// A seriesKey is a value of the group's field: an address, or a number in its
// low word.
type seriesKey struct {
	value  flow.Addr
	absent bool
}

// key returns the group of a row.
func (g *seriesGrouping) key(c *cells, row int) seriesKey {
	switch {
	case !c.has(g.field, row):
		return seriesKey{absent: true}
	case !g.field.IsAddr():
		return seriesKey{value: flow.Addr{Lo: c.num(g.field, row)}}
	}
	a := c.addr(g.field, row)
	if g.labels != nil {
		label := g.labels.Find(a)
		return seriesKey{value: flow.Addr{Lo: uint64(label)}, absent: label == 0}
	}
	if g.whole {
		return seriesKey{value: a}
	}
	if a.Is4() {
		return seriesKey{value: a.Mask(g.bits4)}
	}
	return seriesKey{value: a.Mask(g.bits6)}
}

// keyOf returns the group that a value of TopResult stands for.
func (q *seriesQuery) keyOf(v Value) seriesKey {
	switch {
	case !v.Present:
		return seriesKey{absent: true}
	case v.raw != "":
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
	places   map[seriesKey]int // of the groups in sums
	sums     []*seriesSum      // of the groups, and last of the others
	distinct []flow.Field
	pairs    map[seriesPair]struct{}
	sampled  uint64

	codeSums codeSums
	starts   []uint16 // where rows of a block start, of block
}

func newSeriesSums(q *seriesQuery, axis *seriesAxis) *seriesSums {
	a := &seriesSums{query: q, axis: axis, places: map[seriesKey]int{}, pairs: map[seriesPair]struct{}{}}
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

// row adds a row of the loaded block.
func (a *seriesSums) row(row int) error {
	group := len(a.sums) - 1
	if a.query.req.Group != "" {
		if i, ok := a.places[a.query.group.key(&a.cells, row)]; ok {
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
			g.Value, g.Literal = a.query.values[i].String(), a.query.values[i].Literal
		} else if g.Other = req.Group != ""; g.Other && s.total == (SeriesPoint{}) && i > 0 {
			continue
		}
		r.Series = append(r.Series, g)
	}
	return r
}
