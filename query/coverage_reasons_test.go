package query

import (
	"context"
	"net/netip"
	"slices"
	"testing"

	"weir/flow/ledger"
)

// still returns a standstill between two minutes.
func still(from, to int, why string) ledger.Still {
	return ledger.Still{Span: ledger.Span{From: minute(from), To: minute(to)}, Why: why}
}

// TestCoverageReasons is TestCoverage about reasons that need telling from
// others.
func TestCoverageReasons(t *testing.T) {
	testCoverage(t, []coverageCase{
		{
			name: "asleep within an hour",
			tell: func(w *ledgerWorld) {
				w.up(1, 0, 1800, ledger.EndOpen)
				w.host(1, 26).Stills = []ledger.Still{still(1570, 1600, ledger.StillAsleep)}
				w.hear(1, "192.0.2.1", 0, 1800)
			},
			lines: `
no collector ran for 30m00s of 6h00m, from 2025-11-24 02:10:00Z: it stood still, as if its host slept`,
			worst: `
all 1570-1600 collector asleep 54`,
		},
		{
			name: "asleep from before the window, as the hour after it tells",
			tell: func(w *ledgerWorld) {
				w.up(1, 0, 1790, ledger.EndOpen)
				w.up(1, 1830, 1860, ledger.EndOpen)
				w.host(1, 30).Stills = []ledger.Still{still(1790, 1830, ledger.StillAsleep)}
				w.hear(1, "192.0.2.1", 0, 1790)
			},
			req: CoverageRequest{Window: Window{From: minute(1440), To: minute(1800)}, Now: minute(1860)},
			lines: `
no collector ran for 10m00s of 6h00m, from 2025-11-24 05:50:00Z: it stood still, as if its host slept`,
			worst: `
all 1790-1800 collector asleep 17`,
		},
		{
			name: "the clock was set forward",
			tell: func(w *ledgerWorld) {
				w.up(1, 0, 1800, ledger.EndOpen)
				w.host(1, 26).Stills = []ledger.Still{still(1570, 1600, ledger.StillClock)}
				w.hear(1, "192.0.2.1", 0, 1800)
			},
			lines: `
the host's clock was set forward by 30m00s, at 2025-11-24 02:10:00Z: the time in between never was`,
			worst: `
all 1570-1600 host clock set 0`,
		},
		{
			name: "an sFlow agent drops",
			tell: func(w *ledgerWorld) {
				w.up(1, 0, 1800, ledger.EndOpen)
				w.hear(1, "192.0.2.1", 0, 1800)[26].Counts[ledger.SampleDrops] = 12
			},
			lines: `
12 samples dropped by the sFlow agent at 192.0.2.1`,
			worst: `
192.0.2.1 1560-1620 dropped by the sFlow agent 12`,
		},
		{
			name: "a crash that is asked about at once, without a collector",
			tell: func(w *ledgerWorld) {
				w.up(1, 0, 1799, ledger.EndOpen)
				w.hear(1, "192.0.2.1", 0, 1799)
			},
			lines: `
no collector ran for 1m00s of 6h00m, from 2025-11-24 05:59:00Z: it crashed`,
			worst: `
all 1799-1800 collector crashed 1`,
		},
		{
			name: "the same with one, whose last sign of life is not yet written",
			tell: func(w *ledgerWorld) {
				w.up(1, 0, 1799, ledger.EndOpen)
				w.hear(1, "192.0.2.1", 0, 1799)
			},
			req: CoverageRequest{Live: true},
		},
		{
			name: "captures that begin and end within the window",
			tell: func(w *ledgerWorld) {
				w.up(1, 1500, 1530, ledger.EndClean)
				w.host(1, 25).Import = true
				w.hear(1, "192.0.2.1", 1500, 1530)
			},
			lines: `
the captures cover 2025-11-24 01:00:00Z to 2025-11-24 01:30:00Z`,
		},
		{
			name: "records that are not ours are kept and set aside",
			tell: func(w *ledgerWorld) {
				w.up(1, 0, 1800, ledger.EndOpen)
				w.hear(1, "192.0.2.1", 0, 1800)[26].Counts[ledger.OutOfScope] = 50
				e := w.hear(1, "192.0.2.2", 0, 1800)[26]
				e.Counts[ledger.OutOfScope], e.Counts[ledger.SetAside] = 20, 20
				w.hear(1, "192.0.2.3", 0, 1800)[26].Counts[ledger.OutOfScope] = 9 // strays
				w.hear(1, "192.0.2.4", 0, 1800)[26].Counts[ledger.OutOfScope] = 99
			},
			req:   CoverageRequest{Known: ledger.Directory{{Name: "transit", Group: "core", Sources: []netip.Prefix{netip.MustParsePrefix("192.0.2.4/32")}}}},
			usual: func(group string) bool { return group == "core" },
			lines: `
20 records out of scope in quarantine`,
			worst: `
192.0.2.1 1560-1620 out of scope 50 (50 % of 100 records)
192.0.2.2 1560-1620 out of scope 20 (20 % of 100 records, 20 in quarantine)`,
		},
	})
}

// TestWorstFirst tells of everything that can be wrong at once, and of a tiny
// loss that has the most records.
func TestWorstFirst(t *testing.T) {
	w := newLedgerWorld(t)
	w.up(1, 0, 1500, ledger.EndOpen) // then it crashes
	w.up(2, 1530, 1800, ledger.EndOpen)
	busy := w.hear(1, "192.0.2.1", 0, 1500)
	busy = append(busy, w.hear(2, "192.0.2.1", 1530, 1800)...)
	for _, e := range busy {
		e.Counts[ledger.Records], e.Counts[ledger.Lost] = 1_000_000, 1000
	}
	w.hear(1, "192.0.2.2", 0, 1500)
	w.hear(2, "192.0.2.2", 1530, 1680) // then it falls silent
	w.write()
	req := GridRequest{Window: Window{From: minute(1440), To: minute(1800)}, Now: minute(1800), Live: true,
		Known: ledger.Directory{coverageKnown("never", "192.0.2.9/32", true), coverageKnown("edge", "192.0.2.2/32", true)}}
	g, err := NewLedgers(w.store).Grid(context.Background(), req)
	if err != nil {
		t.Fatal(err)
	}
	var got []Reason
	var names []string
	for i, s := range g.Worst {
		got, names = append(got, s.Reason), append(names, s.Name)
		if i > 0 && s.Missing > g.Worst[i-1].Missing {
			t.Errorf("%v is worse than what stands before it", s)
		}
	}
	want := []Reason{ReasonSilent, ReasonSilent, ReasonCrashed, ReasonLost}
	if !slices.Equal(got, want) || names[0] != "never" || names[1] != "edge" {
		t.Errorf("got %q of %q, want %q", got, names, want)
	}
}

// TestGridOfHosts checks that a grid says where the kernel dropped and who was
// refused, over runs and hours.
func TestGridOfHosts(t *testing.T) {
	w := newLedgerWorld(t)
	w.up(1, 1440, 1800, ledger.EndOpen)
	h := w.host(1, 24)
	h.Sockets = []ledger.Drop{{Where: "[::]:2055", Count: 2}, {Where: "[::]:6343", Count: 5}}
	h.Senders, h.Others = []ledger.Drop{{Where: "203.0.113.9", Count: 3}}, ledger.Drop{Count: 4}
	h = w.host(1, 25)
	h.Sockets, h.Waits = []ledger.Drop{{Where: "[::]:2055", Count: 9}}, []ledger.Drop{{Where: "[::]:2055", Count: 1}}
	h.Senders = []ledger.Drop{{Where: "203.0.113.9", Count: 1}, {Where: "203.0.113.7", Count: 8}}
	w.write()
	window := Window{From: minute(1440), To: minute(1800)}
	g, err := NewLedgers(w.store).Grid(context.Background(), GridRequest{Window: window, Step: 24, Now: minute(1800)})
	if err != nil {
		t.Fatal(err)
	}
	sockets := []ledger.Drop{{Where: "[::]:2055", Count: 11}, {Where: "[::]:6343", Count: 5}}
	senders := []ledger.Drop{{Where: "203.0.113.7", Count: 8}, {Where: "203.0.113.9", Count: 4}}
	d := g.Hosts[0]
	if !slices.Equal(d.Sockets, sockets) || !slices.Equal(d.Waits, h.Waits) || !slices.Equal(d.Senders, senders) || d.Refused != 16 || d.Others != 4 {
		t.Errorf("got %+v", d)
	}
	l := NewLedgers(w.store)
	for range 2 { // the second time from what was kept
		c, err := l.Coverage(context.Background(), CoverageRequest{Window: window, Now: minute(1800)})
		if err != nil || !slices.Equal(c.Sockets, sockets) || !slices.Equal(c.Senders, senders) || c.Strangers != 16 {
			t.Errorf("%v: got %v, %v, %d", err, c.Sockets, c.Senders, c.Strangers)
		}
	}
}
