package index

import (
	"encoding/binary"
	"errors"
	"fmt"

	"weir/flow"
	"weir/store"
)

// A day summary says for every address of a UTC day, on either side, in which
// of its hours it occurs, so that a rare address over 90 days costs 90 look-ups
// and not 2,160. It stands among the index entries of the day's first bucket:
//
//	+----------------------------------+------------------------------------+
//	| day field (1)                    | the hours that are covered         |
//	| day field (1) | first value (16) | a page (page.go) with n = 24, the  |
//	|                                  | hours of the day taking the place  |
//	|                                  | of the blocks                      |
//	+----------------------------------+------------------------------------+
//
// Being in the oldest bucket that it says something about, it is gone, in the
// same instant, when retention drops the first of its hours: it never outlives
// one. When another hour of the day is dropped or changes, the summary no longer
// covers that hour at once, as its marks differ, and the Sealer takes the
// hour's addresses out of it soon.
const dayField = flow.Field(0xf0)

const hoursPerDay = 24

// DayOf returns the first hour of the day that h is in.
func DayOf(h store.Hour) store.Hour { return h - h%hoursPerDay }

// An hourMark tells one state of a bucket from another. Records only come, go
// all at once, or are removed: any change shows here.
type hourMark struct {
	rows, blocks, first, last uint64 // rows 0: not covered
}

func markOf(b store.BucketInfo) hourMark {
	return hourMark{uint64(b.Rows), uint64(b.Blocks), b.FirstReceived, b.LastReceived}
}

// dayMarks are the hours that a summary covers. On disk:
//
//	+-------------+------------+----------------+------------------------------+
//	| crc32c (4)  | format (1) | hours (1)      | for each: hour of day (1),   |
//	| little end. | 1          |                | rows, blocks, first and last |
//	|             |            |                | receipt (4 × uvarint)        |
//	+-------------+------------+----------------+------------------------------+
type dayMarks [hoursPerDay]hourMark

const dayFormat = 1

var errDayHead = errors.New("day summary's head is malformed")

func (m *dayMarks) encode() []byte {
	p := []byte{0, 0, 0, 0, dayFormat, 0}
	for i, mark := range m {
		if mark.rows == 0 {
			continue
		}
		p[5]++
		p = append(p, byte(i))
		for _, v := range []uint64{mark.rows, mark.blocks, mark.first, mark.last} {
			p = binary.AppendUvarint(p, v)
		}
	}
	binary.LittleEndian.PutUint32(p, pageChecksum([]byte{byte(dayField)}, p[4:]))
	return p
}

func (m *dayMarks) decode(p []byte) error {
	if len(p) < 6 || binary.LittleEndian.Uint32(p) != pageChecksum([]byte{byte(dayField)}, p[4:]) {
		return errPageChecksum
	}
	if p[4] != dayFormat {
		return fmt.Errorf("day summary of format %d is not known", p[4])
	}
	count, p := int(p[5]), p[6:]
	for range count {
		if len(p) == 0 || p[0] >= hoursPerDay {
			return errDayHead
		}
		mark := &m[p[0]]
		p = p[1:]
		for _, v := range []*uint64{&mark.rows, &mark.blocks, &mark.first, &mark.last} {
			var used int
			if *v, used = binary.Uvarint(p); used <= 0 {
				return errDayHead
			}
			p = p[used:]
		}
	}
	if len(p) != 0 {
		return errDayHead
	}
	return nil
}

// A Day is an open day summary. It belongs to one goroutine; close it before
// the view of its bucket.
type Day struct {
	bucket *store.Bucket // that it is in, the first of the day
	marks  dayMarks
	it     dayPages
	stats  Stats
}

// dayPages are the entries of a summary after its head, which is no page.
type dayPages struct{ *store.IndexIter }

// SeekLT moves to the last page before key, if there is one.
func (p dayPages) SeekLT(key []byte) bool { return p.IndexIter.SeekLT(key) && len(p.Key()) > 1 }

// OpenDay opens the day summary in b, which is the first bucket of its day. It
// returns nil if there is none: the day is not over, or not sealed, or retention
// has dropped its first hour.
func OpenDay(b *store.Bucket) (*Day, error) {
	if b.Indexed() == 0 {
		return nil, nil
	}
	d, err := openPages(b)
	if err != nil {
		return nil, err
	}
	if found, err := d.readHead(); err != nil || !found {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// openPages is OpenDay of a summary whose head is known.
func openPages(b *store.Bucket) (*Day, error) {
	it, err := b.IndexIter([]byte{byte(dayField)}, []byte{byte(dayField) + 1})
	if err != nil {
		return nil, fmt.Errorf("open day summary: %w", err)
	}
	return &Day{bucket: b, it: dayPages{it}}, nil
}

func (d *Day) readHead() (found bool, err error) {
	if !d.it.First() || len(d.it.Key()) > 1 {
		return false, nil
	}
	if err := d.marks.decode(d.it.Value()); err != nil {
		return false, &store.DamageError{Hour: d.bucket.Hour(), What: "index entry of the day", Err: err}
	}
	return true, nil
}

// Covers reports whether the summary speaks of all records of the bucket: it is
// of the same store, as it was, and completely indexed.
func (d *Day) Covers(b *store.Bucket) bool {
	return d.marks.cover(d.bucket, b)
}

// cover is Day.Covers of the summary in of.
func (m *dayMarks) cover(of, b *store.Bucket) bool {
	info, day := b.Info(), DayOf(of.Hour())
	return b.Store() == of.Store() && DayOf(info.Hour) == day && b.Indexed() == b.Blocks() &&
		m[info.Hour-day] == markOf(info)
}

// Hours returns in which hours of the day an address of the ranges occurs as
// source or destination: bit i is the hour i of the day. It is of use for the
// buckets that are covered.
func (d *Day) Hours(ranges []ValueRange) (uint32, error) {
	l := d.lookup()
	if err := l.run(Normalize(ranges)); err != nil {
		return 0, err
	}
	return uint32(l.words[0]), nil
}

// Each calls fn for every one of the ranges, which ascend and do not overlap, of
// which an address occurs, with the hours as Hours returns them: in one pass
// over the summary for all ranges.
func (d *Day) Each(ranges []ValueRange, fn func(i int, hours uint32)) error {
	l := d.lookup()
	return l.each(ranges, func(i int) bool {
		if l.words[0] != 0 {
			fn(i, uint32(l.words[0]))
			l.words[0] = 0
		}
		return true
	})
}

// lookup returns one in the summary's pages, whose blocks are the hours of the day.
func (d *Day) lookup() lookup {
	return lookup{it: d.it, field: dayField, hour: d.bucket.Hour(), n: hoursPerDay, words: make([]uint64, 1), stats: &d.stats}
}

// Stats returns what the look-ups took.
func (d *Day) Stats() Stats { return d.stats }

// Close frees the summary.
func (d *Day) Close() error { return d.it.Close() }
