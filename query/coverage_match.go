package query

import (
	"strings"

	"weir/flow"
)

// An exporterMatch says which exporters a question is about, as far as that is
// easily told. Its zero value is all of them.
type exporterMatch struct{ nodes []node }

// maxNarrowing bounds the filters that are read for what they say of exporters.
const maxNarrowing = 64 << 10

// newExporterMatch returns the exporters that a request's exporter and its
// filter leave. Of the filter, those conditions count that all of it depends on
// and that are about the exporter alone.
func newExporterMatch(exporter, filter string, o ParseOptions) (m exporterMatch, err error) {
	if exporter != "" {
		n, err := exporterCondition(exporter, o)
		if err != nil {
			return m, err
		}
		m.nodes = append(m.nodes, n)
	}
	if len(filter) > maxNarrowing || !strings.Contains(lower(filter), "exporter") && !strings.Contains(lower(filter), "router") {
		return m, nil
	}
	f, err := Parse(filter, o)
	if err != nil {
		return m, err
	}
	for _, n := range kidsOf[*andNode](f.root) {
		var set flow.FieldSet
		n.fields(&set)
		// "router ip" also means the agent that sFlow names, which the ledger does
		// not: most exporters send from that address.
		if set.Has(flow.Exporter) && set.Union(routerFields) == routerFields {
			m.nodes = append(m.nodes, n)
		}
	}
	return m, nil
}

var routerFields = flow.SetOf(flow.Exporter, flow.Agent)

// all reports whether every exporter matches.
func (m exporterMatch) all() bool { return len(m.nodes) == 0 }

// has reports whether the question is about the exporter.
func (m exporterMatch) has(addr flow.Addr) bool {
	if m.all() {
		return true
	}
	var r flow.Record
	r.SetAddr(flow.Exporter, addr)
	for _, n := range m.nodes {
		if !n.match(&r) {
			return false
		}
	}
	return true
}
