package index

import (
	"context"
	"fmt"
	"slices"

	"weir/flow"
	"weir/store"
)

// A dictionary is the distinct values of one block's column, ascending.
type dictionary interface {
	Len() int
	Num(i int) uint64
	Addr(i int) flow.Addr
}

// A blockSource gives the dictionary of block i's column, nil if no record of
// the block has the field.
type blockSource interface {
	dictionary(i int, f flow.Field) (dictionary, error)
}

// bucketBlocks is the blockSource of a bucket.
type bucketBlocks struct{ b *store.Bucket }

func (s bucketBlocks) dictionary(i int, f flow.Field) (dictionary, error) {
	blk, err := s.b.Block(i)
	if err != nil {
		return nil, fmt.Errorf("read block %d: %w", i, err)
	}
	if !blk.Columns().Has(f) {
		return nil, nil
	}
	d, err := blk.Values(f)
	if err != nil {
		return nil, fmt.Errorf("read dictionary of block %d: %w", i, err)
	}
	if d == nil {
		return nil, fmt.Errorf("block %d keeps %v without a dictionary", i, f)
	}
	return d, nil
}

// orderedFields returns the indexed fields in the order of their keys.
func orderedFields() []flow.Field {
	fields := slices.Clone(store.PostingFields[:])
	slices.Sort(fields)
	return fields
}

// build calls add for the index entries of the first n blocks, in ascending
// order of their keys. It holds at most about budget bytes of values at once.
func build(ctx context.Context, src blockSource, n, budget int, add func(key, value []byte) error) error {
	return buildForm(ctx, src, budget, pageWriter{emit: add, n: n})
}

// buildForm is build with pages as made by copies of a writer.
func buildForm(ctx context.Context, src blockSource, budget int, form pageWriter) error {
	if form.n == 0 {
		return nil
	}
	for _, f := range orderedFields() {
		w := new(pageWriter)
		*w = form
		w.field = f
		var err error
		if f.IsAddr() {
			err = buildRuns(ctx, src, w, budget)
		} else {
			err = buildTable(ctx, src, w)
		}
		if err == nil {
			err = w.flush()
		}
		if err != nil {
			return fmt.Errorf("index %v: %w", f, err)
		}
	}
	return nil
}

// buildTable indexes a field of at most 16 bits: a bit set for each value of
// the field, filled without any sorting. It takes 8 KiB a block.
func buildTable(ctx context.Context, src blockSource, w *pageWriter) error {
	width := (w.n + 7) / 8
	sets := make([]byte, width<<w.field.Bits())
	for i := range w.n {
		if err := ctx.Err(); err != nil {
			return err
		}
		d, err := src.dictionary(i, w.field)
		if err != nil {
			return err
		}
		if d == nil {
			continue
		}
		for k := range d.Len() {
			v := d.Num(k)
			if v >= 1<<w.field.Bits() {
				return fmt.Errorf("block %d holds %d in a field of %d bits", i, v, w.field.Bits())
			}
			sets[int(v)*width+i>>3] |= 1 << (i & 7)
		}
	}
	return w.addTable(sets)
}

// An encodeFunc returns source i's values from lo to hi as a run; an empty one
// if there are none.
type encodeFunc func(i int, lo, hi flow.Addr) (run, error)

// buildRuns indexes a field of wide values: the blocks' dictionaries are held
// as runs and merged.
func buildRuns(ctx context.Context, src blockSource, w *pageWriter, budget int) error {
	return mergeSources(ctx, w.n, budget, w.add, func(i int, lo, hi flow.Addr) (run, error) {
		return dictionaryRun(src, i, w.field, lo, hi)
	})
}

func dictionaryRun(src blockSource, i int, f flow.Field, lo, hi flow.Addr) (run, error) {
	d, err := src.dictionary(i, f)
	if d == nil || err != nil {
		return run{}, err
	}
	return run{block: uint32(i), data: encodeRun(d, lo, hi)}, nil
}

// lastValue returns the largest value.
func lastValue() flow.Addr { return flow.Addr{Hi: ^uint64(0), Lo: ^uint64(0)} }

// mergeSources calls add for every distinct value of n sources, with the blocks
// of their runs, both ascending. When the runs would take more than budget
// bytes, only the values up to some limit are merged, and what is after it in
// another pass over the sources.
func mergeSources(ctx context.Context, n, budget int, add func(flow.Addr, []uint32) error, encode encodeFunc) error {
	for lo := (flow.Addr{}); ; {
		runs, hi, err := collectRuns(ctx, n, budget, lo, encode)
		if err != nil {
			return err
		}
		if err := mergeRuns(runs, add); err != nil {
			return err
		}
		if hi == lastValue() {
			return nil
		}
		lo = hi.Next()
	}
}

// collectRuns returns the sources' values from lo on, up to a limit hi that it
// chooses so that they fit the budget.
func collectRuns(ctx context.Context, n, budget int, lo flow.Addr, encode encodeFunc) (runs []run, hi flow.Addr, err error) {
	hi = lastValue()
	size := 0
	for i := range n {
		if err := ctx.Err(); err != nil {
			return nil, hi, err
		}
		r, err := encode(i, lo, hi)
		if err != nil {
			return nil, hi, err
		}
		if len(r.data) == 0 {
			continue
		}
		runs = append(runs, r)
		size += len(r.data)
		for size > budget {
			middle := longest(runs).middle()
			if !middle.Less(hi) {
				break // a value or two a source are left: they must fit
			}
			hi = middle
			size = cut(runs, hi)
		}
	}
	return runs, hi, nil
}

// encodeRun returns the dictionary's values from lo to hi as a run's data of
// just the length needed.
func encodeRun(d dictionary, lo, hi flow.Addr) []byte {
	data := make([]byte, 0, 3*d.Len())
	var last flow.Addr
	for i := range d.Len() {
		v := d.Addr(i)
		if v.Less(lo) {
			continue
		}
		if hi.Less(v) {
			break
		}
		data = appendWide(data, sub(v, last))
		last = v
	}
	return slices.Clip(data)
}

func longest(runs []run) *run {
	best := &runs[0]
	for i := range runs {
		if len(runs[i].data) > len(best.data) {
			best = &runs[i]
		}
	}
	return best
}

// cut drops the values after hi from all runs and returns what is left, in
// bytes.
func cut(runs []run, hi flow.Addr) int {
	size := 0
	for i := range runs {
		runs[i].truncate(hi)
		size += len(runs[i].data)
	}
	return size
}
