package ledger

import (
	"net/netip"
	"time"

	"weir/flow"
)

// A Known exporter is one that the configuration describes. Its JSON is what the
// collector writes down for those who read the archive without it.
type Known struct {
	Name          string         `json:"name"`
	Sources       []netip.Prefix `json:"sources"`                  // addresses that its datagrams come from
	Group         string         `json:"group,omitempty"`          // core, regional, external, organisation, or whatever the network calls it
	Owner         string         `json:"owner,omitempty"`          //
	Contact       string         `json:"contact,omitempty"`        //
	Permission    string         `json:"permission,omitempty"`     // reference of the permission to collect from it
	Expected      bool           `json:"expected,omitempty"`       // its silence is a finding
	Sampling      uint32         `json:"sampling,omitempty"`       // N of "1 in N" that goes before what it says itself; 0: none
	ActiveTimeout time.Duration  `json:"active_timeout,omitempty"` // how late a record of a long flow may come; 0: not known
}

// A Directory is all exporters that the configuration describes.
type Directory []Known

// Find returns the exporter that sends from an address, nil if none is known to.
// Where several claim it, the longest prefix counts.
func (d Directory) Find(source flow.Addr) *Known {
	addr := source.Netip()
	var found *Known
	bits := -1
	for i := range d {
		for _, p := range d[i].Sources {
			if p.Bits() > bits && p.Contains(addr) {
				found, bits = &d[i], p.Bits()
			}
		}
	}
	return found
}
