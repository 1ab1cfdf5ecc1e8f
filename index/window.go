package index

import (
	"math/bits"
	"slices"

	"weir/flow"
)

// IPv4 addresses, nearly all values of an hour, are merged a window at a time: a
// range of addresses whose values in all runs fit the cache. Values and blocks
// become keys there, which are sorted by counting; a tournament takes several
// times as long, for seven comparisons a value that nothing foretells.
//
//	key  +----------------------------+------------+
//	     | value less the window's    | block (16) |
//	     | first (32)                 |            |
//	     +----------------------------+------------+
const (
	windowKeys = 1 << 15 // that a window is meant to have, 256 KiB
	windowMost = 1 << 18 // more than that, and it is made narrower
	blockBits  = 16
)

var firstIPv4, lastIPv4 = flow.AddrFrom4(0), flow.AddrFrom4(^uint32(0))

// A windowMerger merges the IPv4 addresses that come next in some cursors. All
// of them stand behind the addresses before IPv4.
type windowMerger struct {
	cursors []cursor // by ascending block
	began   []cursor // as they were when the window began
	keys    []uint64
	sorted  []uint64 // memory to sort with
	blocks  []uint32
}

// merge calls add for every IPv4 address with the blocks that have it, both
// ascending. The cursors are left at what comes after IPv4.
func (m *windowMerger) merge(add func(v flow.Addr, blocks []uint32) error) error {
	for {
		first, ok := m.first()
		if !ok {
			return nil
		}
		last := m.take(first, m.last())
		if err := m.emit(first, last, add); err != nil {
			return err
		}
	}
}

// first returns the smallest IPv4 address that is left.
func (m *windowMerger) first() (least flow.Addr, ok bool) {
	for i := range m.cursors {
		c := &m.cursors[i]
		if !c.done && !lastIPv4.Less(c.value) && (!ok || c.value.Less(least)) {
			least, ok = c.value, true
		}
	}
	return least, ok
}

// last returns where the window is to end: with its share of the run of which
// most is left, the others being much alike.
func (m *windowMerger) last() flow.Addr {
	ahead := cursor{done: true}
	for i := range m.cursors {
		if c := &m.cursors[i]; !c.done && !lastIPv4.Less(c.value) && (ahead.done || len(c.data) > len(ahead.data)) {
			ahead = *c
		}
	}
	for range windowKeys/len(m.cursors) + 1 {
		if !ahead.advance() {
			return lastIPv4
		}
	}
	if lastIPv4.Less(ahead.value) {
		return lastIPv4
	}
	return ahead.value
}

// take makes keys of all values from first to last, or to less than last if
// these are too many; it returns to where.
func (m *windowMerger) take(first, last flow.Addr) flow.Addr {
	m.began = append(m.began[:0], m.cursors...)
	for !m.takeTo(first.Lo, last) {
		copy(m.cursors, m.began)
		last.Lo = max(first.Lo, last.Lo-(last.Lo-first.Lo)/2-1)
	}
	return last
}

// takeTo makes keys of all values from base to last, and reports whether they
// are not too many. Those of base alone never are: there is one of them a run.
func (m *windowMerger) takeTo(base uint64, last flow.Addr) bool {
	m.keys = m.keys[:0]
	for i := range m.cursors {
		c := &m.cursors[i]
		for !c.done && !last.Less(c.value) {
			if len(m.keys) == windowMost {
				return false
			}
			m.keys = append(m.keys, (c.value.Lo-base)<<blockBits|uint64(c.block))
			c.advance()
		}
	}
	return true
}

// emit calls add for the values of the window from first to last.
func (m *windowMerger) emit(first, last flow.Addr, add func(v flow.Addr, blocks []uint32) error) error {
	m.sorted = slices.Grow(m.sorted[:0], len(m.keys))[:len(m.keys)]
	flow.SortByBits(m.keys, m.sorted, blockBits, bits.Len64(last.Lo-first.Lo))
	for i := 0; i < len(m.keys); {
		value := m.keys[i] >> blockBits
		blocks := m.blocks[:0]
		for ; i < len(m.keys) && m.keys[i]>>blockBits == value; i++ {
			block := uint32(m.keys[i] & (1<<blockBits - 1))
			if n := len(blocks); n == 0 || blocks[n-1] != block { // two runs may be of one block
				blocks = append(blocks, block)
			}
		}
		m.blocks = blocks
		if err := add(flow.Addr{Hi: first.Hi, Lo: first.Lo + value}, blocks); err != nil {
			return err
		}
	}
	return nil
}
