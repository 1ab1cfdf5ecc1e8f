package command

import (
	"net/netip"
	"testing"
	"time"

	"weir/collector"
)

// TestMeter follows the counters of one exporter past the minute that is kept,
// through one that is forgotten and one that is new.
func TestMeter(t *testing.T) {
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	var st collector.Stats
	set := func(records ...uint64) {
		st = collector.Stats{}
		for i, addr := range []netip.Addr{a, b}[:len(records)] {
			st.Exporters = append(st.Exporters, collector.ExporterStats{Exporter: addr, Records: records[i]})
			st.Total.Records += records[i]
		}
	}
	m := newMeter(func() collector.Stats { return st })
	start := m.readings[0].at
	if _, _, ok := m.rates(start.Add(time.Second / 2)); ok {
		t.Error("rates of no time")
	}
	set(30)
	if all, _, ok := m.rates(start.Add(3 * time.Second)); !ok || all != 10 {
		t.Errorf("after three seconds: got %v, %v", all, ok)
	}
	for i := range 30 {
		set(uint64(i+1)*1000, 50)
		m.read(start.Add(time.Duration(i+1) * meterEvery))
	}
	all, of, ok := m.rates(start.Add(30 * meterEvery))
	if !ok || all != 100 || of[a] != 100 || of[b] != 0 || len(m.readings) != meterReadings {
		t.Errorf("got %v, %v, %v over %d readings", all, of, ok, len(m.readings))
	}
	set(600) // forgotten, and begun anew
	m.read(start.Add(31 * meterEvery))
	if all, of, _ := m.rates(start.Add(31 * meterEvery)); all != 10 || of[a] != 10 || len(of) != 1 {
		t.Errorf("after a restart of the counter: got %v, %v", all, of)
	}
}
