package query

import (
	"context"
	"sync"
	"time"

	"weir/index"
	"weir/store"
)

// A plannedDay is the plans of a day's buckets, in the scan's order.
type plannedDay struct {
	plans []bucketPlan
	took  time.Duration
}

// plannedAhead is how many days each planner may be ahead: enough that it rarely
// waits to hand one over.
const plannedAhead = 8

// plan plans the buckets of a view, which are in the scan's order, and calls fn
// for each plan in that order until it returns false, with the time that planning
// took since the one before. Over weeks, most of the
// time of a question about a rare address is spent here, in a look at the
// summary of each day, so days are planned side by side, some ahead of fn.
func (s *scan) plan(ctx context.Context, view *store.View, buckets []*store.Bucket, fn func(*bucketPlan, time.Duration) bool) {
	ctx, cancel := context.WithCancel(ctx)
	runs := byDay(buckets)
	planners := make([]chan plannedDay, min(workers(), len(runs)))
	var wg sync.WaitGroup
	defer wg.Wait() // before the view closes
	defer cancel()
	for i := range planners {
		planners[i] = make(chan plannedDay, plannedAhead)
		days := index.NewDays(view.Buckets())
		wg.Go(func() {
			for r := i; r < len(runs); r += len(planners) {
				select {
				case planners[i] <- s.planDay(ctx, days, runs[r]):
				case <-ctx.Done():
				}
				if ctx.Err() != nil {
					break
				}
			}
			if err := days.Close(); err != nil {
				s.damaged(err)
			}
		})
	}
	for r := range runs {
		var day plannedDay
		select {
		case day = <-planners[r%len(planners)]:
		case <-ctx.Done():
			return
		}
		for i := range day.plans {
			if ctx.Err() != nil || !fn(&day.plans[i], day.took) {
				return
			}
			day.took = 0
		}
	}
}

// planDay plans the buckets of one day, up to the one at which ctx is done.
func (s *scan) planDay(ctx context.Context, days *index.Days, buckets []*store.Bucket) plannedDay {
	start := time.Now()
	plans := make([]bucketPlan, len(buckets))
	for i, b := range buckets {
		if ctx.Err() != nil {
			plans = plans[:i]
			break
		}
		plans[i] = bucketPlan{bucket: b, days: days}
		plans[i].plan(s.root, s.window)
	}
	return plannedDay{plans, time.Since(start)}
}

// byDay splits buckets, which ascend or descend, into those of each UTC day.
func byDay(buckets []*store.Bucket) [][]*store.Bucket {
	var days [][]*store.Bucket
	start := 0
	for i := range buckets {
		if i+1 == len(buckets) || index.DayOf(buckets[i+1].Hour()) != index.DayOf(buckets[i].Hour()) {
			days = append(days, buckets[start:i+1])
			start = i + 1
		}
	}
	return days
}
