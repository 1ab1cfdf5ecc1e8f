package query

import (
	"fmt"

	"weir/flow"
	"weir/store"
)

// roleFields are what rows with one of the addresses are looked at for, beside
// addresses and times.
var roleFields = flow.SetOf(flow.SrcPort, flow.DstPort, flow.Proto)

// A seenWorker looks for the addresses in one block after another.
type seenWorker struct {
	query   *seenQuery
	part    *seenPart // to which it adds
	hour    store.Hour
	columns columns
	cells   cells
	times   cells
	inside  bool // every row is in the window
	timely  bool // times were read, of some rows
	timed   bool // every row has a start and an end
	ported  bool // every row has ports and a protocol

	source, destination seenEnd
	wanted              rowSet // scratch of load

	peers []uint16 // codes of the rows' other ends, grouped by address
	codes codeSet
	batch seenBatch
}

// worker returns a seenWorker that adds to p. It is to be closed.
func (q *seenQuery) worker(p *seenPart) *seenWorker {
	s, _ := q.scratch.Get().(*seenWorker) // columns are large: they serve one run after another
	if s == nil {
		s = &seenWorker{query: q}
	}
	s.part = p
	s.batch.reset(len(q.addrs))
	return s
}

// close adds what was found to the part.
func (s *seenWorker) close() {
	s.settle()
	s.query.scratch.Put(s)
}

// settle adds what waits to the part.
func (s *seenWorker) settle() { s.batch.addTo(s.part, s.query) }

// block looks for the addresses in a block and counts them: all of the block or,
// if it is damaged, nothing.
func (s *seenWorker) block(b *seenBucket, number int) error {
	q, p := s.query, s.part
	blk, err := b.Block(number)
	if err != nil {
		return p.damage(fmt.Errorf("read block %d: %w", number, err))
	}
	if q.window.classify(blk.MinStart(), blk.MaxEnd()) == classNone {
		p.summary.BlocksPruned++
		return nil
	}
	s.hour = b.Hour()
	s.inside = q.window.classify(blk.MinStart(), blk.MaxEnd()) == classAll
	if err := s.read(blk, b.addrs); err != nil {
		return p.damage(err)
	}
	if len(s.batch.roles) >= maxBatchRows {
		s.settle()
	}
	return nil
}

// read looks at the block when all that is needed of it has been read.
func (s *seenWorker) read(blk *store.Block, addrs []int32) error {
	s.columns.open(blk)
	if err := s.source.find(&s.columns, flow.SrcAddr, s.query.addrs, addrs); err != nil {
		return err
	}
	if err := s.destination.find(&s.columns, flow.DstAddr, s.query.addrs, addrs); err != nil {
		return err
	}
	if len(s.source.hits)+len(s.destination.hits) == 0 {
		s.part.summary.BlocksPruned++
		return nil
	}
	s.source.collect()
	s.destination.collect()
	s.source.meet(&s.destination)
	if err := s.load(blk); err != nil {
		return err
	}
	s.part.summary.BlocksRead++
	s.side(&s.source, &s.destination, true)
	s.side(&s.destination, &s.source, false)
	return nil
}

// load reads what the rows with addresses are looked at for.
func (s *seenWorker) load(blk *store.Block) error {
	c := &s.columns
	s.timely = s.source.date(s, blk)
	s.timely = s.destination.date(s, blk) || s.timely
	if s.timely {
		s.wanted = rowSet{}
		s.source.addTo(&s.wanted, true)
		s.destination.addTo(&s.wanted, true)
		if err := s.times.loadOf(c, spanFields, &s.wanted, count(&s.wanted)); err != nil {
			return err
		}
		s.timed = c.full(flow.Start) && c.full(flow.End)
	}
	s.wanted = rowSet{}
	s.source.addTo(&s.wanted, false)
	s.destination.addTo(&s.wanted, false)
	s.ported = c.full(flow.SrcPort) && c.full(flow.DstPort) && c.full(flow.Proto)
	return s.cells.loadOf(c, roleFields, &s.wanted, count(&s.wanted))
}

// span returns the time that a row covers.
func (s *seenWorker) span(row int) (from, to uint64) {
	if s.timed {
		return flow.Span(0, s.times.nums[flow.Start][row], s.times.nums[flow.End][row], true, true)
	}
	return s.times.span(row)
}

// side counts the rows that have addresses at one end.
func (s *seenWorker) side(end, other *seenEnd, source bool) {
	if len(end.hits) == 0 {
		return
	}
	s.part.summary.RowsScanned += uint64(len(end.row))
	if !s.inside {
		end.keep(func(row, _ uint16) bool { return s.query.window.Holds(s.span(int(row))) })
	}
	for _, hit := range end.hit {
		end.hits[hit].ends++
	}
	if !source { // such a row was counted as one of the source
		end.keep(func(row, hit uint16) bool { return int32(other.codeOf(row)) != end.hits[hit].self })
	}
	s.part.summary.RowsMatched += uint64(len(end.row))
	s.look(end, other, source)
	for i := range end.hits {
		s.note(&end.hits[i], other, source)
	}
}

// look groups what the rows say by address, roles as the last of the batch.
func (s *seenWorker) look(end, other *seenEnd, source bool) {
	end.group()
	s.peers = sized(s.peers, len(end.row))
	roles := s.batch.newRoles(len(end.row))
	for i, row := range end.row {
		hit := &end.hits[end.hit[i]]
		s.peers[hit.next], roles[hit.next] = other.codeOf(row), s.role(int(row), source)
		hit.next++
	}
	if !s.timely {
		return
	}
	for i, row := range end.row {
		if hit := &end.hits[end.hit[i]]; hit.dated {
			from, to := s.span(int(row))
			hit.first, hit.last = min(hit.first, from), max(hit.last, to)
		}
	}
}

// note notes in the batch what the rows say of one address, of which the roles
// are there.
func (s *seenWorker) note(hit *seenHit, other *seenEnd, source bool) {
	if hit.ends == 0 {
		return
	}
	if hit.dated {
		s.query.spans[hit.addr].see(hit.first, hit.last)
	}
	for _, code := range s.codes.distinct(s.peers[hit.begin:hit.next], other.len()) {
		if a, known := other.addr(code); known {
			s.batch.peer(a)
		}
	}
	s.batch.note(hit.addr, seenNote{ends: hit.ends, records: hit.next - hit.begin, source: source, hour: s.hour})
}

// role returns the port that tells what the address was in a row.
func (s *seenWorker) role(row int, source bool) portRole {
	c := &s.cells
	if !s.ported && (!c.has(flow.SrcPort, row) || !c.has(flow.DstPort, row) || !c.has(flow.Proto, row)) {
		return 0
	}
	mine, other := c.nums[flow.SrcPort][row], c.nums[flow.DstPort][row]
	if !source {
		mine, other = other, mine
	}
	return roleOf(c.nums[flow.Proto][row], mine, other, source)
}
