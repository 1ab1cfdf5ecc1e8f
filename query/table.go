package query

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
)

// A groupTable sums records by packed key. It is split into shards by hash, so
// that several workers add to it at once, a look-up stays within the cache, and
// there is no second copy to be merged in the end.
type groupTable struct {
	words   int  // of a key
	times   bool // first and last are kept
	pairs   int  // words of a distinct value, 0: not counted
	seed    uint64
	mixer   mixer
	shards  [shardCount]shard
	compact []sumShard[word] // groups that have nothing rare, by shard as in shards; nil: there can be none
	mixed   atomic.Bool      // groups are in shards, too
	mapped  atomic.Bool      // most of what groups take is in runs outside of the heap
	bytes   atomic.Int64     // allocated by all shards
	numbers *addrNumbers     // that keys refer to
	max     int64            // of both

	lend     func(lean bool) (giveBack func()) // called once if groups are many; may be nil
	lent     sync.Once
	giveBack func()
}

const (
	shardBits  = 8
	shardCount = 1 << shardBits
)

// atRecords, atBytes and atPackets are where a row's sums are after its key.
const (
	atRecords = iota
	atBytes
	atPackets
	rowSums
)

// manyGroups is the memory from which on groups need that of the cache of columns.
const manyGroups = 24 << 20

// many reports whether groups take so much.
func (t *groupTable) many() bool { return t.bytes.Load() > manyGroups }

// take counts n bytes more, and reports whether groups may take them.
func (t *groupTable) take(n int64) bool {
	bytes := t.bytes.Add(n)
	if bytes > manyGroups && t.lend != nil {
		t.lent.Do(func() {
			t.giveBack = t.lend(true)
			if t.mapped.Load() {
				debug.FreeOSMemory() // the heap does not need it again
			} else {
				runtime.GC() // now: by itself it would come when the groups have taken as much again
			}
		})
	}
	return bytes+t.numbers.bytes() <= t.max
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

func newGroupTable(l *layout, times bool, pairs int, limit int64) *groupTable {
	t := &groupTable{words: l.words, numbers: l.numbers, times: times, pairs: pairs, seed: rand.Uint64(), max: limit}
	t.mixer = newMixer(t.seed)
	if t.plain() {
		t.compact = make([]sumShard[word], shardCount)
		for i := range t.compact {
			t.compact[i].table = t
		}
	}
	return t
}

// shardOf returns the shard of a key by its hash.
func shardOf(hash uint64) uint64 { return hash >> (64 - shardBits) }

// hash returns the hash of a key.
func (t *groupTable) hash(key []uint64) uint64 {
	if len(key) == 1 {
		return t.mixer.mix(key[0])
	}
	return hashWords(t.seed, key)
}

// hashWord is hashWords for one word, which has its own way.
func hashWord(seed, word uint64) uint64 {
	hi, lo := bits.Mul64(word^seed, 0xd6e8feb86659fd93)
	hi, lo = bits.Mul64(hi^lo^0xa0761d6478bd642f, seed|1)
	return hi ^ lo
}

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
		p.starts[shardOf(h)+1]++
	}
	for i := range shardCount {
		p.starts[i+1] += p.starts[i]
	}
	next := p.starts
	p.order = resize(p.order, p.n)
	for i, h := range p.hashes[:p.n] {
		s := shardOf(h)
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
	t.mixed.Store(true)
	if t.words == 1 {
		for i, key := range p.keys[:p.n] {
			p.hashes[i] = t.mixer.mix(key)
		}
	} else {
		for i := range p.n {
			p.hashes[i] = t.hash(p.keys[i*t.words : (i+1)*t.words])
		}
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
