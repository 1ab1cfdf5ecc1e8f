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

// merge adds what from knows, but not its hours.
func (t *seenTally) merge(from *seenTally, exact int) {
	if from.records == 0 {
		return
	}
	if t.records == 0 {
		t.first, t.last = from.first, from.last
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
func (t *seenTally) entry(addr string) SeenEntry {
	e := SeenEntry{Addr: addr, Records: t.records, First: t.first, Last: t.last, Active: t.active,
		AsSource: t.asSource, AsDestination: t.asDestination, Hours: t.hours,
		Server: t.server.top(), Client: t.client.top(),
		MorePorts: len(t.server) > seenTopPorts || len(t.client) > seenTopPorts}
	e.Peers, e.PeersEstimated = t.peers.count()
	return e
}

// How many ports of a role are kept for an address, and how many are answered. A
// port scan uses them all: beyond the bound, ports that were not met before are
// not counted.
const (
	maxSeenPorts = 256
	seenTopPorts = 5
)

type seenPort struct {
	proto uint8
	port  uint16
}

// seenPorts counts records by port.
type seenPorts map[seenPort]uint64

func (p seenPorts) add(key seenPort, n uint64) seenPorts {
	if p == nil {
		p = seenPorts{}
	}
	if _, ok := p[key]; ok || len(p) < maxSeenPorts {
		p[key] += n
	}
	return p
}

// merge adds the counts of from, the largest first, so that what is left out at
// the bound is small and always the same.
func (p seenPorts) merge(from seenPorts) seenPorts {
	if len(p)+len(from) <= maxSeenPorts {
		for key, n := range from {
			p = p.add(key, n)
		}
		return p
	}
	for _, port := range from.sorted() {
		p = p.add(seenPort{port.Proto, port.Port}, port.Records)
	}
	return p
}

func (p seenPorts) sorted() []SeenPort {
	list := make([]SeenPort, 0, len(p))
	for key, n := range p {
		list = append(list, SeenPort{key.proto, key.port, n})
	}
	slices.SortFunc(list, func(a, b SeenPort) int {
		return cmp.Or(cmp.Compare(b.Records, a.Records), cmp.Compare(a.Port, b.Port), cmp.Compare(a.Proto, b.Proto))
	})
	return list
}

func (p seenPorts) top() []SeenPort {
	list := p.sorted()
	return list[:min(len(list), seenTopPorts)]
}

// An addrCounter counts distinct addresses: exactly up to a bound, beyond it
// with a HyperLogLog sketch of 4,096 registers (Flajolet and others, 2007),
// whose standard error is 1.04/√4096.
type addrCounter struct {
	exact map[flow.Addr]struct{}
	ranks []uint8 // nil while exact
}

const sketchBits = 12

func (c *addrCounter) add(a flow.Addr, most int) {
	if c.ranks != nil {
		c.sketch(a)
		return
	}
	if c.exact == nil {
		c.exact = map[flow.Addr]struct{}{}
	}
	c.exact[a] = struct{}{}
	if len(c.exact) > most {
		c.ranks = make([]uint8, 1<<sketchBits)
		for a := range c.exact {
			c.sketch(a)
		}
		c.exact = nil
	}
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
	for a := range from.exact {
		c.add(a, most)
	}
	if from.ranks == nil {
		return
	}
	if c.ranks == nil {
		c.ranks = make([]uint8, 1<<sketchBits)
		for a := range c.exact {
			c.sketch(a)
		}
		c.exact = nil
	}
	for i, rank := range from.ranks {
		c.ranks[i] = max(c.ranks[i], rank)
	}
}

// count returns how many distinct addresses were added, and whether that is an
// estimate.
func (c *addrCounter) count() (n uint64, estimated bool) {
	if c.ranks == nil {
		return uint64(len(c.exact)), false
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
