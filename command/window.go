package command

import (
	"strings"
	"time"

	"weir/query"
)

// windowHelp says in help how times are written.
const windowHelp = `Times are UTC unless they carry a zone: 2026-11-22T14:03:05Z, 2026-11-22T15:03:05+01:00, "2026-11-22 14:03",
2026-11-22, nfdump's 2026/11/22.14:03:05, "now", or a span before now such as -2h. A flow is in the window
if any part of it is: it starts before --to and ends at or after --from. A date alone as --to includes that day.`

// windowOptions are the flags that choose a window of time, as typed.
type windowOptions struct {
	last, from, to string
}

// window returns the times meant, in ms since the epoch.
func (o windowOptions) window(now time.Time) (query.Window, error) {
	var from, to time.Time
	var err error
	if o.to != "" {
		if to, err = parseTime(o.to, now, true); err != nil {
			return query.Window{}, prefixUsage("--to", err)
		}
	}
	if o.from != "" {
		if from, err = parseTime(o.from, now, false); err != nil {
			return query.Window{}, prefixUsage("--from", err)
		}
	}
	if o.last != "" {
		if from, to, err = o.lastWindow(to, now); err != nil {
			return query.Window{}, err
		}
	}
	if !from.IsZero() && !to.IsZero() && !from.Before(to) {
		return query.Window{}, usagef("the window is empty: --from %s is not before --to %s", showTime(from), showTime(to))
	}
	return query.Window{From: epochMS(from), To: epochMS(to)}, nil
}

// lastWindow returns the span of --last, which ends at to or, without one, has
// no end: records that exporters with a fast clock date later than now belong
// to what came last.
func (o windowOptions) lastWindow(to, now time.Time) (time.Time, time.Time, error) {
	if o.from != "" {
		return time.Time{}, time.Time{}, usagef("--last and --from both say where the window starts").withHint("give one of them")
	}
	span, err := parseDuration(o.last)
	if err != nil {
		return time.Time{}, time.Time{}, prefixUsage("--last", err)
	}
	if to.IsZero() {
		return now.Add(-span), time.Time{}, nil
	}
	return to.Add(-span), to, nil
}

// timeLayouts are the forms of a time; those without a zone are UTC.
var timeLayouts = []string{
	time.RFC3339Nano,
	"2006-01-02T15:04Z07:00",
	"2006-01-02 15:04:05Z07:00",
	"2006-01-02 15:04Z07:00",
	"2006-01-02T15:04:05",
	"2006-01-02T15:04",
	"2006-01-02 15:04:05",
	"2006-01-02 15:04",
	"2006-01-02T15",
	"2006/01/02.15:04:05",
	"2006/01/02.15:04",
	"2006/01/02.15",
}

var dateLayouts = []string{"2006-01-02", "2006/01/02"}

// parseTime parses one end of a window. A date alone is its first instant, or,
// at the end of a window, the first instant after it.
func parseTime(text string, now time.Time, end bool) (time.Time, error) {
	text = strings.TrimSpace(text)
	if text == "now" {
		return now.UTC(), nil
	}
	if span, ok := strings.CutPrefix(text, "-"); ok {
		d, err := parseDuration(span)
		if err != nil {
			return time.Time{}, err
		}
		return now.Add(-d).UTC(), nil
	}
	for _, layout := range dateLayouts {
		if t, err := time.Parse(layout, text); err == nil {
			if end {
				t = t.AddDate(0, 0, 1)
			}
			return checkTime(text, t)
		}
	}
	for _, layout := range timeLayouts {
		if t, err := time.Parse(layout, text); err == nil {
			return checkTime(text, t.UTC())
		}
	}
	return time.Time{}, usagef("%q is not a time", text).
		withHint(`write 2026-11-22, "2026-11-22 14:03", 2026-11-22T14:03:05Z or 2026/11/22.14:03:05 (UTC without a zone)`)
}

// checkTime refuses times that a window cannot hold: it counts ms since the
// epoch, and 0 is no bound.
func checkTime(text string, t time.Time) (time.Time, error) {
	if t.UnixMilli() <= 0 {
		return time.Time{}, usagef("%q is before 1970-01-01T00:00:00.001Z, the first moment that can be asked for", text)
	}
	return t, nil
}

// epochMS returns t in ms since the epoch, 0 for the zero time.
func epochMS(t time.Time) uint64 {
	if t.IsZero() {
		return 0
	}
	return uint64(max(t.UnixMilli(), 1))
}

// showTime writes t to the second in a form that parseTime takes.
func showTime(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// showMS writes ms since the epoch to the second in a form that parseTime takes.
func showMS(ms uint64) string { return showTime(time.UnixMilli(int64(ms))) }

// prefixUsage puts the flag's name before the message of a usage error.
func prefixUsage(flag string, err error) error {
	if u, ok := err.(*usageError); ok {
		return &usageError{msg: flag + ": " + u.msg, hint: u.hint}
	}
	return err
}
