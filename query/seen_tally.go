package query

import (
	"cmp"
	"math"
	"math/bits"
	"slices"

	"weir/flow"
)

// A seenTally is what is known of one address, in a block, a bucket or all.
type seenTally struct {
	records, asSource, asDestination uint64
	first, last                      uint64 // ms; good when records is not 0
	active                           int
	hours                            []SeenHour
	server, client                   seenPorts
	peers                            addrCounter
}

// see counts a record from start to end.
func (t *seenTally) see(start, end uint64) {
	if t.records == 0 {
		t.first, t.last = start, end
	}
	t.records++
	t.first, t.last = min(t.first, start), max(t.last, end)
}

// merge adds what from knows, but not its hours. It may take from's memory:
// from is not used again.
func (t *seenTally) merge(from *seenTally, exact int) {
	if from.records == 0 {
		return
	}
	if t.records == 0 {
		from.active, from.hours = t.active, t.hours
		*t = *from
		return
	}
	t.records += from.records
	t.asSource += from.asSource
	t.asDestination += from.asDestination
	t.first, t.last = min(t.first, from.first), max(t.last, from.last)
	t.server = t.server.merge(from.server)
	t.client = t.client.merge(from.client)
	t.peers.merge(&from.peers, exact)
}

// entry returns the tally as an answer.
func (t *seenTally) entry(addr string, exact int) SeenEntry {
	e := SeenEntry{Addr: addr, Records: t.records, First: t.first, Last: t.last, Active: t.active,
		AsSource: t.asSource, AsDestination: t.asDestination, Hours: t.hours,
		Server: t.server.top(), Client: t.client.top(),
		MorePorts: len(t.server) > seenTopPorts || len(t.client) > seenTopPorts}
	e.Peers, e.PeersEstimated = t.peers.count(exact)
	return e
}

// How many ports of a role are kept for an address, and how many are answered. A
// port scan uses them all: beyond the bound, ports that were not met before are
// not counted.
const (
	maxSeenPorts = 256
	seenTopPorts = 5
)

// seenPorts counts records by port; it ascends by port, then protocol.
type seenPorts []SeenPort

func compareSeenPorts(a, b SeenPort) int {
	return cmp.Or(cmp.Compare(a.Port, b.Port), cmp.Compare(a.Proto, b.Proto))
}

// add counts the records of a port.
func (p seenPorts) add(port SeenPort) seenPorts {
	i, found := slices.BinarySearchFunc(p, port, compareSeenPorts)
	switch {
	case found:
		p[i].Records += port.Records
	case len(p) < maxSeenPorts:
		p = slices.Insert(p, i, port)
	}
	return p
}

// merge adds the counts of from, the largest first if not all of them fit, so
// that what is left out is small.
func (p seenPorts) merge(from seenPorts) seenPorts {
	if len(p)+len(from) > maxSeenPorts {
		from = from.sorted()
	}
	for _, port := range from {
		p = p.add(port)
	}
	return p
}

// sorted returns the ports by records, the most first.
func (p seenPorts) sorted() seenPorts {
	list := slices.Clone(p)
	slices.SortFunc(list, func(a, b SeenPort) int {
		return cmp.Or(cmp.Compare(b.Records, a.Records), compareSeenPorts(a, b))
	})
	return list
}

// top returns the ports that are answered, nil if there are none.
func (p seenPorts) top() []SeenPort {
	if len(p) == 0 {
		return nil
	}
	return slices.Clip(p.sorted()[:min(len(p), seenTopPorts)])
}

// An addrCounter counts distinct addresses: exactly up to a bound, beyond it
// with a HyperLogLog sketch of 4,096 registers (Flajolet and others, 2007),
// whose standard error is 1.04/√4096.
type addrCounter struct {
	exact  []flow.Addr // the first sorted ones ascend without duplicates
	sorted int
	ranks  []uint8 // nil while exact
}

const sketchBits = 12

func (c *addrCounter) add(a flow.Addr, most int) {
	if c.ranks != nil {
		c.sketch(a)
		return
	}
	if n := len(c.exact); n > 0 && c.exact[n-1] == a {
		return
	}
	if c.exact = append(c.exact, a); len(c.exact) >= 2*c.sorted+16 {
		c.compact()
		if len(c.exact) > most {
			c.estimate()
		}
	}
}

// compact removes duplicates.
func (c *addrCounter) compact() {
	if c.sorted == len(c.exact) {
		return
	}
	slices.SortFunc(c.exact, flow.Addr.Compare)
	c.exact = slices.Compact(c.exact)
	c.sorted = len(c.exact)
}

// estimate goes over to the sketch.
func (c *addrCounter) estimate() {
	c.ranks = make([]uint8, 1<<sketchBits)
	for _, a := range c.exact {
		c.sketch(a)
	}
	c.exact, c.sorted = nil, 0
}

func (c *addrCounter) sketch(a flow.Addr) {
	h := mix(a.Hi ^ mix(a.Lo+0x9e3779b97f4a7c15))
	i := h >> (64 - sketchBits)
	c.ranks[i] = max(c.ranks[i], uint8(bits.LeadingZeros64(h<<sketchBits|1<<(sketchBits-1))+1))
}

// mix spreads the bits of v over the whole word (the finaliser of SplitMix64).
func mix(v uint64) uint64 {
	v = (v ^ v>>30) * 0xbf58476d1ce4e5b9
	v = (v ^ v>>27) * 0x94d049bb133111eb
	return v ^ v>>31
}

// merge adds the addresses of from.
func (c *addrCounter) merge(from *addrCounter, most int) {
	if from.ranks == nil {
		for _, a := range from.exact {
			c.add(a, most)
		}
		return
	}
	if c.ranks == nil {
		c.estimate()
	}
	for i, rank := range from.ranks {
		c.ranks[i] = max(c.ranks[i], rank)
	}
}

// count returns how many distinct addresses were added, and whether that is an
// estimate.
func (c *addrCounter) count(most int) (n uint64, estimated bool) {
	if c.ranks == nil {
		if c.compact(); len(c.exact) <= most {
			return uint64(len(c.exact)), false
		}
		c.estimate()
	}
	m := float64(len(c.ranks))
	sum, empty := 0.0, 0
	for _, rank := range c.ranks {
		sum += math.Ldexp(1, -int(rank))
		if rank == 0 {
			empty++
		}
	}
	estimate := 0.7213 / (1 + 1.079/m) * m * m / sum
	if estimate <= 2.5*m && empty > 0 {
		estimate = m * math.Log(m/float64(empty))
	}
	return uint64(math.Round(estimate)), true
}
