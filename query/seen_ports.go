package query

import (
	"cmp"
	"math/bits"
	"slices"
)

// How many ports of a role are kept for an address, and how many are answered. A
// port scan uses them all: beyond the bound, ports that were not met before are
// not counted, so that those answered are the most used of the first that each
// worker met.
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

// A portRole is what a record tells of an address: a protocol that has ports,
// the port, and whether the address serves it or goes to it. Zero is nothing.
type portRole uint32 // class of the protocol << 17 | serves << 16 | port

const (
	serves   = 1 << 16
	allRoles = 6 << 17
)

// portProtos are the protocols that have ports, by class less 1: TCP, UDP, DCCP,
// SCTP, UDP-Lite.
var portProtos = [...]uint8{6, 17, 33, 132, 136}

// portClasses are the classes of protocols; 0: it has no ports.
var portClasses = [256]uint8{6: 1, 17: 2, 33: 3, 132: 4, 136: 5}

// portClass returns the class of a protocol, 0 if it has no ports.
func portClass(proto uint64) portRole {
	if proto >= uint64(len(portClasses)) {
		return 0
	}
	return portRole(portClasses[proto])
}

// hasPorts reports whether a protocol has ports.
func hasPorts(proto uint64) bool { return portClass(proto) != 0 }

// roleOf returns the role of an address with port mine in a record, as its source
// or not, whose other port is other. Which of the ports is lower is anybody's guess,
// so that there is no branch for it.
func roleOf(proto, mine, other uint64, source bool) portRole {
	class := portClass(proto)
	if class == 0 {
		return 0
	}
	equal := uint64(1) // ports: the address serves them
	if source {
		equal = 0
	}
	_, served := bits.Sub64(mine, other, equal)
	return class<<17 | portRole(served)<<16 | portRole(uint16(min(mine, other)))
}

// roleCounts count how often an address had each role in a batch, so that each is
// looked for once in what is known of the address.
type roleCounts struct {
	counts []uint32   // by role; 0 but while roles are counted
	met    []portRole // the roles, in the order in which they were met
}

// count counts roles.
func (c *roleCounts) count(roles []portRole) {
	if c.counts == nil {
		c.counts = make([]uint32, allRoles)
	}
	for _, role := range roles {
		if c.counts[role]++; c.counts[role] == 1 {
			c.met = append(c.met, role)
		}
	}
}

// addTo adds what was counted to a tally, and leaves nothing.
func (c *roleCounts) addTo(t *seenTally) {
	for _, role := range c.met {
		t.role(role, uint64(c.counts[role]))
		c.counts[role] = 0
	}
	c.met = c.met[:0]
}

// role counts records that tell of a role.
func (t *seenTally) role(role portRole, records uint64) {
	if role == 0 {
		return
	}
	ports := &t.client
	if role&serves != 0 {
		ports = &t.server
	}
	ports.add(portProtos[role>>17-1], uint16(role), records)
}
