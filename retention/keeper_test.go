package retention

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/store"
)

const day = 24 * time.Hour

// world is a store and two clocks in memory.
type world struct {
	wall    time.Time
	mono    time.Duration
	buckets []store.BucketInfo
	bare    []store.BucketInfo
	state   map[string][]byte
	dropped []store.Hour
	failing map[store.Hour]error
	log     bytes.Buffer
	noted   []store.Hour // before they were dropped early
	pinned  uint64       // bytes that were dropped and are not free
}

func (w *world) Buckets() []store.BucketInfo { return slices.Clone(w.buckets) }

func (w *world) BareBuckets() []store.BucketInfo { return slices.Clone(w.bare) }

func (w *world) Drop(h store.Hour) error {
	if err := w.failing[h]; err != nil {
		return err
	}
	for _, list := range []*[]store.BucketInfo{&w.buckets, &w.bare} {
		*list = slices.DeleteFunc(*list, func(b store.BucketInfo) bool { return b.Hour == h })
	}
	w.dropped = append(w.dropped, h)
	return nil
}

func (w *world) GetState(key string) ([]byte, error) { return w.state[key], nil }

func (w *world) PutState(key string, value []byte) error {
	w.state[key] = bytes.Clone(value)
	return nil
}

// pass lets both clocks run.
func (w *world) pass(d time.Duration) { w.wall, w.mono = w.wall.Add(d), w.mono+d }

var today = time.Date(2026, 11, 23, 12, 30, 0, 0, time.UTC)

// newWorld has a bucket for each of the last hours, the current one included.
func newWorld(hours int) *world {
	w := &world{wall: today, state: map[string][]byte{}, failing: map[store.Hour]error{}}
	now := store.HourOf(uint64(today.UnixMilli()))
	for h := now - store.Hour(hours) + 1; h <= now; h++ {
		w.buckets = append(w.buckets, bucket(h))
	}
	return w
}

func bucket(h store.Hour) store.BucketInfo {
	return store.BucketInfo{Hour: h, Rows: 10, Bytes: 100, FirstReceived: h.StartMS(), LastReceived: h.StartMS() + 60_000}
}

// start is a start of the daemon: the monotonic clock begins anew.
func (w *world) start(t *testing.T, keep time.Duration) *Keeper {
	t.Helper()
	w.mono = 0
	k, err := New(Options{
		Store: w, State: w, Keep: keep,
		Now:       func() time.Time { return w.wall },
		Monotonic: func() time.Duration { return w.mono },
		Logger:    slog.New(slog.NewTextHandler(&w.log, nil)),
	})
	if err != nil {
		t.Fatalf("new keeper: %v", err)
	}
	return k
}

func tick(k *Keeper) { k.Tick(context.Background()) }

func TestExpired(t *testing.T) {
	h := store.HourOf(uint64(today.UnixMilli()))
	end := time.UnixMilli(int64(h.EndMS()))
	cases := []struct {
		name string
		now  time.Time
		keep time.Duration
		want bool
	}{
		{"the last ms before", end.Add(90*day - time.Millisecond), 90 * day, false},
		{"to the ms", end.Add(90 * day), 90 * day, true},
		{"long ago", end.Add(900 * day), 90 * day, true},
		{"still open", end.Add(-time.Minute), time.Second, false},
		{"keep less than an hour", end.Add(time.Minute), time.Minute, true},
		{"part of a ms counts whole", end.Add(90 * day), 90*day + time.Nanosecond, false},
		{"future", end.Add(-900 * day), 90 * day, false},
		{"for ever", end.Add(9000 * day), 0, false},
		{"negative", end.Add(9000 * day), -day, false},
		{"before the epoch", time.Unix(-1e9, 0), day, false},
		{"the longest duration", end.Add(9000 * day), 1<<63 - 1, false},
	}
	for _, c := range cases {
		got := Expired([]store.BucketInfo{bucket(h)}, c.now, c.keep)
		if (len(got) == 1) != c.want {
			t.Errorf("%s: expired %v, want %v", c.name, got, c.want)
		}
	}
}

func TestKeeperDropsWhatExpiredAndNothingYounger(t *testing.T) {
	w := newWorld(100)
	k := w.start(t, 48*time.Hour)
	tick(k)
	oldest := w.buckets[0].Hour
	if want := store.HourOf(uint64(today.Add(-49*time.Hour).UnixMilli())) + 1; oldest != want {
		t.Errorf("oldest bucket left is %v, want %v", oldest, want)
	}
	if !slices.IsSorted(w.dropped) || len(w.dropped)+len(w.buckets) != 100 {
		t.Errorf("dropped %d in the order %v, left %d", len(w.dropped), w.dropped, len(w.buckets))
	}
	if got := k.Status().Dropped; got.Buckets != len(w.dropped) || got.Records != 10*int64(len(w.dropped)) {
		t.Errorf("status counts %+v, want %d buckets", got, len(w.dropped))
	}
	n := len(w.dropped)
	w.pass(29 * time.Minute)
	tick(k)
	if len(w.dropped) != n {
		t.Errorf("dropped %v before its time", w.dropped[n:])
	}
	w.pass(time.Minute)
	tick(k)
	if len(w.dropped) != n+1 {
		t.Errorf("dropped %v when one hour was due", w.dropped[n:])
	}
	if !strings.Contains(w.log.String(), `msg="bucket dropped" bucket=`+oldest.String()+" records=10 bytes=100") {
		t.Errorf("log does not name the bucket:\n%s", w.log.String())
	}
}

func TestClockJumps(t *testing.T) {
	cases := []struct {
		name string
		jump time.Duration
		held bool
	}{
		{"none", 0, false},
		{"a second", time.Second, false},
		{"an hour", time.Hour, false},
		{"a day", day, false},
		{"more than a day", day + time.Minute, true},
		{"a year", 365 * day, true},
		{"250 years", 250 * 365 * day, true},
		{"back an hour", -time.Hour, false},
		{"back a year", -365 * day, true},
		{"back before the epoch", -60 * 365 * day, true},
	}
	for _, c := range cases {
		for _, restart := range []bool{false, true} {
			w := newWorld(100)
			k := w.start(t, 1000*time.Hour)
			tick(k)
			w.wall = w.wall.Add(c.jump)
			if restart {
				k = w.start(t, 1000*time.Hour)
			}
			w.pass(time.Minute)
			tick(k)
			if got := k.Status(); got.Held != c.held || (got.Reason != "") != c.held || (got.Line() != "") != c.held {
				t.Errorf("%s, restart %v: held %v (%s), want %v", c.name, restart, got.Held, got.Reason, c.held)
			}
			if c.held && len(w.dropped) > 0 {
				t.Errorf("%s, restart %v: dropped %v", c.name, restart, w.dropped)
			}
		}
	}
}

func TestSmallJumpsAddUp(t *testing.T) {
	w := newWorld(10)
	k := w.start(t, 30*day)
	for range 3 {
		w.wall = w.wall.Add(10 * time.Hour)
		w.pass(time.Minute)
		tick(k)
	}
	if !k.Status().Held {
		t.Error("three jumps of ten hours in three minutes are believed")
	}
}

func TestHoldSurvivesRestartsUntilConfirmed(t *testing.T) {
	w := newWorld(10)
	k := w.start(t, 5*day)
	tick(k)
	w.wall = w.wall.Add(200 * day)
	for range 5 {
		for range 100 {
			w.pass(time.Minute)
			tick(k)
		}
		k = w.start(t, 5*day)
	}
	s := k.Status()
	if !s.Held || len(w.dropped) > 0 || len(s.Expired) != 10 {
		t.Fatalf("held %v, dropped %v, due %v after restarts, want all held back", s.Held, w.dropped, s.Expired)
	}
	if !strings.Contains(s.Reason, "jumped forward by 200 days") {
		t.Errorf("reason %q, want the first one", s.Reason)
	}
	if got := strings.Count(w.log.String(), "weir retention confirm"); got < 5 || got > 20 {
		t.Errorf("hold was logged %d times in 500 looks", got)
	}
	if err := k.Confirm(); err != nil {
		t.Fatal(err)
	}
	k = w.start(t, 5*day) // the confirmation survives too
	tick(k)
	if len(w.buckets) != 0 || k.Status().Held {
		t.Errorf("%d buckets left after the confirmation, held %v", len(w.buckets), k.Status().Held)
	}
}

func TestHoldEndsWhenTheClockIsBack(t *testing.T) {
	w := newWorld(10)
	k := w.start(t, 5*day)
	tick(k)
	for _, jump := range []time.Duration{400 * day, -400 * day} {
		w.wall = w.wall.Add(jump)
		w.pass(time.Minute)
		tick(k)
		if !k.Status().Held {
			t.Fatalf("jump of %v is not held", jump)
		}
		k = w.start(t, 5*day)
		w.wall = w.wall.Add(-jump)
		w.pass(time.Minute)
		tick(k)
		if s := k.Status(); s.Held {
			t.Errorf("held after the clock came back from %v: %s", jump, s.Reason)
		}
	}
	if len(w.dropped) > 0 {
		t.Errorf("dropped %v", w.dropped)
	}
	if !strings.Contains(w.log.String(), "clock was set back") {
		t.Error("the step back was not logged")
	}
}

func TestLongDowntimeIsHeld(t *testing.T) {
	w := newWorld(10)
	tick(w.start(t, 2*day))
	w.wall = w.wall.Add(23 * time.Hour)
	if s := w.start(t, 2*day).Status(); s.Held {
		t.Errorf("held after 23 hours off: %s", s.Reason)
	}
	w.wall = w.wall.Add(3 * day)
	k := w.start(t, 2*day)
	tick(k)
	if s := k.Status(); !s.Held || !strings.Contains(s.Reason, "weir was off that long") {
		t.Errorf("after three days off: held %v, reason %q", s.Held, s.Reason)
	}
}

func TestFirstStart(t *testing.T) {
	w := newWorld(0)
	if s := w.start(t, day).Status(); s.Held {
		t.Errorf("an empty archive is held: %s", s.Reason)
	}
	w = newWorld(50)
	if s := w.start(t, day).Status(); s.Held {
		t.Errorf("an archive with records of today is held: %s", s.Reason)
	}
	w = newWorld(50) // imported, and never collected into
	w.wall = w.wall.Add(100 * day)
	if s := w.start(t, day).Status(); !s.Held || !strings.Contains(s.Reason, "newest record") {
		t.Errorf("an archive of old records: held %v, reason %q", s.Held, s.Reason)
	}
}

func TestBucketsOfTheFuture(t *testing.T) {
	w := newWorld(3)
	w.buckets = append(w.buckets, bucket(store.HourOf(uint64(today.Add(300*day).UnixMilli()))))
	k := w.start(t, time.Hour)
	tick(k)
	tick(k)
	if s := k.Status(); len(s.InFuture) != 1 || s.Held {
		t.Errorf("in the future: %v, held %v", s.InFuture, s.Held)
	}
	if got := strings.Count(w.log.String(), "lie in the future"); got != 1 {
		t.Errorf("logged %d times, want once", got)
	}
}

func TestFailedDropIsTriedAgain(t *testing.T) {
	w := newWorld(10)
	k := w.start(t, time.Hour)
	bad := w.buckets[2].Hour
	w.failing[bad] = errors.New("disk on fire")
	tick(k)
	if slices.Contains(w.dropped, bad) || len(w.dropped) != 7 {
		t.Errorf("dropped %v, want all due but %v", w.dropped, bad)
	}
	delete(w.failing, bad)
	tick(k)
	if !slices.Contains(w.dropped, bad) {
		t.Errorf("%v was not tried again", bad)
	}
}

func TestDamagedClockRecordCountsAsNone(t *testing.T) {
	w := newWorld(3)
	w.state[clockKey] = []byte("{")
	w.wall = w.wall.Add(100 * day)
	if s := w.start(t, day).Status(); !s.Held || !strings.Contains(w.log.String(), "damaged") {
		t.Errorf("held %v, log:\n%s", s.Held, w.log.String())
	}
}

func TestRunStops(t *testing.T) {
	w := newWorld(10)
	k := w.start(t, time.Hour)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { k.Run(ctx); close(done) }()
	cancel()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("run goes on after its context is done")
	}
}

// TestBareBucketsGoToo drops hours that have a ledger and no records.
func TestBareBucketsGoToo(t *testing.T) {
	w := newWorld(3)
	old := store.HourOf(uint64(today.Add(-10 * day).UnixMilli()))
	w.bare = []store.BucketInfo{{Hour: old}, {Hour: old + 24*5}}
	k, err := New(Options{Store: w, State: w, Keep: 7 * day, Now: func() time.Time { return w.wall }, Monotonic: func() time.Duration { return w.mono }})
	if err != nil {
		t.Fatal(err)
	}
	k.Tick(context.Background())
	if len(w.dropped) != 1 || w.dropped[0] != old || len(w.bare) != 1 {
		t.Errorf("dropped %v, want %v alone", w.dropped, old)
	}
}
