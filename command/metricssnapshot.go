package command

import (
	"context"
	"strings"
	"time"

	"weir/collector"
	"weir/command/metrics"
	"weir/flow"
	"weir/flow/ledger"
	"weir/query"
	"weir/store"
)

// snapshot returns what a scrape tells. The archive must be one that a collector
// runs on. What cannot be read for the moment is left out: a scrape has nobody
// to tell.
func (l *local) snapshot(ctx context.Context) *metrics.Snapshot {
	d := l.daemon
	st := d.collector.Stats()
	s := &metrics.Snapshot{Version: version, Revision: strings.Trim(revision(), " ()"), Now: l.now(), Started: d.started,
		Sockets: st.Sockets, Waits: st.Waits, SinkErrors: st.SinkErrors, Refused: st.Refused, UnstoredCounts: st.LostRecords}
	for _, f := range d.forwarded() {
		s.Forward = append(s.Forward, metrics.Forward{To: f.To, Sent: f.Sent, Full: f.QueueFull, Failed: f.Failed})
	}
	s.Questions, s.Open = d.counts.list()
	for i := range st.Exporters {
		s.Exporters = append(s.Exporters, l.exporterMetrics(&st.Exporters[i]))
	}
	l.addHour(ctx, s.Exporters, st.Exporters)
	s.Exporters = append(s.Exporters, l.unheard(s.Exporters)...)
	s.Forgotten = l.exporterMetrics(&st.Other)
	for _, r := range collector.Reasons() { // a counter begins at 0, not with its first error
		s.Forgotten.Errors[r.String()] = st.Other.Error(r)
	}
	s.Archive = l.archiveMetrics()
	return s
}

// exporterMetrics returns the counters of one exporter.
func (l *local) exporterMetrics(st *collector.ExporterStats) metrics.Exporter {
	e := metrics.Exporter{Name: st.Exporter.String(), Waiting: st.SetsWaiting, LostRecords: st.LostRecords(), Errors: map[string]uint64{},
		CounterSamples: st.CounterSamples, DropSamples: st.DropSamples}
	if k := l.known.Find(flow.AddrFromNetip(st.Exporter)); k != nil && st.Exporter.IsValid() {
		e.Name, e.Group, e.Known, e.Expected = k.Name, k.Group, true, k.Expected
	}
	e.Scoped, e.Usual = l.scope != nil, l.scope != nil && l.scope.Usual(e.Group)
	for _, r := range collector.Reasons() {
		if n := st.Error(r); n > 0 {
			e.Errors[r.String()] = n
		}
	}
	if st.Datagrams > 0 {
		e.Last = time.UnixMilli(int64(st.LastReceived))
	}
	for _, d := range st.Domains {
		e.Templates += d.Templates
	}
	for c := range e.Counts {
		e.Counts[c] = st.Count(ledger.Counter(c))
	}
	for unit := range e.Lost {
		e.Lost[unit] = st.Lost(ledger.Unit(unit))
	}
	return e
}

// addHour adds what the ledger says of this hour and the one before: sampling and
// clocks. list and of are the same exporters.
func (l *local) addHour(ctx context.Context, list []metrics.Exporter, of []collector.ExporterStats) {
	digests, err := l.daemon.hour.get(l.now(), func() (*query.Grid, error) {
		now := epochMS(l.now())
		return l.Grid(ctx, query.GridRequest{Window: query.Window{From: now - min(now, uint64(time.Hour.Milliseconds())), To: now}})
	})
	if err != nil {
		return // weir status says it
	}
	for i := range list {
		d, heard := digests[of[i].Exporter.String()]
		if !heard || d.Records == 0 {
			continue
		}
		list[i].SkewMedian, list[i].HasSkew = time.Duration(d.SkewMS)*time.Millisecond, true
		if most := byRecords(d.Intervals); len(most) > 0 {
			list[i].Sampling = most[0].N
		}
	}
}

// unheard returns the exporters that the configuration describes and nobody has
// heard of since the start: silence is told, too.
func (l *local) unheard(heard []metrics.Exporter) (list []metrics.Exporter) {
	names := map[string]bool{}
	for _, e := range heard {
		names[e.Name] = true
	}
	for _, k := range l.known {
		if !names[k.Name] {
			list = append(list, metrics.Exporter{Name: k.Name, Group: k.Group, Known: true, Expected: k.Expected})
		}
	}
	return list
}

// heldMetrics adds what holds keep.
func (l *local) heldMetrics(a *metrics.Archive, stays int) {
	held := l.keptHolds()
	a.Holds, a.Stays = len(held), stays
	for _, h := range held {
		a.HeldRecords, a.HeldBytes = a.HeldRecords+h.Records, a.HeldBytes+h.Bytes
	}
	for _, one := range l.holds.all() {
		if a.NextHoldEnd.IsZero() || one.lapses().Before(a.NextHoldEnd) {
			a.NextHoldEnd = one.lapses()
		}
	}
}

// archiveMetrics returns the state of what is stored.
func (l *local) archiveMetrics() (a metrics.Archive) {
	buckets := l.store.Buckets()
	for _, b := range buckets {
		if b.State == store.StateSealed {
			a.Sealed++
		} else {
			a.Open++
		}
		a.Blocks += b.Blocks
		a.Records += b.Rows
		if first := time.UnixMilli(int64(b.FirstReceived)); b.Rows > 0 && (a.Oldest.IsZero() || first.Before(a.Oldest)) {
			a.Oldest = first
		}
		if last := time.UnixMilli(int64(b.LastReceived)); b.Rows > 0 && last.After(a.Newest) {
			a.Newest = last
		}
	}
	a.Damaged = len(l.store.Damage())
	kept := l.keeper.Status()
	a.Keep, a.Held, a.Due, a.Dropped = kept.Keep, kept.Held, len(kept.Expired), uint64(kept.Dropped.Buckets)
	a.Early = uint64(kept.Dropped.Early)
	if kept.Room != nil {
		a.MaxDisk = kept.Room.Limit
		if kept.Room.At != nil {
			a.NextEarly = *kept.Room.At
		}
	}
	if kept.NextAt != nil && !kept.Held {
		a.NextDrop = *kept.NextAt
	}
	l.heldMetrics(&a, len(kept.Stays))
	disk, err := l.disk(buckets, &retentionReport{Status: kept})
	if err != nil {
		return a // the archive is being closed
	}
	a.Bytes, a.DiskFree, a.DiskSize = disk.Used, disk.Free, disk.Size
	switch {
	case disk.Days != nil:
		a.DiskLeft = time.Duration(*disk.Days * float64(day))
	case disk.PerDay > 0 && disk.Size > 0:
		a.DiskLeft = -1
	}
	return a
}
