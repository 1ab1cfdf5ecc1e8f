package store

import (
	"math/bits"
	"slices"

	"weir/flow"
)

// An addrCoder finds the sorted distinct addresses of a column and the code of
// each row. It keeps its memory.
type addrCoder struct {
	slots  []uint32 // hash table: 1 + place in found; 0 is free
	found  []flow.Addr
	keys   []uint64 // IPv4 bits and place in found, to sort
	tmp    []uint64
	others []uint32 // places of addresses that are not IPv4
	rank   []uint16 // code by place in found
	values []flow.Addr
}

const (
	slotBits = 17 // twice as many slots as rows
	slotMask = 1<<slotBits - 1
)

func hashAddr(a flow.Addr) uint64 {
	return ((a.Lo ^ bits.RotateLeft64(a.Hi*0x9e3779b97f4a7c15, 29)) * 0xd6e8feb86659fd93) >> (64 - slotBits)
}

// code returns the distinct addresses of v, ascending, and fills codes with the
// place of each in them. The result is good until the next call.
func (c *addrCoder) code(v []flow.Addr, codes []uint16) []flow.Addr {
	c.find(v, codes)
	c.sortFound()
	for i, place := range codes {
		codes[i] = c.rank[place]
	}
	return c.values
}

// find lists the distinct addresses in the order they are met.
func (c *addrCoder) find(v []flow.Addr, places []uint16) {
	slots := grow(&c.slots, 1<<slotBits)
	clear(slots)
	found := c.found[:0]
	for i, a := range v {
		if i > 0 && a == v[i-1] { // exporters, and much of what they see
			places[i] = places[i-1]
			continue
		}
		at := hashAddr(a)
		for {
			slot := slots[at&slotMask]
			if slot == 0 {
				found = append(found, a)
				slots[at&slotMask] = uint32(len(found))
				places[i] = uint16(len(found) - 1)
				break
			}
			if found[slot-1] == a {
				places[i] = uint16(slot - 1)
				break
			}
			at++
		}
	}
	c.found = found
}

// sortFound brings them in order: IPv4 addresses, nearly all, by radix.
func (c *addrCoder) sortFound() {
	keys, others := c.keys[:0], c.others[:0]
	for place, a := range c.found {
		if a.Is4() {
			keys = append(keys, uint64(a.As4())<<16|uint64(place))
		} else {
			others = append(others, uint32(place))
		}
	}
	flow.SortByBits(keys, grow(&c.tmp, len(keys)), 16, 32)
	slices.SortFunc(others, func(a, b uint32) int { return c.found[a].Compare(c.found[b]) })
	c.keys, c.others = keys, others

	rank, values := grow(&c.rank, len(c.found)), c.values[:0]
	place := func(at uint32) {
		rank[at] = uint16(len(values))
		values = append(values, c.found[at])
	}
	i := 0
	for ; i < len(others) && c.found[others[i]].Less(flow.AddrFrom4(0)); i++ {
		place(others[i])
	}
	for _, k := range keys {
		place(uint32(k & 0xffff))
	}
	for ; i < len(others); i++ {
		place(others[i])
	}
	c.values = values
}

// A numCoder does the same for numbers.
type numCoder struct {
	mark   []uint16 // 16-bit values: code by value
	used   []uint64 // bits by value
	values []uint64
}

// code returns the distinct values of v, ascending, and fills codes with the
// place of each in them. r is the range of v. The result is good until the next
// call.
func (c *numCoder) code(v []uint64, r valueRange, codes []uint16) []uint64 {
	if r.hi >= BlockRows {
		return c.codeWide(v, codes)
	}
	used, mark := grow(&c.used, BlockRows/64), grow(&c.mark, BlockRows)
	clear(used)
	for _, x := range v {
		used[x>>6] |= 1 << (x & 63)
	}
	values := c.values[:0]
	for w, word := range used {
		for ; word != 0; word &= word - 1 {
			x := w<<6 + bits.TrailingZeros64(word)
			mark[x] = uint16(len(values))
			values = append(values, uint64(x))
		}
	}
	for i, x := range v {
		codes[i] = mark[x]
	}
	c.values = values
	return values
}

// codeWide is code for values that no exporter should send in a 16-bit field.
func (c *numCoder) codeWide(v []uint64, codes []uint16) []uint64 {
	values := append(c.values[:0], v...)
	slices.Sort(values)
	values = slices.Compact(values)
	for i, x := range v {
		at, _ := slices.BinarySearch(values, x)
		codes[i] = uint16(at)
	}
	c.values = values
	return values
}
