package query

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// What is too little to be said in words. A program gets it all the same.
const (
	leastLoss  = 0.001  // share of records lost, of all exporters together
	leastWorst = 0.01   // of one exporter
	leastDown  = 1000   // the part of the window that a gap must be, or be
	longDown   = 60_000 // this long, in ms
	leastOpen  = 10     // the part of the window that may still come
	nameMost   = 3      // exporters by name
)

// Lines says in words what is worth saying: one to three lines, the most
// important first, none if there is nothing. The first is about time that is
// not covered and exporters that are not there, the second about records that
// were lost, the third about what remains to be known to read the answer.
func (c *Coverage) Lines() []string {
	var lines []string
	for _, facts := range [][]string{c.absent(), c.lost(), c.quality()} {
		if len(facts) > 0 {
			lines = append(lines, strings.Join(facts, "; "))
		}
	}
	return lines
}

// absent says what is not there at all.
func (c *Coverage) absent() (facts []string) {
	if c.Past != 0 {
		facts = append(facts, fmt.Sprintf("records from before %s are past retention", shortTime(c.Past)))
	}
	for i, e := range c.Early {
		if i == nameMost {
			facts = append(facts, fmt.Sprintf("%d more runs of hours were dropped early", len(c.Early)-i))
			break
		}
		facts = append(facts, fmt.Sprintf("%s dropped early for want of disk, from %s on: %s records",
			Things(e.Hours, "hour"), shortTime(e.From), CountText(uint64(e.Records))))
	}
	facts = append(facts, c.reach()...)
	if c.Ledgers > 0 && c.Unrecorded > 0 {
		facts = append(facts, fmt.Sprintf("of %d of %s nothing is known: they are from before the ledger", c.Unrecorded, Things(c.Hours, "hour")))
	}
	facts = append(facts, c.downtime()...)
	if len(c.Missing) > 0 {
		facts = append(facts, fmt.Sprintf("%d of %s heard; missing: %s", c.Heard, Things(c.Expected, "exporter"), gapNames(c.Missing, c.Expected-c.Heard)))
	}
	if len(c.Silent) > 0 {
		facts = append(facts, "silent at the end: "+gapNames(c.Silent, len(c.Silent)))
	}
	for i, q := range c.Quiet {
		if i == nameMost {
			facts = append(facts, fmt.Sprintf("%d more were silent for a time", len(c.Quiet)-i))
			break
		}
		facts = append(facts, fmt.Sprintf("%s silent from %s for %s", CallExporter(q.Addr, q.Name), shortTime(q.From), SpanText(q.To-q.From)))
	}
	return facts
}

// reach says where what there is begins and ends, if the window goes beyond.
func (c *Coverage) reach() []string {
	said := c.begins()
	if c.Copied != 0 {
		said = append(said, "this copy was made at "+shortTime(c.Copied)+", and nothing later is in it")
	}
	return said
}

func (c *Coverage) begins() []string {
	begins := c.Begin > c.Past
	switch {
	case begins && c.Collected:
		return []string{"the archive begins at " + shortTime(c.Begin)}
	case begins && c.End != 0:
		return []string{fmt.Sprintf("the captures cover %s to %s", shortTime(c.Begin), shortTime(c.End))}
	case begins:
		return []string{"the captures begin at " + shortTime(c.Begin)}
	case c.End != 0:
		return []string{"the captures of the window end at " + shortTime(c.End)}
	}
	return nil
}

// gapsOf adds up the gaps of some reasons, and finds the longest of them. times
// is 0 if they are not worth a word.
func (c *Coverage) gapsOf(of func(Reason) bool) (worst Gap, all Moment, times int) {
	for _, g := range c.Gaps {
		if of(g.Reason) {
			all += g.To - g.From
			times++
			if g.To-g.From > worst.To-worst.From {
				worst = g
			}
		}
	}
	if window := c.To - c.From; all < longDown && all < window/leastDown {
		times = 0
	}
	return worst, all, times
}

// uncovered says when there were no captures, and what the clock passed over.
func (c *Coverage) uncovered() (facts []string) {
	worst, all, times := c.gapsOf(func(r Reason) bool { return r == ReasonNoCapture })
	switch {
	case all < longDown || all == c.To-c.From: // records of its flows may well have come later
	case times == 1:
		facts = append(facts, fmt.Sprintf("no capture covers %s from %s", SpanText(all), shortTime(worst.From)))
	case times > 1:
		facts = append(facts, fmt.Sprintf("no capture covers %s of %s, %d times, the longest from %s for %s",
			SpanText(all), SpanText(c.To-c.From), times, shortTime(worst.From), SpanText(worst.To-worst.From)))
	}
	if worst, all, times := c.gapsOf(func(r Reason) bool { return r == ReasonClockSet }); times > 0 {
		facts = append(facts, fmt.Sprintf("the host's clock was set forward by %s, at %s: the time in between never was", SpanText(all), shortTime(worst.From)))
	}
	return facts
}

// downtime says when no collector ran.
func (c *Coverage) downtime() []string {
	worst, down, times := c.gapsOf(Reason.Down)
	if times == 0 {
		return c.uncovered()
	}
	return append(c.notRunning(worst, down, times), c.uncovered()...)
}

// notRunning says for how long no collector ran, and why.
func (c *Coverage) notRunning(worst Gap, down Moment, times int) []string {
	fact := fmt.Sprintf("no collector ran for %s of %s", SpanText(down), SpanText(c.To-c.From))
	why := map[Reason]string{ReasonStopped: "it was stopped", ReasonCrashed: "it crashed", ReasonNotStarted: "it was not started", ReasonAsleep: "it stood still, as if its host slept"}[worst.Reason]
	if worst.From <= c.From && worst.To >= c.To {
		return []string{"no collector ran in this window: " + why}
	}
	if times > 1 {
		return []string{fmt.Sprintf("%s, %d times, the longest from %s for %s: %s", fact, times, shortTime(worst.From), SpanText(worst.To-worst.From), why)}
	}
	return []string{fmt.Sprintf("%s, from %s: %s", fact, shortTime(worst.From), why)}
}

// lost says what came and is not there, or should have come.
func (c *Coverage) lost() (facts []string) {
	if len(c.Unstored) > 0 || c.NotStored > 0 {
		ms := Moment(0)
		for _, g := range c.Unstored {
			ms += g.To - g.From
		}
		switch {
		case ms == 0:
			facts = append(facts, CountText(c.NotStored)+" records could not be stored")
		case c.NotStored == 0:
			facts = append(facts, "nothing could be stored for "+SpanText(ms))
		default:
			facts = append(facts, fmt.Sprintf("nothing could be stored for %s: %s records not kept", SpanText(ms), CountText(c.NotStored)))
		}
	}
	if c.Kernel > 0 {
		facts = append(facts, c.drops())
	}
	if c.Loss >= leastLoss || c.WorstLoss != nil && c.WorstLoss.Loss >= leastWorst {
		fact := fmt.Sprintf("estimated loss %s: %s of %s records", ShareText(c.Loss), CountText(c.Lost), CountText(c.Lost+c.Records))
		if w := c.WorstLoss; w != nil && c.Expected > 1 {
			fact += fmt.Sprintf(", worst %s with %s", CallExporter(w.Addr, w.Name), ShareText(w.Loss))
		}
		facts = append(facts, fact)
	}
	for i, t := range c.Templates {
		if i == nameMost {
			facts = append(facts, fmt.Sprintf("%d more exporters without a template", len(c.Templates)-i))
			break
		}
		facts = append(facts, fmt.Sprintf("%s of %s given up for want of a template", Things(t.Sets, "data set"), CallExporter(t.Addr, t.Name)))
	}
	facts = append(facts, c.agents()...)
	if c.Refused > 0 {
		facts = append(facts, CountText(c.Refused)+" records out of scope refused")
	}
	if c.Strangers > 0 {
		facts = append(facts, Things(c.Strangers, "datagram")+" of unknown senders refused")
	}
	if c.SetAside > 0 {
		facts = append(facts, CountText(c.SetAside)+" records out of scope in quarantine")
	}
	if c.Purged > 0 {
		facts = append(facts, CountText(c.Purged)+" records purged on purpose")
	}
	if n := len(c.Damaged); n > 0 {
		facts = append(facts, Things(n, "part")+" of the archive damaged")
	}
	return facts
}

// agents says what sFlow agents dropped before it was sent.
func (c *Coverage) agents() (facts []string) {
	for i, a := range c.Agents {
		if i == nameMost {
			return append(facts, fmt.Sprintf("%d more sFlow agents dropped samples", len(c.Agents)-i))
		}
		facts = append(facts, fmt.Sprintf("%s %s at %s", Things(a.Samples, "sample"), ReasonAgent, CallExporter(a.Addr, a.Name)))
	}
	return facts
}

// drops says what was dropped on this host.
func (c *Coverage) drops() string {
	switch {
	case c.Behind == 0:
		return fmt.Sprintf("%s %s", Things(c.Kernel, "datagram"), ReasonKernel)
	case c.Behind == c.Kernel:
		return fmt.Sprintf("%s %s", Things(c.Kernel, "datagram"), ReasonBehind)
	}
	return fmt.Sprintf("%s %s, %s of them while the collector did not keep up", Things(c.Kernel, "datagram"), ReasonKernel, CountText(c.Behind))
}

// quality says how what is there is to be read.
func (c *Coverage) quality() (facts []string) {
	if text := c.samplingText(); text != "" {
		facts = append(facts, text)
	}
	for i, k := range c.Clocks {
		if i == nameMost {
			facts = append(facts, fmt.Sprintf("%d more clocks are off", len(c.Clocks)-i))
			break
		}
		skew, way := clockText(k.SkewMS)
		facts = append(facts, fmt.Sprintf("the clock of %s is %s %s: its flows are not at their time", CallExporter(k.Addr, k.Name), skew, way))
	}
	if window := c.To - c.From; c.Open != 0 && (c.To-c.Open)*leastOpen >= window {
		facts = append(facts, fmt.Sprintf("flows since %s are still being reported", shortTime(c.Open)))
	}
	return facts
}

// clockText says how far a clock is off, and whether ahead or behind.
func clockText(skew int64) (text, way string) {
	if skew < 0 {
		return SpanText(Moment(-skew)), "ahead"
	}
	return SpanText(Moment(skew)), "behind"
}

// samplingText says at which intervals the records of the window were sampled,
// "" if none was.
func (c *Coverage) samplingText() string {
	var total uint64
	for _, i := range c.Intervals {
		total += i.Records
	}
	var words []string
	for _, i := range c.Intervals {
		if i.N < 2 {
			continue
		}
		word := fmt.Sprintf("1:%d", i.N)
		if i.Records < total {
			word += fmt.Sprintf(" (%s of records)", ShareText(float64(i.Records)/float64(total)))
		}
		words = append(words, word)
	}
	if len(words) == 0 {
		return ""
	}
	return "sampled " + strings.Join(words, ", ")
}

// gapNames names exporters, the first of n.
func gapNames(gaps []ExporterGap, n int) string {
	var words []string
	for _, g := range gaps[:min(len(gaps), nameMost)] {
		word := CallExporter(g.Addr, g.Name)
		if g.Last != 0 {
			word += " since " + shortTime(g.Last)
		}
		words = append(words, word)
	}
	if n > len(words) {
		words = append(words, fmt.Sprintf("%d more", n-len(words)))
	}
	return strings.Join(words, ", ")
}

// CallExporter calls an exporter by its name, if it has one.
func CallExporter(addr, name string) string {
	switch {
	case name == "":
		return addr
	case addr == "":
		return name
	}
	return name + " (" + addr + ")"
}

// shortTime writes a moment to the second.
func shortTime(m Moment) string {
	return time.UnixMilli(int64(m)).UTC().Format("2006-01-02 15:04:05Z")
}

// Judged says in a line what was judged, also where Lines has nothing to say.
func (c *Coverage) Judged() string {
	if c.Ledgers == 0 && len(c.Gaps) == 0 {
		return "nothing is known of how complete this window is: no ledger was written in it"
	}
	loss := "no loss known"
	if c.Lost > 0 {
		loss = "estimated loss " + ShareText(c.Loss)
	}
	return fmt.Sprintf("%s to %s: %d of %s with a ledger, %d of %s heard, %s",
		shortTime(c.From), shortTime(c.To), c.Ledgers, Things(c.Hours, "hour"), c.Heard, Things(c.Expected, "exporter"), loss)
}

// Whole reports whether a collector's ledger covers all of the window and knows
// of nothing that is missing.
func (c *Coverage) Whole() bool {
	return c.Collected && c.Ledgers > 0 && c.Unrecorded == 0 && len(c.Gaps) == 0 && c.Heard == c.Expected && c.Heard > 0 && len(c.Silent) == 0 &&
		c.Past == 0 && c.Begin == 0 && c.Copied == 0 && len(c.Early) == 0 && len(c.lost()) == 0 && c.Lost == 0
}

// Chance says what an answer without records is worth where records were
// sampled: the probability that a flow of so many packets leaves a record, at
// the lowest and at the highest sampling interval of the window. Both are 1
// where nothing was sampled.
func (c *Coverage) Chance(packets int) (best, worst Odds) {
	for _, i := range c.Intervals {
		if i.N == 0 || i.Records == 0 {
			continue
		}
		o := Odds{i.N, 1 - math.Pow(1-1/float64(i.N), float64(packets))}
		if best.Interval == 0 || o.Probability > best.Probability {
			best = o
		}
		if worst.Interval == 0 || o.Probability < worst.Probability {
			worst = o
		}
	}
	if best.Interval == 0 {
		return Odds{1, 1}, Odds{1, 1}
	}
	return best, worst
}

// Odds are the probability that something is seen at a sampling interval.
type Odds struct {
	Interval    uint32
	Probability float64
}
