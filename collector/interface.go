package collector

import "net/netip"

// Interfaces returns what exporters have called their interfaces, as far as the
// state says: names live as long as the state of their exporter. State that
// cannot be read is passed over.
func Interfaces(state StateStore) (map[netip.Addr][]Interface, error) {
	named := map[netip.Addr][]Interface{}
	saved, err := SavedExporters(state)
	for addr, e := range saved {
		if len(e.Interfaces) > 0 {
			named[addr] = e.Interfaces
		}
	}
	return named, err
}
