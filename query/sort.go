package query

import (
	"cmp"
	"container/heap"
	"context"
	"errors"
	"slices"
	"sync"
	"unsafe"

	"weir/flow"
	"weir/store"
)

// A sortKey orders records: those without the key last, then by key, then by
// place.
type sortKey struct {
	absent bool
	key    uint64 // complemented for descending orders
	place  uint64 // of the block, with the row's rank by receipt in the low 16 bits
}

func (a sortKey) compare(b sortKey) int {
	if a.absent != b.absent {
		if b.absent {
			return -1
		}
		return 1
	}
	if c := cmp.Compare(a.key, b.key); c != 0 {
		return c
	}
	return cmp.Compare(a.place, b.place)
}

// A keyed is rows of one block with their keys, sorted by them, and with their
// records unless there is a limit: then few of them will be in the answer, and
// their records are read in the end.
type keyed struct {
	bucket *store.Bucket
	block  int
	keys   []sortKey
	rows   []uint16
	batch  *flow.Batch
}

// sorted emits records in an order other than of receipt.
func (f *flows) sorted(ctx context.Context) error {
	f.reverse = f.order.Descending && f.limit > 0 // the best are likely to be met first
	best := &best{limit: f.limit}
	f.unneeded = func(blk *store.Block) bool { return f.beaten(blk, best) }
	look := func(v *visit) (k keyed, err error) {
		k.bucket, k.block = v.bucket, v.blk.Number()
		if k.keys, k.rows, err = f.keys(v, best); err == nil && f.limit == 0 {
			k.batch = flow.NewBatch(len(k.rows))
			err = v.gather(k.batch, k.rows, f.fields)
		}
		return k, err
	}
	if f.limit > 0 {
		f.last = func(ctx context.Context) error { return f.materialise(ctx, best.entries) }
	}
	if err := scanBlocks(ctx, f.scan, look, best.add); err != nil {
		return err
	}
	f.summary.Limited = f.limit > 0 && f.summary.RowsMatched > uint64(f.limit) || f.left.Load()
	var r flow.Record
	for i, e := range best.ranked() {
		if i&0xfff == 0xfff && ctx.Err() != nil {
			return ctx.Err()
		}
		if e.batch == nil {
			continue // its block is damaged; the summary says so
		}
		e.batch.Record(e.at, &r)
		if err := f.emit(&r); err != nil {
			return err
		}
		f.summary.Emitted++
	}
	return nil
}

// materialise reads the records of entries, block by block, several at once.
func (f *flows) materialise(ctx context.Context, entries []entry) error {
	type source struct {
		bucket *store.Bucket
		block  int
	}
	blocks := map[source][]*entry{}
	for i := range entries {
		e := &entries[i]
		blocks[source{e.bucket, e.block}] = append(blocks[source{e.bucket, e.block}], e)
	}
	work := make(chan source, len(blocks))
	for s := range blocks {
		work <- s
	}
	close(work)
	errs := make([]error, workers())
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			v := &visit{evaluator: newEvaluator(constNode(true), Window{})}
			for s := range work {
				if errs[i] = ctx.Err(); errs[i] != nil {
					return
				}
				err := f.fillEntries(v, s.bucket, s.block, blocks[s])
				if store.IsDamage(err) {
					f.damaged(err)
				} else if err != nil {
					errs[i] = err
					return
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// fillEntries reads the records of entries of one block.
func (f *flows) fillEntries(v *visit, bucket *store.Bucket, block int, entries []*entry) error {
	blk, err := bucket.Block(block)
	if err != nil {
		return err
	}
	v.open(blk)
	rows := make([]uint16, len(entries))
	for i, e := range entries {
		rows[i] = e.row
	}
	batch := flow.NewBatch(len(rows))
	if err := v.gather(batch, rows, f.fields); err != nil {
		return err
	}
	for i, e := range entries {
		e.batch, e.at = batch, i
	}
	return nil
}

// keys returns the keys of the rows of a visit that may be among the best,
// sorted, and the rows that they belong to.
func (f *flows) keys(v *visit, best *best) ([]sortKey, []uint16, error) {
	value, defined, err := f.keyColumn(v)
	if err != nil {
		return nil, nil, err
	}
	keyOf := func(row int) sortKey {
		if !defined(row) {
			return sortKey{absent: true}
		}
		if f.order.Descending {
			return sortKey{key: ^value(row)}
		}
		return sortKey{key: value(row)}
	}
	rows := f.promising(v, best, keyOf)
	if err := v.byReceived(rows); err != nil {
		return nil, nil, err
	}
	keys := make([]sortKey, len(rows))
	for rank, row := range rows {
		keys[rank] = keyOf(int(row))
		keys[rank].place = v.place | uint64(rank)
	}
	slices.SortFunc(keys, sortKey.compare)
	if f.limit > 0 && len(keys) > f.limit {
		keys = keys[:f.limit]
	}
	sorted := make([]uint16, len(keys))
	for i, k := range keys {
		sorted[i] = rows[k.place&0xffff]
	}
	return keys, sorted, nil
}

// promising returns the rows of a visit without those that limit others of it,
// or limit records of other blocks, stand before whatever the order of receipt.
func (f *flows) promising(v *visit, best *best, keyOf func(row int) sortKey) []uint16 {
	rows := v.selected(nil)
	if f.limit == 0 {
		return rows
	}
	if worst, full := best.worst(); full {
		worst.place = ^uint64(0)
		rows = slices.DeleteFunc(rows, func(row uint16) bool { return keyOf(int(row)).compare(worst) > 0 })
	}
	if len(rows) <= f.limit {
		return rows
	}
	keys := make([]sortKey, len(rows))
	for i, row := range rows {
		keys[i] = keyOf(int(row))
	}
	slices.SortFunc(keys, sortKey.compare)
	last := keys[f.limit-1]
	return slices.DeleteFunc(rows, func(row uint16) bool { return keyOf(int(row)).compare(last) > 0 })
}

// beaten reports whether a block's header tells that none of its rows is among
// the best.
func (f *flows) beaten(blk *store.Block, best *best) bool {
	field, ok := flow.ParseField(f.order.Key)
	worst, full := best.worst()
	if !ok || !full || worst.absent {
		return false
	}
	s := blk.Stat(field)
	first := s.MinNum
	if f.order.Descending {
		first = ^s.MaxNum
	}
	return s.Present == 0 || first > worst.key
}

// keyColumn returns the values that the order is by, and which rows have one.
func (f *flows) keyColumn(v *visit) (value func(row int) uint64, defined func(row int) bool, err error) {
	if f.order.Key == "duration" {
		set := new(rowSet)
		*set = *v.rows
		value, err = v.computed(computedDuration, set)
		return value, func(row int) bool { return inWords(set[:], row) }, err
	}
	field, _ := flow.ParseField(f.order.Key)
	column, err := v.num(field)
	if err != nil {
		return nil, nil, err
	}
	present, err := v.has(field)
	return func(row int) uint64 { return column[row] }, func(row int) bool { return inWords(present, row) }, err
}

// A best keeps the records that come first in an order: all of them, or limit
// of them in a heap with the last on top.
type best struct {
	limit int
	bytes int64

	mu      sync.Mutex // guards entries, which add changes and worst looks at
	entries []entry
}

// An entry is a record that is kept: a row of a block and, when that has been
// read, of a batch.
type entry struct {
	sortKey
	bucket *store.Bucket
	block  int
	row    uint16
	batch  *flow.Batch
	at     int
}

// worst returns the last of the records that are kept, and whether there are as
// many as there may be.
func (b *best) worst() (sortKey, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.limit == 0 || len(b.entries) < b.limit {
		return sortKey{}, false
	}
	return b.entries[0].sortKey, true
}

// add keeps the rows of one block that are among the best so far.
func (b *best) add(k keyed) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if k.batch != nil {
		b.bytes += batchBytes(k.batch)
	}
	for i, key := range k.keys {
		e := entry{sortKey: key, bucket: k.bucket, block: k.block, row: k.rows[i], batch: k.batch, at: i}
		switch {
		case b.limit == 0:
			b.entries = append(b.entries, e)
		case len(b.entries) < b.limit:
			b.bytes += recordBytes
			heap.Push(b, e)
		case key.compare(b.entries[0].sortKey) >= 0:
			return b.check()
		default:
			b.entries[0] = e
			heap.Fix(b, 0)
		}
	}
	return b.check()
}

// check returns an error if the entries take more memory than they may.
func (b *best) check() error {
	if b.bytes+int64(len(b.entries))*entryBytes > MaxSortBytes {
		return &SortTooLargeError{Records: int64(len(b.entries)), Bytes: MaxSortBytes}
	}
	return nil
}

// ranked returns the entries in order.
func (b *best) ranked() []entry {
	slices.SortFunc(b.entries, func(x, y entry) int { return x.compare(y.sortKey) })
	return b.entries
}

// Len, Less, Swap, Push and Pop are for container/heap.
func (b *best) Len() int           { return len(b.entries) }
func (b *best) Less(i, j int) bool { return b.entries[i].compare(b.entries[j].sortKey) > 0 }
func (b *best) Swap(i, j int)      { b.entries[i], b.entries[j] = b.entries[j], b.entries[i] }
func (b *best) Push(x any)         { b.entries = append(b.entries, x.(entry)) }
func (b *best) Pop() any {
	last := b.entries[len(b.entries)-1]
	b.entries = b.entries[:len(b.entries)-1]
	return last
}

const (
	recordBytes = int64(unsafe.Sizeof(flow.Record{}))
	entryBytes  = int64(unsafe.Sizeof(entry{}))
)

// batchBytes returns about what a batch takes.
func batchBytes(b *flow.Batch) int64 {
	n := int64(0)
	for f := range b.Columns().All {
		n += 8
		if f.IsAddr() {
			n += 8
		}
	}
	return n*int64(b.Len()) + 4096
}
