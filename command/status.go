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

// statusFormats are the values of weir status --output.
var statusFormats = []string{formatTable, formatJSON}

func statusCommand() *command {
	return &command{
		name:  "status",
		usage: "how the collector and its archive do, on one screen",
		about: `
Says whether a collector runs and since when, what comes in and what is lost, who is silent, how long the disk lasts, what
is dropped next, and what wants attention. Loss and drops are those of this hour and the one before.

The exit status is 0 whatever it says, as for every answer. With --check it is 1 where something wants attention, and
standard error has the reasons: for monitoring. -o json is one object, with the reasons as "problems" and "healthy" as
true or false.`,
		flags: []cli.Flag{
			dataFlag(), timeoutFlag(),
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "`FORMAT` of the answer: table or json (one object)", DefaultText: formatTable},
			&cli.BoolFlag{Name: "check", Usage: "exit with 1 if something wants attention"},
		},
		examples: []example{
			{"weir status", "one screen"},
			{"weir status --check --timeout 10s", "for a monitoring system: 0 if all is well"},
			{"weir status -o json | jq .problems", "for a script"},
		},
		prepare: func(c *cli.Context, std *Std) (runner, error) {
			dir, err := dataDir(c, std)
			if err != nil {
				return nil, err
			}
			format, err := formatOf(c, statusFormats)
			if err != nil {
				return nil, err
			}
			check := c.Bool("check")
			return func(ctx context.Context, std *Std) error { return runStatus(ctx, std, dir, format, check) }, noArgs(c)
		},
	}
}

func runStatus(ctx context.Context, std *Std, dir, format string, check bool) error {
	b, err := openBackend(ctx, dir, modeRead, std)
	if err != nil {
		return err
	}
	defer b.Close()
	r, err := b.Status(ctx)
	if err != nil {
		return err
	}
	if format == formatJSON {
		_, err = std.Out.Write(append(marshal(r), '\n'))
	} else {
		_, err = io.WriteString(std.Out, r.text())
	}
	if err == nil && check && !r.Healthy {
		return errors.New(strings.Join(r.Problems, "; "))
	}
	return err
}

// text writes the report for people, a line for each thing.
func (r *statusReport) text() string {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-11s %s\n", name, fmt.Sprintf(format, args...))
	}
	for i, problem := range r.Problems {
		line(map[bool]string{true: "attention"}[i == 0], "%s", problem)
	}
	if r.Healthy {
		line("healthy", "nothing wants attention")
	}
	line("weir", "%s", r.Version)
	r.collectorLines(line)
	line("exporters", "%s", r.exportersText())
	line("lost", "%s", r.lossText())
	r.archiveLines(line)
	if r.Collecting {
		line("questions", "%d open; %s and %d failed since the start", r.Open, query.Things(r.Answered, "answer"), r.Failed)
	}
	for i, damage := range r.Damage {
		line(map[bool]string{true: "damage"}[i == 0], "%s", damage)
	}
	return b.String()
}

func (r *statusReport) collectorLines(line func(name, format string, args ...any)) {
	if !r.Collecting {
		line("collector", "not running")
		return
	}
	line("collector", "up since %s (%s), process %d", showTime(*r.Since), humanSpan(r.Now.Sub(*r.Since)), r.PID)
	rate := "not known yet"
	if r.Rate != nil {
		rate = humanRate(r.Rate) + " over the last minute"
	}
	line("records/s", "%s", rate)
	if r.Metrics != "" {
		line("metrics", "%s", r.Metrics)
	}
}

func (r *statusReport) exportersText() string {
	text := fmt.Sprintf("%d heard lately, %d in the day", r.Exporters.Heard, r.Exporters.Day)
	switch n := len(r.Exporters.Silent); {
	case r.Exporters.Expected == 0:
		text += "; none is marked as expected"
	case n == 0:
		text += fmt.Sprintf("; all of %d expected", r.Exporters.Expected)
	default:
		text += fmt.Sprintf("; silent of %d expected: %s", r.Exporters.Expected, someOf(r.Exporters.Silent, 5))
	}
	if !r.Collecting && r.AsOf != 0 {
		text += fmt.Sprintf(" (at %s)", showMS(uint64(r.AsOf)))
	}
	return text
}

func (r *statusReport) lossText() string {
	text := query.ShareText(r.Loss) + " of the records"
	if r.Lost > 0 {
		text += fmt.Sprintf(" (about %s)", humanCount(r.Lost))
	}
	for _, part := range []struct {
		n     uint64
		about string
	}{{r.Kernel, "datagrams in the kernel"}, {r.QueueFull, "waits for a full queue"}, {r.NotStored, "records that could not be stored"}} {
		if part.n > 0 {
			text += fmt.Sprintf(", %s %s", humanCount(part.n), part.about)
		}
	}
	return text + ", in this hour and the one before"
}

func (r *statusReport) archiveLines(line func(name, format string, args ...any)) {
	if r.Records == 0 {
		line("archive", "no records")
	} else {
		line("archive", "%s in %s; the newest of %s, the oldest of %s", query.Things(uint64(r.Records), "record"), plural(r.Hours, "hour"),
			showMS(uint64(r.Newest)), showMS(uint64(r.Oldest)))
	}
	line("disk", "%s", r.Disk.text())
	kept := keepText(r.Kept.Keep)
	switch {
	case r.Kept.Held:
		kept += "; held: " + r.Kept.Reason + "; if the clock is right, run: weir retention confirm"
	case r.Kept.NextAt != nil && r.Collecting:
		kept += fmt.Sprintf("; hour %s is dropped next, at %s", r.Kept.Next, showTime(*r.Kept.NextAt))
	case !r.Collecting:
		kept += "; nothing is dropped while no collector runs"
	}
	line("kept", "%s", kept)
	for i, text := range roomLines(&r.Kept) {
		_, text, _ = strings.Cut(text, ":")
		line(map[bool]string{true: "max-disk"}[i == 0], "%s", strings.TrimSpace(text))
	}
}

// text says how full the disk is, and what becomes of it.
func (d *diskReport) text() string {
	text := humanCount(d.Used) + "B used"
	if d.Size > 0 {
		text += fmt.Sprintf(", %sB free of %sB", humanCount(d.Free), humanCount(d.Size))
	}
	if d.PerDay == 0 {
		return text
	}
	text += fmt.Sprintf("; %sB a day: ", humanCount(uint64(d.PerDay)))
	switch {
	case d.Days != nil:
		return text + "full in " + daysText(*d.Days)
	case d.Settled:
		return text + "retention frees as much as comes in"
	case d.Size == 0:
		return text + "how long that lasts is not known here"
	}
	return text + fmt.Sprintf("it grows by %sB until retention frees as much as comes in", humanCount(uint64(d.Growth)))
}
