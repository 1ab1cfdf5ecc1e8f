package command

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"weir/query"
)

// defaultTop is how many rows weir top prints.
const defaultTop = 10

func topCommand() *command {
	return &command{
		name:  "top",
		usage: "sum the flows by the values of fields, largest first",
		args:  "FIELD[,FIELD] [FILTER]",
		about: `
Sums bytes, packets and flows for each value of FIELD, or each combination of several, and prints the largest with
their share of the whole. An address may have prefix lengths behind it: src_addr/24/48. addr, port, as, mask, vlan and
if stand for both ends of a flow. Bytes and packets of sampled records are multiplied by their interval, as are the rates
and shares made of them; ± is the margin that the truth is within, 95 times in 100. --raw sums what was exported, and json
and csv have both. Flows are records. With --dedup a
flow that several exporters report counts once. By bps, pps or bpp the rate is a column too. FILTER is as for weir query.

` + windowHelp + `

Fields: ` + fieldList(groupFieldNames()),
		flags: slices.Concat([]cli.Flag{
			dataFlag(), outputFlag(),
			&cli.StringFlag{Name: "by", Usage: "sort by `SUM`: " + strings.Join(groupBy, ", ") + "; with :asc the smallest first", DefaultText: "bytes"},
			&cli.StringFlag{Name: "distinct", Usage: "count the different values of `FIELD` in each group"},
			namesFlag(), exporterFlag(),
			limitFlag("at most `N` rows; 0 is no limit", strconv.Itoa(defaultTop)),
			filterFileFlag(), quietFlag(), timingFlag(), coverageFlag(),
		}, sumFlags(), namingFlags(), windowFlags()),
		examples: []example{
			{"weir top src_addr --last 1d", "who sends most"},
			{"weir top dst_addr,dst_port 'src net 192.0.2.0/24' --by flows -n 20 --last 2h", "where a network connects to"},
			{"weir top proto -o csv --from 2026-11-01 --to 2026-11-30", "the protocols of a month, for a spreadsheet"},
			{"weir top src_addr 'flags S and not flags AFRPU' --distinct dst_addr --by distinct --last 1h", "who scans: most different hosts called"},
			{"weir top src_addr/24/48 --by flows --last 1h", "by network: /24 of IPv4, /48 of IPv6"},
			{"weir top exporter,in_if 'dst ip 192.0.2.7 and proto udp' --by packets --last 1h", "where a flood enters"},
		},
		words: func(n int) []string {
			if n == 0 {
				return append(append(groupFieldNames(), sideFields...), query.LabelFieldNames(true)...)
			}
			return filterAndFields(n)
		},
		prepare: func(c *cli.Context, std *Std) (runner, error) {
			o, err := topFlags(c, std)
			if err != nil {
				return nil, err
			}
			return func(ctx context.Context, std *Std) error { return runTop(ctx, std, o) }, nil
		},
	}
}

// topOptions are the options of weir top.
type topOptions struct {
	dir     string
	request query.TopRequest
	format  string
	timing  bool
	covered bool // say what the answer lacks in any case
	quiet   bool // no head line
	naming  *naming
	names   bool
}

func topFlags(c *cli.Context, std *Std) (o topOptions, err error) {
	if o.dir, err = dataDir(c, std); err != nil {
		return o, err
	}
	if o.format, err = outputFormat(c); err != nil {
		return o, err
	}
	if c.NArg() == 0 {
		return o, usagef("name the field to sum by").withHint("try: weir top src_addr --last 1h")
	}
	if o.request.Fields, err = groupFields(c, c.Args().First()); err != nil {
		return o, err
	}
	if err := onceNamed("weir top", o.format, o.request.Fields); err != nil {
		return o, err
	}
	if o.request.By, err = topOrder(c); err != nil {
		return o, err
	}
	if o.request.Distinct = c.String("distinct"); o.request.Distinct != "" {
		if err := knownField(c, "--distinct", o.request.Distinct); err != nil {
			return o, err
		}
	}
	if o.request.Limit, err = limit(c, defaultTop); err != nil {
		return o, err
	}
	if o.request.Window, err = window(c, std); err != nil {
		return o, err
	}
	o.timing, o.covered, o.quiet = c.Bool("timing"), c.Bool("coverage"), c.Bool("quiet")
	o.request.Raw, o.request.Dedup = c.Bool("raw"), c.Bool("dedup")
	if o.request.Exporter, err = exporterText(c); err != nil {
		return o, err
	}
	if o.request.Filter, err = filterText(c, std, 1); err != nil {
		return o, err
	}
	if o.naming, err = namingOf(c); err != nil {
		return o, err
	}
	o.names = c.Bool("names")
	o.request.Labels, err = o.naming.tables(append(slices.Clone(o.request.Fields), o.request.Distinct)...)
	return o, err
}

// topOrder returns the checked value of --by.
func topOrder(c *cli.Context) (string, error) {
	if !c.IsSet("by") {
		return "bytes", nil
	}
	by := c.String("by")
	key, _ := strings.CutSuffix(by, ":asc")
	if key == "distinct" && c.String("distinct") == "" {
		return "", usagef("--by distinct needs --distinct FIELD").withHint("try: --distinct dst_addr")
	}
	return by, oneOf("--by", key, groupBy)
}

// sideFields are groups that weir top knows beside the fields: the computed
// ones, and those in which a flow counts for both its ends.
var sideFields = []string{"addr", "port", "as", "mask", "vlan", "if", "duration", "bps", "pps", "bpp"}

// groupFields parses the fields that weir top groups by: names, addresses with
// prefix lengths behind them.
func groupFields(c *cli.Context, text string) ([]string, error) {
	var fields []string
	for _, name := range strings.Split(text, ",") {
		name = strings.TrimSpace(name)
		name, err := elementColumn(c, "weir top", name)
		if err != nil {
			return nil, err
		}
		base, _, _ := strings.Cut(name, "/")
		if err := knownField(c, "weir top", base); err != nil {
			return nil, err
		}
		fields = append(fields, name)
	}
	return fields, nil
}

// knownField refuses the name of a field that is none.
func knownField(c *cli.Context, flag, name string) error {
	known := append(append(groupFieldNames(), sideFields...), query.LabelFieldNames(true)...)
	if !slices.Contains(known, name) {
		if e, err := keptField(c, flag, name); e != nil || err != nil {
			return err
		}
	}
	return withFieldHint(oneOf(flag, name, known), name, known)
}

// runTop prints the largest groups.
func runTop(ctx context.Context, std *Std, o topOptions) error {
	b, err := openBackend(ctx, o.dir, modeRead, std)
	if err != nil {
		return err
	}
	defer b.Close()
	wait := startProgress(std)
	defer wait.end()
	result, summary, err := b.Top(wait.watched(ctx), o.request)
	wait.end()
	if err != nil {
		return err
	}
	out := newStream(std.Out, nil)
	defer out.Close()
	if o.quiet {
		out.skip = headLines(o.format)
	}
	var name keyNamer
	if o.names {
		if name, err = newKeyNamer(ctx, o.naming, b, result.Fields); err != nil {
			return err
		}
	}
	err = writeTop(out, o, result, name, std.color())
	if closeErr := out.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return quietPipe(err)
	}
	noteSums(std, summary, o.request.Raw)
	if o.timing {
		noteTiming(std, summary)
	}
	return conclude(std, ending{o.request.Window, o.format, o.covered}, summary)
}
