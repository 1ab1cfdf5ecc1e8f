package command

import (
	"fmt"
	"strconv"
	"strings"

	"weir/flow"
	"weir/query"
)

// A seriesHead is the names of the columns of a series.
type seriesHead struct {
	start   string   // of the step
	values  []string // those of seriesValues
	margins []string // of packets and bytes
}

// seriesNames returns the names of the columns. Where one of them is also the
// field that is grouped by, sums are called as those of weir top, and the step's
// start step_start.
func seriesNames(r *query.SeriesResult) seriesHead {
	sums := sumNames([]string{r.Group}) // of bytes, packets and flows
	h := seriesHead{"start", []string{sums[2], sums[1], sums[0], "exported_packets", "exported_bytes"}, []string{sums[1] + "_margin", sums[0] + "_margin"}}
	if r.Group == h.start {
		h.start = "step_start"
	}
	if r.Distinct != "" {
		h.values = append(h.values, "distinct")
	}
	return h
}

// seriesValues are the numbers of a point in the order of their columns.
func seriesValues(r *query.SeriesResult, p query.SeriesPoint, raw bool) []uint64 {
	bytes, packets := p.Counted(raw)
	values := []uint64{p.Flows, packets, bytes, p.Packets, p.Bytes}
	if r.Distinct != "" {
		values = append(values, p.Distinct)
	}
	return values
}

// eachPoint calls fn for every point of every group, step by step.
func eachPoint(r *query.SeriesResult, fn func(start uint64, g query.SeriesGroup, p query.SeriesPoint) error) error {
	for i := range r.Steps() {
		for _, g := range r.Series {
			if err := fn(r.From+uint64(i)*r.Step, g, g.Points[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// seriesJSON writes an object for each point: the step's start and length, the
// group under its field's name, whether it is that of the others, and the sums.
func seriesJSON(out *streamWriter, r *query.SeriesResult, raw bool) error {
	var line []byte
	head := seriesNames(r)
	return eachPoint(r, func(start uint64, g query.SeriesGroup, p query.SeriesPoint) error {
		line = fmt.Appendf(line[:0], `{"%s":"%s","step_ms":%d`, head.start, rfc3339(start), r.Step)
		if r.Group != "" {
			line = fmt.Appendf(line, `,%s:%s,"other":%v`, marshal(r.Group), groupJSON(r.Group, g), g.Other)
		}
		for i, v := range seriesValues(r, p, raw) {
			line = fmt.Appendf(line, `,"%s":%d`, head.values[i], v)
		}
		bytesMargin, packetsMargin := p.Margins(raw)
		line = fmt.Appendf(line, `,"%s":%s,"%s":%s,"estimated":%v`, head.margins[0], jsonMargin(packetsMargin), head.margins[1], jsonMargin(bytesMargin), p.IsEstimate(raw))
		_, err := out.Write(append(line, '}', '\n'))
		return err
	})
}

// groupJSON writes a group's value as it stands in a record's JSON, null for
// none and for the others.
func groupJSON(field string, g query.SeriesGroup) []byte {
	f, ok := flow.ParseField(field)
	switch {
	case g.Other || g.Absent:
		return []byte("null")
	case g.Literal, ok && (f.Kind() == flow.KindNumber || f.Kind() == flow.KindLabel):
		return []byte(g.Value)
	}
	return marshal(g.Value)
}

// seriesCSV writes a row for each point. The value of the others is "other".
func seriesCSV(out *streamWriter, r *query.SeriesResult, raw bool) error {
	w := newCSV(out)
	names := seriesNames(r)
	head := []string{names.start}
	if r.Group != "" {
		head = append(head, r.Group)
	}
	if err := w.Write(append(append(head, names.values...), names.margins...)); err != nil {
		return err
	}
	err := eachPoint(r, func(start uint64, g query.SeriesGroup, p query.SeriesPoint) error {
		cells := []string{rfc3339(start)}
		if r.Group != "" {
			value := g.Value
			if g.Other {
				value = otherName
			}
			cells = append(cells, value)
		}
		for _, v := range seriesValues(r, p, raw) {
			cells = append(cells, strconv.FormatUint(v, 10))
		}
		bytesMargin, packetsMargin := p.Margins(raw)
		return w.Write(append(cells, csvMargin(packetsMargin), csvMargin(bytesMargin)))
	})
	if err != nil {
		return err
	}
	w.Flush()
	return w.Error()
}

// seriesTable writes a row for each step: the sums or, of groups, what --by
// says of each.
func seriesTable(out *streamWriter, o seriesOptions, r *query.SeriesResult, color bool) error {
	if r.Group != "" {
		return groupTable(out, o, r, color)
	}
	columns := []tableColumn{{name: "start"}, {name: "flows", right: true}}
	margins := len(r.Series) > 0 && hasMargins(r.Series[0].Total.Variance, o.request.Raw)
	for _, name := range []string{"packets", "bytes"} {
		columns = append(columns, tableColumn{name: name, right: true})
		if margins {
			columns = append(columns, tableColumn{name: marginHead, right: true})
		}
	}
	columns = append(columns, tableColumn{name: "bit/s", right: true})
	if r.Distinct != "" {
		columns = append(columns, tableColumn{name: "distinct " + r.Distinct, right: true})
	}
	t := newTable(out, columns, color)
	err := eachPoint(r, func(start uint64, _ query.SeriesGroup, p query.SeriesPoint) error {
		bytes, packets := p.Counted(o.request.Raw)
		rate := query.Rate(bytes, 8000, r.Step)
		cells := []string{stepTime(start, r.Step), humanCount(p.Flows), humanCount(packets)}
		bytesMargin, packetsMargin := p.Margins(o.request.Raw)
		if margins {
			cells = append(cells, humanMargin(packetsMargin, packets), humanCount(bytes), humanMargin(bytesMargin, bytes), humanCount(rate))
		} else {
			cells = append(cells, humanCount(bytes), humanCount(rate))
		}
		if r.Distinct != "" {
			cells = append(cells, humanCount(p.Distinct))
		}
		return t.row(cells)
	})
	if err != nil {
		return err
	}
	return t.finish()
}

// groupTable writes a column for each group.
func groupTable(out *streamWriter, o seriesOptions, r *query.SeriesResult, color bool) error {
	columns := []tableColumn{{name: "start, " + o.unit()}}
	for _, g := range r.Series {
		columns = append(columns, tableColumn{name: printable(groupName(r.Group, g)), right: true})
	}
	t := newTable(out, columns, color)
	for i := range r.Steps() {
		cells := []string{stepTime(r.From+uint64(i)*r.Step, r.Step)}
		for _, g := range r.Series {
			cell := humanCount(o.whole(g.Points[i], r.Step))
			if margin := o.margin(g.Points[i]); margin != "" {
				cell += " " + margin
			}
			cells = append(cells, cell)
		}
		if err := t.row(cells); err != nil {
			return err
		}
	}
	return t.finish()
}

// stepTime writes the start of a step, without milliseconds where steps are full
// seconds.
func stepTime(ms, step uint64) string {
	if step%1000 == 0 {
		return strings.Replace(humanTime(ms), ".000Z", "Z", 1)
	}
	return humanTime(ms)
}
