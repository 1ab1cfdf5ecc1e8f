package backup

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"weir/flow"
	"weir/store"
)

// openTest opens a store of tests, which is closed at the end.
func openTest(t *testing.T, dir string, o store.Options) *store.Store {
	t.Helper()
	s, err := store.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

const testHour = store.Hour(490_000)

// fill appends n records of an hour.
func fill(s *store.Store, h store.Hour, n int) error {
	b := flow.NewBatch(n)
	b.Grow(n)
	rng := rand.New(rand.NewPCG(uint64(h), uint64(n)))
	for row := range n {
		b.SetNum(flow.Received, row, h.StartMS()+uint64(row))
		b.SetNum(flow.Bytes, row, rng.Uint64()>>40)
		b.SetAddr(flow.SrcAddr, row, flow.AddrFrom4(rng.Uint32()))
	}
	return s.Append(b)
}

// seal seals an hour without an index, which is package index's.
func seal(s *store.Store, h store.Hour) error {
	z, err := s.BeginSeal(h)
	if err != nil {
		return err
	}
	return z.Commit()
}

func filled(t *testing.T, s *store.Store, h store.Hour, n int) {
	t.Helper()
	if err := errors.Join(fill(s, h, n), seal(s, h)); err != nil {
		t.Fatal(err)
	}
}

// rowsOf reads every record of an archive and returns how many each hour has.
func rowsOf(t *testing.T, s *store.Store) map[store.Hour]int {
	t.Helper()
	v, err := s.View(0, ^store.Hour(0))
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	rows := map[store.Hour]int{}
	for _, b := range v.Buckets() {
		for i := range b.Blocks() {
			blk, err := b.Block(i)
			if err == nil {
				err = blk.Verify()
			}
			if err != nil {
				t.Fatal(err)
			}
			rows[b.Hour()] += blk.Rows()
		}
	}
	return rows
}

// A churn is an archive that hours come into, are sealed in and dropped from.
type churn struct {
	s *store.Store

	mu      sync.Mutex
	sealed  map[store.Hour]int // with their records
	dropped store.Hour         // all before are gone, or about to be
}

const churnKeep = 150 // hours

// run goes on until ctx is done, and returns what failed.
func (c *churn) run(ctx context.Context) error {
	for h := testHour; ctx.Err() == nil; h++ {
		n := 400 + int(h%7)*600
		for part := range 4 {
			if err := fill(c.s, h, n/4); err != nil {
				return err
			}
			if part%2 == 1 {
				if err := c.s.Flush(); err != nil {
					return err
				}
			}
		}
		if err := seal(c.s, h); err != nil {
			return err
		}
		c.mu.Lock()
		c.sealed[h] = n / 4 * 4
		old := h - churnKeep
		c.dropped = max(c.dropped, old+1)
		c.mu.Unlock()
		time.Sleep(20 * time.Millisecond)
		if h%50 == 0 { // many at a time, as after a pause
			for d := old - 49; d <= old; d++ {
				if err := c.s.Drop(d); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// sealedBefore returns the hours that a checkpoint which is there now must have.
func (c *churn) sealedNow() map[store.Hour]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := map[store.Hour]int{}
	for h, n := range c.sealed {
		list[h] = n
	}
	return list
}

func (c *churn) firstKept() store.Hour {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dropped
}

// sameTables counts the tables in dir, and those that are the same files as in
// other.
func sameTables(t *testing.T, dir, other string) (same, all int) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		all++
		a, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := os.Stat(filepath.Join(other, filepath.Base(name))); err == nil && os.SameFile(a, b) {
			same++
		}
	}
	return same, all
}
