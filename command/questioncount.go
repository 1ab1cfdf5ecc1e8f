package command

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"

	"weir/command/metrics"
)

// questionCounts counts what a server is asked, by kind of question: the routes
// are few, so the counts are.
type questionCounts struct {
	mu   sync.Mutex
	open int
	of   map[string]*metrics.Question
}

func newQuestionCounts() *questionCounts {
	return &questionCounts{of: map[string]*metrics.Question{}}
}

// begin counts a question to a route. The caller calls end once, when it has
// been answered or not.
func (c *questionCounts) begin(route string) (end func(answered bool)) {
	name, began := strings.ReplaceAll(strings.Trim(route, "/"), "/", "_"), time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open++
	return func(answered bool) { c.end(name, answered, time.Since(began)) }
}

func (c *questionCounts) end(name string, answered bool, took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open--
	q := c.of[name]
	if q == nil {
		q = &metrics.Question{Name: name, Buckets: make([]uint64, len(metrics.DurationBounds)+1)}
		c.of[name] = q
	}
	if answered {
		q.Answered++
	} else {
		q.Failed++
	}
	q.Seconds += took.Seconds()
	q.Buckets[metrics.BucketOf(took)]++
}

// list returns the counts by name, and how many questions are open.
func (c *questionCounts) list() (list []metrics.Question, open int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, q := range c.of {
		one := *q
		one.Buckets = slices.Clone(q.Buckets)
		list = append(list, one)
	}
	slices.SortFunc(list, func(a, b metrics.Question) int { return cmp.Compare(a.Name, b.Name) })
	return list, c.open
}
