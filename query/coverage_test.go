package query

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"weir/flow"
	"weir/flow/ledger"
	"weir/store"
)

// coverageBase is the hour 0 of these tests: a full UTC day begins with it.
const coverageBase = store.Hour(489960) // 2025-11-23T00

// minute is ms of a minute of these tests, from hour 0 on.
func minute(m int) uint64 { return coverageBase.StartMS() + uint64(m)*60_000 }

// A ledgerWorld is an archive whose ledger a test writes by hand.
type ledgerWorld struct {
	t     testing.TB
	store *store.Store
	hosts map[string]*ledger.Row
	rows  map[store.Hour][]ledger.Row
}

func newLedgerWorld(t testing.TB) *ledgerWorld {
	s, err := store.Open("archive", store.Options{FS: store.NewMemFS(), FlushEvery: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return &ledgerWorld{t, s, map[string]*ledger.Row{}, map[store.Hour][]ledger.Row{}}
}

// host returns the host's row of an hour of a run.
func (w *ledgerWorld) host(run, hour int) *ledger.Host {
	key := fmt.Sprint(run, hour)
	if r := w.hosts[key]; r != nil {
		return r.Host
	}
	h := coverageBase + store.Hour(hour)
	host := &ledger.Host{Up: ledger.Span{From: h.StartMS(), To: h.EndMS()}, End: ledger.EndHour}
	w.hosts[key] = &ledger.Row{Kind: ledger.KindHost, Run: ledger.Run(run), Host: host}
	w.rows[h] = append(w.rows[h], *w.hosts[key])
	return host
}

// up writes that a run was up between two minutes.
func (w *ledgerWorld) up(run, from, to int, end string) {
	for h := from / 60; h*60 < to; h++ {
		host := w.host(run, h)
		host.Up = ledger.Span{From: max(host.Up.From, minute(from)), To: min(host.Up.To, minute(to))}
		if h*60+60 >= to {
			host.End = end
		}
	}
}

// hear writes that an exporter sent 100 records in 10 datagrams every hour
// between two minutes, and returns the entries of these hours.
func (w *ledgerWorld) hear(run int, exporter string, from, to int) []*ledger.Entry {
	addr, err := flow.ParseAddr(exporter)
	if err != nil {
		w.t.Fatal(err)
	}
	var entries []*ledger.Entry
	for h := from / 60; h*60 < to; h++ {
		e := &ledger.Entry{First: max(minute(from), minute(h*60)), Last: min(minute(to), minute(h*60+60)) - 1000, Streams: 1}
		e.Counts[ledger.Datagrams], e.Counts[ledger.Records] = 10, 100
		e.Sample(1, 100)
		e.Skew.Note(20_000, 100)
		hour := coverageBase + store.Hour(h)
		w.rows[hour] = append(w.rows[hour], ledger.Row{Kind: ledger.KindEntry, Run: ledger.Run(run), Key: ledger.Key{Exporter: addr, Version: uint16(flow.VersionIPFIX)}, Entry: e})
		entries = append(entries, e)
	}
	return entries
}

// write writes the rows.
func (w *ledgerWorld) write() {
	for h, rows := range w.rows {
		if err := w.store.PutLedger(uint32(h), rows); err != nil {
			w.t.Fatal(err)
		}
	}
}

func coverageKnown(name, source string, expected bool) ledger.Known {
	return ledger.Known{Name: name, Sources: []netip.Prefix{netip.MustParsePrefix(source)}, Expected: expected}
}

// A coverageCase is a story that a ledger tells. The window is of hours 24 to
// 30; now is minute 30*60 unless said otherwise.
type coverageCase struct {
	name  string
	tell  func(w *ledgerWorld)
	req   CoverageRequest
	lines string // Coverage.Lines, each after a newline
	worst string // the spans of the grid, each after a newline: exporter, minutes, reason, records
	usual func(group string) bool
}

var coverageCases = []coverageCase{
	{
		name: "all is well",
		tell: func(w *ledgerWorld) {
			w.up(1, 0, 1800, ledger.EndOpen)
			w.hear(1, "192.0.2.1", 0, 1800)
		},
	},
	{
		name: "lost on the way",
		tell: func(w *ledgerWorld) {
			w.up(1, 0, 1800, ledger.EndOpen)
			w.hear(1, "192.0.2.1", 0, 1800)
			for _, e := range w.hear(1, "192.0.2.2", 0, 1800)[26:28] {
				e.Counts[ledger.Lost], e.Counts[ledger.Gaps] = 50, 2
			}
		},
		lines: `
estimated loss 7.7 %: 100 of 1300 records, worst 192.0.2.2 with 14 %`,
		worst: `
192.0.2.2 1560-1680 lost on the way 100 33% (4 gaps in the sequence numbers)`,
	},
	{
		name: "dropped in the kernel, which explains the gaps",
		tell: func(w *ledgerWorld) {
			w.up(1, 0, 1800, ledger.EndOpen)
			w.host(1, 26).Sockets = []ledger.Drop{{Where: "[::]:2055", Count: 6}}
			w.hear(1, "192.0.2.1", 0, 1800)[26].Counts[ledger.Lost] = 60
		},
		lines: `
6 datagrams dropped in the kernel; estimated loss 9.1 %: 60 of 660 records`,
		worst: `
all 1560-1620 dropped in the kernel 60 38% (6 datagrams)`,
	},
	{
		name: "dropped in the kernel, and more lost on the way than that explains",
		tell: func(w *ledgerWorld) {
			w.up(1, 0, 1800, ledger.EndOpen)
			w.host(1, 26).Sockets = []ledger.Drop{{Where: "[::]:2055", Count: 1}}
			w.hear(1, "192.0.2.1", 0, 1800)[26].Counts[ledger.Lost] = 60
		},
		lines: `
1 datagram dropped in the kernel; estimated loss 9.1 %: 60 of 660 records`,
		worst: `
192.0.2.1 1560-1620 lost on the way 60 38% (0 gaps in the sequence numbers)
all 1560-1620 dropped in the kernel 10 9% (1 datagram)`,
	},
	{
		name: "dropped in the kernel while we did not read",
		tell: func(w *ledgerWorld) {
			w.up(1, 0, 1800, ledger.EndOpen)
			w.host(1, 26).Sockets = []ledger.Drop{{Where: "[::]:2055", Count: 20}, {Where: "[::]:6343", Count: 4}}
			w.host(1, 26).Waits = []ledger.Drop{{Where: "[::]:2055", Count: 3}}
			w.hear(1, "192.0.2.1", 0, 1800)
		},
		lines: `
24 datagrams dropped in the kernel, 20 of them while the collector did not keep up`,
		worst: `
all 1560-1620 dropped in the kernel: the collector did not keep up 240 71% (24 datagrams, the queue was full 3 times)`,
	},
	{
		name: "dropped in the kernel, and not read at another time",
		tell: func(w *ledgerWorld) {
			w.up(1, 0, 1800, ledger.EndOpen)
			w.host(1, 26).Sockets = []ledger.Drop{{Where: "[::]:2055", Count: 20}}
			w.host(1, 27).Waits = []ledger.Drop{{Where: "[::]:2055", Count: 3}}
			w.hear(1, "192.0.2.1", 0, 1800)
		},
		lines: `
20 datagrams dropped in the kernel`,
		worst: `
all 1560-1620 dropped in the kernel 200 67% (20 datagrams)`,
	},
	{
		name: "stopped, which explains the silence",
		tell: func(w *ledgerWorld) {
			w.up(1, 0, 1500, ledger.EndClean)
			w.up(2, 1620, 1800, ledger.EndOpen)
			w.hear(1, "192.0.2.1", 0, 1500)
			w.hear(2, "192.0.2.1", 1620, 1800)
		},
		lines: `
no collector ran for 2h00m of 6h00m, from 2025-11-24 01:00:00Z: it was stopped`,
		worst: `
all 1500-1620 collector stopped 200`,
	},
	{
		name: "crashed",
		tell: func(w *ledgerWorld) {
			w.up(1, 0, 1510, ledger.EndOpen)
			w.up(2, 1520, 1800, ledger.EndOpen)
			w.hear(1, "192.0.2.1", 0, 1510)
			w.hear(2, "192.0.2.1", 1520, 1800)
		},
		lines: `
no collector ran for 10m00s of 6h00m, from 2025-11-24 01:10:00Z: it crashed`,
		worst: `
all 1510-1520 collector crashed 20`,
	},
	{
		name: "a copy, made while a collector ran",
		tell: func(w *ledgerWorld) {
			w.up(1, 0, 1510, ledger.EndOpen)
			w.hear(1, "192.0.2.1", 0, 1510)
		},
		req: CoverageRequest{Copied: minute(1511)},
		lines: `
this copy was made at 2025-11-24 01:11:00Z, and nothing later is in it`,
	},
	{
		name: "a copy with which a collector went on",
		tell: func(w *ledgerWorld) {
			w.up(1, 0, 1510, ledger.EndOpen)
			w.up(2, 1520, 1800, ledger.EndOpen)
			w.hear(1, "192.0.2.1", 0, 1510)
			w.hear(2, "192.0.2.1", 1520, 1800)
		},
		req: CoverageRequest{Copied: minute(1511)},
		lines: `
no collector ran for 10m00s of 6h00m, from 2025-11-24 01:10:00Z: it crashed`,
		worst: `
all 1510-1520 collector crashed 20`,
	},
	{
		name: "a copy of what had crashed",
		tell: func(w *ledgerWorld) {
			w.up(1, 0, 1510, ledger.EndOpen)
			w.hear(1, "192.0.2.1", 0, 1510)
		},
		req: CoverageRequest{Copied: minute(1600)},
		lines: `
this copy was made at 2025-11-24 02:40:00Z, and nothing later is in it; no collector ran for 1h30m of 6h00m, from 2025-11-24 01:10:00Z: it crashed`,
		worst: `
all 1510-1600 collector crashed 66`,
	},
	{
		name: "crashed long before the window, and down since",
		tell: func(w *ledgerWorld) {
			w.up(1, 0, 100, ledger.EndOpen)
			w.hear(1, "192.0.2.1", 0, 100)
		},
		lines: `
no collector ran in this window: it crashed`,
		worst: `
all 1440-1800 collector crashed 0`,
	},
	{
		name: "the host slept",
		tell: func(w *ledgerWorld) {
			w.up(1, 0, 1510, ledger.EndOpen)
			w.up(1, 1620, 1800, ledger.EndOpen)
			w.hear(1, "192.0.2.1", 0, 1510)
			w.hear(1, "192.0.2.1", 1620, 1800)
		},
		lines: `
no collector ran for 1h50m of 6h00m, from 2025-11-24 01:10:00Z: it stood still, as if its host slept`,
		worst: `
all 1510-1620 collector asleep 220`,
	},
	{
		name: "not started",
		tell: func(w *ledgerWorld) {
			w.appendRecord(20) // by a weir that kept no ledger
			w.up(1, 1500, 1800, ledger.EndOpen)
			w.hear(1, "192.0.2.1", 1500, 1800)
		},
		lines: `
no collector ran for 1h00m of 6h00m, from 2025-11-24 00:00:00Z: it was not started`,
		worst: `
all 1440-1500 collector not started 100`,
	},
	{
		name: "the archive begins in the window",
		tell: func(w *ledgerWorld) {
			w.up(1, 1510, 1800, ledger.EndOpen)
			w.hear(1, "192.0.2.1", 1510, 1800)
		},
		lines: `
the archive begins at 2025-11-24 01:10:00Z`,
	},
	{
		name: "crashed a moment ago, and started again",
		tell: func(w *ledgerWorld) {
			w.up(1, 1440, 1798, ledger.EndOpen)
			w.up(2, 1799, 1800, ledger.EndOpen)
			w.hear(1, "192.0.2.1", 1440, 1798)
		},
		lines: `
no collector ran for 1m00s of 6h00m, from 2025-11-24 05:58:00Z: it crashed`,
		worst: `
all 1798-1799 collector crashed 1`,
	},
	{
		name: "silent exporters",
		tell: func(w *ledgerWorld) {
			w.up(1, 0, 1800, ledger.EndOpen)
			w.hear(1, "192.0.2.1", 0, 1800)
			w.hear(1, "192.0.2.2", 0, 1620)
			w.hear(1, "192.0.2.3", 0, 1320)
		},
		req: CoverageRequest{Known: ledger.Directory{coverageKnown("core", "192.0.2.1/32", true), coverageKnown("edge", "192.0.2.4/32", true)}},
		lines: `
2 of 4 exporters heard; missing: edge (192.0.2.4), 192.0.2.3 since 2025-11-23 21:59:59Z; silent at the end: 192.0.2.2 since 2025-11-24 02:59:59Z`,
		worst: `
192.0.2.3 1440-1800 exporter silent 600
192.0.2.4 edge 1440-1800 exporter silent 0
192.0.2.2 1619-1800 exporter silent 300`,
	},
	{
		name: "silent for a while",
		tell: func(w *ledgerWorld) {
			w.up(1, 0, 1800, ledger.EndOpen)
			w.hear(1, "192.0.2.1", 0, 1800)[26].Silence = ledger.Span{From: minute(1570), To: minute(1590)}
		},
		req: CoverageRequest{Known: ledger.Directory{coverageKnown("core", "192.0.2.1/32", true)}},
		lines: `
core (192.0.2.1) silent from 2025-11-24 02:10:00Z for 20m00s`,
		worst: `
192.0.2.1 core 1570-1590 exporter silent 35`,
	},
	{
		name: "template missing",
		tell: func(w *ledgerWorld) {
			w.up(1, 0, 1800, ledger.EndOpen)
			e := w.hear(1, "192.0.2.1", 0, 1800)[26]
			e.Counts[ledger.SetsWithout], e.Counts[ledger.SetsDropped] = 5, 3
		},
		lines: `
3 data sets of 192.0.2.1 given up for want of a template`,
		worst: `
192.0.2.1 1560-1620 template missing 30 (3 data sets given up)`,
	},
	{
		name: "clock off",
		tell: func(w *ledgerWorld) {
			w.up(1, 0, 1800, ledger.EndOpen)
			for _, e := range w.hear(1, "192.0.2.1", 0, 1800)[26:28] {
				e.Skew = ledger.Skew{}
				e.Skew.Note(-3600_000, 100)
			}
		},
		lines: `
the clock of 192.0.2.1 is 1h00m ahead: its flows are not at their time`,
		worst: `
192.0.2.1 1560-1680 clock off 200 (1h00m ahead)`,
	},
	{
		name: "not stored, purged, out of scope, sampled",
		tell: func(w *ledgerWorld) {
			w.up(1, 0, 1800, ledger.EndOpen)
			h := w.host(1, 26)
			h.Unstored, h.Counting = []ledger.Span{{From: minute(1565), To: minute(1570)}}, 8
			e := w.hear(1, "192.0.2.1", 0, 1800)[26]
			e.Counts[ledger.OutOfScope], e.Counts[ledger.SetAside], e.Counts[ledger.Refused] = 30, 10, 20
			e.Intervals = []ledger.Interval{{N: 1000, Records: 100}}
			hour := coverageBase + 26
			w.rows[hour] = append(w.rows[hour], ledger.Row{Kind: ledger.KindPurge, Run: 5, Purge: &ledger.Purge{At: 5, Records: 7}})
		},
		lines: `
nothing could be stored for 5m00s: 8 records not kept; 20 records out of scope refused; 10 records out of scope in quarantine; 7 records purged on purpose
sampled 1:1000 (17 % of records)`,
		worst: `
all 1565-1570 not stored (disk full?) 8
192.0.2.1 1560-1620 out of scope, refused 20
all 1560-1620 purged 7`,
	},
	{
		name: "past retention",
		tell: func(w *ledgerWorld) {
			w.up(1, 0, 1800, ledger.EndOpen)
			w.hear(1, "192.0.2.1", 0, 1800)
		},
		req: CoverageRequest{Keep: 4 * time.Hour},
		lines: `
records from before 2025-11-24 02:00:00Z are past retention`,
		worst: `
all 1440-1560 past retention 0`,
	},
	{
		name: "one exporter is asked about",
		tell: func(w *ledgerWorld) {
			w.up(1, 0, 1800, ledger.EndOpen)
			w.hear(1, "192.0.2.1", 0, 1800)
			w.hear(1, "192.0.2.2", 0, 1800)[26].Counts[ledger.Lost] = 50
			w.hear(1, "192.0.2.3", 0, 1320)
		},
		req: CoverageRequest{Exporter: "192.0.2.1"},
	},
	{
		name: "the filter asks about one exporter",
		tell: func(w *ledgerWorld) {
			w.up(1, 0, 1800, ledger.EndOpen)
			w.hear(1, "192.0.2.1", 0, 1800)
			w.hear(1, "192.0.2.3", 0, 1320)
		},
		req: CoverageRequest{Filter: "port 53 and router ip 192.0.2.3"},
		lines: `
0 of 1 exporter heard; missing: 192.0.2.3 since 2025-11-23 21:59:59Z`,
		worst: `
192.0.2.3 1440-1800 exporter silent 600`,
	},
	{
		name: "an import of two captures",
		tell: func(w *ledgerWorld) {
			w.up(1, 1440, 1500, ledger.EndHour)
			w.up(1, 1620, 1680, ledger.EndClean)
			w.host(1, 24).Import, w.host(1, 27).Import = true, true
			w.hear(1, "192.0.2.1", 1440, 1500)
			w.hear(1, "192.0.2.2", 1620, 1680)
		},
		lines: `
the captures of the window end at 2025-11-24 04:00:00Z; no capture covers 2h00m from 2025-11-24 01:00:00Z`,
		worst: `
all 1500-1620 no capture imported 200`,
	},
	{
		name: "an import from before the collector",
		tell: func(w *ledgerWorld) {
			w.up(1, 1440, 1500, ledger.EndClean)
			w.host(1, 24).Import = true
			w.hear(1, "192.0.2.1", 1440, 1500)
			w.up(2, 1600, 1800, ledger.EndOpen)
			w.hear(2, "192.0.2.2", 1600, 1800)
		},
		req: CoverageRequest{Window: Window{From: minute(1440), To: minute(1500)}, Known: ledger.Directory{coverageKnown("core", "192.0.2.2/32", true)}},
	},
	{
		name: "flows still come in",
		tell: func(w *ledgerWorld) {
			w.up(1, 0, 1800, ledger.EndOpen)
			w.hear(1, "192.0.2.1", 0, 1800)
		},
		req: CoverageRequest{Window: Window{From: minute(1790)}, Live: true},
		lines: `
flows since 2025-11-24 05:59:00Z are still being reported`,
	},
}

func TestCoverage(t *testing.T) { testCoverage(t, coverageCases) }

// testCoverage asks about stories: what the lines of an answer and the worst
// spans of a grid say.
func testCoverage(t *testing.T, cases []coverageCase) {
	for _, test := range cases {
		t.Run(test.name, func(t *testing.T) {
			w := newLedgerWorld(t)
			test.tell(w)
			w.write()
			req := test.req
			if req.Window == (Window{}) {
				req.Window = Window{From: minute(1440), To: minute(1800)}
			}
			if req.Now == 0 {
				req.Now = minute(1800)
			}
			c, err := NewLedgers(w.store).Coverage(context.Background(), req)
			if err != nil {
				t.Fatal(err)
			}
			lines := ""
			for _, l := range c.Lines() {
				lines += "\n" + l
			}
			if lines != test.lines {
				t.Errorf("lines: got %s\nwant %s", lines, test.lines)
			}
			exporter := req.Exporter
			if strings.Contains(req.Filter, "router") {
				exporter = "192.0.2.3"
			}
			g, err := NewLedgers(w.store).Grid(context.Background(), GridRequest{Window: req.Window, Exporter: exporter, Known: req.Known, Keep: req.Keep, Now: req.Now, Live: req.Live, Copied: req.Copied, Usual: test.usual})
			if err != nil {
				t.Fatal(err)
			}
			if got := worstText(g); got != test.worst {
				t.Errorf("worst: got %s\nwant %s", got, test.worst)
			}
		})
	}
}

// worstText writes the bad spans of a grid.
func worstText(g *Grid) string {
	text := ""
	at := func(m Moment) int { return int((uint64(m) - coverageBase.StartMS()) / 60_000) }
	for _, s := range g.Worst {
		who := strings.TrimSpace(s.Addr + " " + s.Name)
		if who == "" {
			who = "all"
		}
		text += fmt.Sprintf("\n%s %d-%d %s %d", who, at(s.From), at(s.To), s.Reason, s.Records)
		if s.Loss > 0 {
			text += fmt.Sprintf(" %.0f%%", 100*s.Loss)
		}
		if s.Detail != "" {
			text += " (" + s.Detail + ")"
		}
	}
	return text
}
