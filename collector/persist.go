package collector

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"weir/flow/ledger"
)

// What exporters defined is saved as one JSON value for each exporter, under
// statePrefix and its address. JSON, because a value is small, seldom written,
// and somebody may want to look at it.
const (
	statePrefix  = "collector/exporter/"
	stateVersion = 1 // of the JSON; another one is left alone and not read
)

type savedExporter struct {
	Version int           `json:"version"`
	Streams []savedStream `json:"streams,omitempty"`
	Domains []savedDomain `json:"domains,omitempty"`
	Names   []Interface   `json:"interfaces,omitempty"`
}

type savedStream struct {
	streamKey
	Seen      uint64          `json:"seen"` // ms since 1970
	Templates []savedTemplate `json:"templates"`
}

type savedTemplate struct {
	ID      uint16      `json:"id"`
	Options bool        `json:"options,omitempty"`
	Scopes  int         `json:"scopes,omitempty"`
	Fields  [][3]uint32 `json:"fields"` // element, length, enterprise number
	Used    uint64      `json:"used"`   // ms since 1970
}

type savedDomain struct {
	domainKey
	Samplers   map[uint64]uint32 `json:"samplers,omitempty"`
	Sequences  map[uint64]uint64 `json:"sequences,omitempty"`
	Interfaces map[uint32]uint32 `json:"interfaces,omitempty"`
	Templates  map[uint16]uint32 `json:"templates,omitempty"`
	System     uint32            `json:"system,omitempty"`
	SysInit    uint64            `json:"sys_init,omitempty"`
}

// Save writes what exporters defined since the last Save to the StateStore, if
// there is one, and deletes what belongs to exporters that are forgotten.
func (d *Decoder) Save() error {
	if d.state == nil {
		return nil
	}
	d.saveMu.Lock()
	defer d.saveMu.Unlock()
	var errs []error
	known := map[netip.Addr]bool{}
	for _, e := range d.all() {
		known[e.addr] = true
		value, err := e.encode()
		if value == nil && err == nil {
			continue
		}
		if err == nil {
			err = d.state.PutState(statePrefix+e.addr.String(), value)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("save state of exporter %s: %w", e.addr, err))
			e.mu.Lock()
			e.changed = true // try again
			e.mu.Unlock()
			continue
		}
		d.saved[e.addr] = true
	}
	for addr := range d.saved {
		if known[addr] {
			continue
		}
		if err := d.state.DeleteState(statePrefix + addr.String()); err != nil {
			errs = append(errs, fmt.Errorf("delete state of exporter %s: %w", addr, err))
			continue
		}
		delete(d.saved, addr)
	}
	return errors.Join(append(errs, d.saveHistories())...)
}

// encode returns the exporter's state as JSON, or nil if it is as it was saved.
func (e *exporter) encode() ([]byte, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.changed {
		return nil, nil
	}
	e.changed = false
	out := savedExporter{Version: stateVersion}
	used := map[*domain]bool{} // what a domain said came by templates of its streams
	for _, s := range e.streams {
		if len(s.templates) == 0 || s.key.Conn != 0 { // a connection does not outlive the collector
			continue
		}
		used[s.domain] = true
		saved := savedStream{streamKey: s.key, Seen: s.seen}
		for _, t := range s.templates {
			saved.Templates = append(saved.Templates, t.save())
		}
		slices.SortFunc(saved.Templates, func(a, b savedTemplate) int { return int(a.ID) - int(b.ID) })
		out.Streams = append(out.Streams, saved)
	}
	for _, m := range e.domains {
		if !used[m] || m.entries() == 0 && m.system == 0 && m.sysInit == 0 {
			continue
		}
		out.Domains = append(out.Domains, savedDomain{
			domainKey: m.key, Samplers: m.samplers, Sequences: m.sequences, Interfaces: m.interfaces,
			Templates: m.templates, System: m.system, SysInit: m.sysInit,
		})
	}
	for _, name := range e.names {
		out.Names = append(out.Names, name)
	}
	return json.Marshal(&out)
}

func (t *template) save() savedTemplate {
	s := savedTemplate{ID: t.id, Options: t.options, Scopes: t.scopes, Used: t.used}
	for _, f := range t.fields {
		s.Fields = append(s.Fields, [3]uint32{uint32(f.id), uint32(f.len), f.pen})
	}
	return s
}

// load reads the saved state. What cannot be read is logged and left out: the
// exporters send it again within minutes.
func (d *Decoder) load() {
	if d.state == nil {
		return
	}
	d.loadHistories()
	err := d.state.ScanState(statePrefix, func(key string, value []byte) error {
		addr, err := netip.ParseAddr(strings.TrimPrefix(key, statePrefix))
		var saved savedExporter
		if err == nil {
			err = json.Unmarshal(value, &saved)
		}
		switch {
		case err != nil:
			d.log.note("saved state is not readable", "key", key, "error", err)
		case saved.Version != stateVersion:
			d.log.note("saved state is of another version", "key", key, "version", saved.Version)
		default:
			d.restore(normalAddr(addr), &saved)
		}
		return nil
	})
	if err != nil {
		d.log.note("saved state is not readable", "error", err)
	}
}

// restore makes an exporter known as it was saved. The limits hold for it too.
func (d *Decoder) restore(addr netip.Addr, saved *savedExporter) {
	e := d.lock(addr)
	defer e.mu.Unlock()
	d.saved[addr] = true
	slices.SortFunc(saved.Streams, func(a, b savedStream) int { // the latest definition last
		return int(min(a.Seen, 1<<62)) - int(min(b.Seen, 1<<62))
	})
	for _, ss := range saved.Streams {
		s := e.stream(ss.streamKey, ss.Seen, &d.limits, d)
		for i := range ss.Templates {
			if t := ss.Templates[i].restore(ss.streamKey.Version); t != nil {
				e.define(s, t, ss.Templates[i].Used, d)
			}
		}
		e.stats.LastReceived = max(e.stats.LastReceived, ss.Seen)
	}
	for _, sd := range saved.Domains {
		m := e.domains[sd.domainKey]
		if m == nil {
			continue
		}
		fillTable(e, d, &m.samplers, sd.Samplers, d.limits.Samplers)
		fillTable(e, d, &m.sequences, sd.Sequences, d.limits.Samplers)
		fillTable(e, d, &m.interfaces, sd.Interfaces, d.limits.Interfaces)
		fillTable(e, d, &m.templates, sd.Templates, d.limits.Templates)
		m.system, m.sysInit = sd.System, sd.SysInit
	}
	for _, name := range saved.Names {
		e.nameInterface(name, d)
	}
	e.stats.Errors, e.stats.more = [reasonCount]uint64{}, [ledger.CounterCount]uint64{} // counted when they arose
	e.chronicle = chronicle{}
	e.changed, e.urgent = false, false
}

// fillTable copies up to limit entries.
func fillTable[K comparable, V comparable](e *exporter, d *Decoder, to *map[K]V, from map[K]V, limit int) {
	for k, v := range from {
		put(e, d, to, k, v, limit)
	}
}

// restore returns the template, or nil if it cannot be one.
func (s *savedTemplate) restore(version uint16) *template {
	if s.ID < 256 || s.Scopes < 0 || s.Scopes > len(s.Fields) || version != 9 && version != 10 {
		return nil
	}
	t := &template{id: s.ID, version: version, options: s.Options, scopes: s.Scopes}
	for _, f := range s.Fields {
		t.fields = append(t.fields, wireField{uint16(f[0]), uint16(f[1]), f[2]})
	}
	if t.measure() != nil {
		return nil
	}
	return t
}
