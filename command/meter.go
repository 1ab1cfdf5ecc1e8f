package command

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"weir/collector"
)

// A meter reads a collector's counters at intervals, to know what comes in now.
type meter struct {
	stats func() collector.Stats

	mu       sync.Mutex
	readings []reading // the oldest first, meterReadings at most
}

// What a meter remembers: the last minute.
const (
	meterEvery    = 10 * time.Second
	meterReadings = 7
)

// A reading is what a meter keeps of the counters at a time.
type reading struct {
	at      time.Time
	records uint64 // of all exporters
	of      map[netip.Addr]uint64
}

func newMeter(stats func() collector.Stats) *meter {
	m := &meter{stats: stats}
	m.read(time.Now())
	return m
}

// run reads until ctx is done.
func (m *meter) run(ctx context.Context) error {
	tick := time.NewTicker(meterEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			m.read(time.Now())
		}
	}
}

func (m *meter) read(at time.Time) {
	st := m.stats()
	r := reading{at: at, records: st.Total.Records, of: make(map[netip.Addr]uint64, len(st.Exporters))}
	for _, e := range st.Exporters {
		r.of[e.Exporter] = e.Records
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.readings = append(m.readings[max(len(m.readings)-meterReadings+1, 0):], r)
}

// rates returns the records a second over the last minute, or since the start,
// up to now: of all, and of each exporter that has sent since the start. ok is
// false while there is nothing to compare.
func (m *meter) rates(now time.Time) (all float64, of map[netip.Addr]float64, ok bool) {
	st := m.stats()
	m.mu.Lock()
	defer m.mu.Unlock()
	first := m.readings[0]
	span := now.Sub(first.at).Seconds()
	if span < 1 {
		return 0, nil, false
	}
	of = make(map[netip.Addr]float64, len(st.Exporters))
	for _, e := range st.Exporters {
		of[e.Exporter] = float64(grown(first.of[e.Exporter], e.Records)) / span
	}
	return float64(grown(first.records, st.Total.Records)) / span, of, true
}

// grown returns by how much a counter grew. One that was forgotten and came back
// counts from 0 again.
func grown(before, now uint64) uint64 {
	if now < before {
		return now
	}
	return now - before
}
