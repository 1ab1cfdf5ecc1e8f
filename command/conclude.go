package command

import (
	"context"
	"fmt"
	"strings"
	"time"

	"weir/query"
	"weir/store"
)

// conclude says what the reader of an answer must know: why it is empty, and
// what is missing from it.
func conclude(ctx context.Context, std *Std, b backend, e ending, s query.Summary) error {
	if s.RowsMatched == 0 {
		noteEmpty(ctx, std, b, e.window, s.Coverage)
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

// noteEmpty says why a window may have nothing: an answer without rows is only
// worth something if there were records to look at.
func noteEmpty(ctx context.Context, std *Std, b backend, w query.Window, c *query.Coverage) {
	buckets, err := b.Buckets(ctx)
	if err != nil {
		return // the answer itself was given
	}
	note := emptyNote(buckets, w, epochMS(std.Now()))
	if worth := emptyWorth(c); note == noMatch && worth != "" {
		note += "; " + worth
	}
	fmt.Fprintf(std.Err, "weir: %s\n", note)
}

// emptyNote compares a window with what the archive holds.
func emptyNote(buckets []store.BucketInfo, w query.Window, now uint64) string {
	span, ok := recordSpan(buckets)
	switch {
	case !ok:
		return "the archive is empty; weir collect or weir import fills it"
	case w.From > now:
		return fmt.Sprintf("the window begins in the future: it is %s now", showMS(now))
	case w.To != 0 && w.To <= span.From:
		return fmt.Sprintf("the window ends before the first record: the archive holds %s to %s", showMS(span.From), showMS(span.To))
	case w.From > span.To:
		return fmt.Sprintf("the window begins after the last record: the archive holds %s to %s", showMS(span.From), showMS(span.To))
	case !anyIn(buckets, w):
		return "the archive holds no record at all in this window"
	}
	return noMatch
}

// noMatch is said where records were looked at, and none is what was asked for.
const noMatch = "no flow matches"

// recordSpan returns the first and the last moment of any flow, as far as the
// buckets tell, and false if there is none.
func recordSpan(buckets []store.BucketInfo) (query.Window, bool) {
	var span query.Window
	found := false
	for _, b := range buckets {
		if b.Rows == 0 {
			continue
		}
		if !found || b.MinStart < span.From {
			span.From = b.MinStart
		}
		span.To = max(span.To, b.MaxEnd)
		found = true
	}
	return span, found
}

func anyIn(buckets []store.BucketInfo, w query.Window) bool {
	for _, b := range buckets {
		if b.Rows > 0 && (w.To == 0 || b.MinStart < w.To) && b.MaxEnd >= w.From {
			return true
		}
	}
	return false
}
