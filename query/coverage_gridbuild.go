package query

import (
	"context"
	"fmt"
	"slices"

	"weir/flow"
	"weir/flow/ledger"
	"weir/store"
)

// Grid returns the ledger of a window, hours by exporters, and what is worst
// about it. The window's hours are read anew: a grid tells domains and protocols
// apart, which what is kept does not.
func (l *Ledgers) Grid(ctx context.Context, req GridRequest) (*Grid, error) {
	match, err := newExporterMatch(req.Exporter, "", req.Options)
	if err != nil {
		return nil, err
	}
	if req.Step < 0 {
		return nil, &RequestError{Part: "step", Text: fmt.Sprint(req.Step), Expected: "a number of hours"}
	}
	step := store.Hour(max(req.Step, 1))
	j := &judge{
		req:   CoverageRequest{Window: req.Window, Known: req.Known, Keep: req.Keep, Now: req.Now, Live: req.Live, Copied: req.Copied},
		match: match, ledgers: l.store.LedgerHours(), buckets: l.store.Buckets(),
	}
	g := &gridBuilder{judge: j, step: step, usual: req.Usual, grid: &Grid{Step: int(step), Hosts: []HostDigest{}, Exporters: []GridExporter{}, Worst: []BadSpan{}}}
	if len(j.ledgers) == 0 {
		return g.grid, nil
	}
	if j.cut(); j.from == j.to {
		return g.grid, nil
	}
	g.first, g.last = store.HourOf(j.from), store.HourOf(j.to-1)
	g.damage = damageByHour(l.store.Damage())
	if err := g.read(ctx, l); err != nil {
		return nil, err
	}
	if err := g.build(ctx); err != nil {
		return nil, err
	}
	return g.grid, nil
}

// A gridBuilder makes one Grid.
type gridBuilder struct {
	*judge
	grid        *Grid
	step        store.Hour
	first, last store.Hour // of the window
	hours       []*ledgerSum
	before      map[flow.Addr]Digest // of the day before the window
	keys        map[flow.Addr]*exporterKeys
	lines       []*gridLine
	all         []ledger.Span // in which something was up, as far as was read
	up          []ledger.Span // of them, in the window
	listening   []ledger.Span // of them, those of a collector
	down        []Gap
	rate        float64                 // records in a ms, of all exporters
	usual       func(group string) bool // of the request
	damage      map[store.Hour][]string // what is known to be damaged of the records
}

// exporterKeys are the domains and protocols of an exporter.
type exporterKeys struct {
	domains  []uint32
	versions []uint16
}

// A gridLine is one exporter on its way into the grid.
type gridLine struct {
	addr  flow.Addr
	known *ledger.Known // nil: not in the configuration
	hours []*Digest     // one for each hour of the window; nil: not heard
	cells []Reason      // likewise
	total Digest
}

// quiet returns how long the exporter may be silent, in ms.
func (l *gridLine) quiet() uint64 {
	if l.known != nil && l.known.Expected {
		return quietExpected
	}
	return quietOther
}

// read reads the window's hours, and those around them for what they say of
// runs and of who is to be expected.
func (g *gridBuilder) read(ctx context.Context, l *Ledgers) error {
	g.hours = make([]*ledgerSum, g.last-g.first+1)
	g.before, g.keys = map[flow.Addr]Digest{}, map[flow.Addr]*exporterKeys{}
	var runs []runSpan
	var stills []ledger.Still
	err := readLedger(ctx, l.store, g.first-min(g.first, hoursOfDay), g.last+1, g.note, func(h store.Hour, sum *ledgerSum) {
		runs, stills = append(runs, sum.runs...), append(stills, sum.stills...)
		switch {
		case h < g.first:
			for i := range sum.exporters {
				e := &sum.exporters[i]
				d := g.before[e.addr]
				d.Add(&e.digest)
				g.before[e.addr] = d
			}
		case h <= g.last && g.hours[h-g.first] == nil:
			g.hours[h-g.first] = sum
		case h <= g.last:
			g.hours[h-g.first].add(sum, nil) // damage
		}
	})
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return err
	}
	around, err := l.around(ctx, g.ledgers, g.first, g.last)
	if err != nil {
		return err
	}
	g.line = newTimeline(joinRuns(runs, around.runs), slices.Concat(stills, around.stills), g.count(g.first, g.last), &g.req)
	g.trim()
	g.all = g.line.up(0, g.req.Now)
	g.listening = g.line.listening(g.from, g.to)
	g.up, g.down = g.line.up(g.from, g.to), g.line.gaps(g.from, g.to)
	return nil
}

// note keeps the keys of the window's entries.
func (g *gridBuilder) note(h store.Hour, key ledger.Key) {
	if h < g.first || h > g.last || !g.match.has(key.Exporter) {
		return
	}
	k := g.keys[key.Exporter]
	if k == nil {
		k = &exporterKeys{}
		g.keys[key.Exporter] = k
	}
	if at, found := slices.BinarySearch(k.domains, key.Domain); !found {
		k.domains = slices.Insert(k.domains, at, key.Domain)
	}
	if at, found := slices.BinarySearch(k.versions, key.Version); !found {
		k.versions = slices.Insert(k.versions, at, key.Version)
	}
}

// build makes the grid of what was read.
func (g *gridBuilder) build(ctx context.Context) error {
	g.makeLines()
	steps := int((g.last-g.last%g.step)/g.step-(g.first-g.first%g.step)/g.step) + 1
	if cells := steps * len(g.lines); cells > MaxGridCells {
		return &RequestError{Part: "step", Text: fmt.Sprint(g.step), Expected: fmt.Sprintf("more hours a cell: %d cells would be more than %d", cells, MaxGridCells)}
	}
	g.grid.From, g.grid.To = Moment((g.first - g.first%g.step).StartMS()), Moment(g.last.EndMS())
	received := uint64(0)
	for _, l := range g.lines {
		received += l.total.Records
	}
	if up := overlap(g.up, g.from, g.to); up > 0 {
		g.rate = float64(received) / float64(up)
	}
	g.grid.Worst = g.worst()
	for _, l := range g.lines {
		if err := ctx.Err(); err != nil {
			return err
		}
		g.grid.Exporters = append(g.grid.Exporters, g.exporter(l, steps))
	}
	g.hosts(steps)
	for _, sum := range g.hours {
		if sum != nil {
			g.grid.Damaged = append(g.grid.Damaged, sum.damaged...)
		}
	}
	return nil
}

// makeLines makes a line for each exporter that was heard or is expected.
func (g *gridBuilder) makeLines() {
	byAddr, heard := map[flow.Addr]*gridLine{}, map[*ledger.Known]bool{}
	add := func(addr flow.Addr, known *ledger.Known) *gridLine {
		l := &gridLine{addr: addr, known: known, hours: make([]*Digest, len(g.hours)), cells: make([]Reason, len(g.hours))}
		g.lines = append(g.lines, l)
		heard[known] = true
		return l
	}
	for i, sum := range g.hours {
		if sum == nil {
			continue
		}
		for at := range sum.exporters {
			e := &sum.exporters[at]
			if !g.match.has(e.addr) {
				continue
			}
			l := byAddr[e.addr]
			if l == nil {
				l = add(e.addr, g.req.Known.Find(e.addr))
				byAddr[e.addr] = l
			}
			l.hours[i] = &e.digest
			l.total.Add(&e.digest)
		}
	}
	if len(g.listening) > 0 {
		for addr, d := range g.before {
			known := g.req.Known.Find(addr)
			missed := known != nil && !heard[known] || known == nil && d.established()
			if missed && byAddr[addr] == nil && addr != (flow.Addr{}) && g.match.has(addr) {
				byAddr[addr] = add(addr, known)
			}
		}
		for i := range g.req.Known {
			if k := &g.req.Known[i]; k.Expected && !heard[k] && g.asked(k) {
				add(onlySource(k), k)
			}
		}
	}
	slices.SortStableFunc(g.lines, func(a, b *gridLine) int {
		if never := (a.total.Datagrams == 0); never != (b.total.Datagrams == 0) {
			if never {
				return 1
			}
			return -1
		}
		return a.addr.Compare(b.addr)
	})
}

// exporter writes a line into the grid.
func (g *gridBuilder) exporter(l *gridLine, steps int) GridExporter {
	e := GridExporter{Total: l.total, Cells: make([]Cell, steps)}
	if l.addr != (flow.Addr{}) || l.total.Datagrams > 0 {
		e.Addr = addrText(l.addr)
	}
	if k := l.known; k != nil {
		e.Name, e.Group, e.Expected = k.Name, k.Group, k.Expected
	}
	if k := g.keys[l.addr]; k != nil {
		e.Domains, e.Versions = k.domains, k.versions
	}
	for i, d := range l.hours {
		c := &e.Cells[g.stepOf(i)]
		if d != nil {
			c.Add(d)
		}
		c.State = worseState(c.State, l.cells[i])
	}
	return e
}

// stepOf returns the step of the hour i of the window.
func (g *gridBuilder) stepOf(i int) int {
	return int((g.first+store.Hour(i))/g.step - g.first/g.step)
}

// hosts writes the host's steps into the grid.
func (g *gridBuilder) hosts(steps int) {
	g.grid.Hosts = make([]HostDigest, steps)
	for i := range g.grid.Hosts {
		h := &g.grid.Hosts[i]
		start := (g.first/g.step + store.Hour(i)) * g.step
		h.At = Moment(start.StartMS())
		from, to := max(start.StartMS(), g.from), min((start+g.step-1).EndMS(), g.to)
		h.Up = clip(g.up, from, to)
		for _, gap := range g.down {
			if a, b := max(uint64(gap.From), from), min(uint64(gap.To), to); a < b {
				h.Down = append(h.Down, Gap{Moment(a), Moment(b), gap.Reason})
			}
		}
	}
	for i, sum := range g.hours {
		if sum == nil {
			continue
		}
		g.grid.Hosts[g.stepOf(i)].add(sum)
	}
	for i := range g.grid.Hosts {
		g.grid.Hosts[i].settle()
	}
}

// clip returns what lies between from and to of spans that are apart.
func clip(spans []ledger.Span, from, to uint64) []ledger.Span {
	var parts []ledger.Span
	for _, s := range spans {
		if s.From, s.To = max(s.From, from), min(s.To, to); s.Length() > 0 {
			parts = append(parts, s)
		}
	}
	return parts
}

// damageByHour returns what damage says, by the hour that it is in.
func damageByHour(found []error) map[store.Hour][]string {
	list := map[store.Hour][]string{}
	for _, err := range found {
		for _, d := range damagesOf(err) {
			list[d.Hour] = append(list[d.Hour], d.Error())
		}
	}
	return list
}
