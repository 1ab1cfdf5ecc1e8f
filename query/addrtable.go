package query

import (
	"math/bits"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"unsafe"

	"weir/flow"
)

// addrTables sum records by address where the answer needs no more than records,
// bytes and packets. What blocks with anything rare add goes to the groupTable of
// the question; all that is here then follows in the end.
type addrTables struct {
	v4    addrTable[addr4]
	v6    addrTable[addr6]
	mixed atomic.Bool // addresses are in the groupTable, too
}

// An addrKey is an address as an addrTable keeps it.
type addrKey[K any] interface {
	comparable

	// hashes fills dst with the hashes of sums, whatever address it is called
	// for. They have their good bits on top: the factor is odd, and nobody's to
	// know.
	hashes(dst *[prefetchRows]uint64, sums []addrSum[K], factor uint64)
}

// addr4 is the 32 bits of an IPv4 address, addr6 any other address.
type (
	addr4 uint32
	addr6 flow.Addr
)

func (addr4) hashes(dst *[prefetchRows]uint64, sums []addrSum[addr4], factor uint64) {
	for i := range sums {
		dst[i] = (uint64(sums[i].addr) + 1) * factor
	}
}

func (addr6) hashes(dst *[prefetchRows]uint64, sums []addrSum[addr6], factor uint64) {
	for i := range sums {
		a := &sums[i].addr
		hi, lo := bits.Mul64(a.Hi^factor, factor)
		dst[i] = (hi ^ lo ^ a.Lo) * factor
	}
}

// An addrTable is sums by address, in shards by the order of addresses: the
// dictionary of a block ascends, so that what a block adds to one shard stands
// together, and nothing has to be sorted by shard.
type addrTable[K addrKey[K]] struct {
	table  *groupTable // whose bound of memory holds for both
	factor uint64      // of hashes
	begun  sync.Once   // guards first until it has been set
	first  [addrShards]flow.Addr
	shards [addrShards]addrShard[K]
}

const addrShards = 256

// An addrShard is an open-addressing hash table of addresses with their sums in
// it: to find one is to wait for memory once.
type addrShard[K addrKey[K]] struct {
	mu    sync.Mutex
	n     int          // addresses
	rows  []addrSum[K] // in the order of hashes, but for those that were in the way
	large []acc        // sums that a packedSums does not hold

	touched uint64 // keeps what prefetch reads from being optimised away
}

func newAddrTables(t *groupTable) *addrTables {
	a := new(addrTables)
	a.v4.table, a.v4.factor = t, rand.Uint64()|1
	a.v6.table, a.v6.factor = t, rand.Uint64()|1
	return a
}

// acc returns the sums of a row.
func (s *addrShard[K]) acc(row *addrSum[K]) acc {
	sums := row.sums()
	if sums&inLarge != 0 {
		return s.large[sums&^inLarge]
	}
	return sums.acc()
}

// add adds sums to a shard.
func (t *addrTable[K]) add(s *addrShard[K], sums []addrSum[K]) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var hashes [prefetchRows]uint64
	for len(sums) > 0 {
		some := sums[:min(prefetchRows, len(sums))]
		sums = sums[len(some):]
		if err := t.roomFor(s, len(some)); err != nil {
			return err
		}
		some[0].addr.hashes(&hashes, some, t.factor)
		s.prefetch(hashes[:len(some)])
		for i := range some {
			s.addOne(&some[i], hashes[i])
		}
	}
	return nil
}

// prefetch reads the memory that addOne is going to need, as that of a groupTable
// does.
func (s *addrShard[K]) prefetch(hashes []uint64) {
	touched := uint32(0)
	for _, hash := range hashes {
		touched += s.rows[s.slot(hash)].low
	}
	s.touched = uint64(touched)
}

// addOne adds sums to a shard that has room for them.
func (s *addrShard[K]) addOne(sum *addrSum[K], hash uint64) {
	row := s.find(sum.addr, hash)
	if row.free() {
		*row = *sum
		s.n++
		return
	}
	both := row.sums() + sum.sums()
	if both&tooLarge == 0 {
		*row = newAddrSum(row.addr, both)
		return
	}
	s.addLarge(row, sum.sums().acc())
}

// addLarge adds sums to a row that has none, or with which they are too large.
func (s *addrShard[K]) addLarge(row *addrSum[K], sums acc) {
	had := row.sums()
	if had&inLarge != 0 {
		s.large[had&^inLarge].add(sums)
		return
	}
	sums.add(had.acc())
	*row = newAddrSum(row.addr, inLarge|packedSums(len(s.large)))
	s.large = append(s.large, sums)
}

// addWhole adds sums that are too large for an addrSum.
func (t *addrTable[K]) addWhole(s *addrShard[K], addr K, sums acc) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := t.roomFor(s, 1); err != nil {
		return err
	}
	if err := t.account(s, int64(unsafe.Sizeof(acc{}))); err != nil {
		return err
	}
	var hashes [prefetchRows]uint64
	addr.hashes(&hashes, []addrSum[K]{{addr: addr}}, t.factor)
	row := s.find(addr, hashes[0])
	if row.free() {
		row.addr = addr
		s.n++
	}
	s.addLarge(row, sums)
	return nil
}

// find returns the row of an address, or the free one where it is to be put.
func (s *addrShard[K]) find(addr K, hash uint64) *addrSum[K] {
	for at := s.slot(hash); ; {
		if row := &s.rows[at]; row.addr == addr || row.free() {
			return row
		}
		if at++; at == uint64(len(s.rows)) {
			at = 0
		}
	}
}

// slot returns the row that the search for a hash begins at.
func (s *addrShard[K]) slot(hash uint64) uint64 {
	at, _ := bits.Mul64(hash, uint64(len(s.rows)))
	return at
}

// roomFor makes room for n addresses more: a fifth of the rows stays free.
func (t *addrTable[K]) roomFor(s *addrShard[K], n int) error {
	for (s.n+n)*5 > len(s.rows)*4 {
		if err := t.grow(s); err != nil {
			return err
		}
	}
	return nil
}

// grow gives a shard a third as many rows more. Their order stays, so that the
// memory is gone through once from beginning to end.
func (t *addrTable[K]) grow(s *addrShard[K]) error {
	old := s.rows
	rows := max(64, len(old)*2)
	if err := t.account(s, int64(rows-len(old))*int64(unsafe.Sizeof(addrSum[K]{}))); err != nil {
		return err
	}
	s.rows = make([]addrSum[K], rows)
	var hashes [prefetchRows]uint64
	for ; len(old) > 0; old = old[min(prefetchRows, len(old)):] {
		some := old[:min(prefetchRows, len(old))]
		some[0].addr.hashes(&hashes, some, t.factor)
		for i := range some {
			if !some[i].free() {
				*s.find(some[i].addr, hashes[i]) = some[i]
			}
		}
	}
	return nil
}

func (t *addrTable[K]) account(s *addrShard[K], n int64) error {
	if !t.table.take(n) {
		return &TooManyGroupsError{Groups: s.n * addrShards, Bytes: t.table.max}
	}
	return nil
}

// moveTo empties the table into what waits for a groupTable.
func (t *addrTable[K]) moveTo(p *pending, key func(K) uint64) error {
	for i := range t.shards {
		s := &t.shards[i]
		for k := range s.rows {
			row := &s.rows[k]
			if row.free() {
				continue
			}
			sums := s.acc(row)
			if err := p.wait(key(row.addr), sums.records, sums.bytes, sums.packets); err != nil {
				return err
			}
		}
		t.table.bytes.Add(-int64(len(s.rows)) * int64(unsafe.Sizeof(addrSum[K]{})))
		s.n, s.rows, s.large = 0, nil, nil
	}
	return nil
}
