package query

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"sync"
	"testing"

	"weir/flow"
	"weir/flow/ledger"
	"weir/store"
)

// randomLedgerRow returns a row about one of a few exporters.
func randomLedgerRow(r *rand.Rand, h store.Hour) ledger.Row {
	run := ledger.Run(1 + r.IntN(3))
	switch r.IntN(8) {
	case 0:
		from := h.StartMS() + r.Uint64N(1800_000)
		return ledger.Row{Kind: ledger.KindHost, Run: run, Host: &ledger.Host{
			Up: ledger.Span{From: from, To: from + r.Uint64N(1800_000)}, Import: r.IntN(4) == 0, End: []string{"", ledger.EndClean, ledger.EndHour}[r.IntN(3)],
			Sockets: []ledger.Drop{{Where: "a", Count: r.Uint64N(9)}}, Waits: []ledger.Drop{{Where: []string{"a", "b"}[r.IntN(2)], Count: r.Uint64N(9)}, {Where: "d", Count: 1}},
			Counting: r.Uint64N(9), Rejected: ledger.Drop{Where: "d", Count: r.Uint64N(9)}, Others: ledger.Drop{Count: r.Uint64N(9)},
		}}
	case 1:
		return ledger.Row{Kind: ledger.KindPurge, Run: ledger.Run(r.IntN(100)), Purge: &ledger.Purge{Records: r.Uint64N(50)}}
	}
	e := &ledger.Entry{First: h.StartMS() + r.Uint64N(1800_000), Last: h.StartMS() + 1800_000 + r.Uint64N(1800_000)}
	for c := range e.Counts {
		e.Counts[c] = r.Uint64N(1000)
	}
	for range r.IntN(4) {
		e.Sample([]uint32{0, 1, 100, 1000}[r.IntN(4)], r.Uint64N(100))
	}
	key := ledger.Key{Exporter: flow.AddrFrom4(uint32(r.IntN(6))), Domain: uint32(r.IntN(2)), Version: []uint16{5, 9, 10}[r.IntN(3)]}
	return ledger.Row{Kind: ledger.KindEntry, Run: run, Key: key, Entry: e}
}

// naiveCoverage adds up the rows of a window's hours.
func naiveCoverage(t *testing.T, s *store.Store, from, to store.Hour, match func(flow.Addr) bool) Coverage {
	t.Helper()
	var c Coverage
	var all ledger.Entry
	err := s.ScanLedger(from, to, func(_ store.Hour, row ledger.Row) error {
		switch row.Kind {
		case ledger.KindHost:
			kernel, behind := row.Host.Dropped()
			c.Kernel += kernel
			c.Behind += behind
			c.QueueFull += row.Host.QueueFull()
			c.NotStored += max(row.Host.Counting, row.Host.Rejected.Count)
			c.Strangers += row.Host.RefusedDatagrams()
		case ledger.KindPurge:
			c.Purged += row.Purge.Records
		case ledger.KindEntry:
			if match == nil || match(row.Key.Exporter) {
				all.Add(row.Entry)
				c.Lost += row.Entry.LostRecords(row.Key.Version)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	c.Records, c.BadTimes, c.OutOfScope = all.Get(ledger.Records), all.Get(ledger.BadTimes), all.Get(ledger.OutOfScope)
	c.SetAside, c.Refused, c.Intervals = all.Get(ledger.SetAside), all.Get(ledger.Refused), all.Intervals
	return c
}

// sums returns what of a coverage naiveCoverage knows.
func (c Coverage) sums() Coverage {
	return Coverage{
		Kernel: c.Kernel, Behind: c.Behind, QueueFull: c.QueueFull, NotStored: c.NotStored, Strangers: c.Strangers, Purged: c.Purged, Records: c.Records, Lost: c.Lost,
		BadTimes: c.BadTimes, OutOfScope: c.OutOfScope, SetAside: c.SetAside, Refused: c.Refused, Intervals: c.Intervals,
	}
}

// TestCoverageSums compares coverage with naive sums over the rows, while rows
// are written, written again and dropped, and with a fresh reader's.
func TestCoverageSums(t *testing.T) {
	r := newRand(t)
	w := newLedgerWorld(t)
	const hours = 100
	now := (coverageBase + hours).StartMS()
	l := NewLedgers(w.store)
	for range 150 {
		h := coverageBase + store.Hour(r.IntN(hours))
		if r.IntN(20) == 0 {
			if err := w.store.Drop(h); err != nil {
				t.Fatal(err)
			}
		}
		for range r.IntN(6) {
			if err := w.store.PutLedger(uint32(h), []ledger.Row{randomLedgerRow(r, h), randomLedgerRow(r, h)}); err != nil {
				t.Fatal(err)
			}
		}
		from := coverageBase + store.Hour(r.IntN(hours))
		to := from + store.Hour(r.IntN(hours-int(from-coverageBase)))
		req := CoverageRequest{Window: Window{From: from.StartMS() + r.Uint64N(3600_000), To: to.EndMS() - r.Uint64N(1000)}, Now: now}
		if req.From >= req.To {
			continue
		}
		var match func(flow.Addr) bool
		if r.IntN(3) == 0 {
			req.Exporter, match = "0.0.0.3", func(a flow.Addr) bool { return a == flow.AddrFrom4(3) }
		}
		got := coverageOf(t, l, req)
		if fresh := coverageOf(t, NewLedgers(w.store), req); !reflect.DeepEqual(got, fresh) {
			t.Fatalf("%+v: got %+v\nfrom a fresh reader %+v", req, got, fresh)
		}
		if want := naiveCoverage(t, w.store, from, to, match); !reflect.DeepEqual(got.sums(), want) {
			t.Fatalf("%+v: got %+v\nwant %+v", req, got.sums(), want)
		}
		checkGrid(t, w.store, req, got)
	}
}

func coverageOf(t *testing.T, l *Ledgers, req CoverageRequest) *Coverage {
	t.Helper()
	c, err := l.Coverage(context.Background(), req)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var again Coverage
	if err := json.Unmarshal(text, &again); err != nil || !reflect.DeepEqual(&again, c) {
		t.Fatalf("%s came back as %+v, %v", text, again, err)
	}
	return c
}

// checkGrid compares a grid with the coverage of the same window.
func checkGrid(t *testing.T, s *store.Store, req CoverageRequest, want *Coverage) {
	t.Helper()
	var one *Grid
	for _, step := range []int{1, 5, 24} {
		g, err := NewLedgers(s).Grid(context.Background(), GridRequest{Window: req.Window, Exporter: req.Exporter, Now: req.Now, Step: step})
		if err != nil {
			t.Fatal(err)
		}
		var got, cells Coverage
		for _, e := range g.Exporters {
			got.Records += e.Total.Records
			got.Lost += e.Total.Lost
			if len(e.Cells) != len(g.Hosts) {
				t.Fatalf("step %d: %d cells and %d hosts", step, len(e.Cells), len(g.Hosts))
			}
			for _, c := range e.Cells {
				cells.Records += c.Records
				cells.Lost += c.Lost
				if (c.State == StateNone) && c.Datagrams > 0 {
					t.Errorf("step %d: %s was heard, and its cell is empty", step, e.Addr)
				}
			}
		}
		for _, h := range g.Hosts {
			got.Kernel += h.Kernel
			got.Purged += h.Purged
		}
		if got.Records != want.Records || got.Lost != want.Lost || cells.Records != want.Records || cells.Lost != want.Lost || got.Kernel != want.Kernel || got.Purged != want.Purged {
			t.Errorf("step %d: got %+v and in cells %+v, want %+v", step, got.sums(), cells.sums(), want.sums())
		}
		if one == nil {
			one = g
		} else if !reflect.DeepEqual(g.Worst, one.Worst) {
			t.Errorf("step %d: the worst spans differ from those of hours", step)
		}
	}
}

// TestCoverageBesideWrites asks while ledgers are written; run it with -race.
func TestCoverageBesideWrites(t *testing.T) {
	w := newLedgerWorld(t)
	l := NewLedgers(w.store)
	var writers, askers sync.WaitGroup
	stop := make(chan struct{})
	for i := range 2 {
		r := rand.New(rand.NewPCG(uint64(i), 1))
		writers.Go(func() {
			for range 200 {
				h := coverageBase + store.Hour(r.IntN(48))
				if err := w.store.PutLedger(uint32(h), []ledger.Row{randomLedgerRow(r, h)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	req := CoverageRequest{Now: (coverageBase + 60).StartMS()}
	for range 2 {
		askers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := l.Coverage(context.Background(), req); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	close(stop)
	askers.Wait()
	got := coverageOf(t, l, req)
	if want := naiveCoverage(t, w.store, coverageBase, coverageBase+60, nil); !reflect.DeepEqual(got.sums(), want) {
		t.Errorf("got %+v\nwant %+v", got.sums(), want)
	}
}

// TestLedgersForget checks that what is kept stays bounded.
func TestLedgersForget(t *testing.T) {
	l := &Ledgers{kept: map[hourRange]*keptSum{}}
	for i := range store.Hour(300) {
		l.keep([]hourRange{{i, 1}}, []*ledgerSum{{exporters: make([]exporterSum, 999)}}, []rangeState{{}})
		if l.weight > maxKept || l.weight != 1000*len(l.kept) {
			t.Fatalf("weight %d with %d kept", l.weight, len(l.kept))
		}
	}
	if l.kept[hourRange{299, 1}] == nil || l.kept[hourRange{0, 1}] != nil {
		t.Error("what was used last must stay, and what was not used go")
	}
}

// TestMoment checks that moments come back from their text.
func TestMoment(t *testing.T) {
	for _, m := range []Moment{0, 1, 1763766000123, 253402300799999} {
		text, err := m.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		var got Moment
		if err := got.UnmarshalText(text); err != nil || got != m {
			t.Errorf("%s: got %d, want %d, %v", text, got, m, err)
		}
	}
	var m Moment
	for _, text := range []string{"yesterday", "1969-12-31T23:59:59Z"} {
		if m.UnmarshalText([]byte(text)) == nil {
			t.Errorf("%s: got %d, want an error", text, m)
		}
	}
}

// TestChance checks what an empty answer is worth.
func TestChance(t *testing.T) {
	c := &Coverage{Intervals: []ledger.Interval{{N: 0, Records: 5}, {N: 1, Records: 0}, {N: 100, Records: 7}, {N: 1000, Records: 7}}}
	best, worst := c.Chance(10)
	if best.Interval != 100 || worst.Interval != 1000 || best.Probability < 0.0956 || best.Probability > 0.0957 || worst.Probability < 0.00995 || worst.Probability > 0.00996 {
		t.Errorf("got %+v and %+v", best, worst)
	}
	if best, worst := new(Coverage).Chance(10); best.Probability != 1 || worst.Probability != 1 {
		t.Errorf("unsampled: got %+v and %+v", best, worst)
	}
}
