package command

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"weir/collector"
	"weir/flow"
	"weir/flow/ledger"
)

// An inspection is what weir inspect found.
type inspection struct {
	Registry  string              `json:"registry"` // day of IANA's registry that names are from
	Datagrams uint64              `json:"datagrams"`
	First     string              `json:"first,omitempty"`
	Last      string              `json:"last,omitempty"`
	Drops     []ledger.Drop       `json:"kernel_drops,omitempty"`
	Exporters []inspectedExporter `json:"exporters"`
}

type inspectedExporter struct {
	Exporter   netip.Addr            `json:"exporter"`
	Datagrams  uint64                `json:"datagrams"`
	Bytes      uint64                `json:"bytes"`
	Records    uint64                `json:"records"`
	Bad        uint64                `json:"bad_datagrams"`
	Errors     []inspectedError      `json:"errors"`
	Interfaces []collector.Interface `json:"interfaces,omitempty"`
	Domains    []inspectedDomain     `json:"domains"`
}

// An inspectedError is what is wrong with datagrams, by reason.
type inspectedError struct {
	Reason  string `json:"reason"`
	Count   uint64 `json:"count"`
	Meaning string `json:"meaning"`
	Example string `json:"example,omitempty"`
	At      string `json:"at,omitempty"` // receipt of the example
}

type inspectedDomain struct {
	Domain    uint32              `json:"domain"`
	Version   string              `json:"version"`
	Ports     []uint16            `json:"source_ports"`
	Datagrams uint64              `json:"datagrams"`
	Records   uint64              `json:"records"`
	Sequence  inspectedSequence   `json:"sequence"`
	Sampling  []inspectedSampling `json:"sampling_said"`
	Intervals []ledger.Interval   `json:"sampling_intervals"` // of the records
	Skew      *inspectedSkew      `json:"skew,omitempty"`
	Findings  []string            `json:"findings"`
	Templates []inspectedTemplate `json:"templates"`
	Shown     []json.RawMessage   `json:"shown,omitempty"` // of versions without templates
	records   []flow.Record       // the same
	kept      *flow.Kept
	entry     *ledger.Entry
	desc      collector.Description
}

type inspectedSequence struct {
	Unit       string `json:"unit,omitempty"` // that the numbers count
	Lost       uint64 `json:"lost"`
	Gaps       uint64 `json:"gaps"`
	Reordered  uint64 `json:"reordered"`
	Duplicates uint64 `json:"duplicates"`
	Restarts   uint64 `json:"restarts"`
}

type inspectedSampling struct {
	AppliesTo string `json:"applies_to"`
	Interval  uint32 `json:"interval"`
}

// An inspectedSkew is receipt less end of the flows.
type inspectedSkew struct {
	Min    int64 `json:"min_ms"`
	Median int64 `json:"median_ms"`
	Max    int64 `json:"max_ms"`
}

type inspectedTemplate struct {
	ID      uint16             `json:"id"`
	Options bool               `json:"options"`
	Length  int                `json:"length"`  // bytes of the shortest record
	Varying bool               `json:"varying"` // records may be longer
	NoFlow  bool               `json:"no_flow"` // its records are not kept
	Count   uint64             `json:"records"`
	Fields  []inspectedField   `json:"fields"`
	Shown   []json.RawMessage  `json:"shown,omitempty"`
	Values  [][]inspectedValue `json:"options_data,omitempty"`
	records []flow.Record
	kept    *flow.Kept
}

type inspectedField struct {
	Element string `json:"element"`
	Name    string `json:"name,omitempty"`
	Type    string `json:"type,omitempty"`
	Vendor  string `json:"vendor,omitempty"` // of an enterprise's element, where it is known
	Length  int    `json:"length"`           // -1: variable
	Scope   bool   `json:"scope,omitempty"`
	Kept    string `json:"kept_as,omitempty"` // field of the flow record, or column of a kept element
	Keep    string `json:"keep,omitempty"`    // what keeps it under keep:; "": nothing need
	Read    bool   `json:"read"`              // it has a meaning for weir
}

// An inspectedValue is one value of options data.
type inspectedValue struct {
	Element string `json:"element"`
	Name    string `json:"name,omitempty"`
	Scope   bool   `json:"scope,omitempty"`
	Value   string `json:"value"`
}

// report puts together what was found.
func (in *inspector) report() (*inspection, error) {
	if err := in.finish(); err != nil {
		return nil, err
	}
	r := &inspection{Registry: collector.RegistryDate, Datagrams: in.datagrams, Drops: in.drops, Exporters: []inspectedExporter{}}
	if in.datagrams > 0 {
		r.First, r.Last = rfcMillis(in.first), rfcMillis(in.last)
	}
	sums, described := in.ledger.sums(), map[netip.Addr][]collector.Description{}
	for _, d := range in.decoder.Describe() {
		described[d.Exporter] = append(described[d.Exporter], d)
	}
	for _, s := range in.decoder.Stats().Exporters {
		e := inspectedExporter{
			Exporter: s.Exporter, Datagrams: s.Datagrams, Bytes: s.Bytes, Records: s.Records, Bad: s.BadDatagrams,
			Errors: in.errors(&s), Domains: []inspectedDomain{},
		}
		for _, d := range described[s.Exporter] {
			e.Interfaces = d.Interfaces
			key := ledger.Key{Exporter: flow.AddrFromNetip(d.Exporter), Domain: d.Domain, Version: d.Version}
			e.Domains = append(e.Domains, in.domain(d, sums[key]))
		}
		r.Exporters = append(r.Exporters, e)
	}
	return r, nil
}

func rfcMillis(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// errors lists what is wrong with an exporter's datagrams, the most frequent
// first.
func (in *inspector) errors(s *collector.ExporterStats) []inspectedError {
	list := []inspectedError{}
	for _, reason := range collector.Reasons() {
		n := s.Error(reason)
		if n == 0 {
			continue
		}
		e := inspectedError{Reason: reason.String(), Count: n, Meaning: meaningOf(reason.String())}
		if x, ok := in.examples[errorKey{s.Exporter, reason}]; ok {
			e.Example, e.At = x.detail, rfcMillis(x.at)
		}
		list = append(list, e)
	}
	slices.SortStableFunc(list, func(a, b inspectedError) int { return cmp.Compare(b.Count, a.Count) })
	return list
}

func (in *inspector) domain(d collector.Description, e *ledger.Entry) inspectedDomain {
	if e == nil {
		e = &ledger.Entry{}
	}
	out := inspectedDomain{
		Domain: d.Domain, Version: flow.VersionName(uint64(d.Version)), Ports: d.Ports, desc: d, entry: e,
		Datagrams: e.Get(ledger.Datagrams), Records: e.Get(ledger.Records),
		Sequence: inspectedSequence{
			ledger.UnitOf(d.Version).String(), e.Get(ledger.Lost), e.Get(ledger.Gaps),
			e.Get(ledger.Reordered), e.Get(ledger.Duplicates), e.Get(ledger.Restarts),
		},
		Sampling: []inspectedSampling{}, Intervals: slices.Clone(e.Intervals), Templates: []inspectedTemplate{},
	}
	for _, s := range d.Sampling {
		out.Sampling = append(out.Sampling, inspectedSampling{s.AppliesTo, s.Interval})
	}
	if e.Skew.Count > 0 {
		out.Skew = &inspectedSkew{e.Skew.Min, e.Skew.Median(), e.Skew.Max}
	}
	by := collector.TemplateKey{Exporter: d.Exporter, Domain: d.Domain, Version: d.Version}
	if s := in.samples[by]; s != nil {
		out.records, out.Shown, out.kept = s.records, recordsJSON(s.records, in.kept), in.kept
	}
	for _, t := range d.Templates {
		by.Template = t.ID
		out.Templates = append(out.Templates, in.template(t, in.samples[by]))
	}
	out.Findings = out.findings()
	return out
}

func (in *inspector) template(t collector.TemplateDescription, s *inspectedSample) inspectedTemplate {
	out := inspectedTemplate{ID: t.ID, Options: t.Options, Length: t.MinLength, Varying: t.Varying, NoFlow: t.NoFlow}
	for i, f := range t.Fields {
		field := inspectedField{
			Element: f.Element.String(), Name: in.registry.Name(f.Element), Type: in.registry.Type(f.Element), Vendor: f.Element.Vendor(),
			Length: f.Length, Scope: i < t.Scopes, Kept: f.Field, Read: f.Used,
		}
		if f.Kept != "" {
			field.Kept = cmp.Or(field.Kept, f.Kept)
		} else if !t.Options && !t.NoFlow && !f.Used && field.Name != "paddingOctets" {
			field.Keep = keepEntry(f.Element, field.Name)
		}
		if f.V9Scope != "" {
			field.Name, field.Type = f.V9Scope, ""
		}
		out.Fields = append(out.Fields, field)
	}
	if s != nil {
		out.Count, out.Values, out.records, out.Shown = s.count, s.options, s.records, recordsJSON(s.records, in.kept)
		out.kept = in.kept
	}
	return out
}

// recordsJSON writes records as weir query -o json does.
func recordsJSON(records []flow.Record, kept *flow.Kept) []json.RawMessage {
	var list []json.RawMessage
	w := jsonRecords{extra: keptColumns(kept)}
	for i := range records {
		list = append(list, bytes.Clone(w.object(&records[i])))
	}
	return list
}

// Clocks within these bounds are not worth a word: an active timeout of half an
// hour is usual.
const (
	clockAhead  = -5 * time.Second
	clockBehind = 35 * time.Minute
)

// findings says in words what is wrong with a domain, or worth knowing.
func (d *inspectedDomain) findings() []string {
	list := []string{}
	say := func(n uint64, format string, args ...any) {
		if n > 0 {
			list = append(list, fmt.Sprintf(format, args...))
		}
	}
	q := d.Sequence
	say(q.Lost, "%d %s were lost on the way, in %s", q.Lost, q.Unit, plural(q.Gaps, "gap"))
	say(q.Restarts, "the exporter restarted, %s", times(q.Restarts))
	say(q.Duplicates, "%s came twice", plural(q.Duplicates, "datagram"))
	say(d.entry.Get(ledger.TemplateChanges)-min(d.entry.Get(ledger.TemplateChanges), uint64(len(d.Templates))),
		"templates changed under their ids")
	without := d.entry.Get(ledger.SetsWithout)
	say(without, "%s came before their template: %d were decoded when it came, %d were dropped",
		plural(without, "data set"), d.entry.Get(ledger.SetsRecovered), d.entry.Get(ledger.SetsDropped))
	say(d.entry.Get(ledger.BadTimes), "%s with impossible times", plural(d.entry.Get(ledger.BadTimes), "record"))
	if d.Skew != nil {
		switch median := time.Duration(d.Skew.Median) * time.Millisecond; {
		case median < clockAhead:
			list = append(list, fmt.Sprintf("its clock is ahead: flows end %s after they are received", formatDuration(-median)))
		case median > clockBehind:
			list = append(list, fmt.Sprintf("its clock is behind, or its timeouts are long: flows end %s before they are received", formatDuration(median)))
		}
	}
	return append(list, d.saidBadly()...)
}

// saidBadly says what the exporter's configuration leaves to be wished for.
func (d *inspectedDomain) saidBadly() []string {
	var list []string
	unsaid := slices.ContainsFunc(d.Intervals, func(i ledger.Interval) bool { return i.N == 0 && i.Records > 0 })
	if unsaid {
		list = append(list, "sampling is not said for all records: export it (option sampler-table, or samplingInterval), or configure it with sampling: of exporters:")
	}
	for _, t := range d.Templates {
		switch {
		case t.NoFlow:
			list = append(list, fmt.Sprintf("template %d describes no flow as far as weir can tell: its records are not kept", t.ID))
		case t.Count == 0:
			list = append(list, fmt.Sprintf("template %d: no data came for it", t.ID))
		}
		for _, f := range t.Fields {
			if f.Name == "" {
				list = append(list, fmt.Sprintf("template %d: element %s has no name here", t.ID, f.label()))
			}
		}
	}
	return list
}

// keepEntry returns what keeps an element under keep:.
func keepEntry(e collector.Element, name string) string {
	if name != "" && e.Enterprise == 0 {
		return name
	}
	return e.String()
}

// label returns the element's number, with whose it is.
func (f *inspectedField) label() string {
	if f.Vendor == "" {
		return f.Element
	}
	return f.Element + " (" + f.Vendor + ")"
}

func times(n uint64) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}
