package query

import (
	"cmp"
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"

	"weir/flow"
	"weir/store"
)

// A seenTally is what is known of one address, in a block, a bucket or more.
type seenTally struct {
	records, asSource, asDestination uint64
	first, last                      uint64 // ms; good when records is not 0
	active                           activeHours
	server, client                   seenPorts
	peers                            addrCounter
}

// see counts a record from start to end, received in the given hour.
func (t *seenTally) see(start, end uint64, hour store.Hour, hours bool) {
	if t.records == 0 {
		t.first, t.last = start, end
	}
	t.records++
	t.first, t.last = min(t.first, start), max(t.last, end)
	t.active.see(hour, hours)
}

// merge adds what from knows, of the same hours or later ones. It may take
// from's memory: from is not used again.
func (t *seenTally) merge(from *seenTally, exact int) {
	if from.records == 0 {
		return
	}
	if t.records == 0 {
		*t = *from
		return
	}
	t.records += from.records
	t.asSource += from.asSource
	t.asDestination += from.asDestination
	t.first, t.last = min(t.first, from.first), max(t.last, from.last)
	t.active.merge(&from.active)
	t.server.merge(&from.server)
	t.client.merge(&from.client)
	t.peers.merge(&from.peers, exact)
}

// activeHours are the hours in which records were received.
type activeHours struct {
	n           int
	first, last store.Hour // good when n is not 0
	list        []SeenHour // each of them, if asked for
}

// see counts a record of an hour that is not before the last one.
func (a *activeHours) see(hour store.Hour, list bool) {
	if a.n == 0 {
		a.first = hour
	}
	if a.n == 0 || hour != a.last {
		a.n, a.last = a.n+1, hour
		if list {
			a.list = append(a.list, SeenHour{hour.StartMS(), 0})
		}
	}
	if list {
		a.list[len(a.list)-1].Records++
	}
}

// merge adds hours that are not before the last one; it may be the first of them.
func (a *activeHours) merge(from *activeHours) {
	list := from.list
	a.n += from.n
	if from.first == a.last {
		a.n--
		if len(list) > 0 {
			a.list[len(a.list)-1].Records += list[0].Records
			list = list[1:]
		}
	}
	a.last, a.list = from.last, append(a.list, list...)
}

// entry returns the tally as an answer.
func (t *seenTally) entry(addr string) SeenEntry {
	e := SeenEntry{Addr: addr, Records: t.records, First: t.first, Last: t.last, Active: t.active.n,
		AsSource: t.asSource, AsDestination: t.asDestination, Hours: t.active.list,
		Server: t.server.top(), Client: t.client.top(),
		MorePorts: len(t.server.keys) > seenTopPorts || len(t.client.keys) > seenTopPorts}
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

// An addrCounter counts distinct addresses: exactly up to a bound, beyond it
// with a HyperLogLog sketch of 4,096 registers (Flajolet and others, 2007),
// whose standard error is 1.04/√4096.
type addrCounter struct {
	slots []flow.Addr // open addressing; the zero address is a free one
	n     int         // slots in use
	zero  bool        // the zero address was added
	seed  uint64      // what addresses fall on the same slots is nobody's to know
	ranks []uint8     // nil while exact
}

const sketchBits = 12

func (c *addrCounter) add(a flow.Addr, most int) {
	switch {
	case c.ranks != nil:
		c.sketch(a)
		return
	case a == flow.Addr{}:
		c.zero = true
	default:
		if 4*c.n >= 3*len(c.slots) {
			c.grow()
		}
		if c.insert(a) {
			c.n++
		}
	}
	if c.len() > most {
		c.estimate()
	}
}

func (c *addrCounter) len() int {
	if c.zero {
		return c.n + 1
	}
	return c.n
}

// insert puts an address in its slot, and reports whether it was not there.
func (c *addrCounter) insert(a flow.Addr) bool {
	mask := uint64(len(c.slots) - 1)
	at := hashWord(c.seed, a.Lo^bits.RotateLeft64(a.Hi*0x9e3779b97f4a7c15, 29)) & mask
	for c.slots[at] != (flow.Addr{}) {
		if c.slots[at] == a {
			return false
		}
		at = (at + 1) & mask
	}
	c.slots[at] = a
	return true
}

func (c *addrCounter) grow() {
	old := c.slots
	if old == nil {
		c.seed = rand.Uint64()
	}
	c.slots = make([]flow.Addr, max(4, 2*len(old)))
	for _, a := range old {
		if a != (flow.Addr{}) {
			c.insert(a)
		}
	}
}

// estimate goes over to the sketch.
func (c *addrCounter) estimate() {
	c.ranks = make([]uint8, 1<<sketchBits)
	for a := range c.all {
		c.sketch(a)
	}
	c.slots, c.n, c.zero = nil, 0, false
}

// all calls yield for every address, while they are counted exactly.
func (c *addrCounter) all(yield func(flow.Addr) bool) {
	if c.zero && !yield(flow.Addr{}) {
		return
	}
	for _, a := range c.slots {
		if a != (flow.Addr{}) && !yield(a) {
			return
		}
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
	if from.ranks == nil {
		for a := range from.all {
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
func (c *addrCounter) count() (n uint64, estimated bool) {
	if c.ranks == nil {
		return uint64(c.len()), false
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
