package retention

import (
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/store"
)

// press is start with a limit on the disk. What a bucket takes is what it says.
func (w *world) press(t *testing.T, keep time.Duration, limit uint64, held func(store.Hour) bool) *Keeper {
	t.Helper()
	w.mono = 0
	k, err := New(Options{
		Store: w, State: w, Keep: keep,
		Now:       func() time.Time { return w.wall },
		Monotonic: func() time.Duration { return w.mono },
		Logger:    slog.New(slog.NewTextHandler(&w.log, nil)),
		Pressure: Pressure{
			Room: func() (uint64, uint64, error) { return w.used(), limit, nil },
			Rate: func([]store.BucketInfo, store.Hour) float64 { return 100 },
			Held: held,
			Note: func(h store.Hour, _, _ uint64) error { w.noted = append(w.noted, h); return w.failing[h] },
		},
	})
	if err != nil {
		t.Fatalf("new keeper: %v", err)
	}
	return k
}

// used is what the buckets take, and what was dropped and is not free yet.
func (w *world) used() (n uint64) {
	for _, b := range w.buckets {
		n += uint64(b.Bytes)
	}
	return n + w.pinned
}

func TestOver(t *testing.T) {
	now := store.HourOf(uint64(today.UnixMilli()))
	w := newWorld(10) // of 100 bytes each, the last one open
	oldest := w.buckets[0].Hour
	for _, c := range []struct {
		name  string
		limit uint64
		now   store.Hour
		held  func(store.Hour) bool
		want  []store.Hour
	}{
		{"room", 1000, now, nil, nil},
		{"one", 999, now, nil, []store.Hour{oldest}},
		{"three", 700, now, nil, []store.Hour{oldest, oldest + 1, oldest + 2}},
		{"not those that are held", 800, now, func(h store.Hour) bool { return h == oldest || h == oldest+2 }, []store.Hour{oldest + 1, oldest + 3}},
		{"not the newest", 0, now, nil, hoursFrom(oldest, 9)},
		{"not the open one, nor what is ahead", 0, now - 3, nil, hoursFrom(oldest, 6)},
		{"all held", 0, now, func(store.Hour) bool { return true }, nil},
	} {
		if got := Over(w.buckets, w.used(), c.limit, c.now, c.held); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
	w.buckets[0].Bytes = 0 // frees nothing
	if got := Over(w.buckets, 900, 899, now, nil); !slices.Equal(got, []store.Hour{oldest + 1}) {
		t.Errorf("an empty hour goes: %v", got)
	}
	if got := Over(nil, 900, 0, now, nil); got != nil {
		t.Errorf("without hours: %v", got)
	}
}

func hoursFrom(h store.Hour, n int) (list []store.Hour) {
	for i := range n {
		list = append(list, h+store.Hour(i))
	}
	return list
}

func TestForesee(t *testing.T) {
	now := store.HourOf(uint64(today.UnixMilli()))
	w := newWorld(10)
	for _, c := range []struct {
		name  string
		limit uint64
		keep  time.Duration
		rate  float64
		at    store.Hour
		ok    bool
	}{
		{"no limit", 0, 0, 100, 0, false},
		{"nothing comes", 1, 0, 0, 0, false},
		{"over already", 900, 0, 100, now, true},
		{"in five hours", 1450, 0, 100, now + 5, true},
		{"retention comes before", 1450, 10 * time.Hour, 100, 0, false},
		{"retention comes too late", 1250, 90 * day, 100, now + 3, true},
	} {
		at, first, ok := Foresee(w.buckets, w.used(), c.limit, now, c.keep, c.rate, nil)
		if ok != c.ok || ok && (at != c.at || first != w.buckets[0].Hour) {
			t.Errorf("%s: got %v %v %v, want %v %v", c.name, at, first, ok, c.at, c.ok)
		}
	}
}

// TestForeseeWithHolds: what is held does not go, and the newest hour not before
// there is a newer one.
func TestForeseeWithHolds(t *testing.T) {
	now := store.HourOf(uint64(today.UnixMilli()))
	w := newWorld(10)
	newest := w.buckets[len(w.buckets)-1].Hour
	allBut := func(h store.Hour) func(store.Hour) bool { return func(of store.Hour) bool { return of != h } }
	if at, first, ok := Foresee(w.buckets, w.used(), 900, now, 0, 100, allBut(newest)); !ok || first != newest || at != now+1 {
		t.Errorf("all but the newest held: %v %v %v", at, first, ok)
	}
	if at, first, ok := Foresee(w.buckets, w.used(), 900, now, 0, 100, allBut(newest-3)); !ok || first != newest-3 || at != now {
		t.Errorf("one goes: %v %v %v", at, first, ok)
	}
	// The two that retention would let go in time are held.
	oldest := w.buckets[0].Hour
	held := func(h store.Hour) bool { return h <= oldest+1 }
	if at, first, ok := Foresee(w.buckets, w.used(), 1050, now, 11*time.Hour, 100, held); !ok || first != oldest+2 {
		t.Errorf("held past retention: %v %v %v", at, first, ok)
	}
}

// TestPressure fills the disk: hours go before their time, the oldest first, after
// it was announced; each is noted before, and written down.
func TestPressure(t *testing.T) {
	w := newWorld(10)
	oldest := w.buckets[0].Hour
	held := func(h store.Hour) bool { return h == oldest+1 }
	k := w.press(t, 90*day, 1250, held)
	tick(k)
	if len(w.dropped) > 0 || !strings.Contains(w.log.String(), "for want of room") {
		t.Fatalf("dropped %v, log:\n%s", w.dropped, w.log.String())
	}
	if r := k.Status().Room; r == nil || r.First != oldest.String() || r.At == nil || !strings.Contains(r.Text(), "before its time") {
		t.Errorf("status: %+v", r)
	}
	for range 4 {
		w.pass(time.Hour)
		w.buckets = append(w.buckets, bucket(w.buckets[len(w.buckets)-1].Hour+1))
		tick(k)
	}
	want := []store.Hour{oldest, oldest + 2}
	if !slices.Equal(w.dropped, want) || !slices.Equal(w.noted, want) {
		t.Errorf("dropped %v, noted %v, want %v", w.dropped, w.noted, want)
	}
	s := k.Status()
	if s.Dropped.Early != 2 || len(s.Early) != 2 || s.Early[1].Records != 10 || s.Early[0].From != oldest {
		t.Errorf("status: %+v, early %+v", s.Dropped, s.Early)
	}
	w.pass(91 * day)
	if early, err := LoadEarly(w, w.wall, 90*day); err != nil || len(early) > 0 {
		t.Errorf("past retention: %v, %v", early, err)
	}
}

// TestPressureWaits has what was dropped stay on the disk for a while, as while a
// question reads it: not every look drops another hour.
func TestPressureWaits(t *testing.T) {
	w := newWorld(10)
	k := w.press(t, 90*day, 850, nil)
	w.pinned = 200
	tick(k)
	n := len(w.dropped)
	w.pinned += uint64(100 * n)
	for range 3 {
		w.pass(time.Minute)
		tick(k)
	}
	if len(w.dropped) != n {
		t.Errorf("%d hours more are dropped while %d are not free yet", len(w.dropped)-n, n)
	}
	w.pass(freeFor)
	tick(k)
	if len(w.dropped) == n {
		t.Error("no hour is dropped though nothing became free")
	}
}

// TestPressureHeld drops nothing while the clock, or what must stay, is not known,
// nor what cannot be noted.
func TestPressureHeld(t *testing.T) {
	w := newWorld(10)
	k := w.press(t, 90*day, 100, nil)
	w.wall = w.wall.Add(400 * day)
	tick(k)
	if len(w.dropped) > 0 {
		t.Errorf("dropped %v by a clock that jumped", w.dropped)
	}
	w = newWorld(10)
	w.failing[w.buckets[0].Hour] = errors.New("no")
	k = w.press(t, 90*day, 850, nil)
	tick(k)
	if slices.Contains(w.dropped, w.buckets[0].Hour) {
		t.Error("an hour is dropped that could not be noted")
	}
}

// TestDoubt holds what is left when state was lost, over a restart, until somebody
// confirms.
func TestDoubt(t *testing.T) {
	w := newWorld(100)
	open := func(doubt string) *Keeper {
		k, err := New(Options{Store: w, State: w, Keep: day, Doubt: doubt, Now: func() time.Time { return w.wall },
			Monotonic: func() time.Duration { return w.mono }, Logger: slog.New(slog.NewTextHandler(&w.log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	k := open("state was lost")
	tick(k)
	k = open("")
	tick(k)
	if s := k.Status(); len(w.dropped) > 0 || !s.Held || s.Reason != "state was lost" {
		t.Errorf("dropped %d, status %+v", len(w.dropped), s)
	}
	if err := k.Confirm(); err != nil {
		t.Fatal(err)
	}
	tick(k)
	if len(w.dropped) == 0 {
		t.Error("nothing is dropped after the confirmation")
	}
}

func TestAddEarly(t *testing.T) {
	var list []Early
	for _, h := range []store.Hour{10, 11, 11, 12, 15} {
		list = addEarly(list, bucket(h), 1)
	}
	if len(list) != 2 || list[0].Hours != 3 || list[0].Records != 30 || list[1].From != 15 {
		t.Errorf("got %+v", list)
	}
	for h := store.Hour(20); h < 20+3*maxEarly; h += 2 {
		list = addEarly(list, bucket(h), 1)
	}
	if len(list) != maxEarly {
		t.Errorf("%d runs", len(list))
	}
}
