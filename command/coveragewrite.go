package command

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"weir/flow/ledger"
	"weir/query"
)

// coverageColumns are the columns of -o csv. Those from kernel_drops on are the
// collector's, and empty for exporters; those before it from datagrams on are
// empty for the collector.
var coverageColumns = []string{
	"hour", "step_hours", "exporter", "name", "group", "state",
	"datagrams", "bytes", "records", "lost", "loss", "gaps", "reordered", "duplicates", "restarts",
	"sets_without_template", "sets_dropped", "bad_datagrams", "bad_times", "sampling", "sampling_changes", "skew_ms",
	"out_of_scope", "set_aside", "refused", "first", "last",
	"kernel_drops", "queue_full", "unstored_records", "refused_datagrams", "purged", "up_ms",
}

// collectorColumns is how many of them are the collector's.
const collectorColumns = 6

// collectorName stands for the collector where exporters have their address.
const collectorName = "collector"

// coverageCSV writes a row for each step: the collector's and then one for each
// exporter.
func coverageCSV(out *streamWriter, g *query.Grid) error {
	w := newCSV(out)
	if err := w.Write(coverageColumns); err != nil {
		return err
	}
	for i := range g.Hosts {
		hour, step := rfc3339(uint64(g.Hosts[i].At)), strconv.Itoa(g.Step)
		mark, _ := hostMark(&g.Hosts[i], g.Step)
		cells := []string{hour, step, collectorName, "", "", stateWord(mark)}
		cells = append(cells, make([]string, len(coverageColumns)-collectorColumns-len(cells))...)
		if err := w.Write(append(cells, hostCells(&g.Hosts[i])...)); err != nil {
			return err
		}
		for j := range g.Exporters {
			e := &g.Exporters[j]
			cells := []string{hour, step, e.Addr, printable(e.Name), e.Group, string(e.Cells[i].State)}
			cells = append(append(cells, digestCells(&e.Cells[i].Digest)...), make([]string, collectorColumns)...)
			if err := w.Write(cells); err != nil {
				return err
			}
		}
	}
	w.Flush()
	return w.Error()
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

func hostCells(h *query.HostDigest) []string {
	up := uint64(0)
	for _, s := range h.Up {
		up += s.Length()
	}
	return numberCells(h.Kernel, h.QueueFull, h.NotStored, h.Refused, h.Purged, up)
}

func digestCells(d *query.Digest) []string {
	cells := numberCells(d.Datagrams, d.Bytes, d.Records, d.Lost)
	cells = append(cells, lossCell(d.Loss()))
	cells = append(cells, numberCells(d.Gaps, d.Reordered, d.Duplicates, d.Restarts, d.SetsWithout, d.SetsDropped, d.BadDatagrams, d.BadTimes)...)
	cells = append(cells, intervalsCell(d.Intervals))
	cells = append(cells, numberCells(d.Changes)...)
	cells = append(cells, strconv.FormatInt(d.SkewMS, 10))
	cells = append(cells, numberCells(d.OutOfScope, d.SetAside, d.Refused)...)
	return append(cells, d.First.String(), d.Last.String())
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
