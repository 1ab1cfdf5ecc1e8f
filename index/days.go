package index

import (
	"errors"

	"weir/store"
)

// Days looks addresses up in the day summaries of the buckets of a view, for a
// plan that goes through them day by day. It belongs to one goroutine; close it
// before the view.
type Days struct {
	firsts map[store.Hour]*store.Bucket // by day, where a summary is worth a look
	day    *Day                         // of the last bucket asked for; nil: it has none
	open   store.Hour                   // that day
	masks  map[any]uint32               // what Day.Hours gave, by the caller's key
	stats  Stats
}

// NewDays returns the day summaries of the buckets, which ascend and are all of
// the store's in their span.
func NewDays(buckets []*store.Bucket) *Days {
	d := &Days{firsts: map[store.Hour]*store.Bucket{}, open: ^store.Hour(0)}
	for i := 0; i < len(buckets); {
		day, first := DayOf(buckets[i].Info().Hour), i
		for i++; i < len(buckets) && DayOf(buckets[i].Info().Hour) == day; i++ {
		}
		if i-first >= minDayHours {
			d.firsts[day] = buckets[first]
		}
	}
	return d
}

// Absent reports whether the summary of b's day proves that no record of b has
// an address of the ranges as source or as destination. key is comparable and
// stands for the ranges, which are asked for and looked up once a day.
func (d *Days) Absent(b *store.Bucket, key any, ranges func() []ValueRange) (bool, error) {
	if err := d.turnTo(DayOf(b.Info().Hour)); err != nil {
		return false, err
	}
	if d.day == nil || !d.day.Covers(b) {
		return false, nil
	}
	mask, ok := d.masks[key]
	if !ok {
		var err error
		if mask, err = d.day.Hours(ranges()); err != nil {
			return false, err
		}
		d.masks[key] = mask
	}
	return mask>>(b.Info().Hour-d.day.first)&1 == 0, nil
}

// turnTo opens the summary of a day.
func (d *Days) turnTo(day store.Hour) (err error) {
	if d.open == day {
		return nil
	}
	err = d.shut()
	d.open, d.masks = day, map[any]uint32{}
	if b := d.firsts[day]; b != nil {
		var openErr error
		d.day, openErr = OpenDay(b)
		err = errors.Join(err, openErr)
	}
	return err
}

func (d *Days) shut() error {
	if d.day == nil {
		return nil
	}
	d.stats.Seeks += d.day.stats.Seeks
	d.stats.PagesRead += d.day.stats.PagesRead
	d.stats.PageBytes += d.day.stats.PageBytes
	d.stats.Terms += d.day.stats.Terms
	err := d.day.Close()
	d.day = nil
	return err
}

// Stats returns what the look-ups took, once Days is closed.
func (d *Days) Stats() Stats { return d.stats }

// Close frees what is open.
func (d *Days) Close() error {
	d.open = ^store.Hour(0)
	return d.shut()
}
