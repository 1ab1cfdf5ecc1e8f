package query

import "unsafe"

// A pending is groups of one worker that wait to be added to a table, by shard.
// To add one group to a large table is to wait for memory; to add many that
// belong to one shard is to wait for all of them at once, and for a part of memory
// that stays in the cache meanwhile.
//
// It serves tables whose keys are one word and which keep nothing rare (see
// plain).
//
// Where keys are small numbers, as those of ports and protocols are, their sums
// are kept in a list by key and added in the end: nothing is hashed nor looked
// for.
type pending struct {
	table *groupTable
	small []packedSums // by key, 0: none; nil: keys may be large
	runs  runs

	// What is too large for runs.
	most int            // entries of a shard that may wait
	rows []keySum[word] // of shard i from i*most on
	n    [shardCount]int
}

const (
	leastPending = 8 // entries of a shard, of few groups
	mostPending  = 64

	wordBytes = int64(unsafe.Sizeof(keySum[word]{}))
)

// smallBits is the width of the keys that are small: a port and whether it is
// there.
const smallBits = 17

// newPending returns a pending for the keys of a layout.
func (t *groupTable) newPending(l *layout) pending {
	p := pending{table: t, runs: newRuns(min(mostRunBytes, t.max/4) / int64(workers()))}
	const bytes = int64(unsafe.Sizeof(packedSums(0))) << smallBits
	if used := l.bits(); t.plain() && used <= smallBits && bytes <= t.max/16 {
		p.small = make([]packedSums, 1<<used)
	}
	return p
}

// plain reports whether groups may wait in a pending.
func (t *groupTable) plain() bool { return t.words == 1 && !t.times && t.pairs == 0 }

// add puts a group among those that wait.
func (p *pending) add(key uint64, a *acc) error {
	sums, fits := a.pack()
	if !fits {
		hash := p.table.mixer.mix(key)
		return p.table.compact[shardOf(hash)].addWhole(word(hash), *a)
	}
	if key < uint64(len(p.small)) {
		if both := p.small[key] + sums; both&tooLarge == 0 {
			p.small[key] = both
			return nil
		}
	}
	return p.wait(key, sums)
}

// addRecords adds one record for each key, whose row has its bytes and packets.
func (p *pending) addRecords(keys []uint64, rows []uint16, c *counters) error {
	m, r := p.table.mixer, &p.runs // copied, so that it stays in registers
	canRun := r.most > 0 && len(p.small) == 0
	keys = keys[:len(rows)]
	for i, row := range rows {
		bytes, packets := c.bytes[row], c.packets[row]
		if !canRun || bytes>>runByteBits|packets>>runPacketBits != 0 {
			if err := p.add(keys[i], &acc{1, bytes, packets}); err != nil {
				return err
			}
			continue
		}
		hash := m.mix(keys[i])
		s := shardOf(hash)
		if r.n[s] == runEntries {
			if err := p.nextRun(int(s)); err != nil {
				return err
			}
		}
		r.put(s, recordEntry(hash, bytes, packets))
	}
	return nil
}

// wait is add for keys that are not small and sums that fit.
func (p *pending) wait(key uint64, sums packedSums) error {
	hash := p.table.mixer.mix(key)
	s := shardOf(hash)
	if sums&^inRun != 0 || p.runs.most == 0 {
		return p.waitLarge(int(s), hash, sums)
	}
	if p.runs.n[s] == runEntries {
		if err := p.nextRun(int(s)); err != nil {
			return err
		}
	}
	p.runs.put(s, newRunEntry(hash, sums))
	return nil
}

// nextRun makes room in the runs of a shard: it adds the one that is full if the
// shard is small, or begins another.
func (p *pending) nextRun(i int) error {
	s, r := &p.table.compact[i], &p.runs
	if tail := r.tail[i]; tail != nil {
		if done, err := addIfSmall(s, tail[:]); done || err != nil {
			r.n[i] = 0
			return err
		}
	}
	if r.used == r.most {
		if err := p.drainRuns(); err != nil {
			return err
		}
	}
	if r.needsSegment() {
		if r.mapped != nil {
			p.table.mapped.Store(true)
		}
		if err := s.account(segmentBytes); err != nil {
			return err
		}
	}
	r.begin(i)
	return nil
}

// drainRuns adds the runs to the table, where other workers may be busy.
func (p *pending) drainRuns() error {
	for i := range shardCount {
		s := &p.table.compact[i]
		s.mu.Lock()
		err := p.runs.drainTo(s, i)
		s.mu.Unlock()
		if err != nil {
			return err
		}
	}
	p.runs.used = 0
	return nil
}

// waitLarge is wait for what does not wait in runs.
func (p *pending) waitLarge(s int, hash uint64, sums packedSums) error {
	if p.n[s] == p.most {
		if err := p.full(s); err != nil {
			return err
		}
	}
	p.rows[s*p.most+p.n[s]] = newKeySum(word(hash), sums)
	p.n[s]++
	return nil
}

// full makes room for another entry of a shard.
func (p *pending) full(s int) error {
	more := int64(mostPending-p.most) * shardCount * wordBytes
	switch {
	case p.most == 0:
		return p.resize(leastPending)
	case p.most == mostPending || p.table.bytes.Load()+more > p.table.max/4:
		return p.flush(s)
	}
	return p.resize(mostPending)
}

// resize makes room for so many entries of every shard.
func (p *pending) resize(most int) error {
	if err := p.table.account(&p.table.shards[0], int64(most-p.most)*shardCount*wordBytes); err != nil {
		return err
	}
	rows := make([]keySum[word], shardCount*most)
	for i := range shardCount {
		copy(rows[i*most:], p.waiting(i))
	}
	p.most, p.rows = most, rows
	return nil
}

// waiting returns the entries of a shard that are in no run.
func (p *pending) waiting(i int) []keySum[word] { return p.rows[i*p.most:][:p.n[i]] }

// flush adds them to the shard.
func (p *pending) flush(i int) error {
	rows, s := p.waiting(i), &p.table.compact[i]
	p.n[i] = 0
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.add(rows)
}

// settle puts the groups of small keys where the others wait.
func (p *pending) settle() error {
	for key, sums := range p.small {
		if sums == 0 {
			continue
		}
		if err := p.wait(uint64(key), sums); err != nil {
			return err
		}
	}
	p.small = nil
	return nil
}

// collect adds to a shard what waits for it in any pending. The workers must
// have ended.
func (t *groupTable) collect(i int, from []*pending) error {
	for _, p := range from {
		if err := p.runs.drainTo(&t.compact[i], i); err != nil {
			return err
		}
		if err := p.flush(i); err != nil {
			return err
		}
	}
	return nil
}
