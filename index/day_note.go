package index

import (
	"sync"

	"weir/store"
)

// A dayNote is what is kept in memory of the day summary in a bucket: which hours
// it covers, and what it said of the addresses that were asked for last. Of the
// same address there come several questions, and to ask the summaries of weeks
// again would be most of what one of them takes that finds nothing.
type dayNote struct {
	marks dayMarks // all 0 if there is no summary

	mu    sync.Mutex
	asked [notedRanges]askedRange
	next  int // in asked, to be written over
}

// notedRanges is how many ranges are kept of each day: half a kilobyte.
const notedRanges = 16

// An askedRange is addresses and the hours in which one of them occurs.
type askedRange struct {
	ValueRange
	hours uint32
	known bool
}

// noteOfDay returns the note of the summary in b, the first bucket of its day,
// with the summary open if it had to be read for it.
func noteOfDay(b *store.Bucket) (*dayNote, *Day, error) {
	place := b.IndexNote()
	if place != nil {
		if note, ok := place.Load().(*dayNote); ok {
			return note, nil, nil
		}
	}
	day, err := OpenDay(b)
	if err != nil {
		return nil, nil, err
	}
	note := new(dayNote)
	if day != nil {
		note.marks = day.marks
	}
	if place != nil {
		place.Store(note)
	}
	return note, day, nil
}

// hours returns what is known of the ranges. Of lists nothing is.
func (n *dayNote) hours(ranges []ValueRange) (hours uint32, known bool) {
	if len(ranges) != 1 {
		return 0, false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for i := range n.asked {
		if a := &n.asked[i]; a.known && a.ValueRange == ranges[0] {
			return a.hours, true
		}
	}
	return 0, false
}

// add notes in which hours an address of the ranges occurs.
func (n *dayNote) add(ranges []ValueRange, hours uint32) {
	if len(ranges) != 1 {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked[n.next] = askedRange{ranges[0], hours, true}
	n.next = (n.next + 1) % notedRanges
}
