package index

import (
	"context"
	"errors"
	"fmt"

	"weir/flow"
	"weir/store"
)

// minDayHours is the fewest hours that a summary is worth its while for.
const minDayHours = 3

// sideFields are the fields whose addresses a day summary unites.
var sideFields = [...]flow.Field{flow.SrcAddr, flow.DstAddr}

// addDay adds the summary of the day that own, which is being sealed, is the
// first bucket of. The other hours' addresses come from their indexes, as far
// as they are sealed; own's from its blocks.
func addDay(ctx context.Context, s *store.Store, own *store.Bucket, add func(key, value []byte) error) (err error) {
	h := own.Info().Hour
	v, err := s.View(h+1, DayOf(h)+hoursPerDay-1)
	if err != nil {
		return fmt.Errorf("summarise day: %w", err)
	}
	defer func() { err = errors.Join(err, v.Close()) }()

	var marks dayMarks
	marks[h-DayOf(h)] = markOf(own.Info())
	var sources []encodeFunc
	for i := range own.Blocks() {
		sources = append(sources, blockSides(own, i, uint32(h-DayOf(h)))...)
	}
	hours := 1
	for _, b := range v.Buckets() {
		if b.Blocks() == 0 || b.Indexed() != b.Blocks() {
			continue
		}
		place := b.Info().Hour - DayOf(h)
		marks[place] = markOf(b.Info())
		for _, f := range sideFields {
			sources = append(sources, indexSource(b, f, uint32(place)))
		}
		hours++
	}
	if hours < minDayHours {
		return nil
	}
	return writeDay(ctx, marks, sources, add)
}

// unsay takes away the summaries that would speak of b once it is sealed, and yet
// were made of other records: some were removed, and with as many others the
// bucket has the same mark. A summary speaks of its own bucket and of later ones.
func unsay(ctx context.Context, s *store.Store, b *store.Bucket) error {
	info := b.Info()
	if b.Indexed() == b.Blocks() || info.Hour == DayOf(info.Hour) {
		return nil // nothing was removed since it was sealed; or no summary but its own speaks of it
	}
	var wrong []store.Hour
	v, err := s.View(DayOf(info.Hour), info.Hour-1)
	if err != nil {
		return fmt.Errorf("look for a summary of the day: %w", err)
	}
	for _, other := range v.Buckets() {
		d, openErr := OpenDay(other)
		switch {
		case store.IsDamage(openErr): // nobody reads it
		case openErr != nil:
			err = errors.Join(err, openErr)
		case d != nil:
			if d.marks[info.Hour-DayOf(info.Hour)] == markOf(info) {
				wrong = append(wrong, other.Hour())
			}
			err = errors.Join(err, d.Close())
		}
	}
	err = errors.Join(err, v.Close())
	for _, h := range wrong {
		err = errors.Join(err, seal(ctx, s, h, false))
	}
	return err
}

func writeDay(ctx context.Context, marks dayMarks, sources []encodeFunc, add func(key, value []byte) error) error {
	if err := add([]byte{byte(dayField)}, marks.encode()); err != nil {
		return fmt.Errorf("summarise day: %w", err)
	}
	w := &pageWriter{emit: add, field: dayField, n: hoursPerDay, target: dayPageTarget}
	err := mergeSources(ctx, len(sources), runBudget, w.add, func(i int, lo, hi flow.Addr) (run, error) {
		return sources[i](i, lo, hi)
	})
	if err == nil {
		err = w.flush()
	}
	if err != nil {
		return fmt.Errorf("summarise day: %w", err)
	}
	return nil
}

// blockSides returns the addresses of one block as sources.
func blockSides(b *store.Bucket, block int, place uint32) []encodeFunc {
	var sources []encodeFunc
	for _, f := range sideFields {
		sources = append(sources, func(_ int, lo, hi flow.Addr) (run, error) {
			r, err := dictionaryRun(bucketBlocks{b}, block, f, lo, hi)
			r.block = place
			return r, err
		})
	}
	return sources
}

// indexSource returns the terms of field f in the index of b as a source.
func indexSource(b *store.Bucket, f flow.Field, place uint32) encodeFunc {
	return func(_ int, lo, hi flow.Addr) (run, error) {
		data, err := indexRun(b, f, lo, hi)
		if err != nil {
			return run{}, fmt.Errorf("read index of bucket %v: %w", b.Info().Hour, err)
		}
		return run{block: place, data: data}, nil
	}
}

// indexRun encodes the values from lo to hi that the index of b has for f.
func indexRun(b *store.Bucket, f flow.Field, lo, hi flow.Addr) (data []byte, err error) {
	it, err := b.IndexIter([]byte{byte(f)}, []byte{byte(f) + 1})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	var stats Stats
	l := lookup{it: it, field: f, hour: b.Info().Hour, n: b.Indexed(), stats: &stats}
	var last flow.Addr
	for more, err := l.moveTo(lo); ; more, err = l.nextPage() {
		if err != nil || !more {
			return data, err
		}
		for inPage := true; inPage; {
			v := l.page.value
			if hi.Less(v) {
				return data, nil
			}
			if !v.Less(lo) {
				data = appendWide(data, sub(v, last))
				last = v
			}
			if inPage, err = l.page.next(nil); err != nil {
				return nil, l.damage(err)
			}
		}
	}
}
