package command

import (
	"strconv"
	"strings"
	"time"
)

// durationUnits are the units of a span of time as users write it, largest
// first. A day is 24 hours and a week seven days: times are UTC.
var durationUnits = []struct {
	letter byte
	span   time.Duration
}{
	{'w', 7 * 24 * time.Hour},
	{'d', 24 * time.Hour},
	{'h', time.Hour},
	{'m', time.Minute},
	{'s', time.Second},
}

const maxDuration = 100 * 366 * 24 * time.Hour

// parseDuration parses a positive span of time such as "90d", "2h", "1d12h" or
// "90s". What formatDuration gives, it takes.
func parseDuration(text string) (time.Duration, error) {
	wrong := func() (time.Duration, error) {
		return 0, usagef("%q is not a span of time", text).withHint("write 30m, 2h, 7d, 4w or 1d12h")
	}
	var total time.Duration
	rest := text
	for rest != "" {
		digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
		if digits == 0 || digits == len(rest) {
			return wrong()
		}
		n, err := strconv.ParseInt(rest[:digits], 10, 64)
		unit := unitOf(rest[digits])
		if err != nil || unit == 0 {
			return wrong()
		}
		if n > int64(maxDuration/unit) {
			return 0, usagef("%q is more than a hundred years", text)
		}
		total += time.Duration(n) * unit
		rest = rest[digits+1:]
	}
	if total <= 0 {
		return wrong()
	}
	if total > maxDuration {
		return 0, usagef("%q is more than a hundred years", text)
	}
	return total, nil
}

func unitOf(letter byte) time.Duration {
	for _, u := range durationUnits {
		if u.letter == letter {
			return u.span
		}
	}
	return 0
}

// formatDuration writes d in the form parseDuration takes, to the second, with
// days as the largest unit: "90d", "1d12h".
func formatDuration(d time.Duration) string {
	d = d.Truncate(time.Second)
	if d <= 0 {
		return "0s"
	}
	var b strings.Builder
	for _, u := range durationUnits[1:] {
		if n := d / u.span; n > 0 {
			b.WriteString(strconv.FormatInt(int64(n), 10))
			b.WriteByte(u.letter)
			d -= n * u.span
		}
	}
	return b.String()
}
