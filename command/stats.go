package command

import (
	"context"
	"fmt"
	"slices"

	"github.com/urfave/cli/v2"

	"weir/query"
)

// formatNfdump is what nfdump -I prints.
const formatNfdump = "nfdump"

func statsCommand() *command {
	return &command{
		name:  "stats",
		usage: "totals by protocol, exporter, export protocol and hour",
		args:  "[FILTER]",
		about: `
Adds up the flows that match FILTER (as for weir query), in all and by protocol family, by exporter and by the protocol
of export; with --per hour also by the UTC hour in which they start. Sampled records are multiplied by their interval,
with the margin that the truth is within, 95 times in 100 (±); --raw sums what was exported, and json and csv have both.

-o nfdump, or -I for short, prints the lines of nfdump -I, of what was exported, but for its sequence failures, which
are no property of flows.

` + windowHelp,
		flags: slices.Concat([]cli.Flag{
			dataFlag(),
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "`FORMAT` of the answer: table, json (one object a line), csv or nfdump", DefaultText: formatTable},
			&cli.BoolFlag{Name: "nfdump", Aliases: []string{"I"}, Usage: "the same as -o nfdump"},
			&cli.StringFlag{Name: "per", Usage: "also the totals of each `SPAN`: hour"},
			namesFlag(), exporterFlag(), filterFileFlag(), quietFlag(), timingFlag(), coverageFlag(),
		}, sumFlags(), namingFlags(), windowFlags()),
		examples: []example{
			{"weir stats --last 1d", "what came in, from whom"},
			{"weir stats 'dst ip 192.0.2.7' --per hour --last 2d -o csv", "the hours of one host, for a spreadsheet"},
			{"weir stats --from 2026-11-22 --to 2026-11-22 -I", "a day as nfdump -I would say it"},
		},
		words: filterAndFields,
		prepare: func(c *cli.Context, std *Std) (runner, error) {
			o, err := statsFlags(c, std)
			if err != nil {
				return nil, err
			}
			return func(ctx context.Context, std *Std) error { return runStats(ctx, std, o) }, nil
		},
	}
}

// statsOptions are the options of weir stats.
type statsOptions struct {
	place
	request query.StatsRequest
	format  string
	raw     bool
	naming  *naming // for the names of exporters; nil: addresses are shown
}

func statsFlags(c *cli.Context, std *Std) (o statsOptions, err error) {
	if o.place, err = placeOf(c, std); err != nil {
		return o, err
	}
	if o.format, err = formatOf(c, append(slices.Clone(outputFormats), formatNfdump)); err != nil {
		return o, err
	}
	if c.Bool("nfdump") {
		if c.IsSet("output") && o.format != formatNfdump {
			return o, usagef("-I is -o nfdump, and -o %s asks for another format; give one of them", o.format)
		}
		o.format = formatNfdump
	}
	if per := c.String("per"); per != "" {
		if err := oneOf("--per", per, []string{"hour"}); err != nil {
			return o, err
		}
		o.request.Hourly = true
	}
	if o.request.Window, err = window(c, std); err != nil {
		return o, err
	}
	o.raw, o.request.Dedup = c.Bool("raw"), c.Bool("dedup")
	if o.request.Exporter, err = exporterText(c); err != nil {
		return o, err
	}
	if c.Bool("names") {
		if o.naming, err = namingOf(c); err != nil {
			return o, err
		}
	}
	o.request.Filter, err = filterText(c, std, 0)
	return o, err
}

// formatOf returns the checked value of --output, table if it was not given.
func formatOf(c *cli.Context, formats []string) (string, error) {
	format := c.String("output")
	if format == "" {
		return formatTable, nil
	}
	return format, oneOf("--output", format, formats)
}

func runStats(ctx context.Context, std *Std, o statsOptions) error {
	return question(ctx, std, o.place, o.request.Window, o.format,
		func(ctx context.Context, b backend) (*query.StatsResult, query.Summary, error) {
			r, s, err := b.Stats(ctx, o.request)
			if err == nil && o.naming != nil {
				err = nameExporters(ctx, o.naming, b, r.Exporters)
			}
			return r, s, err
		},
		func(out *streamWriter, r *query.StatsResult, s query.Summary) error {
			defer noteSums(std, s, o.raw || o.format == formatNfdump)
			return writeStats(out, o, r, s, std.color())
		})
}

// writeStats writes the totals in a format.
func writeStats(out *streamWriter, o statsOptions, r *query.StatsResult, s query.Summary, color bool) error {
	switch o.format {
	case formatNfdump:
		return statsNfdump(out, r)
	case formatJSON:
		return eachStat(r, func(group string, row query.StatsRow) error {
			bytes, packets := row.Counted(o.raw)
			bytesMargin, packetsMargin := row.Margins(o.raw)
			_, err := fmt.Fprintf(out, `{"group":%s,"key":%s,"records":%d,"flows":%d,"packets":%d,"bytes":%d,"exported_packets":%d,"exported_bytes":%d,"packets_margin":%s,"bytes_margin":%s,"estimated":%v,"first":%s,"last":%s%s}`+"\n",
				marshal(group), statKey(row), row.Records, row.Flows, packets, bytes, row.Packets, row.Bytes, jsonMargin(packetsMargin), jsonMargin(bytesMargin), row.IsEstimate(o.raw),
				jsonTime(row.Sums, row.First), jsonTime(row.Sums, row.Last), statSummary(group, s))
			return err
		})
	case formatCSV:
		return statsCSV(out, r, o.raw)
	}
	return statsTable(out, r, o.raw, color)
}

// statSummary writes what the total has beside the sums that every row has: of
// how many records it is that were sampled, of how many that do not say, and how
// many were folded.
func statSummary(group string, s query.Summary) string {
	if group != "total" {
		return ""
	}
	return fmt.Sprintf(`,"sampled":%d,"interval_unknown":%d,"folded":%d`, s.Sampling.Sampled, s.Sampling.Unknown, s.Folded)
}

// statKey writes the key of a row as JSON: null where records have none, and of
// the total.
func statKey(row query.StatsRow) []byte {
	if row.Key == "" {
		return []byte("null")
	}
	return marshal(row.Key)
}

// jsonTime writes a time of sums, null where they are of nothing.
func jsonTime(s query.Sums, ms uint64) []byte {
	if s.Records == 0 {
		return []byte("null")
	}
	return marshal(rfc3339(ms))
}

// eachStat calls fn for every row with the name of what it is grouped by.
func eachStat(r *query.StatsResult, fn func(group string, row query.StatsRow) error) error {
	if err := fn("total", query.StatsRow{Sums: r.Total}); err != nil {
		return err
	}
	for _, g := range []struct {
		name string
		rows []query.StatsRow
	}{{"proto", r.Protocols}, {"exporter", r.Exporters}, {"version", r.Versions}, {"hour", r.Hours}} {
		for _, row := range g.rows {
			if err := fn(g.name, row); err != nil {
				return err
			}
		}
	}
	return nil
}

func statsCSV(out *streamWriter, r *query.StatsResult, raw bool) error {
	w := newCSV(out)
	if err := w.Write([]string{"group", "key", "records", "flows", "packets", "bytes", "exported_packets", "exported_bytes", "first", "last", "packets_margin", "bytes_margin"}); err != nil {
		return err
	}
	err := eachStat(r, func(group string, row query.StatsRow) error {
		cells := []string{group, row.Key}
		bytes, packets := row.Counted(raw)
		for _, n := range []uint64{row.Records, row.Flows, packets, bytes, row.Packets, row.Bytes} {
			cells = append(cells, fmt.Sprint(n))
		}
		times := []string{"", ""}
		if row.Records > 0 {
			times = []string{rfc3339(row.First), rfc3339(row.Last)}
		}
		bytesMargin, packetsMargin := row.Margins(raw)
		return w.Write(append(append(cells, times...), csvMargin(packetsMargin), csvMargin(bytesMargin)))
	})
	if err != nil {
		return err
	}
	w.Flush()
	return w.Error()
}

func statsTable(out *streamWriter, r *query.StatsResult, raw, color bool) error {
	columns := []tableColumn{{name: "group"}, {name: "key"}}
	margins := hasMargins(r.Total.Variance, raw)
	for i, name := range []string{"flows", "packets", "bytes"} {
		columns = append(columns, tableColumn{name: name, right: true})
		if margins && i > 0 {
			columns = append(columns, tableColumn{name: marginHead, right: true})
		}
		columns = append(columns, tableColumn{name: "share", right: true})
	}
	t := newTable(out, append(columns, tableColumn{name: "first"}, tableColumn{name: "last"}), color)
	allBytes, allPackets := r.Total.Counted(raw)
	err := eachStat(r, func(group string, row query.StatsRow) error {
		cells := []string{group, row.Key}
		if row.Key == "" && group != "total" {
			cells[1] = "-"
		}
		bytes, packets := row.Counted(raw)
		bytesMargin, packetsMargin := row.Margins(raw)
		margin := []float64{0, packetsMargin, bytesMargin}
		for i, n := range [][2]uint64{{row.Flows, r.Total.Flows}, {packets, allPackets}, {bytes, allBytes}} {
			cells = append(cells, humanCount(n[0]))
			if margins && i > 0 {
				cells = append(cells, humanMargin(margin[i], n[0]))
			}
			cells = append(cells, humanShare(n[0], n[1]))
		}
		if row.Records == 0 {
			return t.row(append(cells, "", ""))
		}
		return t.row(append(cells, humanTime(row.First), humanTime(row.Last)))
	})
	if err != nil {
		return err
	}
	return t.finish()
}

// statsNfdump writes the lines of nfdump -I.
func statsNfdump(out *streamWriter, r *query.StatsResult) error {
	fmt.Fprintln(out, "Ident: weir")
	for _, c := range []struct {
		name string
		of   func(query.Sums) uint64
	}{
		{"Flows", func(s query.Sums) uint64 { return s.Flows }},
		{"Packets", func(s query.Sums) uint64 { return s.Packets }},
		{"Bytes", func(s query.Sums) uint64 { return s.Bytes }},
	} {
		fmt.Fprintf(out, "%s: %d\n", c.name, c.of(r.Total))
		for _, row := range r.Protocols {
			fmt.Fprintf(out, "%s_%s: %d\n", c.name, row.Key, c.of(row.Sums))
		}
	}
	_, err := fmt.Fprintf(out, "First: %d\nLast: %d\nmsec_first: %d\nmsec_last: %d\n",
		r.Total.First/1000, r.Total.Last/1000, r.Total.First%1000, r.Total.Last%1000)
	return err
}
