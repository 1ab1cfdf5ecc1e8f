package collector

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
)

// A Description says what a Decoder knows of one observation domain of an
// exporter. It is a copy.
type Description struct {
	Exporter   netip.Addr
	Domain     uint32
	Version    uint16                // as on the wire; sFlow: flow.VersionSFlow5
	Ports      []uint16              // source ports, ascending
	Templates  []TemplateDescription // by id, the definitions that came last
	Sampling   []SamplingDescription // what options data say, the most particular first; v5 headers, ascending
	SysInit    uint64                // systemInitTimeMilliseconds; 0: not said
	Interfaces []Interface           // names of the exporter's interfaces, by index
}

// A TemplateDescription is the layout of records as the exporter announced it.
type TemplateDescription struct {
	ID        uint16
	Options   bool
	Scopes    int // leading fields that are scopes
	Fields    []FieldDescription
	MinLength int    // bytes of the shortest record
	Varying   bool   // there are fields of variable length
	NoFlow    bool   // data records by it are no flows as far as weir can tell, and are not kept
	LastUsed  uint64 // ms, receipt of the last definition or data set
}

// A FieldDescription is one field of a template.
type FieldDescription struct {
	Element Element
	Length  int    // bytes; -1: variable
	V9Scope string // name of a v9 scope type, which is no element; "": it is one
	Field   string // the field of the flow record that it feeds, if it is kept as one
	Kept    string // the column that it has as a kept element; "": it is not kept
	Used    bool   // weir reads it: for Field, or to make out times, sampling or headers
}

// A SamplingDescription is a sampling interval and what it applies to.
type SamplingDescription struct {
	AppliesTo string // such as "sampler 1" or "interface 17"; "all" for the whole domain
	Interval  uint32 // N of "1 in N"
}

// Describe returns what is known of all exporters, by address, domain and
// version.
func (d *Decoder) Describe() []Description {
	var all []Description
	for _, e := range d.all() {
		e.mu.Lock()
		if !e.gone {
			all = append(all, e.describe(d.kept)...)
		}
		e.mu.Unlock()
	}
	slices.SortFunc(all, func(a, b Description) int {
		return cmp.Or(a.Exporter.Compare(b.Exporter), cmp.Compare(a.Domain, b.Domain), cmp.Compare(a.Version, b.Version))
	})
	return all
}

// describe returns what is known of the exporter. The caller holds e.mu.
func (e *exporter) describe(kept keepers) []Description {
	var all []Description
	for _, m := range e.domains {
		one := Description{Exporter: e.addr, Domain: m.key.Domain, Version: m.key.Version, SysInit: m.sysInit, Sampling: m.describeSampling()}
		var headers []uint32 // intervals that v5 headers say
		for _, s := range e.streams {
			if s.domain != m {
				continue
			}
			one.Ports = append(one.Ports, s.key.Port)
			if s.sampling != 0 {
				headers = append(headers, s.sampling)
			}
		}
		slices.Sort(headers)
		for _, n := range slices.Compact(headers) {
			one.Sampling = append(one.Sampling, SamplingDescription{"all", n})
		}
		for _, id := range slices.Sorted(maps.Keys(m.latest)) {
			one.Templates = append(one.Templates, m.latest[id].describe(kept))
		}
		for _, index := range slices.Sorted(maps.Keys(e.names)) {
			one.Interfaces = append(one.Interfaces, e.names[index])
		}
		slices.Sort(one.Ports)
		all = append(all, one)
	}
	return all
}

func (t *template) describe(kept keepers) TemplateDescription {
	out := TemplateDescription{ID: t.id, Options: t.options, Scopes: t.scopes, MinLength: t.minLen, Varying: t.varying, LastUsed: t.used}
	out.NoFlow = !t.options && !compilePlan(t.version, t.fields, nil).isFlow
	for i, f := range t.fields {
		one := FieldDescription{Element: elementOf(t.version, f), Length: int(f.len)}
		if f.len == variable {
			one.Length = -1
		}
		if i < t.scopes && t.version == 9 && f.id <= v9ScopeLast {
			one.V9Scope = V9Scope(f.id)
		}
		meaning := lookupElement(t.version, f.pen, f.id)
		one.Used = one.V9Scope != "" || meaning.role != roleNone
		switch {
		case t.options:
			one.Used = one.Used && f.pen == penIANA || optionsElements[one.Element]
		case meaning.field.Valid():
			one.Field = meaning.field.String()
		}
		if k := kept[one.Element]; k != nil && !t.options && !out.NoFlow {
			one.Kept = k.Name
		}
		out.Fields = append(out.Fields, one)
	}
	return out
}

// optionsElements are read from options data, beside those that mean something
// in data records.
var optionsElements = map[Element]bool{{0, 82}: true, {0, 83}: true, {0, 145}: true}

// describeSampling lists what options data said, the most particular first.
func (m *domain) describeSampling() []SamplingDescription {
	var all []SamplingDescription
	for _, id := range slices.Sorted(maps.Keys(m.samplers)) {
		all = append(all, SamplingDescription{fmt.Sprintf("sampler %d", id), m.samplers[id]})
	}
	for _, index := range slices.Sorted(maps.Keys(m.interfaces)) {
		all = append(all, SamplingDescription{fmt.Sprintf("interface %d", index), m.interfaces[index]})
	}
	for _, id := range slices.Sorted(maps.Keys(m.templates)) {
		all = append(all, SamplingDescription{fmt.Sprintf("template %d", id), m.templates[id]})
	}
	if m.system != 0 {
		all = append(all, SamplingDescription{"all", m.system})
	}
	return all
}
