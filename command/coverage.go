package command

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"weir/query"
)

// coverageMember is what an answer in JSON calls what it says of itself.
const coverageMember = "_coverage"

func coverageFlag() cli.Flag {
	return &cli.BoolFlag{Name: "coverage", Usage: "say what the answer lacks even if that is nothing; json and csv get it as their last line"}
}

// kept returns the ledgers, which all questions share.
func (l *local) kept() *query.Ledgers {
	l = l.first()
	l.begin.Do(func() { l.ledgers = query.NewLedgers(l.store) })
	return l.ledgers
}

// judge adds to the summary of an answer what the ledger says of its window. An
// answer is not withheld because it cannot be judged: then it says that.
func (l *local) judge(ctx context.Context, a *asked, s *query.Summary, w query.Window, exporter, filter string) error {
	keep, known, err := l.policy()
	if err != nil {
		return err
	}
	if !known {
		keep = 0 // nothing is dropped where no collector ever ran
	}
	now := epochMS(l.now())
	c, err := l.ledgersOf(a).Coverage(ctx, query.CoverageRequest{
		Window: w, Exporter: exporter, Filter: filter, Known: l.known, Keep: a.keptFor(keep, w, now), Now: now, Live: l.daemon != nil, Copied: l.copied, Options: l.parse(),
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		c = &query.Coverage{Damaged: []string{fmt.Sprintf("the ledger cannot be read: %v", err)}}
	}
	c.Early = earlyIn(l.early(keep), w)
	s.Coverage = c
	return nil
}

// readLedgers reads the ledgers of the whole archive, which are kept, so that
// the first question does not have to wait for it.
func (l *local) readLedgers(ctx context.Context) error {
	err := l.judge(ctx, &asked{LedgerArchive: l.store}, &query.Summary{}, query.Window{}, "", "")
	if ctx.Err() != nil {
		return nil // the collector ends
	}
	return err
}

// An ending is how an answer ends.
type ending struct {
	window   query.Window
	format   string
	coverage bool // say what the answer lacks, even if that is nothing
}

// noteCoverage says what an answer lacks: on standard error and, in formats for
// programs and only if asked, as the last line.
func noteCoverage(std *Std, e ending, s query.Summary) error {
	c := s.Coverage
	if c == nil {
		return nil
	}
	shown := *c
	if !e.coverage && (s.Sampling.Sampled > 0 || s.RowsMatched == 0) {
		shown.Intervals = nil // noteSums or noteEmpty has said it
	}
	lines := shown.Lines()
	if e.coverage {
		lines = append([]string{c.Judged()}, lines...)
	}
	if len(c.Damaged) > 0 {
		lines = append(lines, damageText(c.Damaged))
	}
	lines = fold(lines, mostLines)
	if e.coverage && (e.format == formatJSON || e.format == formatCSV) {
		whole := *c
		whole.Damaged = slices.Concat(s.Damaged, c.Damaged)
		return writeCoverage(std, e.format, &whole, lines)
	}
	for _, line := range lines {
		fmt.Fprintf(std.Err, "weir: coverage: %s\n", line)
	}
	return nil
}

// mostLines is how many lines an answer has on its window.
const mostLines = 3

// fold joins the last lines, so that there are at most so many.
func fold(lines []string, most int) []string {
	if len(lines) <= most {
		return lines
	}
	return append(slices.Clone(lines[:most-1]), strings.Join(lines[most-1:], "; "))
}

// damageMost is how many damaged parts of the ledger are named.
const damageMost = 3

// damageText says which parts of the ledger are damaged: without that nobody can
// do anything about it.
func damageText(parts []string) string {
	if len(parts) > damageMost {
		parts = append(slices.Clone(parts[:damageMost]), fmt.Sprintf("%d more; see weir check", len(parts)-damageMost))
	}
	return strings.Join(parts, "; ")
}

// writeCoverage writes the last line or lines of an answer for programs.
func writeCoverage(std *Std, format string, c *query.Coverage, lines []string) error {
	if format == formatJSON {
		_, err := fmt.Fprintf(std.Out, "{%q:%s}\n", coverageMember, marshal(c))
		return quietPipe(err)
	}
	for _, line := range lines {
		if _, err := fmt.Fprintf(std.Out, "# coverage: %s\r\n", line); err != nil {
			return quietPipe(err)
		}
	}
	return nil
}

// samplePackets is the size of the flow by which the worth of an empty answer is
// told.
const samplePackets = 10

// emptyWorth says what it is worth that nothing matches, "" if that is not
// known.
func emptyWorth(c *query.Coverage) string {
	if c == nil {
		return ""
	}
	best, worst := c.Chance(samplePackets)
	switch {
	case worst.Interval > 1 && best.Interval == worst.Interval:
		return fmt.Sprintf("at 1:%d a flow of %d packets is seen with %s probability", worst.Interval, samplePackets, query.ShareText(worst.Probability))
	case worst.Interval > 1 && best.Interval == 1:
		return fmt.Sprintf("at 1:%d a flow of %d packets is seen with %s probability; not all exporters sample", worst.Interval, samplePackets, query.ShareText(worst.Probability))
	case worst.Interval > 1:
		return fmt.Sprintf("a flow of %d packets is seen with %s probability at 1:%d, with %s at 1:%d",
			samplePackets, query.ShareText(worst.Probability), worst.Interval, query.ShareText(best.Probability), best.Interval)
	case c.Whole():
		return fmt.Sprintf("the window is covered: %s heard, nothing lost that is known", plural(c.Heard, "exporter"))
	}
	return ""
}
