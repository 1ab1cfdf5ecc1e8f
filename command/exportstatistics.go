package command

import (
	"context"
	"slices"
	"strconv"

	"weir/flow"
	"weir/query"
)

// defaultMinHosts is the least number of hosts of a group of --statistics.
const defaultMinHosts = 5

// otherGroup is what the groups that are too small are called together.
const otherGroup = "other"

// A foldedGroups says what became of groups that are too small.
type foldedGroups struct {
	MinHosts int  `json:"min_hosts"`
	Folded   int  `json:"folded_groups"`            // into the row other
	Left     bool `json:"other_left_out,omitempty"` // all there is has too few hosts: its sums are nowhere

	sums query.Sums
}

// statistics writes sums.
func (e *export) statistics(ctx context.Context) (query.Summary, error) {
	o := e.options
	labels, err := o.naming.tables(o.sums...)
	if err != nil {
		return query.Summary{}, err
	}
	req := query.TopRequest{
		Fields: o.sums, Filter: o.request.Filter, Window: o.request.Window, Exporter: o.request.Exporter,
		By: "bytes", Distinct: flow.SrcAddr.String(), Labels: labels,
	}
	// Before the groups: in an archive that grows there are not fewer later.
	hosts, err := e.countHosts(ctx, req)
	if err != nil {
		return query.Summary{}, err
	}
	result, summary, err := e.backend.Top(ctx, req)
	if err != nil {
		return summary, err
	}
	e.sampling = summary.Sampling
	if err := e.writeSums(result, hosts); err != nil {
		return summary, err
	}
	return summary, e.countExporters(ctx, req)
}

// countHosts returns how many hosts all groups have together.
func (e *export) countHosts(ctx context.Context, req query.TopRequest) (uint64, error) {
	req.Fields, req.Labels, req.CountOnly, req.By = nil, nil, true, "records"
	all, _, err := e.backend.Top(ctx, req)
	if err != nil || len(all.Rows) == 0 {
		return 0, err
	}
	return all.Rows[0].Distinct, nil
}

// countExporters asks who exported what the sums are of.
func (e *export) countExporters(ctx context.Context, req query.TopRequest) error {
	req.Fields, req.Distinct, req.Labels, req.CountOnly, req.By = []string{flow.Exporter.String()}, "", nil, true, "records"
	result, _, err := e.backend.Top(ctx, req)
	if err != nil {
		return err
	}
	e.exporters = map[flow.Addr]uint64{}
	for _, row := range result.Rows {
		if len(e.exporters) < maxExporters {
			e.exporters[row.Key[0].Addr] = row.Records
		} else {
			e.others += row.Records
		}
	}
	return nil
}

// writeSums writes the groups that are large enough, and the others as one.
func (e *export) writeSums(r *query.TopResult, hosts uint64) error {
	file, err := e.pack.create("statistics.csv")
	if err != nil {
		return err
	}
	w := newCSV(file)
	e.table = statisticsSchema(r.Fields)
	var head []string
	for _, c := range e.table {
		head = append(head, c.Name)
	}
	if err := w.Write(head); err != nil {
		return err
	}
	var shown []query.TopRow
	shown, e.folded = foldSmall(r.Rows, uint64(e.options.hosts), hosts)
	for _, row := range shown {
		var cells []string
		for _, v := range row.Key {
			cells = append(cells, printable(v.String()))
		}
		if err := w.Write(append(append(cells, strconv.FormatUint(row.Distinct, 10)), sumCells(row.Sums)...)); err != nil {
			return err
		}
		e.rows++
	}
	if e.folded.Folded > 0 && !e.folded.Left {
		cells := append([]string{otherGroup}, make([]string, len(r.Fields))...) // hosts: nobody counted them together
		if err := w.Write(append(cells, sumCells(e.folded.sums)...)); err != nil {
			return err
		}
		e.rows++
	}
	w.Flush()
	if err := w.Error(); err != nil {
		return err
	}
	return file.finish(e.rows)
}

// foldSmall returns the groups that have enough hosts, in their order, and the others
// as one. hosts is how many all of them have together.
//
// The others are themselves a group that must have enough hosts, counted once
// each: by its row, or by what a total less the rows leaves. A host in several
// small groups makes their number unknown, but they have at least as many as are
// in no large group. Where that is not enough the smallest large group is folded
// as well, whose hosts are.
func foldSmall(rows []query.TopRow, least, hosts uint64) (shown []query.TopRow, f *foldedGroups) {
	f = &foldedGroups{MinHosts: int(least)}
	var elsewhere uint64 // hosts of large groups, at most
	for _, row := range rows {
		if row.Distinct < least {
			f.add(row)
			continue
		}
		shown = append(shown, row)
		elsewhere += row.Distinct
	}
	switch {
	case f.Folded == 0 || hosts >= elsewhere+least:
	case len(shown) == 0:
		f.Left = true
	default:
		at := 0
		for i, row := range shown {
			if s := shown[at]; row.Distinct < s.Distinct || row.Distinct == s.Distinct && row.Records < s.Records {
				at = i
			}
		}
		f.add(shown[at])
		shown = slices.Delete(shown, at, at+1)
	}
	return shown, f
}

// add takes a group in.
func (f *foldedGroups) add(row query.TopRow) {
	f.Folded++
	f.sums.Join(row.Sums)
}

// sumCells returns the sums of a group in the order of statisticsSchema.
func sumCells(s query.Sums) (cells []string) {
	for _, n := range []uint64{s.Records, s.Flows, s.EstimatedBytes, s.EstimatedPackets, s.Bytes, s.Packets} {
		cells = append(cells, strconv.FormatUint(n, 10))
	}
	return cells
}

// statisticsSchema describes the columns of sums by fields.
func statisticsSchema(fields []string) []exportColumn {
	names := sumNames(fields)
	list := slices.Collect(func(yield func(exportColumn) bool) {
		for i, name := range fields {
			c := describe(name)
			if i == 0 {
				c.Meaning += "; " + otherGroup + " in the last row stands for all groups of too few hosts"
			}
			if !yield(c) {
				return
			}
		}
	})
	return append(list,
		exportColumn{Name: "src_hosts", Unit: "", Meaning: "different source addresses in the group"},
		exportColumn{Name: "records", Unit: "", Meaning: "flow records"},
		exportColumn{Name: names[2], Unit: "", Meaning: "flows: records, or what they stand for where they are aggregates"},
		exportColumn{Name: names[0], Unit: "bytes", Meaning: "multiplied by the sampling interval, where that is known: an estimate where records are sampled"},
		exportColumn{Name: names[1], Unit: "packets", Meaning: "multiplied likewise"},
		exportColumn{Name: "exported_bytes", Unit: "bytes", Meaning: "as exported"},
		exportColumn{Name: "exported_packets", Unit: "packets", Meaning: "as exported"})
}
