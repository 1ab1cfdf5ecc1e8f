package query

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/flow"
	"weir/flow/ledger"
	"weir/store"
)

// appendRecord stores a record that was received in an hour.
func (w *ledgerWorld) appendRecord(hour int) {
	b := flow.NewBatch(1)
	var r flow.Record
	r.SetNum(flow.Received, minute(hour*60+1))
	b.AppendRecord(&r)
	if err := w.store.Append(b); err != nil {
		w.t.Fatal(err)
	}
}

// TestCoverageOlderArchive asks an archive whose ledger began in hour 26, about
// windows before, across and after that.
func TestCoverageOlderArchive(t *testing.T) {
	w := newLedgerWorld(t)
	for h := range 30 {
		w.appendRecord(h)
	}
	w.up(1, 26*60, 1800, ledger.EndOpen)
	w.hear(1, "192.0.2.1", 26*60, 1800)
	w.write()
	l := NewLedgers(w.store)
	for _, test := range []struct {
		from, to int // hours
		want     string
	}{
		{20, 25, ""},
		{20, 28, "of 6 of 8 hours nothing is known: they are from before the ledger"},
		{26, 30, ""},
	} {
		req := CoverageRequest{Window: Window{From: minute(test.from * 60), To: minute(test.to * 60)}, Now: minute(1800)}
		c := coverageOf(t, l, req)
		if got := strings.Join(c.Lines(), "\n"); got != test.want {
			t.Errorf("hours %d to %d: got %q, want %q", test.from, test.to, got, test.want)
		}
	}
	if c := coverageOf(t, NewLedgers(newLedgerWorld(t).store), CoverageRequest{Now: minute(1)}); len(c.Lines()) != 0 || c.Hours != 0 {
		t.Errorf("of an empty archive: got %+v", c)
	}
}

// TestCoverageEdges asks about windows that have nothing, or everything.
func TestCoverageEdges(t *testing.T) {
	w := newLedgerWorld(t)
	w.up(1, 0, 1800, ledger.EndOpen)
	w.hear(1, "192.0.2.1", 0, 1800)
	w.write()
	now := minute(1800)
	for _, test := range []struct {
		window  Window
		keep    time.Duration
		records uint64
	}{
		{Window{}, 0, 3000},
		{Window{From: 1}, 0, 3000},
		{Window{From: 1, To: math.MaxUint64}, 0, 3000},
		{Window{To: 1}, 0, 0},
		{Window{To: minute(0)}, 0, 0},
		{Window{To: minute(0) + 1}, 0, 100},
		{Window{From: now}, 0, 0},
		{Window{From: now + 1}, 0, 0},
		{Window{From: math.MaxUint64}, 0, 0},
		{Window{From: minute(60), To: minute(120)}, time.Hour, 0},
		{Window{From: minute(60), To: minute(120)}, time.Nanosecond, 0},
		{Window{From: minute(60), To: minute(120)}, math.MaxInt64, 100},
	} {
		req := CoverageRequest{Window: test.window, Keep: test.keep, Now: now}
		c := coverageOf(t, NewLedgers(w.store), req)
		if c.Records != test.records || c.From > c.To {
			t.Errorf("%+v: got %+v, want %d records", req, c, test.records)
		}
		g, err := NewLedgers(w.store).Grid(context.Background(), GridRequest{Window: test.window, Keep: test.keep, Now: now})
		if err != nil {
			t.Fatal(err)
		}
		records := uint64(0)
		for _, e := range g.Exporters {
			records += e.Total.Records
		}
		if records != test.records {
			t.Errorf("%+v: the grid has %d records, want %d", req, records, test.records)
		}
	}
}

// TestCoverageMistakes checks what is refused.
func TestCoverageMistakes(t *testing.T) {
	w := newLedgerWorld(t)
	w.up(1, 0, 120, ledger.EndOpen)
	w.hear(1, "192.0.2.1", 0, 120)
	w.write()
	if _, err := NewLedgers(w.store).Coverage(context.Background(), CoverageRequest{Exporter: "192.0.2.1 or", Now: minute(120)}); err == nil {
		t.Error("an exporter that is none must be refused")
	}
	if _, err := NewLedgers(w.store).Grid(context.Background(), GridRequest{Step: -1, Now: minute(120)}); err == nil {
		t.Error("a step below 1 hour must be refused")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := NewLedgers(w.store).Coverage(ctx, CoverageRequest{Now: minute(120)}); err == nil {
		t.Error("a cancelled question must end")
	}
	if err := w.store.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := NewLedgers(w.store).Coverage(context.Background(), CoverageRequest{Now: minute(120)}); err == nil {
		t.Error("a closed archive must be an error, and not a good answer")
	}
}

// TestGridLines checks what the grid says of exporters and hosts.
func TestGridLines(t *testing.T) {
	w := newLedgerWorld(t)
	w.up(1, 0, 150, ledger.EndClean)
	w.up(2, 170, 300, ledger.EndOpen)
	w.hear(1, "192.0.2.1", 0, 300)
	for i, e := range w.hear(1, "192.0.2.9", 0, 180) {
		e.Counts[ledger.Lost] = uint64(i)
	}
	w.host(2, 4).Sockets = []ledger.Drop{{Where: "[::]:2055", Count: 3}}
	w.write()
	known := ledger.Directory{coverageKnown("core", "192.0.2.1/32", true), coverageKnown("west", "198.51.100.0/24", true)}
	g, err := NewLedgers(w.store).Grid(context.Background(), GridRequest{Known: known, Now: minute(300)})
	if err != nil {
		t.Fatal(err)
	}
	if g.From != Moment(minute(0)) || g.To != Moment(minute(300)) || len(g.Hosts) != 5 || len(g.Exporters) != 3 {
		t.Fatalf("got %+v", g)
	}
	states := func(e GridExporter) (list []Reason) {
		for _, c := range e.Cells {
			list = append(list, c.State)
		}
		return list
	}
	for i, want := range []struct {
		addr, name string
		states     []Reason
	}{
		{"192.0.2.1", "core", []Reason{StateFine, StateFine, ReasonStopped, StateFine, StateFine}},
		{"192.0.2.9", "", []Reason{StateFine, ReasonLost, ReasonStopped, ReasonSilent, ReasonSilent}},
		{"", "west", []Reason{ReasonSilent, ReasonSilent, ReasonStopped, ReasonSilent, ReasonSilent}},
	} {
		e := g.Exporters[i]
		if got := states(e); e.Addr != want.addr || e.Name != want.name || !slices.Equal(got, want.states) {
			t.Errorf("got %s %s %q, want %+v", e.Addr, e.Name, got, want)
		}
	}
	if e := g.Exporters[0]; !e.Expected || !slices.Equal(e.Domains, []uint32{0}) || !slices.Equal(e.Versions, []uint16{uint16(flow.VersionIPFIX)}) {
		t.Errorf("got %+v", e)
	}
	if h := g.Hosts[2]; len(h.Down) != 1 || h.Down[0] != (Gap{Moment(minute(150)), Moment(minute(170)), ReasonStopped}) || len(h.Up) != 2 {
		t.Errorf("got %+v, want a gap of 20 minutes", h)
	}
	if h := g.Hosts[4]; h.Kernel != 3 || h.Ledgers != 1 {
		t.Errorf("got %+v, want 3 drops", h)
	}
}

// TestGridBound checks that a grid too large is refused with what to do.
func TestGridBound(t *testing.T) {
	g := &gridBuilder{judge: &judge{line: &timeline{}}, grid: &Grid{}, step: 1, first: 0, last: store.Hour(MaxGridCells)}
	g.hours = make([]*ledgerSum, 1)
	g.hours[0] = &ledgerSum{exporters: []exporterSum{{addr: flow.AddrFrom4(1)}}}
	if err := g.build(context.Background()); err == nil || !strings.Contains(err.Error(), "more hours a cell") {
		t.Errorf("got %v", err)
	}
}

// TestDamagesOf finds damage in what ScanLedger joins.
func TestDamagesOf(t *testing.T) {
	a, b := &store.DamageError{Hour: 1, What: "ledger"}, &store.DamageError{Hour: 2, What: "ledger"}
	for _, test := range []struct {
		err  error
		want []*store.DamageError
	}{
		{nil, nil},
		{store.ErrClosed, nil},
		{a, []*store.DamageError{a}},
		{errors.Join(errors.Join(nil, a), b), []*store.DamageError{a, b}},
		{errors.Join(fmt.Errorf("read: %w", a), store.ErrClosed), []*store.DamageError{a}},
	} {
		if got := damagesOf(test.err); !slices.Equal(got, test.want) {
			t.Errorf("%v: got %v, want %v", test.err, got, test.want)
		}
	}
}
