package index

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"weir/flow"
	"weir/store"
)

// appendRow puts one row in hour h.
func appendRow(t testing.TB, s *store.Store, h store.Hour) {
	t.Helper()
	b := flow.NewBatch(1)
	row := b.Grow(1)
	b.SetNum(flow.Received, row, h.StartMS()+1)
	b.SetAddr(flow.SrcAddr, row, flow.AddrFrom4(uint32(h)))
	if err := s.Append(b); err != nil {
		t.Fatalf("append: %v", err)
	}
}

// sealedHours returns the hours that are sealed.
func sealedHours(s *store.Store) map[store.Hour]bool {
	hours := map[store.Hour]bool{}
	for _, b := range s.Buckets() {
		hours[b.Hour] = b.State == store.StateSealed
	}
	return hours
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Errorf("after a minute: %s", what)
}

func TestSealerSealsWhatIsOver(t *testing.T) {
	s := openStore(t, "archive", store.NewMemFS())
	defer s.Close()
	var clock atomic.Int64 // ms
	clock.Store(int64(testHour.StartMS()) + 5000)
	for h := testHour - 3; h <= testHour; h++ {
		appendRow(t, s, h)
	}
	r := NewSealer(s, Options{
		Now:   func() time.Time { return time.UnixMilli(clock.Load()) },
		Every: time.Millisecond, Logger: slog.New(slog.DiscardHandler),
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { r.Run(ctx); close(done) }()

	eventually(t, "hours left over are not sealed", func() bool {
		got := sealedHours(s)
		return got[testHour-3] && got[testHour-2]
	})
	if got := sealedHours(s); got[testHour-1] || got[testHour] {
		t.Errorf("sealed within the grace or before its end: %v", got)
	}
	clock.Add(6000)
	eventually(t, "the last hour is not sealed after its grace", func() bool { return sealedHours(s)[testHour-1] })
	appendRow(t, s, testHour-3)
	eventually(t, "an hour with a late row is not sealed again", func() bool { return sealedHours(s)[testHour-3] })
	if sealedHours(s)[testHour] {
		t.Error("the current hour was sealed")
	}
	cancel()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("run goes on after its context is done")
	}
	if err := r.SealAll(context.Background()); err != nil {
		t.Errorf("seal all: %v", err)
	}
	if !sealedHours(s)[testHour] {
		t.Error("SealAll left the current hour open")
	}
	checkAll(t, s)
}

func TestSealerWaitsForImports(t *testing.T) {
	now := time.UnixMilli(int64(testHour.EndMS())).Add(48 * time.Hour)
	r := NewSealer(nil, Options{Now: func() time.Time { return now }})
	b := store.BucketInfo{Hour: testHour, State: store.StateOpen, Rows: 10}
	if r.settled(b, now) {
		t.Error("an hour long over is sealed at the first row seen")
	}
	r.seen[testHour] = 9
	if r.settled(b, now) {
		t.Error("an hour that rows come to is sealed")
	}
	r.seen[testHour] = 10
	if !r.settled(b, now) {
		t.Error("an hour that is quiet is not sealed")
	}
}

func TestSealerWait(t *testing.T) {
	start := time.Date(2026, 11, 22, 14, 0, 0, 0, time.UTC)
	cases := []struct {
		now   time.Time
		every time.Duration
		want  time.Duration
	}{
		{start, time.Minute, 10 * time.Second},
		{start.Add(10 * time.Second), 2 * time.Hour, time.Hour},
		{start.Add(10 * time.Second), time.Minute, time.Minute},
		{start.Add(59 * time.Minute), time.Hour, 70 * time.Second},
	}
	for _, c := range cases {
		r := NewSealer(nil, Options{Now: func() time.Time { return c.now }, Every: c.every})
		if got := r.wait(); got != c.want {
			t.Errorf("wait at %v, at most %v: got %v, want %v", c.now, c.every, got, c.want)
		}
	}
}

func TestSealStopsWithItsContext(t *testing.T) {
	rng := newRand(t)
	s := openStore(t, "archive", store.NewMemFS())
	defer s.Close()
	fill(t, s, rng, 5, randPool(rng))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := Seal(ctx, s, testHour); err == nil {
		t.Error("seal with a done context: no error")
	}
	want := bucketRows(s)
	if err := Seal(context.Background(), s, testHour); err != nil {
		t.Errorf("seal after a stopped one: %v", err)
	}
	if got := bucketRows(s); got != want {
		t.Errorf("%d rows, want %d", got, want)
	}
	checkAll(t, s)
}
