package main

import (
	"context"
	"fmt"
	"io"
)

// growthDays are the ages at which a growing archive is asked.
var growthDays = []int{1, 10, 90}

// A growth is what was measured when the archive had so many hours.
type growth struct {
	hours   int
	records int64
	loaded  usage // importing all of it
	bytes   int64
	opened  usage // a process that opens the archive and says what is in it
	asked   []*asked
}

// grow measures the archive when it has one of the ages.
func (c *comparison) grow(ctx context.Context, hours int) error {
	if c.size.hours == 1 || !growsAt(hours, c.size.hours) {
		return nil
	}
	if err := c.ready(ctx); err != nil {
		return err
	}
	g := growth{hours: hours, records: c.records, loaded: c.loaded}
	var err error
	if g.opened, err = c.open(ctx); err != nil {
		return err
	}
	if err := c.archive.startCalm(ctx); err != nil {
		return err
	}
	total, wal := c.archive.bytes()
	g.bytes = total - wal
	for _, q := range lookups(c.lists) {
		a, err := c.ask(ctx, &q, c.rounds)
		if err != nil {
			return fmt.Errorf("%s, after %d hours: %w", q.what, hours, err)
		}
		g.asked = append(g.asked, a)
	}
	c.grown = append(c.grown, g)
	return c.archive.stop()
}

// growsAt reports whether an archive is asked at an age: one of growthDays, or
// its last.
func growsAt(hours, last int) bool {
	for _, d := range growthDays {
		if hours == d*24 {
			return true
		}
	}
	return hours == last
}

// open measures a process that opens the archive by itself and lists its hours.
func (c *comparison) open(ctx context.Context) (usage, error) {
	var runs []usage
	for range c.rounds {
		u, err := measure(ctx, func(r io.Reader) error { _, err := io.Copy(io.Discard, r); return err },
			c.archive.binary, "buckets", "--data", c.archive.dir, "-o", "csv")
		if err != nil {
			return usage{}, err
		}
		runs = append(runs, u)
	}
	return medians(runs), nil
}
