package collector

import "net/netip"

// Interfaces returns what exporters have called their interfaces, as far as the
// state says: names live as long as the state of their exporter. State that
// cannot be read is passed over.
func Interfaces(state StateStore) (map[netip.Addr][]Interface, error) {
	named := map[netip.Addr][]Interface{}
	err := scanSaved(state, func(addr netip.Addr, saved *savedExporter) {
		if len(saved.Names) > 0 {
			named[addr] = saved.Names
		}
	})
	return named, err
}
