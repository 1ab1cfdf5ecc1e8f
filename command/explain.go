package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"weir/query"
)

func explainCommand() *command {
	return &command{
		name:  "explain",
		usage: "say how a filter is understood and answered",
		args:  "FILTER",
		about: `
Prints the filter with every primitive spelled out by the fields that it looks at, as it binds: not tightest, then
and, then or. Where there is an archive, it also says what of it would be read: which hours are left out and why, what
the index finds, how many blocks remain. It reads no flows. With --timing it also says how long that planning took.

` + windowHelp,
		flags: append([]cli.Flag{dataFlag(), explainOutputFlag(), exporterFlag(), filterFileFlag(), explainTimingFlag()}, append(namingFlags(), windowFlags()...)...),
		examples: []example{
			{"weir explain 'src port 53 or port 443 and not host 192.0.2.1'", "how it binds"},
			{"weir explain 'ip 192.0.2.7' --last 7d", "what would be read for it"},
		},
		words: filterAndFields,
		prepare: func(c *cli.Context, std *Std) (runner, error) {
			o, err := explainFlags(c, std)
			if err != nil {
				return nil, err
			}
			return func(ctx context.Context, std *Std) error { return runExplain(ctx, std, o) }, nil
		},
	}
}

func explainOutputFlag() cli.Flag {
	return &cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "`FORMAT` of the answer: table or json", DefaultText: formatTable}
}

func explainTimingFlag() cli.Flag {
	return &cli.BoolFlag{Name: "timing", Usage: "say how long the planning took"}
}

// explainOptions are the options of weir explain.
type explainOptions struct {
	dir     string
	request query.ExplainRequest
	filter  *query.Filter
	format  string
	timing  bool
}

func explainFlags(c *cli.Context, std *Std) (o explainOptions, err error) {
	if o.dir, err = dataDir(c, std); err != nil {
		return o, err
	}
	o.format, o.timing = formatTable, c.Bool("timing")
	if c.IsSet("output") {
		o.format = c.String("output")
		if err := oneOf("--output", o.format, []string{formatTable, formatJSON}); err != nil {
			return o, err
		}
	}
	if o.request.Window, err = window(c, std); err != nil {
		return o, err
	}
	if o.request.Exporter, err = exporterText(c); err != nil {
		return o, err
	}
	text, err := rawFilter(c, std, 0)
	if err != nil {
		return o, err
	}
	if text == "" {
		return o, usagef("name a filter to explain").withHint("try: weir explain 'port 53'")
	}
	if o.filter, err = parseFilter(c, text); err != nil {
		return o, err
	}
	o.request.Filter = o.filter.Resolved()
	return o, nil
}

// runExplain prints how the filter is understood and, if there is an archive,
// how it would be answered.
func runExplain(ctx context.Context, std *Std, o explainOptions) error {
	b, err := openBackend(ctx, o.dir, modeRead, std)
	var none *storeError
	if errors.As(err, &none) {
		fmt.Fprintf(std.Err, "weir: %v\n", err)
		_, err = fmt.Fprintln(std.Out, strings.TrimSpace(o.filter.String()))
		return err
	}
	if err != nil {
		return err
	}
	defer b.Close()
	plan, err := b.Explain(ctx, o.request)
	if err != nil {
		return err
	}
	if o.format == formatJSON {
		_, err = std.Out.Write(append(marshal(plan), '\n'))
	} else {
		err = writePlan(std.Out, plan)
	}
	if err != nil {
		return err
	}
	if o.timing {
		fmt.Fprintf(std.Err, "weir: planned in %v\n", roundTime(plan.Took))
	}
	if len(plan.Damaged) > 0 {
		return &incompleteError{"the plan leaves out what is damaged: " + strings.Join(plan.Damaged, "; ")}
	}
	return nil
}

// writePlan writes a plan for people.
func writePlan(out io.Writer, p *query.Plan) error {
	t := p.Total
	lines := []string{
		"filter:   " + p.Filter,
		"index:    " + listText(p.Indexed),
		"scan:     " + listText(p.Scanned),
		"columns:  " + strings.Join(p.Fields, " "),
		fmt.Sprintf("hours:    %d, %d left out%s", len(p.Buckets), p.Pruned, prunedText(p.Buckets)),
		fmt.Sprintf("blocks:   %d in the rest, %d after the index, %d after their headers", t.Blocks, t.Candidates, t.Read),
		fmt.Sprintf("flows:    %s of %s to look at", humanCount(uint64(t.ReadRows)), humanCount(uint64(t.Rows))),
		fmt.Sprintf("look-up:  %s of the index, %s bytes", plural(t.Pages, "page"), humanCount(uint64(t.PageBytes))),
	}
	_, err := io.WriteString(out, strings.Join(lines, "\n")+"\n")
	return err
}

func listText(conditions []string) string {
	if len(conditions) == 0 {
		return "nothing"
	}
	return strings.Join(conditions, "; ")
}

// prunedText counts the hours left out by the reason.
func prunedText(buckets []query.BucketPlan) string {
	counts := make(map[string]uint64)
	for _, b := range buckets {
		if b.Pruned != "" {
			counts[b.Pruned]++
		}
	}
	if len(counts) == 0 {
		return ""
	}
	return " (by " + countList(counts) + ")"
}
