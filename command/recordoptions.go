package command

import (
	"context"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"weir/flow"
)

// recordOptions are how flows are printed, of the commands that print them.
type recordOptions struct {
	format  string
	columns []column // nil for the format's own choice
	plain   bool
	quiet   bool // no head line
	naming  *naming
	names   bool
	kept    *flow.Kept // whose elements a layout names; nil: none
}

// recordFlags are the flags that recordOptionsOf reads.
func recordFlags() []cli.Flag {
	return append([]cli.Flag{
		&cli.StringFlag{Name: "output", Aliases: []string{"o"}, DefaultText: formatTable,
			Usage: "`FORMAT` of the answer: table, json (one object a line), csv, or nfdump's " + strings.Join(layoutNames(), ", ") + " and fmt:TOKENS"},
		&cli.StringFlag{Name: "fields", Usage: "print these `FIELDS`, separated by commas"},
		&cli.BoolFlag{Name: "wide", Usage: "the table with more columns: end, tos, ICMP, interfaces, AS, masks, next hops, VLAN, MAC, MPLS, VRF, sampling, NAT, firewall"},
		&cli.BoolFlag{Name: "plain", Aliases: []string{"N"}, Usage: "numbers in full in nfdump's layouts"},
		quietFlag(), namesFlag(),
	}, namingFlags()...)
}

// recordOptionsOf returns the checked options.
func recordOptionsOf(c *cli.Context) (o recordOptions, err error) {
	if o.format, o.kept, err = queryFormat(c); err != nil {
		return o, err
	}
	if isLayout(o.format) && (c.IsSet("fields") || c.Bool("count")) {
		return o, usagef("-o %s has its own columns: --fields and --count go with table, json and csv", o.format)
	}
	if c.Bool("wide") {
		if c.IsSet("fields") || o.format != formatTable {
			return o, usagef("--wide is a choice of columns for the table: it goes neither with --fields nor with another -o")
		}
		o.columns = wideColumns()
	}
	if c.IsSet("fields") {
		if o.columns, err = parseColumns(c, o.format, c.String("fields")); err != nil {
			return o, err
		}
	}
	o.plain, o.quiet, o.names = c.Bool("plain"), c.Bool("quiet"), c.Bool("names")
	if o.names && isLayout(o.format) {
		return o, usagef("-o %s has no names: --names goes with table, json and csv", o.format)
	}
	o.naming, err = namingOf(c)
	return o, err
}

// queryFormat returns the checked value of --output, which for flows may be a
// layout of nfdump's, and the kept elements that a layout names.
func queryFormat(c *cli.Context) (string, *flow.Kept, error) {
	format := c.String("output")
	if !isLayout(format) {
		if format == "" {
			return formatTable, nil, nil
		}
		return format, nil, oneOf("--output", format, append(slices.Clone(outputFormats), layoutNames()...))
	}
	_, err := parseLayout(format, false, nil)
	if err == nil {
		return format, nil, nil
	}
	kept, _ := keptIn(c) // an archive that cannot be asked knows no more tokens
	if len(kept.All()) > 0 {
		_, err = parseLayout(format, false, kept)
	}
	return format, kept, err
}

// writer returns what writes flows to out with the names that b knows. With
// live rows come one by one, for as long as somebody watches.
func (o *recordOptions) writer(ctx context.Context, b backend, out *streamWriter, color, live bool) (recordWriter, error) {
	named, err := shapeOf(ctx, o.naming, b, o.format, o.columns, o.names)
	if err != nil {
		return nil, err
	}
	if o.quiet {
		out.skip = headLines(o.format)
	}
	w, err := newRecordWriter(o.format, out, named.columns, color, o.kept)
	if err != nil {
		return nil, quietPipe(err)
	}
	switch w := w.(type) {
	case *jsonRecords:
		w.extra = named.extra
	case *layoutRecords:
		w.layout.plain = o.plain
		if o.quiet {
			out.skip = w.layout.headLines()
		}
	case *tableRecords:
		if live {
			err = w.begin()
		}
	}
	return w, quietPipe(err)
}
