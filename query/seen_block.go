package query

import (
	"fmt"
	"sort"

	"weir/flow"
	"weir/store"
)

// A seenHit is the rows of a block that have one of the addresses at one end.
type seenHit struct {
	addr int // place in seenQuery.addrs
	rows []uint16
}

// seenFields are what rows with one of the addresses are looked at for, beside
// the addresses.
var seenFields = spanFields.Union(flow.SetOf(flow.SrcPort, flow.DstPort, flow.Proto))

// A seenBlock is a block in which some of the addresses occur.
type seenBlock struct {
	query   *seenQuery
	part    *seenPart
	hour    store.Hour
	columns columns
	cells   cells
	span    func(row int) (from, to uint64)
	inside  bool // every row is in the window
	ported  bool // every row has ports and a protocol
	matched uint64
}

// block looks for the addresses in a block and counts them in p: all of the
// block or, if it is damaged, nothing.
func (q *seenQuery) block(p *seenPart, b *seenBucket, number int) error {
	blk, err := b.Block(number)
	if err != nil {
		return p.damage(fmt.Errorf("read block %d: %w", number, err))
	}
	if q.window.classify(blk.MinStart(), blk.MaxEnd()) == classNone {
		p.summary.BlocksPruned++
		return nil
	}
	s, _ := q.scratch.Get().(*seenBlock) // columns are large: they serve one block after another
	if s == nil {
		s = &seenBlock{query: q}
	}
	defer q.scratch.Put(s)
	s.part, s.hour = p, b.Hour()
	s.inside, s.matched = q.window.classify(blk.MinStart(), blk.MaxEnd()) == classAll, 0
	if err := s.read(blk, b.addrs); err != nil {
		return p.damage(err)
	}
	return nil
}

func (s *seenBlock) read(blk *store.Block, addrs []int32) error {
	s.columns.open(blk)
	sources, sourceCodes, err := s.columns.dict(flow.SrcAddr)
	if err != nil {
		return err
	}
	destinations, destinationCodes, err := s.columns.dict(flow.DstAddr)
	if err != nil {
		return err
	}
	asSource, asDestination := s.query.hits(sources, addrs), s.query.hits(destinations, addrs)
	if len(asSource)+len(asDestination) == 0 {
		s.part.summary.BlocksPruned++
		return nil
	}
	if err := s.cells.load(&s.columns, seenFields); err != nil {
		return err
	}
	if s.span, err = s.columns.spans(); err != nil {
		return err
	}
	s.ported = s.columns.full(flow.SrcPort) && s.columns.full(flow.DstPort) && s.columns.full(flow.Proto)
	s.part.summary.BlocksRead++
	s.side(asSource, seenPeers{destinations, destinationCodes}, true)
	s.side(asDestination, seenPeers{sources, sourceCodes}, false)
	s.part.summary.RowsMatched += s.matched
	return nil
}

// hits returns which of the addresses in those places, nil: of all addresses, a
// dictionary has. Both lists ascend: the search for the next address begins
// where the last ended, in steps that double.
func (q *seenQuery) hits(d *store.Dict, places []int32) []seenHit {
	if d == nil {
		return nil
	}
	n := len(places)
	if places == nil {
		n = len(q.addrs)
	}
	var hits []seenHit
	values, at := d.Addrs(), 0
	for i := range n {
		if places != nil {
			i = int(places[i])
		}
		if at = gallopAddr(values, at, q.addrs[i]); at == len(values) {
			break
		}
		if values[at] == q.addrs[i] {
			hits = append(hits, seenHit{i, d.Rows(at)})
		}
	}
	return hits
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

// seenPeers gives the address at the other end of a row.
type seenPeers struct {
	dict  *store.Dict // nil: the block has none
	codes []uint16
}

func (p seenPeers) at(row uint16) (flow.Addr, bool) {
	if p.dict == nil || int(p.codes[row]) >= p.dict.Len() {
		return flow.Addr{}, false
	}
	return p.dict.Addr(int(p.codes[row])), true
}

// side counts the rows that have addresses at one end.
func (s *seenBlock) side(hits []seenHit, peers seenPeers, source bool) {
	for _, hit := range hits {
		t := s.part.tally(hit.addr)
		me := s.query.addrs[hit.addr]
		for _, row := range hit.rows {
			s.part.summary.RowsScanned++
			start, end := s.span(int(row))
			if !s.inside && !s.query.window.Holds(start, end) {
				continue
			}
			peer, known := peers.at(row)
			self := known && peer == me
			if source {
				t.asSource++
			} else {
				t.asDestination++
			}
			if self && !source {
				continue // counted as source already
			}
			s.matched++
			t.see(start, end, s.hour, s.query.hours)
			if known {
				t.peers.add(peer, s.query.exact)
			}
			s.role(t, int(row), source)
		}
	}
}

// role counts the port that tells what the address was.
func (s *seenBlock) role(t *seenTally, row int, source bool) {
	c := &s.cells
	if !s.ported && (!c.has(flow.SrcPort, row) || !c.has(flow.DstPort, row) || !c.has(flow.Proto, row)) {
		return
	}
	proto := c.nums[flow.Proto][row]
	if !hasPorts(proto) {
		return
	}
	mine, other := c.nums[flow.SrcPort][row], c.nums[flow.DstPort][row]
	if !source {
		mine, other = other, mine
	}
	if mine < other || mine == other && !source {
		t.server.add(uint8(proto), uint16(mine), 1)
	} else {
		t.client.add(uint8(proto), uint16(other), 1)
	}
}

// hasPorts reports whether a protocol has ports: TCP, UDP, DCCP, SCTP, UDP-Lite.
func hasPorts(proto uint64) bool {
	switch proto {
	case 6, 17, 33, 132, 136:
		return true
	}
	return false
}
