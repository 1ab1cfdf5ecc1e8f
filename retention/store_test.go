package retention

import (
	"testing"
	"time"

	"weir/flow"
	"weir/store"
)

// TestKeeperOnAStore runs a keeper over a real store, across restarts.
func TestKeeperOnAStore(t *testing.T) {
	dir := t.TempDir()
	w := newWorld(0) // the clocks
	open := func() (*store.Store, *Keeper) {
		t.Helper()
		s, err := store.Open(dir, store.Options{})
		if err != nil {
			t.Fatalf("open: %v", err)
		}
		w.mono = 0
		k, err := New(Options{
			Store: s, State: s, Keep: 48 * time.Hour,
			Now:       func() time.Time { return w.wall },
			Monotonic: func() time.Duration { return w.mono },
		})
		if err != nil {
			t.Fatalf("new keeper: %v", err)
		}
		return s, k
	}
	s, k := open()
	b := flow.NewBatch(100)
	for h := range 100 {
		row := b.Grow(1)
		b.SetNum(flow.Received, row, uint64(today.Add(-time.Duration(h)*time.Hour).UnixMilli()))
	}
	if err := s.Append(b); err != nil {
		t.Fatalf("append: %v", err)
	}
	tick(k)
	left := func() int { return len(s.Buckets()) }
	if got := left(); got != 49 {
		t.Errorf("%d buckets left of 100 hours, want those of 48 hours and the current one", got)
	}

	restart := func() {
		t.Helper()
		if err := s.Close(); err != nil {
			t.Fatalf("close: %v", err)
		}
		s, k = open()
	}
	w.wall = w.wall.Add(365 * day)
	restart()
	tick(k)
	if got := k.Status(); !got.Held || left() != 49 || len(got.Expired) != 49 {
		t.Errorf("after a jump: held %v, %d buckets left, %d due, want all 49", got.Held, left(), len(got.Expired))
	}
	restart()
	if err := k.Confirm(); err != nil {
		t.Fatalf("confirm: %v", err)
	}
	restart()
	tick(k)
	if got := k.Status(); got.Held || left() != 0 || got.Dropped.Records != 49 {
		t.Errorf("after the confirmation: held %v, %d buckets left, dropped %+v", got.Held, left(), got.Dropped)
	}
	if err := s.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}
