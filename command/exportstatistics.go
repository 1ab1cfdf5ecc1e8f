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
	Left     bool `json:"other_left_out,omitempty"` // they have too few hosts together: their sums are nowhere

	sums  query.Sums
	hosts uint64 // of all of them, those of several counted several times
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
	result, summary, err := e.backend.Top(ctx, req)
	if err != nil {
		return summary, err
	}
	e.sampling = summary.Sampling
	if err := e.writeSums(result); err != nil {
		return summary, err
	}
	return summary, e.countExporters(ctx, req)
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
func (e *export) writeSums(r *query.TopResult) error {
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
	e.folded = &foldedGroups{MinHosts: e.options.hosts}
	for _, row := range r.Rows {
		if row.Distinct < uint64(e.options.hosts) {
			e.folded.add(row)
			continue
		}
		var cells []string
		for _, v := range row.Key {
			cells = append(cells, printable(v.String()))
		}
		if err := w.Write(append(append(cells, strconv.FormatUint(row.Distinct, 10)), sumCells(row.Sums)...)); err != nil {
			return err
		}
		e.rows++
	}
	if e.folded.shown() {
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

// add takes in a group that is too small.
func (f *foldedGroups) add(row query.TopRow) {
	f.Folded++
	f.hosts += row.Distinct
	s := &f.sums
	s.Records += row.Records
	s.Flows += row.Flows
	s.Bytes += row.Bytes
	s.Packets += row.Packets
	s.EstimatedBytes += row.EstimatedBytes
	s.EstimatedPackets += row.EstimatedPackets
}

// shown reports whether the row of the others may be written: what is too small
// together would be given away by it as it would by itself.
func (f *foldedGroups) shown() bool {
	f.Left = f.Folded > 0 && f.hosts < uint64(f.MinHosts)
	return f.Folded > 0 && !f.Left
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
		exportColumn{"src_hosts", "", "different source addresses in the group"},
		exportColumn{"records", "", "flow records"},
		exportColumn{names[2], "", "flows: records, or what they stand for where they are aggregates"},
		exportColumn{names[0], "bytes", "multiplied by the sampling interval, where that is known: an estimate where records are sampled"},
		exportColumn{names[1], "packets", "multiplied likewise"},
		exportColumn{"exported_bytes", "bytes", "as exported"},
		exportColumn{"exported_packets", "packets", "as exported"})
}
