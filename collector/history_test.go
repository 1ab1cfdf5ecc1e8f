package collector

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"weir/flow"
	"weir/flow/ledger"
)

// events lists a history as "what: detail".
func eventsOf(t *testing.T, state StateStore, addr netip.Addr) string {
	t.Helper()
	events, err := History(state, addr)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, e := range events {
		lines = append(lines, strings.TrimSuffix(e.What+": "+e.Detail, ": "))
	}
	return strings.Join(lines, "\n")
}

func wantEvents(t *testing.T, state StateStore, addr netip.Addr, want ...string) {
	t.Helper()
	if got := eventsOf(t, state, addr); got != strings.Join(want, "\n") {
		t.Errorf("history of %s:\n%s\nwant\n%s", addr, got, strings.Join(want, "\n"))
	}
}

func TestHistory(t *testing.T) {
	state := newMemoryState()
	s := newScripted(t, DecoderOptions{State: state})
	save := func() {
		t.Helper()
		if err := s.d.Save(); err != nil {
			t.Fatal(err)
		}
	}
	options := func(n uint32) []byte {
		return v9(1, set(1, wire(400, 4, 4, 1, 4, 34, 4, 0)), set(400, wire(uint32(0), n)))
	}
	s.send(v9(1, set(0, templateUsual), dataUsual), 1)
	save()
	wantEvents(t, state, s.src.Addr()) // not proven yet
	s.at += 61_000
	s.send(options(100), 1)
	s.send(options(1000), 1)
	s.send(v9(1, set(0, templateOf(300, usualFields[2:]...))), 1)
	save()
	begun := []string{"first seen", "sampling changed: 1:1000, before 1:100", "template changed: template 300: 19 fields, before 20"}
	wantEvents(t, state, s.src.Addr(), begun...)
	s.at, s.boot, s.next = s.at+5000, s.at+4000, 0
	s.send(options(1000), 1)
	save()
	begun = append(begun, "restarted: sequence begins at 0, up for 1 s")
	wantEvents(t, state, s.src.Addr(), begun...)

	// After a restart of the collector it goes on.
	s.d = NewDecoder(DecoderOptions{State: state})
	s.send(options(200), 1)
	save()
	wantEvents(t, state, s.src.Addr(), append(begun, "sampling changed: 1:200, before 1:1000")...)
	all, err := Histories(state)
	if err != nil || len(all) != 1 || all[s.src.Addr()][0].At != testTime {
		t.Errorf("got histories %v, %v", all, err)
	}
}

// What flaps does not write for ever.
func TestHistoryOfWhatFlaps(t *testing.T) {
	state := newMemoryState()
	s := newScripted(t, DecoderOptions{State: state})
	s.send(v9(1, set(0, templateUsual), dataUsual), 1)
	s.at += 61_000
	layouts := [][]byte{templateUsual, templateOf(300, usualFields[2:]...)}
	for i := range 3000 { // five minutes
		s.send(v9(1, set(0, layouts[i%2])), 1)
		if err := s.d.Save(); err != nil {
			t.Fatal(err)
		}
	}
	events, err := History(state, s.src.Addr())
	if err != nil || len(events) != 1+eventsAnHour || !strings.HasSuffix(events[eventsAnHour].Detail, "not listed") {
		t.Errorf("got %d events, the last %+v, %v", len(events), events[len(events)-1], err)
	}
	for range 200 { // hours
		s.at += hourMS
		for i := range 10 {
			s.send(v9(1, set(0, layouts[i%2])), 1)
		}
		if err := s.d.Save(); err != nil {
			t.Fatal(err)
		}
	}
	events, err = History(state, s.src.Addr())
	if err != nil || len(events) != ledger.MaxEvents || events[0].What != ledger.EventFirst {
		t.Errorf("got %d events, %v", len(events), err)
	}
}

// A flood of invented sources has no history, and so many exporters have one at
// the most.
func TestHistoryIsBounded(t *testing.T) {
	state := newMemoryState()
	known := ledger.Directory{{Name: "core", Sources: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/32")}}}
	d := NewDecoder(DecoderOptions{State: state, Known: known, Limits: Limits{Exporters: 2 * maxHistories}})
	count := func() int {
		t.Helper()
		if err := d.Save(); err != nil {
			t.Fatal(err)
		}
		all, err := Histories(state)
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	for i := range 1000 {
		_ = d.Decode(flow.NewBatch(0), testTime, addrN(i, 1), datagram5(1))
	}
	if got := count(); got != 1 {
		t.Errorf("got %d histories of a flood, want that of the router", got)
	}
	for i := range maxHistories + 500 {
		d.histories[addrN(i+5, 1).Addr()] = uint64(i)
		if err := d.makeHistoryRoom(addrN(i+6, 1).Addr()); err != nil {
			t.Fatal(err)
		}
	}
	if got := len(d.histories); got > maxHistories+1 {
		t.Errorf("got %d histories, want at most %d", got, maxHistories+1)
	}
	if _, ok := d.histories[addrN(0, 1).Addr()]; !ok {
		t.Error("the router's history made room")
	}
}

// An exporter of the configuration that is heard from another address, and an
// sFlow agent that comes through another source.
func TestHistoryOfAddresses(t *testing.T) {
	state := newMemoryState()
	known := ledger.Directory{{Name: "core-1", Sources: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/24")}}}
	d := NewDecoder(DecoderOptions{State: state, Known: known})
	sample := flowSampleOf(1, 2, rawRecord(11, 60, ipv4Of(protoTCP, 0, nil, tcpOf())))
	for i, p := range [][]byte{datagram5(1), datagram5(1), sflowDatagram(sample), sflowDatagram(sample)} {
		_ = d.Decode(flow.NewBatch(0), testTime+uint64(i), addrN(1+i, 1), p)
		if err := d.Save(); err != nil {
			t.Fatal(err)
		}
	}
	for i, want := range [][]string{
		{"first seen"},
		{"first seen", "address changed: core-1, before 10.0.0.1"},
		{"first seen", "address changed: core-1, before 10.0.0.2"},
		{"first seen", "address changed: core-1, before 10.0.0.3", "address changed: agent 172.16.0.3, before from 10.0.0.3"},
	} {
		wantEvents(t, state, addrN(1+i, 1).Addr(), want...)
	}
}

// History that cannot be read is no reason to stop.
func TestHistoryOfRubbish(t *testing.T) {
	state := newMemoryState()
	for i, text := range []string{`{"version":1,"events":[]}`, `{"version":9,"events":[{"at":1}]}`, `nothing`, `{"version":1,"events":[{"at":5,"what":"x"},{"at":3,"what":"y"}]}`} {
		state.values[historyPrefix+fmt.Sprintf("192.0.2.%d", i)] = []byte(text)
	}
	state.values[historyPrefix+"nobody"] = []byte(`{"version":1,"events":[{"at":1}]}`)
	if d := NewDecoder(DecoderOptions{State: state}); len(d.histories) != 1 {
		t.Errorf("got %v", d.histories)
	}
	wantEvents(t, state, netip.MustParseAddr("192.0.2.3"), "y", "x")
}
