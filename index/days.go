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
	open   store.Hour                   // the day of the last bucket asked for
	note   *dayNote                     // of its summary; nil: there is none
	day    *Day                         // the summary itself; nil: it was not needed yet
	masks  map[any]uint32               // what Day.Hours gave, by the caller's key
	stats  Stats
}

// NewDays returns the day summaries of the buckets, which ascend and are all of
// the store's in their span.
func NewDays(buckets []*store.Bucket) *Days {
	d := &Days{firsts: map[store.Hour]*store.Bucket{}, open: ^store.Hour(0), masks: map[any]uint32{}}
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
	if d.note == nil || !d.note.marks.cover(d.firsts[d.open], b) {
		return false, nil
	}
	mask, ok := d.masks[key]
	if !ok {
		var err error
		if mask, err = d.hours(ranges()); err != nil {
			return false, err
		}
		d.masks[key] = mask
	}
	return mask>>(b.Info().Hour-d.open)&1 == 0, nil
}

// hours is Day.Hours of the day that is open, which reads the summary only if that
// is not noted.
func (d *Days) hours(ranges []ValueRange) (mask uint32, err error) {
	if mask, known := d.note.hours(ranges); known {
		return mask, nil
	}
	if d.day == nil {
		if d.day, err = openPages(d.firsts[d.open]); err != nil {
			return 0, err
		}
	}
	if mask, err = d.day.Hours(ranges); err == nil {
		d.note.add(ranges, mask)
	}
	return mask, err
}

// turnTo opens the summary of a day.
func (d *Days) turnTo(day store.Hour) (err error) {
	if d.open == day {
		return nil
	}
	err = d.shut()
	d.open, d.note = day, nil
	clear(d.masks)
	if b := d.firsts[day]; b != nil {
		var openErr error
		d.note, d.day, openErr = noteOfDay(b)
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
