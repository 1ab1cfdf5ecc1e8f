package command

import (
	"context"
	"slices"

	"weir/flow"
	"weir/query"
)

// fieldName returns the name of a field's number, "" for none. Interfaces are
// named by their exporter.
func (m *namer) fieldName(f flow.Field, num uint64, exporter flow.Addr) string {
	switch f {
	case flow.Proto, flow.TunProto:
		return query.ProtoName(num)
	case flow.SrcPort, flow.DstPort, flow.NATSrcPort, flow.NATDstPort:
		return query.ServiceName(num)
	case flow.InIf, flow.OutIf:
		return m.interfaces[query.InterfaceName{Exporter: exporter, Index: num}]
	}
	return ""
}

// namedFields are the fields whose values may have names.
var namedFields = flow.SetOf(flow.Proto, flow.TunProto, flow.SrcPort, flow.DstPort, flow.NATSrcPort, flow.NATDstPort,
	flow.InIf, flow.OutIf, flow.Exporter)

// text returns what gives a column its names, nil if it has none.
func (m *namer) text(c column, numbers bool) func(r *flow.Record) string {
	if f, ok := query.ParseLabelField(c.name); ok {
		return func(r *flow.Record) string {
			if !r.Has(f.Field) {
				return ""
			}
			return m.label(f.Kind, r.Addr(f.Field))
		}
	}
	switch {
	case !numbers || !namedFields.Has(c.field):
		return nil
	case c.field == flow.Exporter:
		return func(r *flow.Record) string { return m.exporters.NameOf(r.Addr(flow.Exporter)) }
	}
	return func(r *flow.Record) string {
		if !r.Has(c.field) {
			return ""
		}
		return m.fieldName(c.field, r.Num(c.field), r.Addr(flow.Exporter))
	}
}

// A shape is which columns an answer of flows has, when it is known what has
// names.
type shape struct {
	columns []column // nil for the format's own choice
	extra   []column // of JSON, after its own choice
	namer   *namer
}

// shapeOf finds names for the columns of an answer. Where no columns were
// chosen, json and csv also have the organisations, if there are any, and with
// numbers all values that have names get them.
func shapeOf(ctx context.Context, n *naming, b backend, format string, columns []column, numbers bool) (shape, error) {
	var kinds []query.LabelKind
	add := func(k query.LabelKind) {
		if !slices.Contains(kinds, k) {
			kinds = append(kinds, k)
		}
	}
	for _, c := range columns {
		if f, ok := query.ParseLabelField(c.name); ok {
			add(f.Kind)
		}
	}
	everything := columns == nil && (format == formatJSON || format == formatCSV)
	var kept *flow.Kept
	if everything {
		var err error
		if kept, err = keptOf(ctx, b); err != nil {
			return shape{}, err
		}
		add(query.KindOrg)
		for _, kind := range query.LabelKinds {
			if f, _ := n.file(kind); f != nil {
				add(kind)
			}
		}
	}
	if len(kinds) == 0 && !numbers {
		return shape{columns: columns}, nil
	}
	m, err := newNamer(ctx, n, b, kinds, numbers)
	if err != nil {
		return shape{}, err
	}
	s := shape{columns: slices.Clone(columns), namer: m}
	if everything {
		for _, kind := range kinds {
			if m.has(kind) {
				s.extra = append(s.extra, columnOf("src_"+string(kind)), columnOf("dst_"+string(kind)))
			}
		}
		s.extra = append(s.extra, keptColumns(kept)...)
	} else {
		for _, kind := range kinds {
			if !m.has(kind) {
				return shape{}, nothingNamed(kind)
			}
		}
	}
	switch {
	case columns == nil && format == formatTable:
		s.columns = slices.Clone(defaultColumns)
	case everything && (format == formatCSV && len(s.extra) > 0 || numbers):
		s.columns, s.extra = append(allColumns(), s.extra...), nil
	}
	for _, list := range [][]column{s.columns, s.extra} {
		for i := range list {
			list[i].text = m.text(list[i], numbers)
		}
	}
	return s, nil
}

// nothingNamed is the error for a field of names of which nobody has any.
func nothingNamed(kind query.LabelKind) error {
	e := usagef("nothing here has names for %s", "src_"+string(kind))
	if kind == query.KindOrg {
		return e.withHint("give them under networks: in the configuration, and it with --config FILE")
	}
	return e.withHint("give a file that has them with --mmdb FILE")
}

// A keyNamer returns the name of value number i of a group's key, "" for none.
type keyNamer func(key []query.Value, i int) string

// or returns the name, or text if there is none. A nil keyNamer knows none.
func (n keyNamer) or(key []query.Value, i int, text string) string {
	if n == nil || !key[i].Present {
		return text
	}
	if name := n(key, i); name != "" {
		return name
	}
	return text
}

// newKeyNamer returns the names of groups of the given fields. Interfaces have
// names where the exporter is part of the group.
func newKeyNamer(ctx context.Context, n *naming, b backend, fields []string) (keyNamer, error) {
	m, err := newNamer(ctx, n, b, nil, true)
	if err != nil {
		return nil, err
	}
	exporter := slices.Index(fields, flow.Exporter.String())
	return func(key []query.Value, i int) string {
		v, from := key[i], flow.Addr{}
		if v.Field == flow.Exporter && v.Bits < 0 {
			return m.exporters.NameOf(v.Addr)
		}
		if exporter >= 0 && exporter < len(key) {
			from = key[exporter].Addr
		}
		return m.fieldName(v.Field, v.Num, from)
	}, nil
}

// nameExporters puts names in place of the addresses of exporters.
func nameExporters(ctx context.Context, n *naming, b backend, rows []query.StatsRow) error {
	m, err := newNamer(ctx, n, b, nil, true)
	if err != nil {
		return err
	}
	for i := range rows {
		a, err := flow.ParseAddr(rows[i].Key)
		if name := m.exporters.NameOf(a); err == nil && name != "" {
			rows[i].Key = name
		}
	}
	return nil
}
