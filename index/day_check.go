package index

import (
	"context"
	"errors"
	"fmt"

	"weir/flow"
	"weir/store"
)

// CheckDay compares the summary of a day, if there is one, with the records of
// the day's buckets, which are given in ascending order and from the first on.
// It returns nil if they agree, else an error that names the first address
// where they part. Hours that the summary does not cover are left out.
func CheckDay(ctx context.Context, buckets []*store.Bucket) (err error) {
	if len(buckets) == 0 {
		return nil
	}
	d, err := OpenDay(buckets[0])
	if d == nil || err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	var covered uint64
	var sources []encodeFunc
	for _, b := range buckets {
		if !d.Covers(b) {
			continue
		}
		place := uint32(b.Hour() - DayOf(d.bucket.Hour()))
		covered |= 1 << place
		for i := range b.Blocks() {
			sources = append(sources, blockSides(b, i, place)...)
		}
	}
	terms := dayTerms{day: d, covered: covered}
	err = mergeSources(ctx, len(sources), runBudget, terms.expect, func(i int, lo, hi flow.Addr) (run, error) {
		return sources[i](i, lo, hi)
	})
	if err == nil {
		err = terms.expectEnd()
	}
	if err != nil {
		return fmt.Errorf("check day summary in bucket %v: %w", d.bucket.Hour(), err)
	}
	return nil
}

// dayTerms walks a summary's terms, as far as they are of covered hours.
type dayTerms struct {
	day     *Day
	covered uint64
	l       *lookup
	more    bool
}

// next returns the next term, false at the end.
func (t *dayTerms) next() (v flow.Addr, mask uint64, ok bool, err error) {
	if t.l == nil {
		t.l = &lookup{it: t.day.it, field: dayField, hour: t.day.bucket.Hour(), n: hoursPerDay, stats: &t.day.stats}
		if t.more, err = t.l.moveTo(flow.Addr{}); err != nil {
			return v, 0, false, err
		}
	}
	for t.more {
		v = t.l.page.value
		var words [1]uint64
		inPage, err := t.l.page.next(words[:])
		if err != nil {
			return v, 0, false, t.l.damage(err)
		}
		if !inPage {
			if t.more, err = t.l.nextPage(); err != nil {
				return v, 0, false, err
			}
		}
		if mask = words[0] & t.covered; mask != 0 {
			return v, mask, true, nil
		}
	}
	return v, 0, false, nil
}

// expect takes the next term and compares it with what the records say.
func (t *dayTerms) expect(want flow.Addr, hours []uint32) error {
	v, mask, ok, err := t.next()
	if err != nil {
		return err
	}
	if !ok || want.Less(v) {
		return fmt.Errorf("%w: address %v is missing", errDiffers, want)
	}
	if v.Less(want) {
		return fmt.Errorf("%w: address %v is one too many", errDiffers, v)
	}
	var wantMask uint64
	for _, h := range hours {
		wantMask |= 1 << h
	}
	if mask != wantMask {
		return fmt.Errorf("%w: address %v is said to be in the hours %b, want %b", errDiffers, v, mask, wantMask)
	}
	return nil
}

func (t *dayTerms) expectEnd() error {
	v, _, ok, err := t.next()
	if err == nil && ok {
		err = fmt.Errorf("%w: address %v is one too many", errDiffers, v)
	}
	return err
}
