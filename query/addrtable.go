package query

import (
	"math/bits"
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"weir/flow"
)

// addrTables sum records by address where the answer needs no more than records,
// bytes and packets. What does not fit, and what blocks with anything rare add,
// goes to the groupTable of the question; all that is here then follows in the
// end.
type addrTables struct {
	v4    addrTable[addr4]
	v6    addrTable[addr6]
	mixed atomic.Bool // addresses are in the groupTable, too
}

// An addrKey is an address as an addrTable keeps it. Its hash has its good bits
// on top: the factor is odd, and nobody's to know.
type addrKey interface {
	comparable
	hash(factor uint64) uint64
}

// addr4 is the 32 bits of an IPv4 address, addr6 any other address.
type (
	addr4 uint32
	addr6 flow.Addr
)

func (a addr4) hash(factor uint64) uint64 { return (uint64(a) + 1) * factor }

func (a addr6) hash(factor uint64) uint64 {
	hi, lo := bits.Mul64(a.Hi^factor, factor)
	return (hi ^ lo ^ a.Lo) * factor
}

// An addrTable is sums by address, in shards by the order of addresses: the
// dictionary of a block ascends, so that what a block adds to one shard stands
// together, and nothing has to be sorted by shard.
type addrTable[K addrKey] struct {
	table  *groupTable // whose bound of memory holds for both
	factor uint64      // of hashes
	begun  sync.Once   // guards first until it has been set
	first  [addrShards]flow.Addr
	shards [addrShards]addrShard[K]
}

const addrShards = 256

// An addrShard is an open-addressing hash table of addresses.
type addrShard[K addrKey] struct {
	mu     sync.Mutex
	n      int
	slots  []uint32       // bits of the hash above, place+1 below, as in a shard; 0: free
	chunks [][]addrSum[K] // chunkRows each
	large  []acc          // sums that an addrSum does not hold

	touched uint64 // keeps what prefetch reads from being optimised away
}

// An addrSum is an address with its sums, in 16 bytes if it is IPv4: an archive
// has millions of addresses, and most of them little traffic.
type addrSum[K addrKey] struct {
	addr    K
	packets uint32
	sums    uint64 // bytes (42 bits), records (22)
}

const (
	recordBits = 22
	recordMask = 1<<recordBits - 1
	bytesMax   = 1<<(64-recordBits) - 1
	packetsMax = 1<<32 - 1

	// inLarge in sums says that packets is the place in addrShard.large. As many
	// records are never in sums.
	inLarge = ^uint64(0)
)

// newAddrSum returns an addrSum, and false if the sums are too large for one.
func newAddrSum[K addrKey](addr K, s acc) (addrSum[K], bool) {
	fits := s.packets <= packetsMax && s.bytes <= bytesMax && s.records < recordMask
	return addrSum[K]{addr, uint32(s.packets), s.bytes<<recordBits | s.records&recordMask}, fits
}

// acc returns sums that are not in large.
func (s *addrSum[K]) acc() acc {
	return acc{records: s.sums & recordMask, bytes: s.sums >> recordBits, packets: uint64(s.packets)}
}

func (a *acc) add(b acc) {
	a.records += b.records
	a.bytes += b.bytes
	a.packets += b.packets
}

func newAddrTables(t *groupTable) *addrTables {
	a := new(addrTables)
	a.v4.table, a.v4.factor = t, rand.Uint64()|1
	a.v6.table, a.v6.factor = t, rand.Uint64()|1
	return a
}

func (s *addrShard[K]) row(i int) *addrSum[K] { return &s.chunks[i>>chunkBits][i&(chunkRows-1)] }

// acc returns the sums of a row.
func (s *addrShard[K]) acc(row *addrSum[K]) acc {
	if row.sums == inLarge {
		return s.large[row.packets]
	}
	return row.acc()
}

// add adds sums to a shard.
func (t *addrTable[K]) add(s *addrShard[K], sums []addrSum[K]) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var hashes [prefetchRows]uint64
	for len(sums) > 0 {
		some := sums[:min(prefetchRows, len(sums))]
		sums = sums[len(some):]
		for (s.n+len(some))*4 > len(s.slots)*3 {
			if err := t.grow(s); err != nil {
				return err
			}
		}
		for i := range some {
			hashes[i] = some[i].addr.hash(t.factor)
		}
		s.prefetch(hashes[:len(some)])
		for i := range some {
			if err := t.addOne(s, &some[i], hashes[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// prefetch reads the memory that addOne is going to need, as that of a groupTable
// does.
func (s *addrShard[K]) prefetch(hashes []uint64) {
	var slots [prefetchRows]uint32
	for i, hash := range hashes {
		slots[i] = s.slots[s.slot(hash)] & groupMask
	}
	touched := uint64(0)
	for _, v := range slots[:len(hashes)] {
		if v != 0 {
			touched += s.row(int(v) - 1).sums
		}
	}
	s.touched = touched
}

// addOne adds one sum to a shard that has slots for it.
func (t *addrTable[K]) addOne(s *addrShard[K], sum *addrSum[K], hash uint64) error {
	tag, at := addrTag(hash), s.slot(hash)
	for ; s.slots[at] != 0; at = s.after(at) {
		if v := s.slots[at]; v&^groupMask == tag {
			if row := s.row(int(v&groupMask) - 1); row.addr == sum.addr {
				s.join(row, sum)
				return nil
			}
		}
	}
	if s.n&(chunkRows-1) == 0 {
		if err := t.addChunk(s); err != nil {
			return err
		}
	}
	*s.row(s.n) = *sum
	s.n++
	s.slots[at] = tag | uint32(s.n)
	return nil
}

// slot returns the slot that a hash begins at, after the one that follows.
func (s *addrShard[K]) slot(hash uint64) uint64 {
	at, _ := bits.Mul64(hash, uint64(len(s.slots)))
	return at
}

func (s *addrShard[K]) after(at uint64) uint64 {
	if at++; at == uint64(len(s.slots)) {
		return 0
	}
	return at
}

// addrTag returns bits of a hash that are not among those that choose the slot.
func addrTag(hash uint64) uint32 { return uint32(hash>>7) &^ groupMask }

// join adds sums to a row of the same address.
func (s *addrShard[K]) join(row, sum *addrSum[K]) {
	if row.sums == inLarge {
		s.large[row.packets].add(sum.acc())
		return
	}
	both := row.acc()
	both.add(sum.acc())
	joined, fits := newAddrSum(row.addr, both)
	if !fits {
		joined.packets, joined.sums = uint32(len(s.large)), inLarge
		s.large = append(s.large, both)
	}
	*row = joined
}

// addChunk makes room for more rows.
func (t *addrTable[K]) addChunk(s *addrShard[K]) error {
	if s.n >= groupMask-chunkRows {
		return &TooManyGroupsError{Groups: s.n * addrShards, Bytes: t.table.max}
	}
	if err := t.account(s, chunkRows*addrSumBytes); err != nil {
		return err
	}
	s.chunks = append(s.chunks, make([]addrSum[K], chunkRows))
	return nil
}

// addrSumBytes is what the sums of an address take at most.
const addrSumBytes = 32

// grow gives a shard half as many slots more.
func (t *addrTable[K]) grow(s *addrShard[K]) error {
	slots := max(64, len(s.slots)*3/2)
	if err := t.account(s, int64(slots-len(s.slots))*4); err != nil {
		return err
	}
	s.slots = make([]uint32, slots)
	for i := range s.n {
		hash := s.row(i).addr.hash(t.factor)
		at := s.slot(hash)
		for s.slots[at] != 0 {
			at = s.after(at)
		}
		s.slots[at] = addrTag(hash) | uint32(i+1)
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
		for k := range s.n {
			row := s.row(k)
			sums := s.acc(row)
			if err := p.wait(key(row.addr), sums.records, sums.bytes, sums.packets); err != nil {
				return err
			}
		}
		t.table.bytes.Add(-int64(len(s.slots)*4 + len(s.chunks)*chunkRows*addrSumBytes))
		s.n, s.slots, s.chunks, s.large = 0, nil, nil, nil
	}
	return nil
}
