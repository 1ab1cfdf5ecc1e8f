package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"weir/flow/ledger"
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
	r.strangerLines(line)
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
	case n == 0 && len(r.Exporters.Waiting) > 0:
		text += fmt.Sprintf("; %d of %d expected", r.Exporters.Expected-len(r.Exporters.Waiting), r.Exporters.Expected)
	case n == 0:
		text += fmt.Sprintf("; all of %d expected", r.Exporters.Expected)
	default:
		text += fmt.Sprintf("; silent of %d expected: %s", r.Exporters.Expected, someOf(r.Exporters.Silent, 5))
	}
	if len(r.Exporters.Waiting) > 0 && r.Since != nil {
		text += fmt.Sprintf("; not heard since the collector began, %s ago: %s", humanSpan(r.Now.Sub(*r.Since)), someOf(r.Exporters.Waiting, 5))
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
	}{{r.Kernel, "datagrams in the kernel" + r.socketsText()}, {r.QueueFull, "waits for a full queue"}, {r.NotStored, "records that could not be stored"}} {
		if part.n > 0 {
			text += fmt.Sprintf(", %s %s", humanCount(part.n), part.about)
		}
	}
	return text + ", in this hour and the one before"
}

// socketsText says where the kernel dropped, if there are several sockets.
func (r *statusReport) socketsText() string {
	if len(r.Sockets) == 0 {
		return ""
	}
	return " at " + dropNames(r.Sockets, 4, r.Kernel)
}

// strangerLines say who sends what it should not, and where datagrams go. They
// are there only if there is something to say.
func (r *statusReport) strangerLines(line func(name, format string, args ...any)) {
	if r.OutOfScope > 0 {
		text := fmt.Sprintf("%s with no address in networks", query.Things(r.OutOfScope, "record"))
		for i, f := range r.Foreign {
			if i == 3 {
				text += fmt.Sprintf(" and %d more", len(r.Foreign)-i)
				break
			}
			text += fmt.Sprintf("%s %s", map[bool]string{true: "; most of", false: ","}[i == 0], f.text())
		}
		line("scope", "%s, in this hour and the one before", text)
	}
	if r.Refused > 0 {
		line("refused", "%s of %s, in this hour and the one before", query.Things(r.Refused, "datagram"), dropNames(r.Senders, 3, r.Refused))
	}
	for i, f := range r.Forwarded {
		line(map[bool]string{true: "forwards"}[i == 0], "%s", f.text())
	}
}

// dropNames names the first few places of a list, of which all together counted
// so much.
func dropNames(list []ledger.Drop, most int, all uint64) string {
	var words []string
	for _, d := range list[:min(len(list), most)] {
		words = append(words, fmt.Sprintf("%s (%s)", d.Where, humanCount(d.Count)))
		all -= min(d.Count, all)
	}
	if all > 0 {
		words = append(words, fmt.Sprintf("others (%s)", humanCount(all)))
	}
	return strings.Join(words, ", ")
}

func (f *foreignReport) text() string {
	text := fmt.Sprintf("%s: %s of %s", f.Exporter, humanCount(f.OutOfScope), humanCount(f.Records))
	switch {
	case f.Refused > 0:
		return text + " (refused)"
	case f.SetAside > 0:
		return text + " (set aside)"
	}
	return text + " (kept)"
}

func (f *forwardReport) text() string {
	text := fmt.Sprintf("%s to %s since the start", query.Things(f.Sent, "datagram"), f.To)
	if n := f.QueueFull + f.Failed; n > 0 {
		text += fmt.Sprintf("; %s not: %s as the queue was full, %s as the system refused", humanCount(n), humanCount(f.QueueFull), humanCount(f.Failed))
	}
	return text
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
	if h := r.Holds; h.Count > 0 {
		line("holds", "%d; %s taken out of hours that have gone, %sB; %s past retention whole; the next ends at %s", h.Count,
			query.Things(uint64(h.Records), "record"), humanCount(uint64(h.Bytes)), plural(h.Whole, "hour"), h.Next)
	}
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
	if d.PerDay == 0 && d.Why != "" {
		return text + "; how long it lasts is not known: " + d.Why
	} else if d.PerDay == 0 {
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
