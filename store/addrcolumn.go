package store

import (
	"slices"

	"weir/flow"
)

// An addrColumn is a column of addresses as the cache keeps it: its dictionary,
// with IPv4 addresses in 32 bits, and the code of every row.
type addrColumn struct {
	before int // addresses before the first of IPv4
	v4     []uint32
	others []flow.Addr // that are not IPv4
	codes  []uint16
}

func newAddrColumn(d *Dict) *addrColumn {
	first, after := d.FindAddr(flow.AddrFrom4(0), flow.AddrFrom4(^uint32(0)))
	c := &addrColumn{before: first, v4: make([]uint32, after-first), codes: slices.Clone(d.codes)}
	for i := range c.v4 {
		c.v4[i] = uint32(d.addrs[first+i].Lo)
	}
	c.others = slices.Concat(d.addrs[:first], d.addrs[after:])
	return c
}

// size returns about what memory the column takes.
func (c *addrColumn) size() int64 {
	return int64(4*len(c.v4) + 16*len(c.others) + 2*len(c.codes))
}

// addrColumnSize is the size of what newAddrColumn makes of d, if all is IPv4.
func addrColumnSize(d *Dict) int64 { return int64(4*d.n + 2*len(d.codes)) }

// len returns how many distinct addresses there are.
func (c *addrColumn) len() int { return len(c.v4) + len(c.others) }

// fill makes d the column's dictionary, without the codes.
func (c *addrColumn) fill(d *Dict) {
	d.reset()
	d.n = c.len()
	d.addrs = sized(d.addrs, d.n+1)[:d.n] // and one for fillAddrs
	copy(d.addrs, c.others[:c.before])
	for i, a := range c.v4 {
		d.addrs[c.before+i] = flow.AddrFrom4(a)
	}
	copy(d.addrs[c.before+len(c.v4):], c.others[c.before:])
}
