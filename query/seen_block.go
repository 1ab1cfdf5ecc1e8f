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
	inside  bool   // every row is in the window
	timely  bool   // times were read, of some rows
	timed   bool   // every row has a start and an end
	ported  rowSet // rows that have ports and a protocol

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
	if err := s.cells.loadOf(c, roleFields, &s.wanted, count(&s.wanted)); err != nil {
		return err
	}
	s.findPorted()
	return nil
}

// findPorted finds the rows that have ports and a protocol.
func (s *seenWorker) findPorted() {
	fill(&s.ported, s.columns.rows)
	for f := range roleFields.All {
		some := s.cells.some[f]
		switch {
		case !s.cells.fields.Has(f):
			s.ported = rowSet{}
		case some != nil:
			for i, word := range some {
				s.ported[i] &= word
			}
		}
	}
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
		end.keep(func(row int) bool { return s.query.window.Holds(s.span(row)) })
	}
	if !source { // such a row was counted as one of the source
		end.leaveBoth(other.codes)
	}
	s.part.summary.RowsMatched += uint64(len(end.row))
	s.look(end, other, source)
	s.date(end)
	begin := uint32(0)
	for i, next := range end.next {
		s.note(&end.hits[i], s.peers[begin:next], other, source)
		begin = next
	}
}

// look groups what the rows say by address, roles as the last of the batch.
func (s *seenWorker) look(end, other *seenEnd, source bool) {
	end.group()
	s.peers = sized(s.peers, len(end.row))
	roles := s.batch.newRoles(len(end.row))
	mine, theirs, proto := s.cells.nums[flow.SrcPort], s.cells.nums[flow.DstPort], s.cells.nums[flow.Proto]
	if !source {
		mine, theirs = theirs, mine
	}
	for i, row := range end.row {
		hit := end.hit[i]
		at := end.next[hit]
		end.next[hit]++
		s.peers[at] = other.codes[row]
		roles[at] = 0
		if s.ported[row>>6]>>(row&63)&1 != 0 {
			roles[at] = roleOf(proto[row], mine[row], theirs[row], source)
		}
	}
}

// date finds the first and last times of the addresses of which they matter.
func (s *seenWorker) date(end *seenEnd) {
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
// are there. peers are the codes of the other ends.
func (s *seenWorker) note(hit *seenHit, peers []uint16, other *seenEnd, source bool) {
	records := uint32(len(peers))
	if records+hit.both == 0 {
		return
	}
	if hit.dated {
		s.query.spans[hit.addr].see(hit.first, hit.last)
	}
	for _, code := range s.codes.distinct(peers, other.len()) {
		if a, known := other.addr(code); known {
			s.batch.peer(a)
		}
	}
	s.batch.note(hit.addr, seenNote{ends: records + hit.both, records: records, source: source, hour: s.hour})
}
