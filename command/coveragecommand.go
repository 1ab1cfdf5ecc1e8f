package command

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"weir/query"
)

// coverageFormats are the values of weir coverage --output.
var coverageFormats = append(slices.Clone(outputFormats), formatSVG, formatPNG)

// What a grid shows when nothing else is said.
const (
	defaultCoverage = 7 * 24 * time.Hour
	defaultWorst    = 10
)

func coverageCommand() *command {
	return &command{
		name:  "coverage",
		usage: "how complete the archive is: hours by exporters, and the worst spans",
		about: `
A grid of the hours of receipt (UTC), a line for each exporter and one for the collector, a character an hour: quiet
where all is well, ` + coverageLegendHelp + `
In the collector's line a small letter is less than half of the time. Longer windows have a character for several
hours, as --step says, and the worst of them counts. Below stand the spans that lack most, with the likely reason.

-o json is one object; csv has a row for each step and exporter, and for the collector, whose exporter is "collector";
svg and png are pictures. Loss is what sequence numbers say is missing; records of it are an estimate.

` + windowHelp + `
Without a window it is the last 7 days.`,
		flags: slices.Concat([]cli.Flag{
			dataFlag(),
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "`FORMAT` of the answer: " + strings.Join(coverageFormats, ", "), DefaultText: formatTable},
			&cli.StringFlag{Name: "step", Usage: "a character, or a row of csv, for each `SPAN`: 1h, 2h, 3h, 4h, 6h, 8h, 12h or 1d", DefaultText: "1h; chosen for tables and pictures"},
			limitFlag("at most `N` of the worst spans", fmt.Sprint(defaultWorst)),
			exporterFlag(),
		}, namingFlags(), windowFlags()),
		examples: []example{
			{"weir coverage", "the last 7 days"},
			{"weir coverage --last 90d -o png > coverage.png", "all that is kept, as a picture for the monthly report"},
			{"weir coverage --exporter border-1 --from 2026-11-20 --to 2026-11-22", "three days of one exporter"},
			{"weir coverage --last 1d -o csv", "an hour and exporter a row, for a spreadsheet"},
		},
		prepare: func(c *cli.Context, std *Std) (runner, error) {
			o, err := gridFlags(c, std)
			if err != nil {
				return nil, err
			}
			return func(ctx context.Context, std *Std) error { return runCoverage(ctx, std, o) }, noArgs(c)
		},
	}
}

// coverageOptions are the options of weir coverage.
type coverageOptions struct {
	dir     string
	request query.GridRequest
	format  string
	worst   int // 0: all
	chosen  bool
}

func gridFlags(c *cli.Context, std *Std) (o coverageOptions, err error) {
	if o.dir, err = dataDir(c, std); err != nil {
		return o, err
	}
	if o.format, err = formatOf(c, coverageFormats); err != nil {
		return o, err
	}
	if o.worst, err = limit(c, defaultWorst); err != nil {
		return o, err
	}
	if o.request.Window, err = window(c, std); err != nil {
		return o, err
	}
	if o.request.Window == (query.Window{}) {
		o.request.From = epochMS(std.Now().Add(-defaultCoverage))
	}
	if o.request.Exporter, err = exporterText(c); err != nil {
		return o, err
	}
	if o.chosen = c.IsSet("step"); o.chosen {
		o.request.Step, err = gridStep(c.String("step"))
	}
	return o, err
}

// gridStep reads the length of a step, in hours: a whole number of them goes
// into a day.
func gridStep(text string) (int, error) {
	span, err := parseDuration(text)
	if err != nil {
		return 0, prefixUsage("--step", err)
	}
	if span <= 0 || span%time.Hour != 0 || 24*time.Hour%span != 0 {
		return 0, usagef("--step: a day has no whole number of %s", text).withHint("it is 1h, 2h, 3h, 4h, 6h, 8h, 12h or 1d")
	}
	return int(span / time.Hour), nil
}

// chooseStep returns the hours of a step with which so many hours can be
// overlooked in a format.
func chooseStep(hours int, format string) int {
	most := 0
	switch format {
	case formatTable:
		most = 8 * 24
	case formatSVG, formatPNG:
		most = 15 * 24
	default:
		return 1
	}
	for _, step := range []int{1, 2, 4, 6, 12} {
		if hours <= most*step {
			return step
		}
	}
	return 24
}

func runCoverage(ctx context.Context, std *Std, o coverageOptions) error {
	b, err := openBackend(ctx, o.dir, modeRead, std)
	if err != nil {
		return err
	}
	defer b.Close()
	if !o.chosen {
		if o.request.Step, err = stepOf(ctx, std, b, o); err != nil {
			return err
		}
	}
	grid, err := b.Grid(ctx, o.request)
	if err != nil {
		return err
	}
	if o.worst > 0 {
		grid.Worst = grid.Worst[:min(len(grid.Worst), o.worst)]
	}
	out := newStream(std.Out, nil)
	defer out.Close()
	if err := writeGrid(out, std, o.format, grid); err != nil {
		return quietPipe(err)
	}
	if err := out.Close(); err != nil {
		return quietPipe(err)
	}
	return concludeGrid(std, grid)
}

// stepOf chooses the step of a window, of which the archive may hold little.
func stepOf(ctx context.Context, std *Std, b backend, o coverageOptions) (int, error) {
	from, to := o.request.From, o.request.To
	buckets, err := b.Buckets(ctx)
	if err != nil {
		return 0, err
	}
	if len(buckets) > 0 {
		from = max(from, buckets[0].Hour.StartMS())
	}
	if now := epochMS(std.Now()); to == 0 || to > now {
		to = now
	}
	return chooseStep(int((max(to, from)-from)/3600e3), o.format), nil
}

// concludeGrid says on standard error what the grid does not.
func concludeGrid(std *Std, g *query.Grid) error {
	if len(g.Exporters) == 0 && !slices.ContainsFunc(g.Hosts, func(h query.HostDigest) bool { return h.Ledgers > 0 }) {
		fmt.Fprintln(std.Err, "weir: nothing was written down of this window: no collector ran and nothing was imported, or an older weir did it")
	}
	if len(g.Damaged) > 0 {
		return &incompleteError{"the answer leaves out what is damaged: " + strings.Join(g.Damaged, "; ")}
	}
	return nil
}

// writeGrid writes the grid in a format.
func writeGrid(out *streamWriter, std *Std, format string, g *query.Grid) error {
	switch format {
	case formatJSON:
		_, err := out.Write(append(marshal(g), '\n'))
		return err
	case formatCSV:
		return coverageCSV(out, g)
	case formatSVG:
		return writeSVG(out, coveragePicture(g))
	case formatPNG:
		return writePNG(out, coveragePicture(g))
	}
	if len(g.Hosts) == 0 {
		return nil // standard error says why
	}
	if err := coverageGrid(out, g, terminalColumns(std), hasUnicode(std.Getenv), std.color()); err != nil {
		return err
	}
	return coverageWorst(out, g, std.color())
}
