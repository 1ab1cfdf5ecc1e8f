package main

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"time"
)

// reportKeeping prints what has no peer: opening the archive, an address that
// is not in it, and dropping an hour.
func (c *comparison) reportKeeping(ctx context.Context) error {
	blocks, err := c.archive.blocks(ctx, "query", "ip "+absentHost, "--count")
	if err != nil {
		return err
	}
	daemon := c.archive.opened
	if err := c.archive.stop(); err != nil {
		return err
	}
	opened, err := c.open(ctx)
	if err != nil {
		return err
	}
	rare, err := c.direct(ctx, &lookups(c.lists)[0])
	if err != nil {
		return err
	}
	t := table{head: []string{"keeping", ""}}
	t.add("blocks read for an address that never occurs", blocks)
	t.add("weir collect, from its start until it listens: wall ms", ms(daemon.wall))
	t.add(fmt.Sprintf("weir buckets without a daemon, hours in the archive: %d; wall ms", c.size.hours), ms(opened.wall))
	t.add("its CPU ms", ms(opened.cpu))
	t.add("its peak MiB", mib(opened.peak))
	t.add("one rare address without a daemon: wall ms", ms(rare.wall))
	if err := c.drop(ctx, &t); err != nil {
		return err
	}
	return t.write(c.out)
}

// dropped is what weir collect logs of an hour that it dropped.
var dropped = regexp.MustCompile(`msg="bucket dropped" bucket=(\S+) records=(\d+) bytes=(\d+) took=(\S+)`)

// drop lets a collector drop all that is older than an hour, which is all there
// is, and measures until the space is back. It is done for a single hour: the
// archive of many is kept.
func (c *comparison) drop(ctx context.Context, t *table) error {
	if c.size.hours > 1 {
		return nil
	}
	total, wal := c.archive.bytes()
	before := total - wal
	if err := c.archive.start(ctx, "1h"); err != nil {
		return err
	}
	// The newest record is old enough for the clock to look wrong.
	if _, err := c.archive.ask(ctx, discard, "retention", "confirm"); err != nil {
		return err
	}
	var line []string
	err := c.archive.daemon.waitFor(ctx, func() bool {
		line = dropped.FindStringSubmatch(c.archive.daemon.stderr.String())
		return line != nil
	})
	if err != nil {
		return fmt.Errorf("wait for an hour to be dropped: %w", err)
	}
	took, left, err := c.spaceBack(ctx, before/20)
	if err != nil {
		return err
	}
	t.add(fmt.Sprintf("dropping an hour of %s records, %.1f MB: as logged", line[2], float64(before)/1e6), line[4])
	t.add("its space is back after, ms (at most 30 s are waited)", fmt.Sprintf("%.0f", took.Seconds()*1000))
	t.add("on disk then, MB", fmt.Sprintf("%.1f", float64(left)/1e6))
	return c.archive.stop()
}

// spaceBack waits until no more than enough bytes are on the disk, or for half a
// minute.
func (c *comparison) spaceBack(ctx context.Context, enough int64) (took time.Duration, left int64, err error) {
	for began := time.Now(); ; {
		total, wal := c.archive.bytes()
		left, took = total-wal, time.Since(began)
		if left <= enough || took > 30*time.Second {
			return took, left, nil
		}
		if !sleep(ctx, 5*time.Millisecond) {
			return took, left, ctx.Err()
		}
	}
}

// direct asks a question of the archive while no daemon runs.
func (c *comparison) direct(ctx context.Context, q *question) (usage, error) {
	var runs []usage
	for range c.rounds {
		u, err := c.archive.ask(ctx, func(r io.Reader) error { _, err := q.readWeir(r); return err }, q.weir...)
		if err != nil {
			return usage{}, err
		}
		runs = append(runs, u)
	}
	return medians(runs), nil
}
