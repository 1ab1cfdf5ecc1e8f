package query

import (
	"cmp"
	"slices"
)

// How many ports of a role are kept for an address, and how many are answered. A
// port scan uses them all: beyond the bound, ports that were not met before are
// not counted.
const (
	maxSeenPorts = 256
	seenTopPorts = 5
)

// seenPorts counts records by port and protocol. A look for one of many ports is
// a look into one kilobyte of keys.
type seenPorts struct {
	keys   []uint32 // port<<8 | protocol, ascending
	counts []uint64 // records of each
	last   int      // the place that was found last: ports come in runs
}

// add counts records of a port.
func (p *seenPorts) add(proto uint8, port uint16, records uint64) {
	key := uint32(port)<<8 | uint32(proto)
	if p.last < len(p.keys) && p.keys[p.last] == key {
		p.counts[p.last] += records
		return
	}
	i, found := slices.BinarySearch(p.keys, key)
	switch {
	case found:
		p.counts[i] += records
	case len(p.keys) == maxSeenPorts:
		return
	default:
		p.keys, p.counts = slices.Insert(p.keys, i, key), slices.Insert(p.counts, i, records)
	}
	p.last = i
}

// merge adds the counts of from, the largest first if not all of them fit, so
// that what is left out is small.
func (p *seenPorts) merge(from *seenPorts) {
	if len(p.keys)+len(from.keys) > maxSeenPorts {
		for _, port := range from.sorted() {
			p.add(port.Proto, port.Port, port.Records)
		}
		return
	}
	for i, key := range from.keys {
		p.add(uint8(key), uint16(key>>8), from.counts[i])
	}
}

// sorted returns the ports by records, the most first.
func (p *seenPorts) sorted() []SeenPort {
	list := make([]SeenPort, len(p.keys))
	for i, key := range p.keys {
		list[i] = SeenPort{uint8(key), uint16(key >> 8), p.counts[i]}
	}
	slices.SortStableFunc(list, func(a, b SeenPort) int { return cmp.Compare(b.Records, a.Records) })
	return list
}

// top returns the ports that are answered, nil if there are none.
func (p *seenPorts) top() []SeenPort {
	if len(p.keys) == 0 {
		return nil
	}
	return slices.Clip(p.sorted()[:min(len(p.keys), seenTopPorts)])
}
