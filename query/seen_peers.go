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
	v4     addrSet[addr4]
	v6     addrSet[addr6] // all that are not IPv4
	factor uint64         // what addresses fall on the same slots is nobody's to know
	ranks  []uint8        // nil while exact
}

const sketchBits = 12

// add4 adds an IPv4 address. More than most are not counted exactly.
func (c *addrCounter) add4(a addr4, most int) {
	if c.ranks != nil {
		c.sketch(flow.AddrFrom4(uint32(a)))
		return
	}
	c.v4.add(a, c.salt())
	c.bound(most)
}

// add6 adds any other address.
func (c *addrCounter) add6(a addr6, most int) {
	if c.ranks != nil {
		c.sketch(flow.Addr(a))
		return
	}
	c.v6.add(a, c.salt())
	c.bound(most)
}

// salt returns the factor.
func (c *addrCounter) salt() uint64 {
	if c.factor == 0 {
		c.factor = rand.Uint64() | 1
	}
	return c.factor
}

// bound goes over to the sketch if there are more than most.
func (c *addrCounter) bound(most int) {
	if c.len() > most {
		c.estimate()
	}
}

func (c *addrCounter) len() int { return c.v4.len() + c.v6.len() }

// estimate goes over to the sketch.
func (c *addrCounter) estimate() {
	c.ranks = make([]uint8, 1<<sketchBits)
	for a := range c.v4.all {
		c.sketch(flow.AddrFrom4(uint32(a)))
	}
	for a := range c.v6.all {
		c.sketch(flow.Addr(a))
	}
	c.v4, c.v6 = addrSet[addr4]{}, addrSet[addr6]{}
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
		for a := range from.v4.all {
			c.add4(a, most)
		}
		for a := range from.v6.all {
			c.add6(a, most)
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

// A codeSet finds the distinct ones among codes of a block.
type codeSet struct {
	bits []uint64
	list []uint16
}

// manyCodes is from how many codes on it pays to look for those that come twice.
const manyCodes = 64

// distinct returns codes up to n, each once if they are many. The result is good
// until the next call.
func (s *codeSet) distinct(codes []uint16, n int) []uint16 {
	if len(codes) < manyCodes {
		return codes
	}
	s.bits = sizedWords(s.bits, n/64+1)
	for _, code := range codes {
		s.bits[code>>6] |= 1 << (code & 63)
	}
	s.list = s.list[:0]
	for i, word := range s.bits {
		for ; word != 0; word &= word - 1 {
			s.list = append(s.list, uint16(i<<6+bits.TrailingZeros64(word)))
		}
	}
	return s.list
}
