package store

// The memory of open parts is bounded by MaxOpenRows. A part has all that a block
// needs from the start, so that nothing is copied while one hour follows another.
// When rows of many hours come mixed, as from captures put together, that would
// make each of them a block of a few rows. So an hour that had to give way begins
// again with a little memory, and takes more as it fills.

// firstRows returns for how many rows the part of such an hour has memory.
func (s *Store) firstRows() int { return (s.opts.blockRows + 15) / 16 }

// room returns how many rows p has memory for.
func (s *Store) room(p *part) int { return min(p.batch.Size(), s.opts.blockRows) }

// enlarge doubles the memory of a part that has filled it and is short of a
// block. mu is held.
func (s *Store) enlarge(p *part) {
	size := min(2*p.batch.Size(), s.opts.blockRows)
	s.makeRoom(size, p)
	p.batch.Enlarge(size)
}

// mayHave reports whether so many parts may be open, with memory for so many rows.
func (s *Store) mayHave(parts, rows int) bool {
	return parts <= s.opts.MaxOpenHours && rows <= s.opts.MaxOpenRows
}

// makeRoom hands over open parts of others than p until it may have memory for
// rows. mu is held.
func (s *Store) makeRoom(rows int, p *part) {
	for {
		open, taken, worst := s.others(p)
		if worst == nil || s.mayHave(open+1, taken+rows) {
			return
		}
		worst.hour.evicted = true
		s.handOver(worst)
	}
}

// others returns how many open parts there are but p, for how many rows they have
// memory, and which is the best one to end: most rows for the longest time. By
// time alone hours that come mixed would make blocks of any size, by rows alone
// the hour that is being filled would be cut. mu is held.
func (s *Store) others(p *part) (open, taken int, worst *part) {
	most := uint64(0)
	for _, hs := range s.hours.all() {
		o := hs.open
		if o == nil || o == p {
			continue
		}
		open++
		taken += s.room(o)
		if weight := uint64(o.batch.Len()) * (s.clock - o.used); worst == nil || weight > most {
			worst, most = o, weight
		}
	}
	return open, taken, worst
}
