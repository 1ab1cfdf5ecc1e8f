package query

// addValue counts a value of a group unless it was there before.
func (t *groupTable) addValue(s *shard, g int, value []uint64) error {
	var words [3]uint64
	pair := append(append(words[:0], uint64(g)), value...)
	if s.seen.full() {
		if err := t.account(s, s.seen.growBytes(len(pair))); err != nil {
			return err
		}
		s.seen.grow(len(pair), t.seed)
	}
	if s.seen.add(pair, hashWords(t.seed, pair)) {
		s.distinct[g]++
	}
	return nil
}

// A pairSet is a set of short keys: a group and a value.
type pairSet struct {
	n     int
	slots []uint32 // pair+1, 0: free
	pairs []uint64
}

func (p *pairSet) full() bool { return p.n*2 >= len(p.slots) }

// growBytes returns what grow is going to allocate for good.
func (p *pairSet) growBytes(words int) int64 {
	more := int64(max(32, 2*len(p.slots)) - len(p.slots))
	return more*4 + more/2*int64(words)*8
}

func (p *pairSet) grow(words int, seed uint64) {
	p.slots = make([]uint32, max(32, 2*len(p.slots)))
	p.pairs = withRoom(p.pairs, len(p.slots)/2*words)
	for i := range p.n {
		at := p.free(hashWords(seed, p.pairs[i*words:(i+1)*words]))
		p.slots[at] = uint32(i + 1)
	}
}

func (p *pairSet) free(hash uint64) uint64 {
	mask := uint64(len(p.slots) - 1)
	at := hash & mask
	for p.slots[at] != 0 {
		at = (at + 1) & mask
	}
	return at
}

// add adds a pair and reports whether it is new.
func (p *pairSet) add(pair []uint64, hash uint64) bool {
	mask := uint64(len(p.slots) - 1)
	at := hash & mask
	for ; p.slots[at] != 0; at = (at + 1) & mask {
		i := int(p.slots[at]-1) * len(pair)
		if equalWords(p.pairs[i:i+len(pair)], pair) {
			return false
		}
	}
	p.slots[at] = uint32(p.n + 1)
	p.n++
	p.pairs = append(p.pairs, pair...)
	return true
}
