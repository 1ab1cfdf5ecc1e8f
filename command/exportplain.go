package command

import (
	"fmt"
	"strings"

	"weir/query"
)

// plainWords says how complete an export is to somebody who knows nothing of
// flow records, and what sampling means for what they prove. rows is how many
// there are.
func plainWords(c *query.Coverage, s query.Sampling, rows uint64) []string {
	var said []string
	switch {
	case c == nil || c.Ledgers == 0 && len(c.Gaps) == 0:
		said = append(said, "It is not known how complete these records are: no log of the collection covers this time.")
	case c.Whole():
		said = append(said, "In all of this time the collector ran and every device that was expected to report did. Nothing is known to be missing.")
	default:
		said = append(append(plainAbsent(c), plainDevices(c)...), plainLost(c)...)
		if len(said) == 0 {
			said = append(said, "Nothing is known to be missing, but it is not proven that nothing is.")
		}
	}
	if c != nil {
		said = append(said, plainTimes(c)...)
	}
	return append(said, plainSampling(c, s, rows)...)
}

// plainAbsent says of which times there can be nothing.
func plainAbsent(c *query.Coverage) (said []string) {
	say := func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }
	if c.Past != 0 {
		say("Records of the time before %s had been deleted, as the retention rule of the archive demands.", plainTime(c.Past))
	}
	if c.Begin > c.Past {
		say("The archive begins at %s: it has no records of the time before.", plainTime(c.Begin))
	}
	if c.Ledgers > 0 && c.Unrecorded > 0 {
		say("For %d of %d hours it is not known whether anything is missing.", c.Unrecorded, c.Hours)
	}
	var down query.Moment
	var longest query.Gap
	for _, g := range c.Gaps {
		down += g.To - g.From
		if g.To-g.From > longest.To-longest.From {
			longest = g
		}
	}
	if len(c.Gaps) > 0 {
		say("For %s of %s nothing was collected (%s), the longest time from %s to %s. Traffic of these times is not in the records.",
			query.SpanText(down), query.SpanText(c.To-c.From), longest.Reason, plainTime(longest.From), plainTime(longest.To))
	}
	if c.Imported && !c.Collected {
		say("The records were read from capture files. What the captures do not hold is not known.")
	}
	return said
}

// plainDevices says which devices did not report.
func plainDevices(c *query.Coverage) (said []string) {
	say := func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }
	if n := c.Expected - c.Heard; n > 0 {
		say("%d of %d devices that were expected to report did not: %s. What only they saw is missing.", n, c.Expected, plainNames(c.Missing, n))
	}
	if len(c.Silent) > 0 {
		say("Before the end of this time these devices had stopped to report: %s.", plainNames(c.Silent, len(c.Silent)))
	}
	for i, q := range c.Quiet {
		if i == plainMost {
			say("%d more devices did not report for a time.", len(c.Quiet)-i)
			break
		}
		say("The device %s did not report from %s to %s.", query.CallExporter(q.Addr, q.Name), plainTime(q.From), plainTime(q.To))
	}
	return said
}

// plainLost says which records were lost or left out.
func plainLost(c *query.Coverage) (said []string) {
	say := func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }
	if c.Lost > 0 {
		say("About %s of the records that the devices sent in these hours did not arrive: an estimate of %d beside %d that arrived.", query.ShareText(c.Loss), c.Lost, c.Records)
	}
	if c.Kernel > 0 {
		say("The receiving computer dropped %s, each of which can hold many records.", plural(c.Kernel, "datagram"))
	}
	if c.NotStored > 0 || len(c.Unstored) > 0 {
		say("Records that arrived could not be stored: %d are counted.", c.NotStored)
	}
	sets := uint64(0)
	for _, t := range c.Templates {
		sets += t.Sets
	}
	if sets > 0 {
		say("%s could not be read, because the description of their layout had not arrived.", plural(sets, "block")+" of records")
	}
	if c.Strangers > 0 {
		say("%s of unknown senders were refused.", plural(c.Strangers, "datagram"))
	}
	if c.Refused > 0 {
		say("%s about networks that this archive is not for were refused.", plural(c.Refused, "record"))
	}
	if c.SetAside > 0 {
		say("%s about networks that this archive is not for were set aside, and are not here.", plural(c.SetAside, "record"))
	}
	if c.Purged > 0 {
		say("%s of these hours had been deleted on purpose before.", plural(c.Purged, "record"))
	}
	if len(c.Damaged) > 0 {
		say("%s of the log of the collection could not be read.", plural(len(c.Damaged), "part"))
	}
	return said
}

// plainTimes says which times are not what they seem.
func plainTimes(c *query.Coverage) (said []string) {
	say := func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }
	for i, k := range c.Clocks {
		if i == plainMost {
			say("The clocks of %d more devices were wrong.", len(c.Clocks)-i)
			break
		}
		way := "behind"
		if k.SkewMS < 0 {
			k.SkewMS, way = -k.SkewMS, "ahead"
		}
		say("The clock of the device %s was about %s %s: the times of its records are wrong by as much.", query.CallExporter(k.Addr, k.Name), query.SpanText(query.Moment(k.SkewMS)), way)
	}
	if c.Open != 0 {
		say("What was still going on at %s may be reported later, and is not here then.", plainTime(c.Open))
	}
	return said
}

// plainSampling says what the records prove and what not, where devices look at
// some packets only.
func plainSampling(c *query.Coverage, s query.Sampling, rows uint64) (said []string) {
	intervals, who := s.Intervals, "The devices look"
	if rows == 0 && c != nil {
		for _, i := range c.Intervals {
			if i.N > 1 {
				intervals = append(intervals, uint64(i.N))
			} else {
				who = "Some of the devices look"
			}
		}
	}
	if len(intervals) > 0 {
		var words []string
		for _, n := range intervals {
			words = append(words, fmt.Sprint(n))
		}
		n := strings.Join(words, " or ")
		if rows > 0 {
			said = append(said, fmt.Sprintf("%d of the %d records are of devices that look at one packet in %s only. Their numbers of bytes and packets are those of the packets looked at: an estimate of the whole is the number times the interval in the same record.", s.Sampled, rows, n))
		} else {
			said = append(said, fmt.Sprintf("%s at one packet in %s only.", who, n))
		}
		said = append(said, "What is recorded took place. That something is not recorded does not show that it did not take place.")
	}
	switch {
	case s.Unknown > 0:
		said = append(said, fmt.Sprintf("For %d of the %d records the devices do not say whether they looked at every packet or at a sample.", s.Unknown, rows))
	case len(intervals) == 0 && rows > 0:
		said = append(said, "The devices say that they looked at every packet.")
	}
	return said
}

// plainMost is how many devices are named in a sentence.
const plainMost = 3

func plainNames(gaps []query.ExporterGap, n int) string {
	var words []string
	for _, g := range gaps[:min(len(gaps), plainMost)] {
		words = append(words, query.CallExporter(g.Addr, g.Name))
	}
	if more := n - len(words); more > 0 {
		words = append(words, fmt.Sprintf("%d more", more))
	}
	return strings.Join(words, ", ")
}

func plainTime(m query.Moment) string { return showMS(uint64(m)) }
