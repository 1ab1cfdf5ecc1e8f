package query

import (
	"context"
	"reflect"
	"runtime"
	"slices"
	"sync"
	"testing"

	"weir/flow"
	"weir/store"
)

func TestFromBothEnds(t *testing.T) {
	for n, want := range [][]int{{}, {0}, {0, 1}, {0, 2, 1}, {0, 3, 1, 2}, {0, 4, 1, 3, 2}} {
		if got := slices.Collect(fromBothEnds(n)); !slices.Equal(got, want) {
			t.Errorf("of %d: got %v, want %v", n, got, want)
		}
	}
}

// TestSeenSpan sees in an order that is nobody's.
func TestSeenSpan(t *testing.T) {
	span := &newSeenSpans(1)[0]
	if span.covers(5, 6) {
		t.Error("what nobody has seen covers something")
	}
	var wait sync.WaitGroup
	for i := range uint64(8) {
		wait.Go(func() {
			for k := range uint64(100) {
				span.see(1000+(k*37+i)%200, 2000+(k*53+i)%300)
			}
		})
	}
	wait.Wait()
	first, last := span.first.Load(), span.last.Load()
	if first != 1000 || last != 2295 {
		t.Errorf("got %d to %d, want 1000 to 2295", first, last)
	}
	if !span.covers(first, last) || span.covers(first-1, last) || span.covers(first, last+1) {
		t.Errorf("%d to %d is not what it covers", first, last)
	}
}

// TestSeenOverDays asks of many days with few records each, of which most have
// no time earlier or later than what is known already.
func TestSeenOverDays(t *testing.T) {
	rng := newRand(t)
	const day = 24 * 3600_000
	var records []*flow.Record
	for _, r := range randomRecords(rng, 4000) {
		start, end := r.Span()
		if received := r.Num(flow.Received); start+4*3600_000 < received || end > received+4*3600_000 {
			continue // clocks that are wrong by more make all times matter
		}
		later := rng.Uint64N(12)*day + rng.Uint64N(20)*3600_000
		for _, f := range []flow.Field{flow.Received, flow.Start, flow.End} {
			if r.Has(f) {
				r.SetNum(f, r.Num(f)+later)
			}
		}
		records = append(records, r)
	}
	s := questionStore(t, rng, records)
	req := SeenRequest{Hours: true}
	for _, a := range questionAddrs() {
		req.Addrs = append(req.Addrs, a.String())
	}
	for range 3 {
		got, _, err := Seen(context.Background(), s, req)
		if err != nil {
			t.Fatal(err)
		}
		matched := matching(t, records, "", req.Window)
		for _, e := range got.Addrs {
			me, err := flow.ParseAddr(e.Addr)
			if err != nil {
				t.Fatal(err)
			}
			if want := naiveSeen(matched, me); !reflect.DeepEqual(e, want) {
				t.Errorf("%+v: %s:\n got %+v\nwant %+v", req.Window, e.Addr, e, want)
			}
		}
		req.Window.From = questionBase + rng.Uint64N(6*day)
		req.Window.To = req.Window.From + rng.Uint64N(6*day)
	}
}

// TestSeenOfHoursInParts asks two archives as one, whose hours are in both: of one
// they are a block, of the other two, which several workers look into.
func TestSeenOfHoursInParts(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(7))
	me := flow.AddrFrom4(0xc000_0201)
	const hours, few, many = 4, 3, store.BlockRows + 3
	first := store.HourOf(questionBase)
	open := func(perHour int) *store.Store {
		s, err := store.Open("archive", store.Options{FS: store.NewMemFS(), FlushEvery: -1})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		for h := range store.Hour(hours) {
			batch := flow.NewBatch(perHour)
			base := batch.Grow(perHour)
			for i := range perHour {
				batch.Num(flow.Received)[base+i] = (first + h).StartMS()
				batch.Addr(flow.SrcAddr)[base+i] = me
			}
			batch.Mark(flow.Received, base, perHour)
			batch.Mark(flow.SrcAddr, base, perHour)
			if err := s.Append(batch); err != nil {
				t.Fatal(err)
			}
		}
		return s
	}
	both := store.Union{{Store: open(few)}, {Store: open(many)}}
	got, summary, err := Seen(context.Background(), both, SeenRequest{Addrs: []string{me.String()}, Hours: true})
	if err != nil {
		t.Fatal(err)
	}
	if summary.BlocksRead != hours*3 {
		t.Fatalf("read %d blocks, want %d", summary.BlocksRead, hours*3)
	}
	e := got.Addrs[0]
	if e.Records != hours*(few+many) || e.Active != hours || len(e.Hours) != hours {
		t.Errorf("got %d records in %d hours, %v, want %d in %d", e.Records, e.Active, e.Hours, hours*(few+many), hours)
	}
}
