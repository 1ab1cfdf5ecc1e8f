package collector

import (
	"bytes"

	"github.com/netsampler/goflow2/v2/decoders/netflow"
)

// Scope types of NetFlow v9 (RFC 3954, section 6.1), which are numbers of their
// own; larger ones are read as field types, as some exporters mean them.
const (
	v9ScopeInterface = 2
	v9ScopeTemplate  = 5
	v9ScopeLast      = 5
)

// An optionsRecord is what one record of options data says, as far as it
// matters here.
type optionsRecord struct {
	numbers   map[uint16]uint64 // IANA elements of up to 8 bytes
	name      string            // interfaceName (82)
	desc      string            // interfaceDescription (83)
	ifIndex   uint64
	hasIf     bool // ifIndex is there, as scope or option
	template  uint64
	hasScope  bool // the scope is a template
	sampler   uint64
	hasSample bool
}

// optionsSet takes in a set of options data. Only whole records reach goflow2,
// which would fill a record that is cut off with what is left.
func (e *exporter) optionsSet(s *stream, t *template, body []byte, d *Decoder) error {
	records, rest := wholeRecords(t, body)
	scopes, options := goflowFields(t.fields[:t.scopes]), goflowFields(t.fields[t.scopes:])
	decoded, err := netflow.DecodeOptionsDataSet(t.version, bytes.NewBuffer(body[:len(body)-rest]), scopes, options)
	if err != nil {
		return &DecodeError{ReasonOptions, err.Error()}
	}
	e.stats.OptionsRecords += uint64(records)
	e.skippedLists(t, records)
	e.account.size.add(0, records) // some exporters do not count them
	for i := range min(records, len(decoded)) {
		rec := readOptions(t.version, decoded[i])
		e.applyOptions(s.domain, &rec, d)
		e.watchOptions(s.domain, t, &decoded[i], d)
	}
	return leftOver(records, t.minLen, body[len(body)-rest:])
}

// wholeRecords returns how many whole records body holds and how many bytes are
// left behind them.
func wholeRecords(t *template, body []byte) (records, rest int) {
	if !t.varying {
		return len(body) / t.minLen, len(body) % t.minLen
	}
	p := plan{fields: t.fields}
	for len(body) >= t.minLen && !(len(body) < 4 && allZero(body)) {
		n, ok := p.locate(body, nil)
		if !ok {
			break
		}
		body = body[n:]
		records++
	}
	return records, len(body)
}

func goflowFields(fields []wireField) []netflow.Field {
	out := make([]netflow.Field, len(fields))
	for i, f := range fields {
		out[i] = netflow.Field{PenProvided: f.pen != 0, Type: f.id, Length: f.len, Pen: f.pen}
	}
	return out
}

// readOptions sorts out one record.
func readOptions(version uint16, r netflow.OptionsDataRecord) optionsRecord {
	rec := optionsRecord{numbers: make(map[uint16]uint64, len(r.OptionsValues))}
	for _, f := range r.ScopesValues {
		value, ok := f.Value.([]byte)
		if !ok || f.Pen != 0 {
			continue
		}
		if version == 9 && f.Type <= v9ScopeLast {
			rec.v9Scope(f.Type, value)
			continue
		}
		rec.element(f.Type, value)
		if f.Type == 145 { // templateId
			rec.template, rec.hasScope = uintOf(value), true
		}
	}
	for _, f := range r.OptionsValues {
		if value, ok := f.Value.([]byte); ok && f.Pen == 0 {
			rec.element(f.Type, value)
		}
	}
	return rec
}

func (rec *optionsRecord) v9Scope(scope uint16, value []byte) {
	switch {
	case len(value) == 0 || len(value) > 8:
	case scope == v9ScopeInterface:
		rec.ifIndex, rec.hasIf = uintOf(value), true
	case scope == v9ScopeTemplate:
		rec.template, rec.hasScope = uintOf(value), true
	}
}

func (rec *optionsRecord) element(id uint16, value []byte) {
	switch id {
	case 82:
		rec.name = text(value)
		return
	case 83:
		rec.desc = text(value)
		return
	}
	if len(value) == 0 || len(value) > 8 {
		return
	}
	v := uintOf(value)
	switch id {
	case 48, 302:
		rec.sampler, rec.hasSample = v, true
	case 10, 14, 252, 253:
		if !rec.hasIf || rec.ifIndex == 0 { // a record may name the other direction as 0
			rec.ifIndex, rec.hasIf = v, true
		}
	default:
		rec.numbers[id] = v
	}
}

// maxName bounds the length of an interface name or description, in bytes.
const maxName = 128

// text returns a string field up to its first zero byte.
func text(value []byte) string {
	if i := bytes.IndexByte(value, 0); i >= 0 {
		value = value[:i]
	}
	return string(bytes.ToValidUTF8(value[:min(len(value), maxName)], []byte("?")))
}

// applyOptions keeps what a record of options data says. Options data are never
// flows, whatever they hold.
func (e *exporter) applyOptions(m *domain, rec *optionsRecord, d *Decoder) {
	if boot := rec.numbers[160]; boot >= minTimeMS && boot <= maxTimeMS && boot != m.sysInit {
		m.sysInit = boot
		e.changed, e.urgent = true, true
	}
	if rec.hasIf && (rec.name != "" || rec.desc != "") {
		e.nameInterface(Interface{uint32(rec.ifIndex), rec.name, rec.desc}, d)
	}
	if seq, ok := rec.numbers[301]; ok && rec.hasSample && put(e, d, &m.sequences, seq, rec.sampler, d.limits.Samplers) {
		e.changed, e.urgent = true, true
	}
	_, hasSpace := rec.numbers[306]
	said := statement{
		interval: rec.numbers[34], random: rec.numbers[50],
		packets: rec.numbers[305], space: rec.numbers[306], hasSpace: hasSpace,
		size: rec.numbers[309], population: rec.numbers[310],
	}
	n := said.n()
	if n == 0 || n > 0xffffffff {
		return
	}
	before := m.intervalOf(rec)
	if e.putInterval(m, rec, uint32(n), d) {
		e.changed, e.urgent = true, true
		if before != 0 {
			e.resampled(e.head.received, m.key.Domain, before, uint32(n))
		}
	}
}

// intervalOf returns the interval that a statement of the record would replace,
// 0 if there is none.
func (m *domain) intervalOf(rec *optionsRecord) uint32 {
	switch {
	case rec.hasSample:
		return m.samplers[rec.sampler]
	case rec.hasIf && rec.ifIndex != 0:
		return m.interfaces[uint32(rec.ifIndex)]
	case rec.hasScope && rec.template >= 256:
		return m.templates[uint16(rec.template)]
	}
	return m.system
}

// putInterval stores a sampling interval under what it applies to and reports
// whether that is new.
func (e *exporter) putInterval(m *domain, rec *optionsRecord, n uint32, d *Decoder) bool {
	switch {
	case rec.hasSample:
		return put(e, d, &m.samplers, rec.sampler, n, d.limits.Samplers)
	case rec.hasIf && rec.ifIndex != 0:
		return put(e, d, &m.interfaces, uint32(rec.ifIndex), n, d.limits.Interfaces)
	case rec.hasScope && rec.template >= 256:
		return put(e, d, &m.templates, uint16(rec.template), n, d.limits.Templates)
	}
	changed := m.system != n
	m.system = n
	return changed
}

// entryBytes is what an entry of a table takes, about.
const entryBytes = 64

// reserve accounts for n bytes of tables, or says that there is no room.
func (e *exporter) reserve(n int, d *Decoder) bool {
	own := e.tableBytes + n
	if own > d.limits.TableBytes || own > tableShare && int(d.tableBytes.Load())+n > d.limits.TotalTableBytes {
		return false
	}
	e.tableBytes += n
	d.tableBytes.Add(int64(n))
	return true
}

// release gives back what was reserved.
func (e *exporter) release(n int, d *Decoder) {
	e.tableBytes -= n
	d.tableBytes.Add(-int64(n))
}

// put stores a value in a table of an exporter, unless that is full, and reports
// whether the table changed.
func put[K comparable, V comparable](e *exporter, d *Decoder, table *map[K]V, k K, v V, limit int) bool {
	old, ok := (*table)[k]
	if ok && old == v || !ok && (len(*table) >= limit || !e.reserve(entryBytes, d)) {
		return false
	}
	if *table == nil {
		*table = map[K]V{}
	}
	(*table)[k] = v
	return true
}

func (e *exporter) nameInterface(i Interface, d *Decoder) {
	old := e.names[i.Index]
	more := len(i.Name) + len(i.Description) - len(old.Name) - len(old.Description)
	if old == i || !e.reserve(more, d) {
		return
	}
	if !put(e, d, &e.names, i.Index, i, d.limits.InterfaceNames) {
		e.release(more, d)
		return
	}
	e.changed = true
}
