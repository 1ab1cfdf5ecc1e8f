package command

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"weir/flow/ledger"
	"weir/query"
)

// A coverageColumn is a column of -o csv: a value of exporters' rows, or of the
// collector's, whose cells are empty in the others.
type coverageColumn struct {
	name string
	of   func(d *query.Digest) string
	host func(h *query.HostDigest) string
}

// coveragePlaces are the columns before those of coverageColumns.
var coveragePlaces = []string{"hour", "step_hours", "exporter", "name", "group", "state"}

// coverageColumns are the counters, new ones last: programs may count columns.
var coverageColumns = []coverageColumn{
	countColumn("datagrams", func(d *query.Digest) uint64 { return d.Datagrams }),
	countColumn("bytes", func(d *query.Digest) uint64 { return d.Bytes }),
	countColumn("records", func(d *query.Digest) uint64 { return d.Records }),
	countColumn("lost", func(d *query.Digest) uint64 { return d.Lost }),
	{name: "loss", of: func(d *query.Digest) string { return lossCell(d.Loss()) }},
	countColumn("gaps", func(d *query.Digest) uint64 { return d.Gaps }),
	countColumn("reordered", func(d *query.Digest) uint64 { return d.Reordered }),
	countColumn("duplicates", func(d *query.Digest) uint64 { return d.Duplicates }),
	countColumn("restarts", func(d *query.Digest) uint64 { return d.Restarts }),
	countColumn("sets_without_template", func(d *query.Digest) uint64 { return d.SetsWithout }),
	countColumn("sets_dropped", func(d *query.Digest) uint64 { return d.SetsDropped }),
	countColumn("bad_datagrams", func(d *query.Digest) uint64 { return d.BadDatagrams }),
	countColumn("bad_times", func(d *query.Digest) uint64 { return d.BadTimes }),
	{name: "sampling", of: func(d *query.Digest) string { return intervalsCell(d.Intervals) }},
	countColumn("sampling_changes", func(d *query.Digest) uint64 { return d.Changes }),
	{name: "skew_ms", of: func(d *query.Digest) string { return skewCell(d, d.SkewMS) }},
	countColumn("out_of_scope", func(d *query.Digest) uint64 { return d.OutOfScope }),
	countColumn("set_aside", func(d *query.Digest) uint64 { return d.SetAside }),
	countColumn("refused", func(d *query.Digest) uint64 { return d.Refused }),
	{name: "first", of: func(d *query.Digest) string { return d.First.String() }},
	{name: "last", of: func(d *query.Digest) string { return d.Last.String() }},
	hostColumn("kernel_drops", func(h *query.HostDigest) uint64 { return h.Kernel }),
	hostColumn("queue_full", func(h *query.HostDigest) uint64 { return h.QueueFull }),
	hostColumn("unstored_records", func(h *query.HostDigest) uint64 { return h.NotStored }),
	hostColumn("refused_datagrams", func(h *query.HostDigest) uint64 { return h.Refused }),
	hostColumn("purged", func(h *query.HostDigest) uint64 { return h.Purged }),
	hostColumn("up_ms", func(h *query.HostDigest) uint64 { return spansLength(h.Up) }),
	countColumn("sets_recovered", func(d *query.Digest) uint64 { return d.SetsRecovered }),
	countColumn("lost_flows", func(d *query.Digest) uint64 { return d.LostFlows }),
	countColumn("lost_datagrams", func(d *query.Digest) uint64 { return d.LostDatagrams }),
	countColumn("lost_data_records", func(d *query.Digest) uint64 { return d.LostData }),
	countColumn("lost_samples", func(d *query.Digest) uint64 { return d.LostSamples }),
	countColumn("sample_drops", func(d *query.Digest) uint64 { return d.SampleDrops }),
	countColumn("templates", func(d *query.Digest) uint64 { return d.Templates }),
	countColumn("template_changes", func(d *query.Digest) uint64 { return d.TemplateChanges }),
	countColumn("options", func(d *query.Digest) uint64 { return d.Options }),
	{name: "skew_min_ms", of: func(d *query.Digest) string { return skewCell(d, d.SkewMinMS) }},
	{name: "skew_max_ms", of: func(d *query.Digest) string { return skewCell(d, d.SkewMaxMS) }},
	countColumn("silence_ms", func(d *query.Digest) uint64 { return d.Silence.Length() }),
	{name: "errors", of: func(d *query.Digest) string { return errorsCell(d.Errors) }},
	hostColumn("kernel_drops_behind", func(h *query.HostDigest) uint64 { return h.Behind }),
	hostColumn("unstored_ms", func(h *query.HostDigest) uint64 { return spansLength(h.Unstored) }),
	{name: "kernel_drops_by_socket", host: func(h *query.HostDigest) string { return dropsCell(h.Sockets) }},
	{name: "refused_senders", host: func(h *query.HostDigest) string { return dropsCell(h.Senders) }},
}

func countColumn(name string, of func(d *query.Digest) uint64) coverageColumn {
	return coverageColumn{name: name, of: func(d *query.Digest) string { return strconv.FormatUint(of(d), 10) }}
}

func hostColumn(name string, of func(h *query.HostDigest) uint64) coverageColumn {
	return coverageColumn{name: name, host: func(h *query.HostDigest) string { return strconv.FormatUint(of(h), 10) }}
}

// skewCell writes a skew, nothing where no record told one.
func skewCell(d *query.Digest, ms int64) string {
	if d.Records == 0 {
		return ""
	}
	return strconv.FormatInt(ms, 10)
}

// errorsCell writes errors by reason: "truncated=3 version=1".
func errorsCell(errors map[string]uint64) string {
	var parts []string
	for _, reason := range slices.Sorted(maps.Keys(errors)) {
		parts = append(parts, fmt.Sprintf("%s=%d", reason, errors[reason]))
	}
	return strings.Join(parts, " ")
}

// dropsCell writes what was counted at places: "[::]:2055=17".
func dropsCell(list []ledger.Drop) string {
	parts := make([]string, len(list))
	for i, d := range list {
		parts[i] = fmt.Sprintf("%s=%d", d.Where, d.Count)
	}
	return strings.Join(parts, " ")
}

func spansLength(spans []ledger.Span) uint64 {
	ms := uint64(0)
	for _, s := range spans {
		ms += s.Length()
	}
	return ms
}

// collectorName stands for the collector where exporters have their address.
const collectorName = "collector"

// coverageCSV writes a row for each step: the collector's and then one for each
// exporter.
func coverageCSV(out *streamWriter, g *query.Grid) error {
	w := newCSV(out)
	names := slices.Clone(coveragePlaces)
	for _, c := range coverageColumns {
		names = append(names, c.name)
	}
	if err := w.Write(names); err != nil {
		return err
	}
	for i := range g.Hosts {
		hour, step := rfc3339(uint64(g.Hosts[i].At)), strconv.Itoa(g.Step)
		mark, _ := hostMark(&g.Hosts[i], g.Step)
		if err := w.Write(coverageCells([]string{hour, step, collectorName, "", "", stateWord(mark)}, nil, &g.Hosts[i])); err != nil {
			return err
		}
		for j := range g.Exporters {
			e := &g.Exporters[j]
			cells := []string{hour, step, e.Addr, printable(e.Name), e.Group, string(e.Cells[i].State)}
			if err := w.Write(coverageCells(cells, &e.Cells[i].Digest, nil)); err != nil {
				return err
			}
		}
	}
	w.Flush()
	return w.Error()
}

// coverageCells adds the counters of an exporter, or of the collector, to cells.
func coverageCells(cells []string, d *query.Digest, h *query.HostDigest) []string {
	for _, c := range coverageColumns {
		switch {
		case d != nil && c.of != nil:
			cells = append(cells, c.of(d))
		case h != nil && c.host != nil:
			cells = append(cells, c.host(h))
		default:
			cells = append(cells, "")
		}
	}
	return cells
}

// stateWord writes the collector's mark as states of exporters are written.
func stateWord(m coverageMark) string {
	switch m {
	case markFine:
		return string(query.StateFine)
	case markNone:
		return string(query.StateNone)
	}
	return m.about
}

func numberCells(list ...uint64) []string {
	cells := make([]string, len(list))
	for i, n := range list {
		cells[i] = strconv.FormatUint(n, 10)
	}
	return cells
}

// lossCell writes a share for programs, with the digits that mean something.
func lossCell(loss float64) string { return strconv.FormatFloat(loss, 'g', 4, 64) }

// intervalsCell writes sampling intervals: "100 1000".
func intervalsCell(list []ledger.Interval) string {
	parts := make([]string, len(list))
	for i, interval := range list {
		parts[i] = strconv.FormatUint(uint64(interval.N), 10)
	}
	return strings.Join(parts, " ")
}

// coverageWorst writes the worst spans.
func coverageWorst(out *streamWriter, g *query.Grid, color bool) error {
	if len(g.Worst) == 0 {
		_, err := fmt.Fprint(out, "\nNothing is known to be missing.\n")
		return err
	}
	if _, err := fmt.Fprint(out, "\nWorst first:\n"); err != nil {
		return err
	}
	t := newTable(out, []tableColumn{{name: "from"}, {name: "to"}, {name: "exporter"}, {name: "reason"},
		{name: "records", right: true}, {name: "loss", right: true}, {name: "detail"}}, color)
	for _, s := range g.Worst {
		exporter := exporterLabel(s.Name, s.Addr)
		if exporter == "" {
			exporter = "all"
		}
		records, loss, detail := "-", "-", cmp.Or(printable(s.Detail), "-")
		if s.Records > 0 {
			records = humanCount(s.Records)
		}
		if s.Loss > 0 {
			loss = query.ShareText(s.Loss)
		}
		if err := t.row([]string{showMS(uint64(s.From)), showMS(uint64(s.To)), exporter, string(s.Reason), records, loss, detail}); err != nil {
			return err
		}
	}
	return t.finish()
}
