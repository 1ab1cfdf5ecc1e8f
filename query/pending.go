package query

import "unsafe"

// A pending is groups of one worker that wait to be added to a table, by shard.
// To add one group to a large table is to wait for memory several times; to add
// many that belong to one shard is to wait for all of them at once, and for a
// part of memory that stays in the cache meanwhile. What does not fit moves to
// runs.
//
// It serves tables whose keys are one word and which keep nothing rare (see
// plain). An entry is laid out as a row of a shard is: key, records, bytes and
// packets.
//
// Where keys are small numbers, as those of ports and protocols are, their sums
// are kept in a list by key and added in the end: nothing is hashed nor looked
// for.
type pending struct {
	table *groupTable
	most  int      // entries of a shard that may wait
	rows  []uint64 // of shard i from i*most*plainWidth on
	n     [shardCount]int
	small []acc // by key; nil: keys may be large
	runs  runs
	slots *[2 * mostPending]uint16 // for fold: place+1 by hash, 0: free
}

const (
	plainWidth = 1 + rowSums

	leastPending = 8    // entries of a shard, of few groups
	mostPending  = 1024 // of many: 8 MiB in all
)

// smallBits is the width of the keys that are small: a port and whether it is
// there.
const smallBits = 17

// newPending returns a pending for the keys of a layout.
func (t *groupTable) newPending(l *layout) pending {
	p := pending{table: t, runs: runs{most: min(mostRuns, t.max/4) / int64(workers())}}
	const bytes = int64(unsafe.Sizeof(acc{})) << smallBits
	if used := l.bits(); t.plain() && used <= smallBits && bytes <= t.max/16 {
		p.small = make([]acc, 1<<used)
	}
	return p
}

// plain reports whether groups may wait in a pending.
func (t *groupTable) plain() bool { return t.words == 1 && !t.times && t.pairs == 0 }

// add puts a group among those that wait.
func (p *pending) add(key, records, bytes, packets uint64) error {
	if key < uint64(len(p.small)) {
		a := &p.small[key]
		a.records += records
		a.bytes += bytes
		a.packets += packets
		return nil
	}
	return p.wait(key, records, bytes, packets)
}

// wait is add for keys that are not small.
func (p *pending) wait(key, records, bytes, packets uint64) error {
	s := hashWord(p.table.seed, key) >> (64 - shardBits)
	if p.n[s] == p.most {
		if err := p.full(int(s)); err != nil {
			return err
		}
	}
	at := (int(s)*p.most + p.n[s]) * plainWidth
	row := p.rows[at : at+plainWidth : at+plainWidth]
	row[0], row[1+atRecords], row[1+atBytes], row[1+atPackets] = key, records, bytes, packets
	p.n[s]++
	return nil
}

// full makes room for another entry of a shard: in more memory if that is there
// to be had, by adding the shard's entries up if not. If that does not help,
// they move to the runs.
func (p *pending) full(s int) error {
	if p.most == mostPending {
		p.fold(s)
		if p.n[s] <= mostPending/2 {
			return nil
		}
		return p.spill(s)
	}
	most := leastPending // then 128, 1024: each leaves the memory before it behind
	if p.most > 0 {
		most = min(16*p.most, mostPending)
	}
	more := int64(most-p.most) * shardCount * plainWidth * 8
	if p.most > 0 && p.table.bytes.Load()+more > p.table.max/4 {
		return p.drainAll(s)
	}
	if err := p.table.account(&p.table.shards[s], more); err != nil {
		return err
	}
	rows := make([]uint64, shardCount*most*plainWidth)
	for i := range shardCount {
		copy(rows[i*most*plainWidth:], p.waiting(i))
	}
	p.most, p.rows = most, rows
	return nil
}

// settle puts the groups of small keys where the others wait.
func (p *pending) settle() error {
	for key, a := range p.small {
		if a.records == 0 {
			continue
		}
		if err := p.wait(uint64(key), a.records, a.bytes, a.packets); err != nil {
			return err
		}
	}
	p.small = nil
	return nil
}

// waiting returns the entries of a shard.
func (p *pending) waiting(i int) []uint64 {
	at := i * p.most * plainWidth
	return p.rows[at : at+p.n[i]*plainWidth]
}

// drainAll adds all that waits to the table, runs apart, beginning at a shard of
// the caller's choice so that workers meet less often.
func (p *pending) drainAll(begin int) error {
	for i := range shardCount {
		if err := p.drain((begin + i) % shardCount); err != nil {
			return err
		}
	}
	return nil
}

// drain adds what waits for a shard to it.
func (p *pending) drain(i int) error {
	rows := p.waiting(i)
	p.n[i] = 0
	return p.table.addRows(i, rows)
}

// addRows adds any number of entries to a shard.
func (t *groupTable) addRows(i int, rows []uint64) error {
	if len(rows) == 0 {
		return nil
	}
	s := &t.shards[i]
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(rows) > 0 {
		n := min(prefetchRows*plainWidth, len(rows))
		if err := t.addPlain(s, rows[:n]); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

// addPlain adds at most prefetchRows entries to a shard.
func (t *groupTable) addPlain(s *shard, rows []uint64) error {
	for (s.n+prefetchRows)*4 > len(s.slots)*3 {
		if err := t.grow(s); err != nil {
			return err
		}
	}
	var hashes [prefetchRows]uint64
	for i := range len(rows) / plainWidth {
		hashes[i] = hashWord(t.seed, rows[i*plainWidth])
	}
	t.prefetch(s, hashes[:len(rows)/plainWidth])
	for i := 0; len(rows) > 0; i, rows = i+1, rows[plainWidth:] {
		g, row, err := t.findPlain(s, rows[0], hashes[i])
		if err != nil {
			return err
		}
		for k := 1; k < plainWidth; k++ {
			row[k] += rows[k]
		}
		if s.flows != nil {
			s.flows[g] += rows[1+atRecords]
		}
		if s.estimated != nil {
			e := s.estimatesOf(g)
			e[atEstimates] += rows[1+atBytes]
			e[atEstimates+1] += rows[1+atPackets]
		}
	}
	return nil
}

// findPlain is find for keys of one word, in a shard that has room for another.
func (t *groupTable) findPlain(s *shard, key, hash uint64) (int, []uint64, error) {
	tag, mask := tagOf(hash), uint64(len(s.slots)-1)
	at := hash & mask
	for ; ; at = (at + 1) & mask {
		v := s.slots[at]
		if v == 0 {
			break
		}
		if v&^groupMask != tag {
			continue
		}
		g := int(v&groupMask) - 1
		place := (g & (chunkRows - 1)) * plainWidth
		if row := s.chunks[g>>chunkBits][place : place+plainWidth : place+plainWidth]; row[0] == key {
			return g, row, nil
		}
	}
	g, err := t.newGroup(s, []uint64{key})
	if err != nil {
		return 0, nil, err
	}
	s.slots[at] = tag | uint32(g+1)
	return g, t.row(s, g), nil
}
