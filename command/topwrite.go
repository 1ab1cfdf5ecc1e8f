package command

import (
	"fmt"
	"slices"
	"strconv"

	"weir/flow"
	"weir/query"
)

// topSums are the sums of a group, in the order of their columns. Where one of
// them is also a field that is grouped by, the sum is called total_ and its
// name.
var topSums = []string{"bytes", "packets", "flows"}

// sumNames returns the names of the sums beside these fields.
func sumNames(fields []string) []string {
	list := slices.Clone(topSums)
	for i, name := range list {
		if slices.Contains(fields, name) {
			list[i] = "total_" + name
		}
	}
	return list
}

// rateName returns the name of the column of the rate that an answer is ranked
// by, "" where it is not ranked by one.
func rateName(r *query.TopResult) string {
	if _, ok := r.Total.Rate(r.By, false); !ok {
		return ""
	}
	if slices.Contains(r.Fields, r.By) {
		return "total_" + r.By
	}
	return r.By
}

// rateOf returns the rate of a group that the answer is ranked by.
func rateOf(r *query.TopResult, s query.Sums, raw bool) uint64 {
	n, _ := s.Rate(r.By, raw)
	return n
}

// exportedSums are the columns of what was exported, beside those of topSums in
// formats for programs.
var exportedSums = []string{"exported_bytes", "exported_packets"}

// sumsOf returns the sums of a group in the order of topSums.
func sumsOf(s query.Sums, raw bool) [3]uint64 {
	bytes, packets := s.Counted(raw)
	return [3]uint64{bytes, packets, s.Flows}
}

// marginsOf returns the margins of the sums that can be estimates, in the order
// of topSums: bytes and packets.
func marginsOf(s query.Sums, raw bool) [2]float64 {
	bytes, packets := s.Margins(raw)
	return [2]float64{bytes, packets}
}

// writeTop writes the groups in a format.
func writeTop(out *streamWriter, o topOptions, r *query.TopResult, name keyNamer, color bool) error {
	raw := o.request.Raw
	switch o.format {
	case formatJSON:
		return topJSON(out, r, name, raw)
	case formatCSV:
		return topCSV(out, r, name, raw)
	}
	return topTable(out, r, name, raw, color)
}

func topTable(out *streamWriter, r *query.TopResult, name keyNamer, raw, color bool) error {
	var columns []tableColumn
	for _, name := range r.Fields {
		columns = append(columns, tableColumn{name: name})
	}
	rate := rateName(r)
	if rate != "" {
		columns = append(columns, tableColumn{name: rate, right: true})
	}
	if r.Distinct != "" {
		columns = append(columns, tableColumn{name: "distinct " + r.Distinct, right: true})
	}
	keys, margins := len(columns), hasMargins(r.Total.Variance, raw)
	for i, name := range sumNames(r.Fields) {
		columns = append(columns, tableColumn{name: name, right: true})
		if margins && i < len(marginsOf(r.Total, raw)) {
			columns = append(columns, tableColumn{name: marginHead, right: true})
		}
		columns = append(columns, tableColumn{name: "share", right: true})
	}
	t := newTable(out, columns, color)
	for _, row := range r.Rows {
		var cells []string
		for i, v := range row.Key {
			cells = append(cells, name.or(row.Key, i, humanKey(v)))
		}
		if rate != "" {
			cells = append(cells, humanCount(rateOf(r, row.Sums, raw)))
		}
		if r.Distinct != "" {
			cells = append(cells, humanCount(row.Distinct))
		}
		if err := t.row(append(cells, shareCells(row.Sums, r.Total, raw, margins)...)); err != nil {
			return err
		}
	}
	if len(r.Rows) > 0 && len(r.Fields) > 0 {
		cells := make([]string, keys)
		cells[0] = fmt.Sprintf("all %d", r.Groups)
		if err := t.row(append(cells, shareCells(r.Total, r.Total, raw, margins)...)); err != nil {
			return err
		}
	}
	return t.finish()
}

// shareCells returns each sum with its share of the whole and, where the table
// has margins, its margin between them.
func shareCells(row, total query.Sums, raw, margins bool) []string {
	var cells []string
	whole, margin := sumsOf(total, raw), marginsOf(row, raw)
	for i, n := range sumsOf(row, raw) {
		cells = append(cells, humanCount(n))
		if margins && i < len(margin) {
			cells = append(cells, humanMargin(margin[i], n))
		}
		cells = append(cells, humanShare(n, whole[i]))
	}
	return cells
}

// humanKey writes a value that is grouped by for people.
func humanKey(v query.Value) string {
	switch {
	case !v.Present:
		return "-"
	case v.Field == flow.Proto || v.Field == flow.TunProto:
		if name := protoName(v.Num); name != "" {
			return name
		}
	case v.Field == flow.TCPFlags:
		return humanFlags(v.Num)
	}
	return v.String()
}

func topCSV(out *streamWriter, r *query.TopResult, name keyNamer, raw bool) error {
	w := newCSV(out)
	head := slices.Clone(r.Fields)
	rate := rateName(r)
	if rate != "" {
		head = append(head, rate)
	}
	if r.Distinct != "" {
		head = append(head, "distinct")
	}
	names := sumNames(r.Fields)
	head = append(head, names...)
	for _, name := range names {
		head = append(head, name+"_share")
	}
	head = append(head, exportedSums...)
	for i := range marginsOf(r.Total, raw) {
		head = append(head, names[i]+"_margin")
	}
	if err := w.Write(head); err != nil {
		return err
	}
	whole := sumsOf(r.Total, raw)
	for _, row := range r.Rows {
		var cells []string
		for i, v := range row.Key {
			cells = append(cells, name.or(row.Key, i, v.String()))
		}
		if rate != "" {
			cells = append(cells, strconv.FormatUint(rateOf(r, row.Sums, raw), 10))
		}
		if r.Distinct != "" {
			cells = append(cells, strconv.FormatUint(row.Distinct, 10))
		}
		for _, n := range sumsOf(row.Sums, raw) {
			cells = append(cells, strconv.FormatUint(n, 10))
		}
		for i, n := range sumsOf(row.Sums, raw) {
			cells = append(cells, share(n, whole[i]))
		}
		cells = append(cells, strconv.FormatUint(row.Bytes, 10), strconv.FormatUint(row.Packets, 10))
		for _, m := range marginsOf(row.Sums, raw) {
			cells = append(cells, csvMargin(m))
		}
		if err := w.Write(cells); err != nil {
			return err
		}
	}
	w.Flush()
	return w.Error()
}

// share returns part of whole, from 0 to 1.
func share(part, whole uint64) string {
	if whole == 0 {
		return "0"
	}
	return strconv.FormatFloat(float64(part)/float64(whole), 'f', 6, 64)
}

func topJSON(out *streamWriter, r *query.TopResult, name keyNamer, raw bool) error {
	names, whole, rate := sumNames(r.Fields), sumsOf(r.Total, raw), rateName(r)
	var line []byte
	for _, row := range r.Rows {
		line = append(line[:0], '{')
		for i, v := range row.Key {
			value := marshal(v)
			if text := name.or(row.Key, i, ""); text != "" {
				value = marshal(text)
			}
			line = fmt.Appendf(line, `"%s":%s,`, r.Fields[i], value)
		}
		if rate != "" {
			line = fmt.Appendf(line, `"%s":%d,`, rate, rateOf(r, row.Sums, raw))
		}
		if r.Distinct != "" {
			line = fmt.Appendf(line, `"distinct":%d,`, row.Distinct)
		}
		for i, n := range sumsOf(row.Sums, raw) {
			line = fmt.Appendf(line, `"%s":%d,`, names[i], n)
		}
		for i, n := range sumsOf(row.Sums, raw) {
			line = fmt.Appendf(line, `"%s_share":%s,`, names[i], share(n, whole[i]))
		}
		for i, m := range marginsOf(row.Sums, raw) {
			line = fmt.Appendf(line, `"%s_margin":%s,`, names[i], jsonMargin(m))
		}
		line = fmt.Appendf(line, `"%s":%d,"%s":%d,"estimated":%v}`, exportedSums[0], row.Bytes, exportedSums[1], row.Packets, row.IsEstimate(raw))
		if _, err := out.Write(append(line, '\n')); err != nil {
			return err
		}
	}
	return nil
}
