package command

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"weir/flow"
	"weir/query"
)

// The formats of a series beside table, json and csv.
const (
	formatPlot = "plot"
	formatSVG  = "svg"
	formatPNG  = "png"
)

// seriesFormats are the values of weir series --output.
var seriesFormats = append([]string{formatPlot}, append(slices.Clone(outputFormats), formatSVG, formatPNG)...)

// defaultGroups is how many groups get a series of their own.
const defaultGroups = 5

func seriesCommand() *command {
	return &command{
		name:  "series",
		usage: "volumes over time: a plot, a table or a picture",
		args:  "[FILTER]",
		about: `
Sums the flows that match FILTER (as for weir query) in steps of time. On a terminal it draws a plot, else it prints a
table; -o says otherwise: plot, table, json (one object for each step and group), csv, svg or png, the last two to
standard output.

A flow counts in the step in which it starts. With --spread its bytes and packets are divided over the time from its
start to its end, in proportion, and flows counts those that were active in each step. Flows that started before the
window and reach into it are in no step without --spread; standard error says how many there are.

Steps are aligned to full minutes, hours and days UTC. Without --step they are chosen so that there are at most 120, or
each is a week.
Sampled records are multiplied by their interval, with the margin that the truth is within, 95 times in 100 (±); --raw
sums what was exported (json and csv have both).

--group FIELD gives the largest values of a field, an address with prefix lengths as in src_addr/24/48, a series each
and sums the rest as "other". --distinct FIELD counts the different addresses in each step: src_addr, dst_addr, or addr
for both ends.

` + windowHelp,
		flags: slices.Concat([]cli.Flag{
			dataFlag(),
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "`FORMAT` of the answer: " + strings.Join(seriesFormats, ", "), DefaultText: "plot on a terminal, else table"},
			&cli.StringFlag{Name: "step", Usage: "length of a step, a `SPAN`: 1m, 1h, 1d", DefaultText: "chosen"},
			&cli.StringFlag{Name: "by", Usage: "what is drawn, and decides which groups are the largest: `SUM`, one of " + strings.Join(seriesSums, ", "), DefaultText: "bytes"},
			&cli.StringFlag{Name: "group", Usage: "a series for each value of `FIELD`"},
			limitFlag("at most `N` groups beside the others", strconv.Itoa(defaultGroups)),
			&cli.StringFlag{Name: "distinct", Usage: "count the different addresses of `FIELD` in each step"},
			&cli.BoolFlag{Name: "spread", Usage: "divide a flow over the time it lasted"},
			exporterFlag(), filterFileFlag(), quietFlag(), timingFlag(), coverageFlag(),
		}, sumFlags(), namingFlags(), windowFlags()),
		examples: []example{
			{"weir series 'dst ip 192.0.2.7' --by packets --last 6h", "when did the flood start and stop"},
			{"weir series --group proto --by bps --spread --last 1d -o png > day.png", "a day's traffic by protocol, for a ticket"},
			{"weir series 'dst port 22' --distinct src_addr --step 1h --last 7d -o csv", "how many different hosts tried ssh in each hour"},
			{"weir series --group exporter --by flows --last 7d", "does any exporter fall silent"},
		},
		words: filterAndFields,
		prepare: func(c *cli.Context, std *Std) (runner, error) {
			o, err := seriesFlags(c, std)
			if err != nil {
				return nil, err
			}
			return func(ctx context.Context, std *Std) error { return runSeries(ctx, std, o) }, nil
		},
	}
}

// seriesSums are the values of weir series --by. Rates are averages over a step.
var seriesSums = []string{"bytes", "packets", "flows", "bps", "pps", "distinct"}

// seriesOptions are the options of weir series.
type seriesOptions struct {
	place
	request query.SeriesRequest
	format  string
	by      string // one of seriesSums
}

func seriesFlags(c *cli.Context, std *Std) (o seriesOptions, err error) {
	if o.place, err = placeOf(c, std); err != nil {
		return o, err
	}
	if o.format = c.String("output"); o.format == "" {
		o.format = formatTable
		if std.OutTerminal {
			o.format = formatPlot
		}
	}
	if err := oneOf("--output", o.format, seriesFormats); err != nil {
		return o, err
	}
	if err := o.sums(c); err != nil {
		return o, err
	}
	if err := o.group(c); err != nil {
		return o, err
	}
	if c.IsSet("step") {
		step, err := parseDuration(c.String("step"))
		if err != nil {
			return o, prefixUsage("--step", err)
		}
		o.request.Step = uint64(step.Milliseconds())
	}
	o.request.Spread, o.request.Raw, o.request.Dedup = c.Bool("spread"), c.Bool("raw"), c.Bool("dedup")
	if o.request.Window, err = window(c, std); err != nil {
		return o, err
	}
	if o.request.Exporter, err = exporterText(c); err != nil {
		return o, err
	}
	if o.request.Filter, err = filterText(c, std, 0); err != nil {
		return o, err
	}
	n, err := namingOf(c)
	if err != nil {
		return o, err
	}
	o.request.Labels, err = n.tables(o.request.Group)
	return o, err
}

// sums reads what is summed and drawn.
func (o *seriesOptions) sums(c *cli.Context) error {
	o.request.Distinct = c.String("distinct")
	f, ok := flow.ParseField(o.request.Distinct)
	if o.request.Distinct != "" && o.request.Distinct != "addr" && !ok {
		if e, err := keptField(c, "--distinct", o.request.Distinct); err != nil {
			return err
		} else if e != nil {
			f, ok = e.Field, true
		}
	}
	if o.request.Distinct != "" && o.request.Distinct != "addr" && (!ok || !f.IsAddr()) {
		return usagef("--distinct: %q is not a field of addresses", o.request.Distinct).withHint("it is src_addr, dst_addr, addr for both ends, or another address field")
	}
	o.by = c.String("by")
	if o.by == "" {
		o.by = "bytes"
		if o.request.Distinct != "" {
			o.by = "distinct"
		}
	}
	if err := oneOf("--by", o.by, seriesSums); err != nil {
		return err
	}
	switch o.by {
	case "bps":
		o.request.By = "bytes"
	case "pps":
		o.request.By = "packets"
	case "distinct":
		if o.request.Distinct == "" {
			return usagef("--by distinct needs --distinct FIELD").withHint("try: --distinct src_addr")
		}
		o.request.By = "flows"
	default:
		o.request.By = o.by
	}
	return nil
}

// group reads the field that series are made by.
func (o *seriesOptions) group(c *cli.Context) (err error) {
	if o.request.Limit, err = limit(c, defaultGroups); err != nil {
		return err
	}
	if o.request.Limit == 0 {
		return usagef("-n 0: a series has a number of groups and the others").withHint("the default is %d", defaultGroups)
	}
	o.request.Group = c.String("group")
	if o.request.Group == "" {
		if c.IsSet("group") || c.IsSet("limit") {
			return usagef("-n counts groups, and --group is not given").withHint("try: --group src_addr")
		}
		return nil
	}
	if _, ok := query.ParseLabelField(o.request.Group); ok {
		return nil
	}
	group, err := elementColumn(c, "--group", o.request.Group)
	if err != nil {
		return err
	}
	o.request.Group = group
	name, _, _ := strings.Cut(group, "/")
	if _, ok := flow.ParseField(name); ok {
		return nil
	}
	if e, err := keptField(c, "--group", name); e != nil || err != nil {
		return err
	}
	return withFieldHint(oneOf("--group", name, groupFieldNames()), name, groupFieldNames())
}

func runSeries(ctx context.Context, std *Std, o seriesOptions) error {
	return question(ctx, std, o.place, o.request.Window, o.format,
		func(ctx context.Context, b backend) (*query.SeriesResult, query.Summary, error) {
			return b.Series(ctx, o.request)
		},
		func(out *streamWriter, r *query.SeriesResult, s query.Summary) error {
			if err := writeSeries(out, o, r, std); err != nil {
				return err
			}
			noteSeries(std, o, r, s)
			return nil
		})
}

// noteSeries says what the points do not.
func noteSeries(std *Std, o seriesOptions, r *query.SeriesResult, s query.Summary) {
	before, _ := r.Before.Counted(o.request.Raw)
	if n := r.Before.Flows; n > 0 {
		fmt.Fprintf(std.Err, "weir: %s flows (%s bytes) started before the window and reach into it: they are in no step%s\n",
			humanCount(n), humanCount(before), map[bool]string{false: "; --spread divides them by time"}[o.request.Spread])
	}
	if n := r.After.Flows; n > 0 {
		fmt.Fprintf(std.Err, "weir: %s flows are dated later than the records' receipt and are in no step\n", humanCount(n))
	}
	noteSums(std, s, o.request.Raw)
}

// whole returns what a table says of a point: of rates, what is whole of them.
func (o *seriesOptions) whole(p query.SeriesPoint, step uint64) uint64 {
	bytes, packets := p.Counted(o.request.Raw)
	switch o.by {
	case "packets":
		return packets
	case "flows":
		return p.Flows
	case "bps":
		return query.Rate(bytes, 8000, step)
	case "pps":
		return query.Rate(packets, 1000, step)
	case "distinct":
		return p.Distinct
	}
	return bytes
}

// value returns what is drawn of a point.
func (o *seriesOptions) value(p query.SeriesPoint, step uint64) float64 {
	bytes, packets := p.Counted(o.request.Raw)
	seconds := float64(step) / 1000
	switch o.by {
	case "bps":
		return 8 * float64(bytes) / seconds
	case "pps":
		return float64(packets) / seconds
	}
	return float64(o.whole(p, step))
}

// margin writes the margin of what is shown of a point, "" where there is none:
// that of a rate is that of what passed in the step.
func (o *seriesOptions) margin(p query.SeriesPoint) string {
	bytes, packets := p.Counted(o.request.Raw)
	bytesMargin, packetsMargin := p.Margins(o.request.Raw)
	switch o.by {
	case "flows", "distinct":
		return ""
	case "packets", "pps":
		return humanMargin(packetsMargin, packets)
	}
	return humanMargin(bytesMargin, bytes)
}

// unit is what the values are in.
func (o *seriesOptions) unit() string {
	switch o.by {
	case "bps":
		return "bit/s"
	case "pps":
		return "packets/s"
	case "distinct":
		return "addresses"
	}
	return o.by
}

// writeSeries writes a series in a format.
func writeSeries(out *streamWriter, o seriesOptions, r *query.SeriesResult, std *Std) error {
	switch o.format {
	case formatJSON:
		return seriesJSON(out, r, o.request.Raw)
	case formatCSV:
		return seriesCSV(out, r, o.request.Raw)
	case formatTable:
		return seriesTable(out, o, r, std.color())
	}
	if r.Steps() == 0 && o.format == formatPlot {
		return nil // standard error says why
	}
	p := o.plot(r)
	switch o.format {
	case formatSVG:
		return writeSVG(out, p)
	case formatPNG:
		return writePNG(out, p)
	}
	return writePlot(out, p, terminalColumns(std), hasUnicode(std.Getenv))
}

// terminalColumns returns the width of the terminal, or of a page.
func terminalColumns(std *Std) int {
	if n, err := strconv.Atoi(std.Getenv("COLUMNS")); err == nil && n > 0 {
		return n
	}
	if f, ok := std.Out.(*os.File); ok && std.OutTerminal {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
			return width
		}
	}
	return plotColumns
}

// plot returns the series as it is drawn.
func (o *seriesOptions) plot(r *query.SeriesResult) *plot {
	p := &plot{title: "all flows", unit: o.unit(), from: r.From, step: r.Step, stacked: o.by != "distinct"}
	if o.request.Filter != "" {
		p.title = strings.Join(strings.Fields(o.request.Filter), " ")
	}
	p.title += ": " + o.by
	if r.Group != "" {
		p.title += " by " + r.Group
	}
	var notes []string
	if o.by == "distinct" {
		notes = append(notes, "different values of "+r.Distinct+" in each step")
	}
	if r.Spread {
		notes = append(notes, "flows spread over the time they lasted")
	}
	if r.Sampled > 0 {
		notes = append(notes, map[bool]string{false: "estimated from samples", true: "sampled: counters as exported"}[o.request.Raw])
	}
	p.note = strings.Join(notes, "; ")
	for _, g := range r.Series {
		s := plotSeries{name: groupName(r.Group, g)}
		for _, point := range g.Points {
			s.values = append(s.values, o.value(point, r.Step))
		}
		p.series = append(p.series, s)
	}
	return p
}

// groupName is what people call a group.
func groupName(field string, g query.SeriesGroup) string {
	switch {
	case g.Other:
		return otherName
	case field == "":
		return "all"
	case g.Absent:
		return "no " + field
	case g.Value == "":
		return `""`
	case field == flow.Proto.String() || field == flow.TunProto.String():
		n, err := strconv.ParseUint(g.Value, 10, 8)
		return cmp.Or(map[bool]string{true: protoName(n)}[err == nil], g.Value)
	}
	return g.Value
}
