package command

import (
	"fmt"
	"strconv"
	"strings"

	"weir/query"
)

// exporterDetail writes all that is known of the exporters, a line for each
// fact.
func exporterDetail(out *streamWriter, list *exporterList) error {
	for _, r := range list.Exporters {
		lines := r.lines(list)
		for _, i := range r.Interfaces {
			lines = append(lines, [2]string{fmt.Sprintf("interface %d", i.Index), strings.TrimSpace(i.Name + "  " + i.Description)})
		}
		for _, e := range r.History {
			detail := e.What
			if e.Detail != "" {
				detail += ": " + e.Detail
			}
			lines = append(lines, [2]string{showMS(uint64(e.At)), detail})
		}
		for _, l := range lines {
			if l[1] == "" {
				continue
			}
			if _, err := fmt.Fprintf(out, "%-21s %s\n", l[0], l[1]); err != nil {
				return err
			}
		}
	}
	return nil
}

// lines returns the facts. Those without a value are left out.
func (r *exporterReport) lines(list *exporterList) [][2]string {
	expected := ""
	if r.Known {
		expected = map[bool]string{true: "yes: its silence is a finding", false: "no"}[r.Expected]
	}
	lost := ""
	if r.Lost > 0 {
		lost = fmt.Sprintf("%s of %s records (%s), %s missing in %s; in this hour and the one before %s", humanCount(r.Lost), humanCount(r.Lost+r.Records), query.ShareText(r.Loss),
			r.missingText(), plural(r.Gaps, "gap"), query.ShareText(r.LossHour))
	} else if r.Records > 0 {
		lost = "none"
	}
	without := ""
	if waits := r.SetsWithout - min(r.SetsRecovered+r.SetsDropped, r.SetsWithout); waits > 0 {
		without = fmt.Sprintf("%s, of which %d were decoded when it came, %d given up, and %d wait", plural(r.SetsWithout, "data set"), r.SetsRecovered, r.SetsDropped, waits)
	} else if r.SetsWithout > 0 {
		without = fmt.Sprintf("%s, of which %d were decoded when it came, and %d given up", plural(r.SetsWithout, "data set"), r.SetsRecovered, r.SetsDropped)
	}
	sampling := r.samplingText()
	if r.Configured > 0 {
		sampling += fmt.Sprintf(" (the configuration says %s)", intervalText(r.Configured))
	}
	skew := ""
	if r.SkewMS != nil {
		skew = fmt.Sprintf("%s from the end of a flow to the receipt of its record, median; from %s to %s", r.skewText(), skewText(r.SkewMinMS), skewText(r.SkewMaxMS))
	}
	lines := [][2]string{
		{"name", printable(r.Name)}, {"group", r.Group}, {"owner", printable(r.Owner)}, {"contact", printable(r.Contact)}, {"permission", printable(r.Permission)},
		{"expected", expected}, {"may send from", strings.Join(r.Sources, ", ")}, {"heard from", strings.Join(r.Addresses, ", ")},
		{"status", r.statusText(list)},
		{"domains", domainsText(r.Domains)}, {"protocols", strings.Join(r.Versions, ", ")}, {"templates", strconv.Itoa(r.Templates)},
		{"records/s", fmt.Sprintf("%s now, %s over the day", humanRate(r.Now), humanRate(&r.Day))},
		{"in the day", fmt.Sprintf("%s, %s, %s bytes, from %s", query.Things(r.Records, "record"), query.Things(r.Datagrams, "datagram"), humanCount(r.Bytes), heardText(list.From))},
		{"lost", lost}, {"without template", without}, {"sampling", sampling}, {"skew", skew},
	}
	return append(lines, r.rareLines()...)
}

// missingText says what is missing as the sequence numbers count it.
func (r *exporterReport) missingText() string {
	var words []string
	for _, unit := range []struct {
		n    uint64
		name string
	}{{r.LostFlows, "flow"}, {r.LostDatagrams, "datagram"}, {r.LostData, "data record"}} {
		if unit.n > 0 {
			words = append(words, query.Things(unit.n, unit.name))
		}
	}
	return strings.Join(words, ", ")
}

// statusText says when the exporter was heard.
func (r *exporterReport) statusText(list *exporterList) string {
	if r.Status == statusAwait {
		text := fmt.Sprintf("not heard since the collector began, %s ago", query.SpanText(list.AsOf-min(list.AsOf, list.Since)))
		if r.Heard > 0 {
			text += ", last " + heardText(r.Heard)
		}
		return text
	}
	return fmt.Sprintf("%s, last %s", r.Status, heardText(r.Heard))
}

// worthSilence is how long an exporter must have been silent to be worth a line,
// in ms.
const worthSilence = 60_000

// rareLines returns the facts that most exporters have nothing of.
func (r *exporterReport) rareLines() (lines [][2]string) {
	add := func(n uint64, name, text string) {
		if n > 0 {
			lines = append(lines, [2]string{name, text})
		}
	}
	add(r.Restarts, "restarts", humanCount(r.Restarts))
	add(r.Reordered+r.Duplicates, "out of order", fmt.Sprintf("%s late, %s came again", query.Things(r.Reordered, "datagram"), humanCount(r.Duplicates)))
	add(r.SampleDrops, "dropped by the agent", query.Things(r.SampleDrops, "sample")+", by its own count")
	add(r.LostSamples, "samples missing", humanCount(r.LostSamples)+" by their own numbers")
	add(r.Bad, "bad datagrams", humanCount(r.Bad))
	add(uint64(len(r.Errors)), "errors", countList(r.Errors))
	add(r.BadTimes, "impossible times", query.Things(r.BadTimes, "record"))
	scope := fmt.Sprintf("%s of %s", humanCount(r.OutOfScope), query.Things(r.Records, "record"))
	if r.SetAside > 0 {
		scope += fmt.Sprintf(", %s in quarantine", humanCount(r.SetAside))
	}
	if r.Refused > 0 {
		scope += fmt.Sprintf(", %s refused", humanCount(r.Refused))
	}
	add(r.OutOfScope, "out of scope", scope)
	if r.Silence.Length() < worthSilence {
		return lines
	}
	add(r.Silence.Length(), "longest silence", fmt.Sprintf("%s from %s", query.SpanText(query.Moment(r.Silence.Length())), showMS(r.Silence.From)))
	return lines
}
