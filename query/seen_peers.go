package query

import (
	"math"
	"math/bits"
	"math/rand/v2"

	"weir/flow"
)

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
