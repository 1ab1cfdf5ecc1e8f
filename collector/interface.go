package collector

import (
	"encoding/json"
	"net/netip"
	"strings"
)

// Interfaces returns what exporters have called their interfaces, as far as the
// state says: names live as long as the state of their exporter. State that
// cannot be read is passed over.
func Interfaces(state StateStore) (map[netip.Addr][]Interface, error) {
	named := map[netip.Addr][]Interface{}
	err := state.ScanState(statePrefix, func(key string, value []byte) error {
		var saved savedExporter
		addr, err := netip.ParseAddr(strings.TrimPrefix(key, statePrefix))
		if err != nil || json.Unmarshal(value, &saved) != nil || saved.Version != stateVersion {
			return nil
		}
		if len(saved.Names) > 0 {
			named[addr] = saved.Names
		}
		return nil
	})
	return named, err
}
