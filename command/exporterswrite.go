package command

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"weir/flow/ledger"
	"weir/query"
)

// writeExporters writes the list in a format.
func writeExporters(out *streamWriter, std *Std, o exportersOptions, list *exporterList) error {
	switch {
	case o.format == formatJSON:
		return exportersJSON(out, o, list)
	case o.history:
		return writeRows(out, o.format, std.color(), historyColumns, historyRows(list))
	case o.interfaces:
		return writeRows(out, o.format, std.color(), interfaceColumns, interfaceRows(list))
	case o.format == formatCSV:
		return writeRows(out, o.format, false, exporterColumns, exporterRows(list))
	case o.one != "":
		return exporterDetail(out, list)
	}
	return exportersTable(out, list, std.color())
}

// writeRows writes cells as a table or as csv.
func writeRows(out *streamWriter, format string, color bool, columns []tableColumn, rows [][]string) error {
	if format == formatCSV {
		names := make([]string, len(columns))
		for i, c := range columns {
			names[i] = c.name
		}
		return newCSV(out).WriteAll(append([][]string{names}, rows...))
	}
	t := newTable(out, columns, color)
	for _, row := range rows {
		for i := range row {
			row[i] = cmp.Or(row[i], "-")
		}
		if err := t.row(row); err != nil {
			return err
		}
	}
	return t.finish()
}

// columnsOf returns columns of words.
func columnsOf(names ...string) []tableColumn {
	columns := make([]tableColumn, len(names))
	for i, name := range names {
		columns[i].name = name
	}
	return columns
}

// exportersJSON writes an object for each exporter.
func exportersJSON(out *streamWriter, o exportersOptions, list *exporterList) error {
	for _, r := range list.Exporters {
		if o.one == "" && !o.history {
			r.History = nil
		}
		if o.one == "" && !o.interfaces {
			r.Interfaces = nil
		}
		if _, err := out.Write(append(marshal(r), '\n')); err != nil {
			return err
		}
	}
	return nil
}

var (
	historyColumns   = columnsOf("at", "exporter", "address", "what", "domain", "detail")
	interfaceColumns = columnsOf("exporter", "address", "index", "name", "description")
	exporterColumns  = columnsOf(
		"name", "group", "addresses", "status", "known", "expected", "domains", "versions", "templates",
		"records_per_second", "records_per_second_day", "datagrams", "records", "bytes", "lost", "loss", "loss_last_hour", "gaps", "restarts",
		"sets_without_template", "sets_dropped", "bad_datagrams", "sampling", "skew_ms", "last_heard", "owner", "contact", "permission",
		"skew_min_ms", "skew_max_ms", "reordered", "duplicates", "sets_recovered", "template_changes", "options", "lost_samples", "sample_drops",
		"sampling_changes", "bad_times", "out_of_scope", "set_aside", "refused", "silence_ms", "errors",
		"lost_flows", "lost_datagrams", "lost_data_records",
	)
)

func historyRows(list *exporterList) (rows [][]string) {
	for _, r := range list.Exporters {
		for _, e := range r.History {
			rows = append(rows, []string{e.At.String(), r.label(), e.Address, e.What, strconv.FormatUint(uint64(e.Domain), 10), e.Detail})
		}
	}
	return rows
}

func interfaceRows(list *exporterList) (rows [][]string) {
	for _, r := range list.Exporters {
		for _, i := range r.Interfaces {
			rows = append(rows, []string{r.label(), i.Address, strconv.FormatUint(uint64(i.Index), 10), i.Name, i.Description})
		}
	}
	return rows
}

// exporterRows returns the exporters as csv has them.
func exporterRows(list *exporterList) (rows [][]string) {
	for _, r := range list.Exporters {
		now := ""
		if r.Now != nil {
			now = rateCell(*r.Now)
		}
		cells := []string{printable(r.Name), r.Group, strings.Join(r.Addresses, " "), r.Status, strconv.FormatBool(r.Known), strconv.FormatBool(r.Expected),
			domainsText(r.Domains), strings.Join(r.Versions, " "), strconv.Itoa(r.Templates), now, rateCell(r.Day)}
		cells = append(cells, numberCells(r.Datagrams, r.Records, r.Bytes, r.Lost)...)
		cells = append(cells, lossCell(r.Loss), lossCell(r.LossHour))
		cells = append(cells, numberCells(r.Gaps, r.Restarts, r.SetsWithout, r.SetsDropped, r.Bad)...)
		cells = append(cells, intervalsCell(r.Sampling), maybeCell(r.SkewMS), r.Heard.String(), r.Owner, r.Contact, r.Permission, maybeCell(r.SkewMinMS), maybeCell(r.SkewMaxMS))
		cells = append(cells, numberCells(r.Reordered, r.Duplicates, r.SetsRecovered, r.TemplateChanges, r.Options, r.LostSamples, r.SampleDrops,
			r.SamplingChanges, r.BadTimes, r.OutOfScope, r.SetAside, r.Refused, r.Silence.Length())...)
		cells = append(cells, errorsCell(r.Errors))
		rows = append(rows, append(cells, numberCells(r.LostFlows, r.LostDatagrams, r.LostData)...))
	}
	return rows
}

// rateCell writes a rate as exactly as json does.
func rateCell(rate float64) string { return strconv.FormatFloat(rate, 'f', -1, 64) }

// maybeCell writes a number, nothing where it is not known.
func maybeCell(n *int64) string {
	if n == nil {
		return ""
	}
	return strconv.FormatInt(*n, 10)
}

func domainsText(domains []uint32) string {
	parts := make([]string, len(domains))
	for i, d := range domains {
		parts[i] = strconv.FormatUint(uint64(d), 10)
	}
	return strings.Join(parts, " ")
}

// exportersTable writes a row for each exporter. Those that are missing stand
// out, without colour by their mark.
func exportersTable(out *streamWriter, list *exporterList, color bool) error {
	t := newTable(out, []tableColumn{{name: " "}, {name: "name"}, {name: "group"}, {name: "address"}, {name: "domains"}, {name: "version"}, {name: "templates", right: true},
		{name: "rec/s now", right: true}, {name: "day", right: true}, {name: "loss", right: true}, {name: "sampling"}, {name: "skew", right: true},
		{name: "last heard"}, {name: "status"}}, color)
	for _, r := range list.Exporters {
		mark := " "
		if r.missing() {
			mark = "!"
		}
		if err := t.row(append([]string{mark}, r.cells()...)); err != nil {
			return err
		}
	}
	return t.finish()
}

// missing reports whether the exporter's silence is a finding.
func (r *exporterReport) missing() bool {
	return r.Status == statusSilent || r.Status == statusNever
}

// cells returns the columns of the table.
func (r *exporterReport) cells() []string {
	addresses := r.Addresses
	if len(addresses) == 0 {
		addresses = r.Sources // where it should be heard from
	}
	address := "-"
	if n := len(addresses); n > 0 {
		address = addresses[0] + map[bool]string{true: fmt.Sprintf(" +%d", n-1)}[n > 1]
	}
	loss := "-"
	if r.Records+r.Lost > 0 {
		loss = query.ShareText(r.Loss)
	}
	return []string{cmp.Or(printable(r.Name), "-"), cmp.Or(r.Group, "-"), address, shortList(domainsText(r.Domains)), cmp.Or(strings.Join(r.Versions, " "), "-"),
		strconv.Itoa(r.Templates), humanRate(r.Now), humanRate(&r.Day), loss, cmp.Or(r.samplingText(), "-"), r.skewText(), heardText(r.Heard), r.Status}
}

// shortList cuts a list that would make a column too wide.
func shortList(text string) string {
	words := strings.Fields(text)
	if len(words) > 3 {
		return fmt.Sprintf("%s +%d", strings.Join(words[:3], " "), len(words)-3)
	}
	return cmp.Or(text, "-")
}

// humanRate writes records a second, "-" for what is not known.
func humanRate(rate *float64) string {
	switch {
	case rate == nil:
		return "-"
	case *rate < 10 && *rate > 0:
		return strconv.FormatFloat(*rate, 'f', 1, 64)
	}
	return humanCount(uint64(*rate + 0.5))
}

// samplingText writes the intervals, the most used first: "1:1000", "unsampled".
func (r *exporterReport) samplingText() string {
	var parts []string
	for _, i := range byRecords(r.Sampling) {
		parts = append(parts, intervalText(i.N))
	}
	return shortList(strings.Join(parts, " "))
}

func intervalText(n uint32) string {
	switch n {
	case 0:
		return "unknown"
	case 1:
		return "1:1"
	}
	return "1:" + strconv.FormatUint(uint64(n), 10)
}

// byRecords returns intervals with the most used first.
func byRecords(list []ledger.Interval) []ledger.Interval {
	sorted := slices.Clone(list)
	slices.SortStableFunc(sorted, func(a, b ledger.Interval) int { return cmp.Compare(b.Records, a.Records) })
	return sorted
}

func (r *exporterReport) skewText() string { return skewText(r.SkewMS) }

func skewText(ms *int64) string {
	if ms == nil {
		return "-"
	}
	return (time.Duration(*ms) * time.Millisecond).Round(100 * time.Millisecond).String()
}

func heardText(m query.Moment) string {
	if m == 0 {
		return "-"
	}
	return showMS(uint64(m))
}
