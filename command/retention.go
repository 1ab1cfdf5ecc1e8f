package command

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/urfave/cli/v2"

	"weir/retention"
)

// defaultRetention is how long records are kept when nothing says otherwise.
const defaultRetention = "90d"

// keepForever is the value of --retention for an archive that drops nothing.
const keepForever = "forever"

func retentionCommand() *command {
	return &command{
		name:  "retention",
		usage: "say what is kept and what is dropped next",
		args:  "[confirm]",
		about: `
weir collect drops each hour whole once its last record is older than --retention. It does not believe a clock that
moved by more than a day: it then drops nothing until weir retention confirm says that the clock is right. A machine
that was off for more than a day looks the same and wants the same confirmation. With --max-disk, the oldest hours go
before their time when the directory takes more room than that; what goes so, and when, is shown here beforehand.`,
		flags: []cli.Flag{dataFlag(), outputFlag()},
		examples: []example{
			{"weir retention", "the policy, what is dropped next, whether dropping is held"},
			{"weir retention confirm", "the clock is right: go on dropping"},
		},
		commands: []*command{{
			name:     "confirm",
			usage:    "say that the clock is right, so that dropping goes on",
			about:    "Look at the clock (date -u) first: what is dropped is gone.",
			flags:    []cli.Flag{dataFlag(), outputFlag()},
			examples: []example{{"weir retention confirm", "after the clock jumped, or the machine was off for days"}},
			prepare:  prepareRetention(true),
		}},
		prepare: prepareRetention(false),
	}
}

func prepareRetention(confirm bool) func(*cli.Context, *Std) (runner, error) {
	return func(c *cli.Context, std *Std) (runner, error) {
		dir, format, err := archiveAndFormat(c, std)
		if err != nil {
			return nil, err
		}
		return func(ctx context.Context, std *Std) error {
			return runRetention(ctx, std, dir, format, confirm)
		}, noArgs(c)
	}
}

// A retentionReport is what is known of the archive's retention.
type retentionReport struct {
	retention.Status
	Collecting bool `json:"collecting"` // a collector runs and acts on it
	Policy     bool `json:"policy"`     // a collector has said how long to keep; else Keep is the default

	Holds []keptHold `json:"holds,omitempty"` // what stays past its day, or will
}

// A keptHold says what one hold keeps.
type keptHold struct {
	Damaged []string `json:"damaged,omitempty"`
	Case    string   `json:"case"`
	From    string   `json:"from"`
	To      string   `json:"to"`
	Filter  string   `json:"filter"` // "": whole hours
	Until   string   `json:"until"`
	Hours   int      `json:"hours"` // that records were taken out of
	Records int64    `json:"records"`
	Bytes   int64    `json:"bytes"`
}

// keptHolds returns what the holds keep.
func (l *local) keptHolds() (list []keptHold) {
	for _, one := range l.holds.all() {
		r, w := l.holdReport(one, false), one.window()
		list = append(list, keptHold{r.Damaged, one.Case, showMS(w.From), showMS(w.To), one.filter(), showMS(one.Until), r.Hours, r.Records, r.Bytes})
	}
	return list
}

// runRetention confirms the clock if asked, and reports.
func runRetention(ctx context.Context, std *Std, dir, format string, confirm bool) error {
	mode := modeRead
	if confirm {
		mode = modeWrite
	}
	b, err := openBackend(ctx, dir, mode, std)
	if err != nil {
		return err
	}
	defer b.Close()
	ask := b.Retention
	if confirm {
		ask = b.ConfirmRetention
	}
	known, err := ask(ctx)
	if err != nil {
		return err
	}
	return forms{
		value: known,
		csv:   func(w io.Writer) error { return retentionCSV(w, known) },
		text:  func(w io.Writer) error { return retentionText(w, known) },
	}.write(std.Out, format)
}

func retentionText(w io.Writer, r *retentionReport) error {
	lines := []string{"kept:     " + keepText(r.Keep)}
	if !r.Policy {
		lines[0] += " (the default: no collector has run on this archive)"
	}
	lines = append(lines, "clock:    "+showTime(r.Now))
	if r.Held {
		lines = append(lines,
			"dropping: held since "+showTime(*r.Since)+": "+r.Reason,
			"          if the clock is right, run: weir retention confirm")
	} else if r.Collecting {
		lines = append(lines, "dropping: on")
	} else {
		lines = append(lines, "dropping: only while weir collect runs")
	}
	lines = append(lines, "due:      "+plural(len(r.Expired), "hour"))
	lines = append(lines, r.stayLines()...)
	if r.NextAt != nil {
		lines = append(lines, fmt.Sprintf("next:     hour %s at %s", r.Next, showTime(*r.NextAt)))
	}
	lines = append(lines, roomLines(&r.Status)...)
	if len(r.InFuture) > 0 {
		lines = append(lines, fmt.Sprintf("note:     %d hours lie in the clock's future, from %s on", len(r.InFuture), r.InFuture[0]))
	}
	if r.Collecting {
		lines = append(lines, fmt.Sprintf("dropped:  %s, %s since the collector started", plural(r.Dropped.Buckets, "hour"), plural(r.Dropped.Records, "record")))
	}
	for _, line := range lines {
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return nil
}

// stayLines says what stays past its day, and why.
func (r *retentionReport) stayLines() (lines []string) {
	hours := map[string]int{}
	for _, s := range r.Stays {
		for _, ref := range s.Cases {
			hours[ref]++
		}
	}
	for _, h := range r.Holds {
		line := "stays:    "
		if h.Filter == "" {
			line += plural(hours[h.Case], "hour") + " past retention"
		} else {
			line += plural(h.Records, "record") + " taken out of " + plural(h.Hours, "hour")
		}
		line += fmt.Sprintf(": hold %s until %s (%s, %s to %s)", h.Case, h.Until, map[bool]string{true: "whole hours", false: shortText(h.Filter)}[h.Filter == ""], h.From, h.To)
		lines = append(lines, line)
	}
	return lines
}

// roomLines says what becomes of hours for want of room.
func roomLines(s *retention.Status) (lines []string) {
	if s.Room != nil {
		lines = append(lines, "max-disk: "+s.Room.Text())
	}
	for _, e := range s.Early {
		lines = append(lines, fmt.Sprintf("early:    %s from %s to %s, %s, dropped for want of disk", plural(e.Hours, "hour"), e.From, e.To, plural(e.Records, "record")))
	}
	return lines
}

func retentionCSV(out io.Writer, r *retentionReport) error {
	w := newCSV(out)
	next, since, limit, early, earlyAt := "", "", "", "", ""
	if r.Room != nil {
		limit, early = fmt.Sprint(r.Room.Limit), r.Room.First
		if r.Room.At != nil {
			earlyAt = showTime(*r.Room.At)
		}
	}
	if r.NextAt != nil {
		next = showTime(*r.NextAt)
	}
	if r.Since != nil {
		since = showTime(*r.Since)
	}
	rows := [][]string{
		{"keep", "now", "held", "held_since", "reason", "due_hours", "next_hour", "next_at", "dropped_hours", "dropped_records", "stays_hours", "holds", "max_disk", "early_hour", "early_at", "early_hours"},
		{keepText(r.Keep), showTime(r.Now), fmt.Sprint(r.Held), since, r.Reason, fmt.Sprint(len(r.Expired)),
			r.Next, next, fmt.Sprint(r.Dropped.Buckets), fmt.Sprint(r.Dropped.Records), fmt.Sprint(len(r.Stays)), fmt.Sprint(len(r.Holds)), limit, early, earlyAt, fmt.Sprint(r.Dropped.Early)},
	}
	return w.WriteAll(rows)
}

// keepText writes a policy as --retention takes it.
func keepText(keep time.Duration) string {
	if keep == 0 {
		return keepForever
	}
	return formatDuration(keep)
}

// parseRetention parses a policy; 0 is for ever. Less than an hour is refused:
// hours are dropped whole, and a slip of the finger must not empty the archive.
func parseRetention(text string) (time.Duration, error) {
	if text == keepForever {
		return 0, nil
	}
	keep, err := parseDuration(text)
	if err != nil {
		return 0, prefixUsage("retention", err)
	}
	if keep < time.Hour {
		return 0, usagef("retention: %s is less than an hour", text).withHint("hours are dropped whole; write 90d, or forever")
	}
	return keep, nil
}
