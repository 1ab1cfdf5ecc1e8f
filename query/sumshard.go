package query

import (
	"math/bits"
	"sync"
	"unsafe"

	"weir/flow"
)

// A sumKey is what a sumShard keeps sums by.
type sumKey[K any] interface {
	comparable

	// hashes fills dst with the hashes of keys, whatever key it is called for.
	// They have their good bits on top, and are nobody's to know.
	hashes(dst *[prefetchRows]uint64, t *groupTable, sums []keySum[K])
}

// addr4 is the 32 bits of an IPv4 address, addr6 any other address, word a packed
// key of one word, mixed.
type (
	addr4 uint32
	addr6 flow.Addr
	word  uint64
)

func (addr4) hashes(dst *[prefetchRows]uint64, t *groupTable, sums []keySum[addr4]) {
	factor := t.seed | 1
	for i := range sums {
		dst[i] = sums[i].key.hash(factor)
	}
}

func (addr6) hashes(dst *[prefetchRows]uint64, t *groupTable, sums []keySum[addr6]) {
	factor := t.seed | 1
	for i := range sums {
		dst[i] = sums[i].key.hash(factor)
	}
}

func (word) hashes(dst *[prefetchRows]uint64, _ *groupTable, sums []keySum[word]) {
	for i := range sums {
		dst[i] = sums[i].key.hash()
	}
}

// hash returns the bits of a word that do not choose its shard: those are the same
// for all of a shard.
func (k word) hash() uint64 { return uint64(k) << shardBits }

// A sumShard is an open-addressing hash table of keys with their sums in it: to
// find one is to wait for memory once. It serves groups that have nothing rare.
type sumShard[K sumKey[K]] struct {
	table *groupTable // whose bound of memory holds, and by whose seed keys are hashed

	mu    sync.Mutex
	n     int         // keys
	rows  []keySum[K] // in the order of hashes, but for those that were in the way
	large []acc       // sums that a packedSums does not hold

	hashes  *[prefetchRows]uint64 // scratch, there with rows: as a variable it would be made anew each time
	touched uint64                // keeps what prefetch reads from being optimised away
}

// acc returns the sums of a row.
func (s *sumShard[K]) acc(row *keySum[K]) acc {
	sums := row.sums()
	if sums&inLarge != 0 {
		return s.large[sums&^inLarge]
	}
	return sums.acc()
}

// add adds sums. mu is held, here and below, if others may be at it.
func (s *sumShard[K]) add(sums []keySum[K]) error {
	for len(sums) > 0 {
		some := sums[:min(prefetchRows, len(sums))]
		sums = sums[len(some):]
		if err := s.roomFor(len(some)); err != nil {
			return err
		}
		some[0].key.hashes(s.hashes, s.table, some)
		s.prefetch(s.hashes[:len(some)])
		for i := range some {
			s.addOne(some[i].key, some[i].sums(), s.hashes[i])
		}
	}
	return nil
}

// prefetch reads the memory that addOne is going to need, as that of a groupTable
// does.
func (s *sumShard[K]) prefetch(hashes []uint64) {
	touched := uint32(0)
	for _, hash := range hashes {
		touched += s.rows[s.slot(hash)].low
	}
	s.touched = uint64(touched)
}

// addOne adds sums where there is room for them.
func (s *sumShard[K]) addOne(key K, sums packedSums, hash uint64) {
	row := s.find(key, hash)
	had := row.sums()
	if had == 0 {
		s.n++
	}
	if both := had + sums; both&tooLarge == 0 {
		*row = newKeySum(key, both)
		return
	}
	s.addLarge(row, sums.acc())
}

// addLarge adds sums to a row that has none, or with which they are too large.
func (s *sumShard[K]) addLarge(row *keySum[K], sums acc) {
	had := row.sums()
	if had&inLarge != 0 {
		s.large[had&^inLarge].add(sums)
		return
	}
	sums.add(had.acc())
	*row = newKeySum(row.key, inLarge|packedSums(len(s.large)))
	s.large = append(s.large, sums)
	s.table.bytes.Add(accBytes) // if that is too much, the next shard that grows is told
}

// addWhole adds sums that are too large for a keySum.
func (s *sumShard[K]) addWhole(key K, sums acc) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.roomFor(1); err != nil {
		return err
	}
	key.hashes(s.hashes, s.table, []keySum[K]{{key: key}})
	row := s.find(key, s.hashes[0])
	if row.free() {
		row.key = key
		s.n++
	}
	s.addLarge(row, sums)
	return nil
}

// find returns the row of a key, or the free one where it is to be put.
func (s *sumShard[K]) find(key K, hash uint64) *keySum[K] {
	for at := s.slot(hash); ; {
		if row := &s.rows[at]; row.key == key || row.free() {
			return row
		}
		if at++; at == uint64(len(s.rows)) {
			at = 0
		}
	}
}

// slot returns the row that the search for a hash begins at.
func (s *sumShard[K]) slot(hash uint64) uint64 {
	at, _ := bits.Mul64(hash, uint64(len(s.rows)))
	return at
}

// leastSums is how many rows a shard has that has any.
const leastSums = 64

// roomFor makes room for n keys more: a fifth of the rows stays free. The shard
// doubles, or grows by a third if groups are many, which takes more time and less
// memory.
func (s *sumShard[K]) roomFor(n int) error {
	for (s.n+n)*5 > len(s.rows)*4 {
		rows := max(leastSums, 2*len(s.rows))
		if s.table.many() && len(s.rows) > leastSums {
			rows = len(s.rows) + len(s.rows)/3
		}
		if err := s.account(int64(rows-len(s.rows)) * int64(unsafe.Sizeof(keySum[K]{}))); err != nil {
			return err
		}
		s.moveTo(make([]keySum[K], rows))
	}
	return nil
}

// moveTo moves the shard into rows that are free and more than it has. The order
// stays, so that the memory is gone through once from beginning to end.
func (s *sumShard[K]) moveTo(rows []keySum[K]) {
	old := s.rows
	s.rows = rows
	if s.hashes == nil {
		s.hashes = new([prefetchRows]uint64)
	}
	for len(old) > 0 {
		some := old[:min(prefetchRows, len(old))]
		old = old[len(some):]
		some[0].key.hashes(s.hashes, s.table, some)
		for i := range some {
			if !some[i].free() {
				*s.find(some[i].key, s.hashes[i]) = some[i]
			}
		}
	}
}

// accBytes is what large sums take.
const accBytes = int64(unsafe.Sizeof(acc{}))

// drop lets the sums go.
func (s *sumShard[K]) drop() {
	s.table.bytes.Add(-int64(len(s.rows))*int64(unsafe.Sizeof(keySum[K]{})) - int64(len(s.large))*accBytes)
	s.n, s.rows, s.large = 0, nil, nil
}

// account counts memory that is about to be allocated.
func (s *sumShard[K]) account(n int64) error {
	if !s.table.take(n) {
		return &TooManyGroupsError{Groups: s.n * shardCount, Bytes: s.table.max}
	}
	return nil
}
