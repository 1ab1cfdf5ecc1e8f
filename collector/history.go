package collector

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"weir/flow"
	"weir/flow/ledger"
)

// The dated history of an exporter is one JSON value under historyPrefix and its
// address. It outlives what the exporter defined.
const (
	historyPrefix  = "collector/history/"
	historyVersion = 1 // of the JSON; another one is left alone and not read
)

// Bounds of what is written down.
const (
	maxHistories  = 4096   // of exporters that the configuration does not describe; the longest quiet goes for another
	eventsAnHour  = 6      // of one kind and exporter, so that one that flaps does not write for ever
	eventsWaiting = 32     // of one exporter between two times of saving
	historyWrites = 64     // values written at one time of saving
	provenAfter   = 60_000 // ms for which a stranger must have been heard: a flood of invented sources has no history
)

type savedHistory struct {
	Version int            `json:"version"`
	Events  []ledger.Event `json:"events"`
}

// A chronicle is what an exporter has to say for its history. It is guarded like
// the rest of the exporter.
type chronicle struct {
	first  uint64         // ms, receipt of the first datagram since it is known here; 0: none
	events []ledger.Event // that are not written yet
	hour   uint64         // for which the counts are
	counts map[string]int // events by kind
}

// happened notes an event, unless there were too many of its kind.
func (e *exporter) happened(at uint64, what string, domain uint32, detail string) {
	c := &e.chronicle
	if hour := at / hourMS; hour != c.hour || c.counts == nil {
		c.hour, c.counts = hour, map[string]int{}
	}
	c.counts[what]++
	n := c.counts[what]
	if n > eventsAnHour || len(c.events) >= eventsWaiting {
		return
	}
	if n == eventsAnHour {
		detail = strings.TrimPrefix(detail+"; more of this in the hour are not listed", "; ")
	}
	c.events = append(c.events, ledger.Event{At: at, What: what, Domain: domain, Detail: detail})
}

// restarted counts what a sequence number told, and notes a restart.
func (e *exporter) restarted(h *header, v verdict) {
	e.stats.note(h.version, v)
	if v.restarts <= 0 {
		return
	}
	detail := fmt.Sprintf("sequence begins at %d", h.sequence)
	if h.clocked() {
		detail += fmt.Sprintf(", up for %d s", h.uptime/1000)
	}
	e.happened(h.received, ledger.EventRestart, h.domain, detail)
}

// resampled counts and notes a change of a sampling interval.
func (e *exporter) resampled(at uint64, domain uint32, before, now uint32) {
	e.stats.more[ledger.SamplingChanges]++
	e.happened(at, ledger.EventSampling, domain, fmt.Sprintf("1:%d, before 1:%d", now, before))
}

// change describes what a new definition changes.
func (t *template) change(to *template) string {
	if len(t.fields) == len(to.fields) {
		return fmt.Sprintf("template %d: %d fields as before, but others", t.id, len(t.fields))
	}
	return fmt.Sprintf("template %d: %d fields, before %d", t.id, len(to.fields), len(t.fields))
}

// histories says which exporters have a history, and when its last event was.
type histories map[netip.Addr]uint64

// loadHistories finds out which exporters have a history.
func (d *Decoder) loadHistories() {
	d.histories = histories{}
	all, err := Histories(d.state)
	if err != nil {
		d.log.note("history of exporters is not readable", "error", err)
	}
	for addr, events := range all {
		d.histories[addr] = events[len(events)-1].At
	}
}

// saveHistories writes down what happened since the last time. The caller holds
// d.saveMu.
func (d *Decoder) saveHistories() error {
	var errs []error
	left := historyWrites
	for _, e := range d.all() {
		if left == 0 {
			break
		}
		e.mu.Lock()
		events, waiting := d.pastOf(e)
		e.mu.Unlock()
		if len(events) == 0 {
			continue
		}
		left--
		if err := d.appendHistory(e.addr, events); err != nil {
			errs = append(errs, fmt.Errorf("save history of exporter %s: %w", e.addr, err))
			continue // try again
		}
		e.mu.Lock()
		e.chronicle.events = slices.Delete(e.chronicle.events, 0, waiting)
		e.mu.Unlock()
	}
	return errors.Join(errs...)
}

// pastOf returns the events that are to be written, of exporters that are not
// new or have proven to be one, and how many of those that wait are among them.
func (d *Decoder) pastOf(e *exporter) (events []ledger.Event, waiting int) {
	c := &e.chronicle
	_, known := d.histories[e.addr]
	if !known {
		described := d.directory().Find(e.key) != nil
		proven := e.stats.LastReceived >= c.first+provenAfter
		if e.stats.Records == 0 || !described && !proven || c.first == 0 {
			return nil, 0
		}
		events = []ledger.Event{{At: c.first, What: ledger.EventFirst}}
		if name, before := d.namesake(e); before.IsValid() {
			events = append(events, ledger.Event{At: c.first, What: ledger.EventAddress,
				Detail: fmt.Sprintf("%s, before %s", name, before)})
		}
	}
	return append(events, c.events...), len(c.events)
}

// describes reports whether the configuration names that very address. One that
// is only of a prefix in it makes room like a stranger: whole prefixes can be
// forged.
func (d *Decoder) describes(addr netip.Addr) bool {
	k := d.directory().Find(flow.AddrFromNetip(addr))
	return k != nil && slices.ContainsFunc(k.Sources, func(p netip.Prefix) bool { return p.IsSingleIP() && p.Addr() == addr })
}

// namesake returns the name of an exporter that the configuration describes, and
// the address from which it was heard before, the zero Addr if from none.
func (d *Decoder) namesake(e *exporter) (name string, before netip.Addr) {
	known := d.directory()
	k := known.Find(e.key)
	if k == nil {
		return "", netip.Addr{}
	}
	last := uint64(0)
	for addr, at := range d.histories {
		if addr != e.addr && at >= last && known.Find(flow.AddrFromNetip(addr)) == k {
			before, last = addr, at
		}
	}
	return k.Name, before
}

// appendHistory adds events to an exporter's history in the StateStore.
func (d *Decoder) appendHistory(addr netip.Addr, events []ledger.Event) error {
	have, err := History(d.state, addr)
	if err != nil {
		return err
	}
	if err := d.makeHistoryRoom(addr); err != nil {
		return err
	}
	have = append(have, events...)
	if over := len(have) - ledger.MaxEvents; over > 0 {
		have = slices.Delete(have, 1, 1+over)
	}
	value, err := json.Marshal(savedHistory{historyVersion, have})
	if err != nil {
		return err
	}
	if err := d.state.PutState(historyPrefix+addr.String(), value); err != nil {
		return err
	}
	d.histories[addr] = have[len(have)-1].At
	return nil
}

// makeHistoryRoom deletes the history of the stranger that was quiet for the
// longest time, if a new one needs its place.
func (d *Decoder) makeHistoryRoom(addr netip.Addr) error {
	if _, known := d.histories[addr]; known || len(d.histories) < maxHistories {
		return nil
	}
	var oldest netip.Addr
	strangers := 0
	for a, at := range d.histories {
		if d.describes(a) {
			continue
		}
		strangers++
		if !oldest.IsValid() || at < d.histories[oldest] {
			oldest = a
		}
	}
	if strangers < maxHistories {
		return nil
	}
	delete(d.histories, oldest)
	return d.state.DeleteState(historyPrefix + oldest.String())
}

// History returns the dated history of one exporter, oldest first; nil if there
// is none.
func History(state StateStore, exporter netip.Addr) ([]ledger.Event, error) {
	all, err := historiesUnder(state, historyPrefix+normalAddr(exporter).String())
	return all[normalAddr(exporter)], err
}

// Histories returns the dated histories of all exporters, each oldest first.
// Values that cannot be read are passed over.
func Histories(state StateStore) (map[netip.Addr][]ledger.Event, error) {
	return historiesUnder(state, historyPrefix)
}

func historiesUnder(state StateStore, prefix string) (map[netip.Addr][]ledger.Event, error) {
	all := map[netip.Addr][]ledger.Event{}
	err := state.ScanState(prefix, func(key string, value []byte) error {
		var saved savedHistory
		addr, err := netip.ParseAddr(strings.TrimPrefix(key, historyPrefix))
		if err != nil || json.Unmarshal(value, &saved) != nil || saved.Version != historyVersion || len(saved.Events) == 0 {
			return nil
		}
		slices.SortStableFunc(saved.Events, func(a, b ledger.Event) int { return cmp.Compare(a.At, b.At) })
		all[addr] = saved.Events
		return nil
	})
	return all, err
}
