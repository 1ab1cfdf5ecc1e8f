package collector

import (
	"encoding/json"
	"net/netip"
	"strings"
)

// A SavedExporter is what the state says of one exporter, for those who read an
// archive without its collector.
type SavedExporter struct {
	Seen       uint64      // ms since 1970, receipt of a datagram when this was saved last
	Templates  int         // that data are decoded by, over all streams
	Interfaces []Interface // names of its interfaces
}

// SavedExporters returns what exporters defined, as far as the state says. State
// that cannot be read is passed over.
func SavedExporters(state StateStore) (map[netip.Addr]SavedExporter, error) {
	all := map[netip.Addr]SavedExporter{}
	err := state.ScanState(statePrefix, func(key string, value []byte) error {
		var saved savedExporter
		addr, err := netip.ParseAddr(strings.TrimPrefix(key, statePrefix))
		if err != nil || json.Unmarshal(value, &saved) != nil || saved.Version != stateVersion {
			return nil
		}
		e := SavedExporter{Interfaces: saved.Names}
		for _, s := range saved.Streams {
			e.Seen = max(e.Seen, s.Seen)
			for _, t := range s.Templates {
				if !t.Options {
					e.Templates++
				}
			}
		}
		all[addr] = e
		return nil
	})
	return all, err
}
