package query

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
	"sync"
	"sync/atomic"
)

// A groupTable sums records by packed key. It is split into shards by hash, so
// that several workers add to it at once, a look-up stays within the cache, and
// there is no second copy to be merged in the end.
type groupTable struct {
	words  int  // of a key
	times  bool // first and last are kept
	pairs  int  // words of a distinct value, 0: not counted
	seed   uint64
	shards [shardCount]shard
	bytes  atomic.Int64 // allocated by all shards
	max    int64
}

const (
	shardBits  = 6
	shardCount = 1 << shardBits
)

// atRecords, atBytes and atPackets are where a row's sums are after its key.
const (
	atRecords = iota
	atBytes
	atPackets
	rowSums
)

// A shard is an open-addressing hash table. Columns that no record has needed
// yet are nil.
type shard struct {
	mu    sync.Mutex
	n     int      // groups
	slots []uint64 // upper half of the hash in the upper half, group+1 in the lower; 0: free
	rows  []uint64 // of each group the key, records, bytes and packets, side by side in memory

	flows     []uint64 // nil: as records
	estimated []uint64 // of each group what atEstimates and atVariances say; nil: as in rows, and exact
	times     []uint64 // first and last of each group, with times
	distinct  []uint64 // different values, by group
	seen      pairSet

	touched uint64 // keeps what prefetch reads from being optimised away
}

// A TooManyGroupsError says that an answer's groups do not fit in the memory
// that they may take.
type TooManyGroupsError struct {
	Groups int   // that there were when memory was used up
	Bytes  int64 // the bound
}

// Error says what to do instead.
func (e *TooManyGroupsError) Error() string {
	return fmt.Sprintf("more than %d groups need more than the %d MiB that they may take: "+
		"group by fewer fields or by prefixes, or narrow the filter or the window", e.Groups, e.Bytes>>20)
}

func newGroupTable(words int, times bool, pairs int, limit int64) *groupTable {
	return &groupTable{words: words, times: times, pairs: pairs, seed: rand.Uint64(), max: limit}
}

// hash returns the hash of a key.
func (t *groupTable) hash(key []uint64) uint64 { return hashWords(t.seed, key) }

func hashWords(seed uint64, words []uint64) uint64 {
	h := seed
	for _, w := range words {
		hi, lo := bits.Mul64(w^h^0x9e3779b97f4a7c15, 0xd6e8feb86659fd93)
		h = bits.RotateLeft64(h, 23) ^ hi ^ lo
	}
	hi, lo := bits.Mul64(h^0xa0761d6478bd642f, 0xe7037ed1a0b428db)
	return hi ^ lo
}

// A partial is groups of one block, or its records, that are to be added. Nil
// columns mean the same as in a shard; nil records mean one each.
type partial struct {
	n          int
	keys       []uint64
	hashes     []uint64
	records    []uint64
	bytes      []uint64
	packets    []uint64
	flows      []uint64
	estBytes   []uint64
	estPackets []uint64
	variances  []Variance // there with estBytes
	first      []uint64
	last       []uint64
	values     []uint64 // distinct values, pairs words a record
	hasValue   []bool   // nil: all have one

	order  []uint32 // groups by shard
	starts [shardCount + 1]uint32
}

// group sorts the partial's groups by shard.
func (p *partial) group() {
	p.starts = [shardCount + 1]uint32{}
	for _, h := range p.hashes[:p.n] {
		p.starts[h>>(64-shardBits)+1]++
	}
	for i := range shardCount {
		p.starts[i+1] += p.starts[i]
	}
	next := p.starts
	p.order = resize(p.order, p.n)
	for i, h := range p.hashes[:p.n] {
		s := h >> (64 - shardBits)
		p.order[next[s]] = uint32(i)
		next[s]++
	}
}

// resize returns a slice of n elements of any content, in s's memory if it is
// large enough.
func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n, n+n/4)
	}
	return s[:n]
}

// add adds a partial, beginning at a shard of the caller's choice so that
// workers meet less often.
func (t *groupTable) add(p *partial, begin int) error {
	for i := range p.n {
		p.hashes[i] = t.hash(p.keys[i*t.words : (i+1)*t.words])
	}
	p.group()
	for i := range shardCount {
		s := (begin + i) % shardCount
		rows := p.order[p.starts[s]:p.starts[s+1]]
		if len(rows) == 0 {
			continue
		}
		if err := t.addShard(&t.shards[s], p, rows); err != nil {
			return err
		}
	}
	return nil
}

func (t *groupTable) addShard(s *shard, p *partial, rows []uint32) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := t.widen(s, p); err != nil {
		return err
	}
	for at, i := range rows {
		if at%prefetchRows == 0 {
			t.prefetch(s, p, rows[at:min(at+prefetchRows, len(rows))])
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
		sums[atBytes] += p.bytes[i]
		sums[atPackets] += p.packets[i]
		t.addRare(s, p, g, int(i), records)
		if t.pairs > 0 && (p.hasValue == nil || p.hasValue[i]) {
			if err := t.addValue(s, g, p.values[int(i)*t.pairs:(int(i)+1)*t.pairs]); err != nil {
				return err
			}
		}
	}
	return nil
}

// prefetchRows is how many groups are looked for at a time.
const prefetchRows = 32

// prefetch reads the memory that finding groups is going to need. The reads do
// not depend on each other, so the processor waits for all of them at once,
// not, as find would make it, for one after the other.
func (t *groupTable) prefetch(s *shard, p *partial, rows []uint32) {
	if len(s.slots) < 1024 { // in the cache anyway
		return
	}
	mask := uint64(len(s.slots) - 1)
	var slots [prefetchRows]uint64
	for j, i := range rows {
		slots[j] = s.slots[p.hashes[i]&mask]
	}
	touched := uint64(0)
	for _, v := range slots[:len(rows)] {
		if v != 0 {
			touched += s.rows[int(uint32(v)-1)*(t.words+rowSums)]
		}
	}
	if s.estimated != nil {
		for _, v := range slots[:len(rows)] {
			if v != 0 {
				touched += s.estimated[estimatedWidth*int(uint32(v)-1)]
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
		s.flows[g] += records
	}
	if s.estimated != nil {
		e := s.estimatesOf(g)
		if p.estBytes != nil {
			e[atEstimates] += p.estBytes[i]
			e[atEstimates+1] += p.estPackets[i]
			addVariance(e, p.variances[i])
		} else {
			e[atEstimates] += p.bytes[i]
			e[atEstimates+1] += p.packets[i]
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
	room := len(s.slots) / 2
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

// key returns the key of a group, sums its records, bytes and packets.
func (t *groupTable) key(s *shard, g int) []uint64 {
	at := g * (t.words + rowSums)
	return s.rows[at : at+t.words : at+t.words]
}

func (t *groupTable) sums(s *shard, g int) []uint64 {
	at := g*(t.words+rowSums) + t.words
	return s.rows[at : at+rowSums : at+rowSums]
}

// account counts memory that is about to be allocated.
func (t *groupTable) account(s *shard, n int64) error {
	if t.bytes.Add(n) > t.max {
		return &TooManyGroupsError{Groups: s.n * shardCount, Bytes: t.max}
	}
	return nil
}

// find returns the group of a key, a new one if there is none.
func (t *groupTable) find(s *shard, key []uint64, hash uint64) (int, error) {
	if s.n*2 >= len(s.slots) {
		if err := t.grow(s); err != nil {
			return 0, err
		}
	}
	mask := uint64(len(s.slots) - 1)
	tag := hash >> 32 << 32
	at := hash & mask
	for ; s.slots[at] != 0; at = (at + 1) & mask {
		if v := s.slots[at]; v&^0xffffffff == tag {
			if g := int(uint32(v)) - 1; equalWords(t.key(s, g), key) {
				return g, nil
			}
		}
	}
	s.slots[at] = tag | uint64(s.n+1)
	g := s.n
	s.n++
	s.rows = append(append(s.rows, key...), 0, 0, 0)
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

func equalWords(a, b []uint64) bool {
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// grow doubles a shard.
func (t *groupTable) grow(s *shard) error {
	groups := max(16, len(s.slots)) // twice what fits now
	columns := []struct {
		column *[]uint64
		width  int
		used   bool
	}{
		{&s.rows, t.words + rowSums, true},
		{&s.flows, 1, s.flows != nil},
		{&s.estimated, estimatedWidth, s.estimated != nil},
		{&s.times, 2, t.times},
		{&s.distinct, 1, t.pairs > 0},
	}
	words := 2*groups - len(s.slots)
	for _, c := range columns {
		if c.used {
			words += (groups - len(s.slots)/2) * c.width
		}
	}
	if err := t.account(s, int64(words)*8); err != nil {
		return err
	}
	for _, c := range columns {
		if c.used {
			*c.column = withRoom(*c.column, groups*c.width)
		}
	}
	old := s.slots
	s.slots = make([]uint64, 2*groups)
	mask := uint64(len(s.slots) - 1)
	for _, v := range old {
		if v == 0 {
			continue
		}
		g := int(uint32(v)) - 1
		at := t.hash(t.key(s, g)) & mask
		for s.slots[at] != 0 {
			at = (at + 1) & mask
		}
		s.slots[at] = v
	}
	return nil
}

// withRoom returns a copy of c with room for n elements.
func withRoom(c []uint64, n int) []uint64 { return append(make([]uint64, 0, n), c...) }

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
