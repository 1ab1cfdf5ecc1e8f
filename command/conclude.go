package command

import (
	"fmt"
	"strings"
	"time"

	"weir/query"
)

// conclude says what the reader of an answer must know: why it is empty, and
// what is missing from it.
func conclude(std *Std, e ending, s query.Summary) error {
	if s.Looked != nil {
		fmt.Fprintf(std.Err, "weir: %s\n", emptyNote(s.Looked, e.window, s.Coverage, epochMS(std.Now())))
	}
	for _, note := range s.Notes {
		fmt.Fprintf(std.Err, "weir: %s\n", note)
	}
	if err := noteCoverage(std, e, s); err != nil {
		return err
	}
	if len(s.Damaged) == 0 {
		return nil
	}
	return &incompleteError{"the answer leaves out what is damaged: " + strings.Join(s.Damaged, "; ")}
}

// noteTiming says what an answer took.
func noteTiming(std *Std, s query.Summary) {
	fmt.Fprintf(std.Err, "weir: hours: %d, %d pruned; blocks: %d in the rest, %d pruned, %d read; flows: %s scanned, %s matched\n",
		s.BucketsConsidered, s.BucketsPruned, s.BlocksConsidered, s.BlocksPruned, s.BlocksRead,
		humanCount(s.RowsScanned), humanCount(s.RowsMatched))
	t := s.Timing
	fmt.Fprintf(std.Err, "weir: %v; over all processors: plan %v, filter %v, collect %v, merge %v\n",
		roundTime(s.Elapsed), roundTime(t.Plan), roundTime(t.Evaluate), roundTime(t.Collect), roundTime(t.Merge))
}

// roundTime rounds a span to what a reader wants to know.
func roundTime(d time.Duration) time.Duration {
	if d < time.Millisecond {
		return d.Round(time.Microsecond)
	}
	return d.Round(100 * time.Microsecond)
}

// emptyNote says why an answer has nothing.
func emptyNote(e *query.Extent, w query.Window, c *query.Coverage, now uint64) string {
	switch {
	case e.To == 0:
		return "the archive is empty; weir collect or weir import fills it"
	case w.From > now:
		return fmt.Sprintf("the window begins in the future: it is %s now", showMS(now))
	case w.To != 0 && w.To <= e.From:
		return fmt.Sprintf("the window ends before the first record: the archive holds %s to %s", showMS(e.From), showMS(e.To))
	case w.From > e.To:
		return fmt.Sprintf("the window begins after the last record: the archive holds %s to %s", showMS(e.From), showMS(e.To))
	case !e.InWindow:
		return "the archive holds no record at all in this window"
	}
	if worth := emptyWorth(c); worth != "" {
		return "no flow matches; " + worth
	}
	return "no flow matches"
}
