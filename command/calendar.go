package command

import (
	"fmt"
	"io"
	"strings"
	"time"

	"weir/query"
)

// calendarShades are the cells of an hour from none to a million records and
// more, a step for each power of ten.
func calendarShades(unicode bool) []string {
	if unicode {
		return []string{"·", "░", "▒", "▒", "▓", "▓", "█", "█"}
	}
	return []string{".", ":", "-", "=", "+", "*", "#", "@"}
}

// calendarShade returns which shade so many records have: one for 1 to 9, two
// for 10 to 99 and so on.
func calendarShade(records uint64) int {
	shade := 0
	for ; records > 0 && shade < 7; records /= 10 {
		shade++
	}
	return shade
}

// writeCalendar writes the activity of an address: a row for each UTC day from
// its first to its last, a column for each hour, and the records of the day.
func writeCalendar(out io.Writer, e query.SeenEntry, unicode bool) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  records: %s, active hours: %d\n", e.Addr, humanCount(e.Records), e.Active)
	if len(e.Hours) == 0 {
		_, err := io.WriteString(out, b.String())
		return err
	}
	const day, hour = 24 * 3600_000, 3600_000
	shades, records := calendarShades(unicode), map[uint64]uint64{}
	for _, h := range e.Hours {
		records[h.Start] = h.Records
	}
	fmt.Fprintf(&b, "UTC             00    03    06    09    12    15    18    21     records\n")
	first, last := e.Hours[0].Start/day*day, e.Hours[len(e.Hours)-1].Start
	idle := 0
	for start := first; start <= last; start += day {
		cells, sum := "", uint64(0)
		for h := range uint64(24) {
			n := records[start+h*hour]
			sum += n
			cells += strings.Repeat(shades[calendarShade(n)], 2)
		}
		if sum == 0 {
			idle++
			continue
		}
		idle = writeIdle(&b, idle)
		fmt.Fprintf(&b, "%s  %s  %9s\n", time.UnixMilli(int64(start)).UTC().Format("2006-01-02 Mon"), cells, humanCount(sum))
	}
	fmt.Fprintf(&b, "                %s none  %s 1  %s 10  %s 100  %s 1k  %s 10k  %s 100k  %s 1M or more\n",
		shades[0], shades[1], shades[2], shades[3], shades[4], shades[5], shades[6], shades[7])
	_, err := io.WriteString(out, b.String())
	return err
}

// writeIdle says that days without records were left out.
func writeIdle(b *strings.Builder, days int) int {
	switch {
	case days == 1:
		fmt.Fprintf(b, "                (a day without records)\n")
	case days > 1:
		fmt.Fprintf(b, "                (%d days without records)\n", days)
	}
	return 0
}
