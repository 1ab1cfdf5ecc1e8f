package index

import (
	"fmt"

	"weir/flow"
	"weir/store"
)

// Stats counts what look-ups did, for explain. It adds up over calls and is not
// safe for use by several goroutines at once.
type Stats struct {
	Seeks     int // descents into the entries' tree
	PagesRead int // pages read and checked
	PageBytes int // their bytes
	Terms     int // terms that lay in the ranges
}

// entries is what a look-up needs of store.IndexIter.
type entries interface {
	SeekGE(key []byte) bool
	SeekLT(key []byte) bool
	Next() bool
	Key() []byte
	Value() []byte
	Err() error
}

// Blocks returns the blocks of b that may hold a value of one of the ranges in
// field f: exactly those that do among the blocks that the index covers, and
// of the others all but some that do not. The ranges may be in any order; in ascending order without
// overlaps, as Normalize makes them, they need no copy.
//
// A value costs one descent into the bucket's index and one page, whether it
// occurs or not. A range reads its pages in one pass. A list is one ordered
// pass that skips the pages it does not need.
func Blocks(b *store.Bucket, f flow.Field, ranges []ValueRange) (*Set, error) {
	return BlocksStats(b, f, ranges, &Stats{})
}

// BlocksStats is Blocks and adds to st what it took.
func BlocksStats(b *store.Bucket, f flow.Field, ranges []ValueRange, st *Stats) (*Set, error) {
	if !Indexed(f) {
		return nil, fmt.Errorf("field %v is not indexed", f)
	}
	n, total := b.Indexed(), b.Blocks()
	set := NewSet()
	if n > 0 && len(ranges) > 0 {
		words, err := bucketWords(b, f, n, Normalize(ranges), st)
		if err != nil {
			return nil, err
		}
		set = fromWords(words)
	}
	if f == flow.SrcAddr || f == flow.DstAddr {
		addUnindexed(set, b, ranges)
	} else {
		set.AddRange(uint64(n), uint64(total))
	}
	return set, nil
}

// addUnindexed adds the blocks that the index does not cover, but for those that
// are known to have none of the addresses.
func addUnindexed(set *Set, b *store.Bucket, ranges []ValueRange) {
	for i := b.Indexed(); i < b.Blocks(); i++ {
		if mayHave(b, i, ranges) {
			set.Add(uint32(i))
		}
	}
}

// mayHave reports whether block i may have an address of the ranges. Only of single
// addresses is it known that a block lacks them.
func mayHave(b *store.Bucket, i int, ranges []ValueRange) bool {
	for _, r := range ranges {
		if r.Lo != r.Hi || !b.LacksAddr(i, r.Lo) {
			return true
		}
	}
	return false
}

// bucketWords returns the blocks below n as a bit set.
func bucketWords(b *store.Bucket, f flow.Field, n int, ranges []ValueRange, st *Stats) (words []uint64, err error) {
	it, err := b.IndexIter([]byte{byte(f)}, []byte{byte(f) + 1})
	if err != nil {
		return nil, fmt.Errorf("open index: %w", err)
	}
	defer func() {
		if cerr := it.Close(); err == nil && cerr != nil {
			err = fmt.Errorf("close index: %w", cerr)
		}
	}()
	l := lookup{it: it, field: f, hour: b.Info().Hour, n: n, words: make([]uint64, (n+63)/64), stats: st}
	return l.words, l.run(ranges)
}

// A lookup walks the pages of one field for ascending ranges.
type lookup struct {
	it    entries
	field flow.Field
	hour  store.Hour
	n     int      // blocks of the bucket that the index covers
	words []uint64 // the blocks found, a bit each
	stats *Stats

	page pageReader
	open bool // page stands on a term
	key  []byte
}

// run adds the blocks of all ranges, which are normal, to l.words.
func (l *lookup) run(ranges []ValueRange) error {
	return l.each(ranges, func(int) bool { return countBits(l.words) < l.n }) // no range can add a block to all
}

// each adds the blocks of one range after the other, which are normal, to
// l.words, and calls next with the range's place, until it returns false or no
// value of the field is as large as the ranges that are left.
func (l *lookup) each(ranges []ValueRange, next func(i int) bool) error {
	for i, rng := range ranges {
		ok, err := l.moveTo(rng.Lo)
		if err != nil || !ok {
			return err
		}
		if err := l.collect(rng); err != nil {
			return err
		}
		if !next(i) {
			return nil
		}
	}
	return nil
}

// moveTo makes l.page the page that v is in or would be in; it returns false if
// v stands after all values of the field. A page that is open already and the
// one after it are tried before a descent.
func (l *lookup) moveTo(v flow.Addr) (bool, error) {
	if l.open && !l.page.last.Less(v) {
		return true, nil
	}
	if l.open {
		if ok, err := l.nextPage(); err != nil || !ok {
			return false, err
		}
		if !l.page.last.Less(v) {
			return true, nil
		}
	}
	l.key = appendKey(l.key[:0], l.field, v)
	l.key = append(l.key, 0) // the first key after v's own
	l.stats.Seeks++
	if l.it.SeekLT(l.key) {
		if err := l.openPage(); err != nil {
			return false, err
		}
		if !l.page.last.Less(v) {
			return true, nil
		}
		return l.nextPage() // v lies between two pages
	}
	if err := l.it.Err(); err != nil {
		return false, err
	}
	l.stats.Seeks++
	if !l.it.SeekGE(l.key) { // v lies before the first page, if there is any
		return false, l.it.Err()
	}
	return true, l.openPage()
}

// nextPage opens the page after the current one, if there is one.
func (l *lookup) nextPage() (bool, error) {
	l.open = false
	if !l.it.Next() {
		return false, l.it.Err()
	}
	return true, l.openPage()
}

func (l *lookup) openPage() error {
	page, err := openPage(l.it.Key(), l.it.Value())
	if err == nil && page.n != l.n {
		err = fmt.Errorf("index page counts %d blocks, its bucket %d", page.n, l.n)
	}
	if err != nil {
		return l.damage(err)
	}
	l.page, l.open = page, true
	l.stats.PagesRead++
	l.stats.PageBytes += len(l.it.Value())
	return nil
}

// damage makes err, which is about the page that the iterator stands on, one
// that names it.
func (l *lookup) damage(err error) error {
	return &store.DamageError{Hour: l.hour, What: "index entry " + describeKey(l.it.Key()), Err: err}
}

// collect adds the blocks of the range's terms from the current page on.
func (l *lookup) collect(rng ValueRange) error {
	for {
		if rng.Hi.Less(l.page.value) {
			return nil
		}
		more, err := l.page.collect(rng, l.words, &l.stats.Terms)
		if err != nil {
			return l.damage(err)
		}
		if more || countBits(l.words) == l.n {
			return nil
		}
		ok, err := l.nextPage()
		if err != nil || !ok {
			return err
		}
	}
}
