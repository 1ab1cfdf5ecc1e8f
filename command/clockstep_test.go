package command

import (
	"context"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"weir/collector"
	"weir/flow"
	"weir/flow/ledger"
	"weir/index"
	"weir/store"
)

// A steppedCollector is a collector whose clock is set by hand, and goes on by
// itself from there.
type steppedCollector struct {
	*testCollector
	offset atomic.Int64 // ns before or after the host's clock
	dir    string
}

func (c *steppedCollector) now() time.Time { return time.Now().Add(time.Duration(c.offset.Load())) }

// set sets the clock.
func (c *steppedCollector) set(t time.Time) { c.offset.Store(int64(time.Until(t))) }

// start starts the collector; stop ends it.
func (c *steppedCollector) start(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan []net.Addr, 1), make(chan error, 1)
	o := collectOptions{dir: c.dir, keep: 30 * day, listen: []collector.Listen{{Scheme: "netflow", Addr: "127.0.0.1:0"}}, ready: func(a []net.Addr) { ready <- a }}
	std := &Std{In: strings.NewReader(""), Out: io.Discard, Err: io.Discard, Now: c.now, Getenv: func(string) string { return "" }}
	go func() { ended <- runCollect(ctx, std, o) }()
	select {
	case addrs := <-ready:
		c.testCollector = &testCollector{netflow: udpAddr(addrs[0])}
	case err := <-ended:
		cancel()
		t.Fatal(err)
	}
	c.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("collector: %v", err)
		}
	}
}

// waitFor waits until an hour has so many records.
func (c *steppedCollector) waitFor(t *testing.T, h store.Hour, records int64) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		b, err := connect(context.Background(), c.dir)
		if err != nil {
			t.Fatal(err)
		}
		list, err := b.Buckets(context.Background())
		b.Close()
		if err != nil {
			t.Fatal(err)
		}
		for _, info := range list {
			if info.Hour == h && info.Rows == records {
				return
			}
		}
		if time.Now().After(end) {
			t.Fatalf("hour %v has not got %d records: %+v", h, records, list)
		}
	}
}

// TestClockSteps steps the clock while collecting, and over a restart. Records stay
// in the hour in which they came, nothing is dropped, no hour is sealed before its
// time by more than the clock was wrong, and the ledger has both times.
func TestClockSteps(t *testing.T) {
	for name, step := range map[string]time.Duration{
		"a day forward": day + time.Hour, "a year forward": 365 * day, "an hour back": -time.Hour, "a year back": -365 * day,
	} {
		for _, restart := range []bool{false, true} {
			what := name + map[bool]string{false: ", while collecting", true: ", over a restart"}[restart]
			t.Run(what, func(t *testing.T) {
				t.Parallel()
				stepClock(t, step, restart)
			})
		}
	}
}

func stepClock(t *testing.T, step time.Duration, restart bool) {
	c := &steppedCollector{dir: filepath.Join(t.TempDir(), "data")}
	at := time.Now().UTC().Truncate(time.Hour).Add(30 * time.Minute)
	hour, old, before := store.HourOf(epochMS(at)), store.HourOf(epochMS(at.Add(-20*day))), store.HourOf(epochMS(at))-1
	c.set(at)
	storeHours(t, c.dir, old, before)
	c.start(t)
	c.send(t, netflow5(7))
	c.waitFor(t, hour, 7)
	if restart {
		c.stop()
	}
	c.set(at.Add(step))
	if restart {
		c.start(t)
	}
	stepped := store.HourOf(epochMS(at.Add(step)))
	more := int64(5)
	if stepped == before {
		more += 100
	}
	c.send(t, netflow5(5))
	c.waitFor(t, stepped, more)
	if held := retentionHeld(t, c.dir); held != (step.Abs() > day) {
		t.Errorf("retention is held: %v", held)
	}
	time.Sleep(3500 * time.Millisecond) // a sign of life is due each second, also if the machine holds one up
	c.stop()
	checkStepped(t, c.dir, map[store.Hour]int64{old: 100, before: 100, hour: 7}, stepped, more)
}

func retentionHeld(t *testing.T, dir string) bool {
	t.Helper()
	b, err := connect(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	r, err := b.Retention(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return r.Held
}

// storeHours makes an archive of sealed hours of 100 records.
func storeHours(t *testing.T, dir string, hours ...store.Hour) {
	t.Helper()
	s, err := store.Open(dir, store.Options{FlushEvery: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, h := range hours {
		b := flow.NewBatch(100)
		b.Grow(100)
		for row := range 100 {
			b.SetNum(flow.Received, row, h.StartMS()+uint64(row))
		}
		if err := s.Append(b); err != nil {
			t.Fatal(err)
		}
		if err := index.Seal(context.Background(), s, h); err != nil {
			t.Fatal(err)
		}
	}
}

// checkStepped looks at what a stepped clock left.
func checkStepped(t *testing.T, dir string, want map[store.Hour]int64, stepped store.Hour, more int64) {
	t.Helper()
	s, err := store.Open(dir, store.Options{FlushEvery: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	want[stepped] = more
	for _, b := range s.Buckets() {
		if b.Rows != want[b.Hour] {
			t.Errorf("hour %v has %d records, want %d", b.Hour, b.Rows, want[b.Hour])
		}
		if b.Hour == stepped && b.State == store.StateSealed {
			t.Errorf("hour %v, in which the clock stands, is sealed", b.Hour)
		}
		delete(want, b.Hour)
	}
	if len(want) > 0 {
		t.Errorf("records of %v are gone", want)
	}
	hosts := map[store.Hour]bool{}
	err = s.ScanLedger(0, ^store.Hour(0), func(h store.Hour, row ledger.Row) error {
		hosts[h] = hosts[h] || row.Kind == ledger.KindHost && row.Host.Up.Length() > 0
		return nil
	})
	if err != nil || !hosts[stepped] {
		t.Errorf("the ledger says nothing of the time after the step: %v, %v", hosts, err)
	}
	r, err := index.Verify(context.Background(), s, index.VerifyOptions{})
	if err != nil || !r.Sound() {
		t.Errorf("verified: %+v, %v", r, err)
	}
}
