package collector

import (
	"cmp"
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
)

// DomainStats say what is known of one observation domain of an exporter.
type DomainStats struct {
	Domain       uint32 `json:"domain"`
	Version      uint16 `json:"version"` // one of flow's Version constants
	Templates    int    `json:"templates"`
	Streams      int    `json:"streams"`       // source ports that are remembered
	LastReceived uint64 `json:"last_received"` // ms since 1970, of the last datagram
}

// domainStats returns what is known of the exporter's domains. The caller holds
// e.mu.
func (e *exporter) domainStats() []DomainStats {
	var all []DomainStats
	for _, s := range e.streams {
		all = addDomain(all, s.key, len(s.templates), s.seen)
	}
	return sortDomains(all)
}

// addDomain adds a stream to its domain.
func addDomain(all []DomainStats, key streamKey, templates int, seen uint64) []DomainStats {
	at := slices.IndexFunc(all, func(d DomainStats) bool { return d.Domain == key.Domain && d.Version == key.Version })
	if at < 0 {
		at = len(all)
		all = append(all, DomainStats{Domain: key.Domain, Version: key.Version})
	}
	d := &all[at]
	d.Streams++
	d.Templates = max(d.Templates, templates) // each port announces the same
	d.LastReceived = max(d.LastReceived, seen)
	return all
}

func sortDomains(all []DomainStats) []DomainStats {
	slices.SortFunc(all, func(a, b DomainStats) int {
		return cmp.Or(cmp.Compare(a.Domain, b.Domain), cmp.Compare(a.Version, b.Version))
	})
	return all
}

// Domains returns what the state says of exporters' domains: of those that
// defined templates, as they were saved last. State that cannot be read is
// passed over.
func Domains(state StateStore) (map[netip.Addr][]DomainStats, error) {
	found := map[netip.Addr][]DomainStats{}
	err := scanSaved(state, func(addr netip.Addr, saved *savedExporter) {
		var all []DomainStats
		for _, s := range saved.Streams {
			all = addDomain(all, s.streamKey, len(s.Templates), s.Seen)
		}
		if len(all) > 0 {
			found[addr] = sortDomains(all)
		}
	})
	return found, err
}

// scanSaved calls fn for what is saved of each exporter.
func scanSaved(state StateStore, fn func(addr netip.Addr, saved *savedExporter)) error {
	return state.ScanState(statePrefix, func(key string, value []byte) error {
		var saved savedExporter
		addr, err := netip.ParseAddr(strings.TrimPrefix(key, statePrefix))
		if err == nil && json.Unmarshal(value, &saved) == nil && saved.Version == stateVersion {
			fn(addr, &saved)
		}
		return nil
	})
}
