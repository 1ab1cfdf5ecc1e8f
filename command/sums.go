package command

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"weir/query"
)

// sumFlags are the flags of questions that sum bytes and packets.
func sumFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "raw", Usage: "bytes and packets as exported, not multiplied by the sampling interval"},
		dedupFlag(),
	}
}

func dedupFlag() cli.Flag {
	return &cli.BoolFlag{Name: "dedup", Usage: "count a flow once that several exporters report: equal addresses, protocol and ports, overlapping in time"}
}

// noteSums says what the sums of an answer are made of. Where no record is
// sampled it says nothing of sampling: many exporters never say that they do
// not.
func noteSums(std *Std, s query.Summary, raw bool) {
	if s.Sampling.Sampled > 0 {
		fmt.Fprintf(std.Err, "weir: %s\n", samplingNote(s, raw))
		noteMixed(std, s, raw)
	}
	noteFolded(std, s)
}

// samplingNote says how sums follow from samples.
func samplingNote(s query.Summary, raw bool) string {
	records := fmt.Sprintf("%s of %s records are sampled (%s)", humanCount(s.Sampling.Sampled), humanCount(s.RowsMatched), intervalList(s.Sampling))
	if raw {
		return "bytes and packets are as exported; " + records
	}
	note := "bytes and packets are estimates: " + records + " and multiplied by the interval, within the margin 95 times in 100; --raw gives what was exported"
	if n := s.Sampling.Unknown; n > 0 {
		note += fmt.Sprintf("; interval unknown for %s: counted as exported, without a margin", humanCount(n))
	}
	return note
}

// noteMixed warns where sums are of records that were sampled differently.
func noteMixed(std *Std, s query.Summary, raw bool) {
	if !s.Sampling.Mixed {
		return
	}
	what := "margins allow for that, but a flow that two exporters report counts twice"
	if raw {
		what = "as exported, such numbers do not compare"
	}
	fmt.Fprintf(std.Err, "weir: some sums mix sampling intervals: %s; compare within one exporter (--exporter)\n", what)
}

// intervalList writes the sampling intervals of an answer: "1:100, 1:1000".
func intervalList(s query.Sampling) string {
	var words []string
	for _, n := range s.Intervals {
		words = append(words, fmt.Sprintf("1:%d", n))
	}
	if s.More {
		words = append(words, "...")
	}
	return strings.Join(words, ", ")
}

// noteFolded says how many records --dedup left out, also if none.
func noteFolded(std *Std, s query.Summary) {
	if s.Dedup && s.Folded+s.RowsMatched > 0 {
		fmt.Fprintf(std.Err, "weir: %s of %s records folded as seen by another exporter\n", humanCount(s.Folded), humanCount(s.Folded+s.RowsMatched))
	}
}
