package query

// runs are groups of one worker that wait outside its pending, by shard: what
// was there twice has been added up. They are kept until the end, or until they
// take too much memory, so that all that belongs to one shard is added to it at
// once: the shard is then in the cache, and no other worker wants it.
//
// An entry is 32-bit words: those of the key, records, bytes and packets. What
// does not fit goes to the table at once.
type runs struct {
	of    [shardCount][][]uint32
	bytes int64 // that they take
	most  int64 // that they may take
	ever  int64 // that they have taken, with those that are gone
}

const (
	runWidth = 5
	runBytes = runWidth * 4

	mostRuns = 160 << 20 // that may be taken by all workers
)

// spill moves what waits for a shard to the runs.
func (p *pending) spill(i int) error {
	rows := p.waiting(i)
	size := int64(len(rows) / plainWidth * runBytes)
	if p.runs.bytes+size > p.runs.most {
		if err := p.drainRuns(); err != nil {
			return err
		}
		if size > p.runs.most {
			return p.drain(i)
		}
	}
	if err := p.table.account(&p.table.shards[i], size); err != nil {
		return err
	}
	p.n[i] = 0
	p.runs.bytes += size
	p.runs.ever += size
	run := make([]uint32, 0, len(rows)/plainWidth*runWidth)
	for ; len(rows) > 0; rows = rows[plainWidth:] {
		key, records, bytes, packets := rows[0], rows[1+atRecords], rows[1+atBytes], rows[1+atPackets]
		if (records|bytes|packets)>>32 != 0 {
			if err := p.table.addRows(i, rows[:plainWidth]); err != nil {
				return err
			}
			continue
		}
		run = append(run, uint32(key), uint32(key>>32), uint32(records), uint32(bytes), uint32(packets))
	}
	p.runs.of[i] = append(p.runs.of[i], run)
	return nil
}

// drainRuns adds the runs to the table, where other workers may be busy.
func (p *pending) drainRuns() error {
	for i := range shardCount {
		s := &p.table.shards[i]
		s.mu.Lock()
		err := p.addRuns(s, i)
		s.mu.Unlock()
		if err != nil {
			return err
		}
	}
	p.table.bytes.Add(-p.runs.bytes)
	p.runs.bytes = 0
	return nil
}

// addRuns adds the runs of a shard to it and lets them go.
func (p *pending) addRuns(s *shard, i int) error {
	var rows [prefetchRows * plainWidth]uint64
	for _, run := range p.runs.of[i] {
		for len(run) > 0 {
			n := min(prefetchRows, len(run)/runWidth)
			for k := range n {
				e, row := (*[runWidth]uint32)(run[k*runWidth:]), (*[plainWidth]uint64)(rows[k*plainWidth:])
				row[0] = uint64(e[0]) | uint64(e[1])<<32
				row[1+atRecords], row[1+atBytes], row[1+atPackets] = uint64(e[2]), uint64(e[3]), uint64(e[4])
			}
			if err := p.table.addPlain(s, rows[:n*plainWidth]); err != nil {
				return err
			}
			run = run[n*runWidth:]
		}
	}
	p.runs.of[i] = nil
	return nil
}

// collect adds to a shard what waits for it in any pending. The workers must
// have ended.
func (t *groupTable) collect(i int, from []*pending) error {
	s := &t.shards[i]
	for _, p := range from {
		released := int64(0)
		for _, run := range p.runs.of[i] {
			released += int64(len(run)) * 4
		}
		if err := p.addRuns(s, i); err != nil {
			return err
		}
		t.bytes.Add(-released)
		if err := p.drain(i); err != nil {
			return err
		}
	}
	return nil
}

// fold adds up what waits for a shard more than once.
func (p *pending) fold(i int) {
	const mask = 2*mostPending - 1
	if p.slots == nil {
		p.slots = new([2 * mostPending]uint16)
	}
	slots := p.slots
	clear(slots[:])
	rows, n := p.waiting(i), 0
next:
	for from := 0; from < len(rows); from += plainWidth {
		row := (*[plainWidth]uint64)(rows[from:])
		at := hashWord(p.table.seed, row[0]) & mask
		for ; slots[at&mask] != 0; at++ {
			to := (*[plainWidth]uint64)(rows[(int(slots[at&mask])-1)*plainWidth:])
			if to[0] == row[0] {
				to[1] += row[1]
				to[2] += row[2]
				to[3] += row[3]
				continue next
			}
		}
		*(*[plainWidth]uint64)(rows[n*plainWidth:]) = *row
		n++
		slots[at&mask] = uint16(n)
	}
	p.n[i] = n
}
