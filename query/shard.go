package query

import (
	"sync"
)

// A shard is an open-addressing hash table. Columns that no record has needed
// yet are nil.
//
// A group's row is its key, records, bytes and packets, side by side in memory.
// Rows stand in chunks, so that a table that grows is neither copied nor takes
// twice its size meanwhile.
type shard struct {
	mu     sync.Mutex
	n      int        // groups
	slots  []uint32   // bits of the hash above, group+1 below; 0: free
	chunks [][]uint64 // rows, chunkRows each; the first grows until it has as many

	flows     []uint64 // nil: as records
	estimated []uint64 // of each group what atEstimates and atVariances say; nil: as in rows, and exact
	times     []uint64 // first and last of each group, with times
	distinct  []uint64 // different values, by group
	seen      pairSet

	touched uint64 // keeps what prefetch reads from being optimised away
}

const (
	chunkBits = 9
	chunkRows = 1 << chunkBits

	groupBits = 25 // of a slot; more groups in one shard are too many
	groupMask = 1<<groupBits - 1
)

// tagOf returns the bits of a hash that stand in its slot. They are not among
// those that choose the shard, nor those that choose the slot.
func tagOf(hash uint64) uint32 { return uint32(hash>>(64-shardBits-(32-groupBits))) << groupBits }

// row returns key and sums of a group.
func (t *groupTable) row(s *shard, g int) []uint64 {
	width := t.words + rowSums
	at := (g & (chunkRows - 1)) * width
	return s.chunks[g>>chunkBits][at : at+width : at+width]
}

// key returns the key of a group, sums its records, bytes and packets.
func (t *groupTable) key(s *shard, g int) []uint64  { return t.row(s, g)[:t.words] }
func (t *groupTable) sums(s *shard, g int) []uint64 { return t.row(s, g)[t.words:] }

// addShard adds those groups of a partial that belong to a shard.
func (t *groupTable) addShard(s *shard, p *partial, groups []uint32) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := t.widen(s, p); err != nil {
		return err
	}
	var hashes [prefetchRows]uint64
	for at, i := range groups {
		if at%prefetchRows == 0 {
			ahead := groups[at:min(at+prefetchRows, len(groups))]
			for j, i := range ahead {
				hashes[j] = p.hashes[i]
			}
			t.prefetch(s, hashes[:len(ahead)])
		}
		key := p.keys[int(i)*t.words : (int(i)+1)*t.words]
		g, err := t.find(s, key, p.hashes[i])
		if err != nil {
			return err
		}
		records := uint64(1)
		if p.records != nil {
			records = p.records[i]
		}
		sums := t.sums(s, g)
		sums[atRecords] += records
		sums[atBytes] = plus(sums[atBytes], p.bytes[i])
		sums[atPackets] = plus(sums[atPackets], p.packets[i])
		t.addRare(s, p, g, int(i), records)
		if t.pairs > 0 && (p.hasValue == nil || p.hasValue[i]) {
			if err := t.addValue(s, g, p.values[int(i)*t.pairs:(int(i)+1)*t.pairs]); err != nil {
				return err
			}
		}
	}
	return nil
}

// pour moves the groups of a compact shard to the shard, where no other worker is.
func (t *groupTable) pour(s *shard, from *sumShard[word]) error {
	for i := range from.rows {
		row := &from.rows[i]
		if row.free() {
			continue
		}
		hash, a := uint64(row.key), from.acc(row)
		key := [1]uint64{t.mixer.unmix(hash)}
		g, err := t.find(s, key[:], hash)
		if err != nil {
			return err
		}
		sums := t.sums(s, g)
		sums[atRecords] += a.records
		sums[atBytes] = plus(sums[atBytes], a.bytes)
		sums[atPackets] = plus(sums[atPackets], a.packets)
		if s.flows != nil {
			s.flows[g] = plus(s.flows[g], a.records)
		}
		if s.estimated != nil {
			e := s.estimatesOf(g)
			e[atEstimates] = plus(e[atEstimates], a.bytes)
			e[atEstimates+1] = plus(e[atEstimates+1], a.packets)
		}
	}
	from.drop()
	return nil
}

// prefetchRows is how many groups are looked for at a time.
const prefetchRows = 32

// prefetch reads the memory that finding groups is going to need. The reads do
// not depend on each other, so the processor waits for all of them at once,
// not, as find would make it, for one after the other.
func (t *groupTable) prefetch(s *shard, hashes []uint64) {
	if len(s.slots) < 1024 { // in the cache anyway
		return
	}
	mask := uint64(len(s.slots) - 1)
	var slots [prefetchRows]uint32
	for i, hash := range hashes {
		slots[i] = s.slots[hash&mask] & groupMask
	}
	touched, width := uint64(0), t.words+rowSums
	for _, v := range slots[:len(hashes)] {
		if v != 0 {
			touched += s.chunks[(v-1)>>chunkBits][int((v-1)&(chunkRows-1))*width]
		}
	}
	if s.estimated != nil {
		for _, v := range slots[:len(hashes)] {
			if v != 0 {
				touched += s.estimated[estimatedWidth*int(v-1)]
			}
		}
	}
	s.touched = touched
}

// addRare adds the columns that most answers do not have.
func (t *groupTable) addRare(s *shard, p *partial, g, i int, records uint64) {
	if s.flows != nil {
		if p.flows != nil {
			records = p.flows[i]
		}
		s.flows[g] = plus(s.flows[g], records)
	}
	if s.estimated != nil {
		e := s.estimatesOf(g)
		if p.estBytes != nil {
			e[atEstimates] = plus(e[atEstimates], p.estBytes[i])
			e[atEstimates+1] = plus(e[atEstimates+1], p.estPackets[i])
			addVariance(e, p.variances[i])
		} else {
			e[atEstimates] = plus(e[atEstimates], p.bytes[i])
			e[atEstimates+1] = plus(e[atEstimates+1], p.packets[i])
		}
	}
	if t.times {
		s.times[2*g] = min(s.times[2*g], p.first[i])
		s.times[2*g+1] = max(s.times[2*g+1], p.last[i])
	}
}

// widen makes the columns that the partial needs and the shard has not had so
// far.
func (t *groupTable) widen(s *shard, p *partial) error {
	room := len(s.slots) * 3 / 4
	if p.flows != nil && s.flows == nil {
		if err := t.account(s, int64(room)*8); err != nil {
			return err
		}
		s.flows = make([]uint64, 0, max(room, 1))
		for g := range s.n {
			s.flows = append(s.flows, t.sums(s, g)[atRecords])
		}
	}
	if p.estBytes != nil && s.estimated == nil {
		if err := t.account(s, int64(room)*8*estimatedWidth); err != nil {
			return err
		}
		s.estimated = make([]uint64, estimatedWidth*s.n, estimatedWidth*max(room, 1))
		for g := range s.n {
			sums, e := t.sums(s, g), s.estimatesOf(g)
			e[atEstimates], e[atEstimates+1] = sums[atBytes], sums[atPackets]
		}
	}
	return nil
}

// account counts memory that is about to be allocated.
func (t *groupTable) account(s *shard, n int64) error {
	if !t.take(n) {
		return &TooManyGroupsError{Groups: s.n * shardCount, Bytes: t.max}
	}
	return nil
}

// find returns the group of a key, a new one if there is none.
func (t *groupTable) find(s *shard, key []uint64, hash uint64) (int, error) {
	if (s.n+1)*4 > len(s.slots)*3 {
		if err := t.grow(s); err != nil {
			return 0, err
		}
	}
	mask, tag := uint64(len(s.slots)-1), tagOf(hash)
	at := hash & mask
	for ; s.slots[at] != 0; at = (at + 1) & mask {
		if v := s.slots[at]; v&^groupMask == tag {
			if g := int(v&groupMask) - 1; equalWords(t.key(s, g), key) {
				return g, nil
			}
		}
	}
	g, err := t.newGroup(s, key)
	if err == nil {
		s.slots[at] = tag | uint32(g+1)
	}
	return g, err
}

// newGroup adds a group without a slot.
func (t *groupTable) newGroup(s *shard, key []uint64) (int, error) {
	g := s.n
	if err := t.roomFor(s, g); err != nil {
		return 0, err
	}
	s.n++
	row := t.row(s, g)
	clear(row[copy(row, key):])
	if s.flows != nil {
		s.flows = append(s.flows, 0)
	}
	if s.estimated != nil {
		s.estimated = append(s.estimated, make([]uint64, estimatedWidth)...)
	}
	if t.times {
		s.times = append(s.times, ^uint64(0), 0)
	}
	if t.pairs > 0 {
		s.distinct = append(s.distinct, 0)
	}
	return g, nil
}

// roomFor makes room for the row of a group, which is the next.
func (t *groupTable) roomFor(s *shard, g int) error {
	width := t.words + rowSums
	switch chunk := g >> chunkBits; {
	case chunk > 0 && chunk == len(s.chunks):
		if g >= groupMask {
			return &TooManyGroupsError{Groups: s.n * shardCount, Bytes: t.max}
		}
		if err := t.account(s, int64(chunkRows*width)*8); err != nil {
			return err
		}
		s.chunks = append(s.chunks, make([]uint64, chunkRows*width))
	case chunk == 0:
		if s.chunks == nil {
			s.chunks = make([][]uint64, 1, 8)
		}
		if g*width < len(s.chunks[0]) {
			return nil
		}
		rows := min(max(16, 2*g), chunkRows)
		if err := t.account(s, int64(rows*width-len(s.chunks[0]))*8); err != nil {
			return err
		}
		s.chunks[0] = withRoom(s.chunks[0], rows*width)[:rows*width]
	}
	return nil
}

func equalWords(a, b []uint64) bool {
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// grow doubles the slots of a shard, and with them the room in rare columns.
func (t *groupTable) grow(s *shard) error {
	slots := max(32, 2*len(s.slots))
	groups := slots * 3 / 4
	columns := []struct {
		column *[]uint64
		width  int
		used   bool
	}{
		{&s.flows, 1, s.flows != nil},
		{&s.estimated, estimatedWidth, s.estimated != nil},
		{&s.times, 2, t.times},
		{&s.distinct, 1, t.pairs > 0},
	}
	bytes := 4 * (slots - len(s.slots))
	for _, c := range columns {
		if c.used {
			bytes += 8 * max(groups*c.width-cap(*c.column), 0)
		}
	}
	if err := t.account(s, int64(bytes)); err != nil {
		return err
	}
	for _, c := range columns {
		if c.used {
			*c.column = withRoom(*c.column, groups*c.width)
		}
	}
	s.slots = make([]uint32, slots)
	mask := uint64(slots - 1)
	for g := range s.n {
		hash := t.hash(t.key(s, g))
		at := hash & mask
		for s.slots[at] != 0 {
			at = (at + 1) & mask
		}
		s.slots[at] = tagOf(hash) | uint32(g+1)
	}
	return nil
}

// withRoom returns a copy of c with room for n elements.
func withRoom(c []uint64, n int) []uint64 { return append(make([]uint64, 0, n), c...) }
