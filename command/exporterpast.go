package command

import (
	"maps"
	"net/netip"
	"slices"

	"weir/collector"
	"weir/flow"
	"weir/flow/ledger"
	"weir/query"
)

// addForgotten adds the exporters that were not heard in the day and are not
// expected, but that the archive knows from before.
func (l *local) addForgotten(list *exporterList, saved map[netip.Addr][]collector.DomainStats, past map[netip.Addr][]ledger.Event) {
	there := map[string]bool{}
	for i := range list.Exporters {
		r := &list.Exporters[i]
		there[r.Name] = true
		for _, a := range r.Addresses {
			there[a] = true
		}
	}
	known := map[netip.Addr]bool{}
	for a := range saved {
		known[a] = true
	}
	for a := range past {
		known[a] = true
	}
	for _, a := range slices.SortedFunc(maps.Keys(known), netip.Addr.Compare) {
		e := query.GridExporter{Addr: a.String()}
		if k := l.known.Find(flow.AddrFromNetip(a)); k != nil {
			e.Name, e.Group, e.Expected = k.Name, k.Group, k.Expected
		}
		if there[e.Addr] || e.Name != "" && there[e.Name] {
			continue
		}
		there[e.Addr] = true
		if e.Name != "" {
			there[e.Name] = true
		}
		r := l.describe(&e)
		if e.Name == "" { // else the addresses are found by the name
			r.Addresses = []string{e.Addr}
		}
		list.Exporters = append(list.Exporters, r)
	}
	sortExporters(list.Exporters)
}
