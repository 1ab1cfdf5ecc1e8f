package query

import (
	"math"
	"sort"

	"weir/flow"
	"weir/store"
)

// A seenEnd is one end of a block's rows, source or destination, and which of
// the addresses asked for are there. Rows are visited in their order, which is
// that of the columns; what is found in them is grouped by address then.
type seenEnd struct {
	dict  *store.Dict // nil: no row has an address at this end
	codes []uint16    // of the rows
	none  []uint16    // codes where there is no dictionary

	hits []seenHit // the addresses that are here, ascending
	slot []int32   // by code: the address's place in hits, and 1; 0: nobody asks for it

	wanted []uint64 // scratch of collectFew: a bit a code

	row []uint16 // rows with one of the addresses, ascending
	hit []uint16 // of each, the address's place in hits

	// By place in hits, apart from them, so that the innermost loops go over little
	// memory:
	self []int32  // the address's code at the other end; -1: it is not there
	next []uint32 // where its group ends, of what was put there yet
}

// A seenHit is one of the addresses at one end of a block's rows.
type seenHit struct {
	addr        int32  // place in seenQuery.addrs
	code        int32  // at this end
	both        uint32 // rows left out here: they have it at the other end as well
	dated       bool   // its rows' times matter
	first, last uint64 // ms, over its group if that is dated
}

// find reads the end of the current block and looks for the addresses in those
// places, nil: for all addresses. Both lists ascend: the search for the next
// address begins where the last ended, in steps that double.
func (e *seenEnd) find(c *columns, f flow.Field, addrs []flow.Addr, places []int32) (err error) {
	e.hits = e.hits[:0]
	if e.dict, e.codes, err = c.dict(f); err != nil {
		return err
	}
	if e.dict == nil {
		e.none = sized(e.none, c.rows)
		e.codes = e.none
		return nil
	}
	e.slot = sized(e.slot, e.dict.Len()+1) // and one for rows without the address
	clear(e.slot)
	n := len(places)
	if places == nil {
		n = len(addrs)
	}
	values, at := e.dict.Addrs(), 0
	for i := range n {
		if places != nil {
			i = int(places[i])
		}
		if at = gallopAddr(values, at, addrs[i]); at == len(values) {
			break
		}
		if values[at] == addrs[i] {
			e.hits = append(e.hits, seenHit{addr: int32(i), code: int32(at), first: math.MaxUint64})
			e.slot[at] = int32(len(e.hits))
		}
	}
	return nil
}

// gallopAddr returns the first place from from on whose value is not below a.
func gallopAddr(values []flow.Addr, from int, a flow.Addr) int {
	step := 1
	for from+step < len(values) && values[from+step].Less(a) {
		from, step = from+step, 2*step
	}
	end := min(from+step+1, len(values))
	return from + sort.Search(end-from, func(k int) bool { return !values[from+k].Less(a) })
}

// collect lists the rows that have one of the addresses.
func (e *seenEnd) collect() {
	e.row, e.hit = e.row[:0], e.hit[:0]
	switch {
	case len(e.hits) == 0:
	case len(e.hits) <= e.dict.Len()/fewOf:
		e.collectFew()
	default:
		e.collectMany()
	}
}

// collectFew is collect of addresses that few rows have, as it seems.
func (e *seenEnd) collectFew() {
	e.wanted = sizedWords(e.wanted, e.dict.Len()/64+1)
	for i := range e.hits {
		code := e.hits[i].code
		e.wanted[code>>6] |= 1 << (code & 63)
	}
	wanted := e.wanted
	for row, code := range e.codes {
		if wanted[code>>6]>>(code&63)&1 != 0 {
			e.row, e.hit = append(e.row, uint16(row)), append(e.hit, uint16(e.slot[code]-1))
		}
	}
}

// collectMany is collect without branches: which rows have one of many addresses
// is anybody's guess.
func (e *seenEnd) collectMany() {
	e.row, e.hit = sized(e.row, len(e.codes)), sized(e.hit, len(e.codes))
	n := 0
	for row, code := range e.codes {
		slot := e.slot[code]
		e.row[n], e.hit[n] = uint16(row), uint16(slot-1)
		n += int(uint32(-slot) >> 31)
	}
	e.row, e.hit = e.row[:n], e.hit[:n]
}

// date notes of which addresses the times matter, and reports whether there are
// any: if the window cuts through the block, or of those for which the block may
// have something earlier or later than what is known of them.
func (e *seenEnd) date(s *seenWorker, blk *store.Block) (any bool) {
	for i := range e.hits {
		hit := &e.hits[i]
		hit.dated = !s.inside || !s.query.spans[hit.addr].covers(blk.MinStart(), blk.MaxEnd())
		any = any || hit.dated
	}
	return any
}

// addTo adds the rows that have one of the addresses to a set, or only those of
// which the times matter.
func (e *seenEnd) addTo(set *rowSet, dated bool) {
	for i, row := range e.row {
		if !dated || e.hits[e.hit[i]].dated {
			set[row>>6] |= 1 << (row & 63)
		}
	}
}

// meet notes which addresses are at both ends.
func (e *seenEnd) meet(other *seenEnd) {
	e.strange()
	other.strange()
	j := 0
	for i := range e.hits {
		for j < len(other.hits) && other.hits[j].addr < e.hits[i].addr {
			j++
		}
		if j < len(other.hits) && other.hits[j].addr == e.hits[i].addr {
			e.self[i], other.self[j] = other.hits[j].code, e.hits[i].code
		}
	}
}

// strange forgets which addresses are at the other end.
func (e *seenEnd) strange() {
	e.self = sized(e.self, len(e.hits))
	for i := range e.self {
		e.self[i] = -1
	}
}

// keep leaves out the rows for which wanted is false.
func (e *seenEnd) keep(wanted func(row int) bool) {
	n := 0
	for i, row := range e.row {
		if wanted(int(row)) {
			e.row[n], e.hit[n] = row, e.hit[i]
			n++
		}
	}
	e.row, e.hit = e.row[:n], e.hit[:n]
}

// leaveBoth leaves out the rows that have their address at the other end, whose
// codes are given, as well.
func (e *seenEnd) leaveBoth(codes []uint16) {
	n := 0
	for i, row := range e.row {
		hit := e.hit[i]
		if int32(codes[row]) == e.self[hit] {
			e.hits[hit].both++
			continue
		}
		e.row[n], e.hit[n] = row, hit
		n++
	}
	e.row, e.hit = e.row[:n], e.hit[:n]
}

// group makes room for what is found in the rows: each address has as many places
// as it has rows, from next on.
func (e *seenEnd) group() {
	e.next = sized(e.next, len(e.hits))
	clear(e.next)
	for _, hit := range e.hit {
		e.next[hit]++
	}
	at := uint32(0)
	for i, n := range e.next {
		e.next[i], at = at, at+n
	}
}

// addr returns the address of a code, and false where the row has none.
func (e *seenEnd) addr(code uint16) (flow.Addr, bool) {
	if int(code) >= e.len() {
		return flow.Addr{}, false
	}
	return e.dict.Addr(int(code)), true
}

// len returns how many addresses there are at this end.
func (e *seenEnd) len() int {
	if e.dict == nil {
		return 0
	}
	return e.dict.Len()
}

// sized returns a slice of n elements, in dst's memory if it is large enough; the
// content is undefined.
func sized[T any](dst []T, n int) []T {
	if cap(dst) < n {
		return make([]T, n)
	}
	return dst[:n]
}
