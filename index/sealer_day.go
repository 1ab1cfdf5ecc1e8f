package index

import (
	"context"
	"errors"
	"time"

	"weir/store"
)

// recentDay is how long after its end a day is summarised that this Sealer has
// sealed nothing of. Older days without a summary are ones whose first hours
// retention has dropped: making another each hour would not be worth it.
const recentDay = 6 * time.Hour

// A dayState is what a Sealer knows of a day.
type dayState struct {
	touched bool      // an hour was sealed since the last summary
	damaged bool      // no summary can be made until another hour is sealed
	read    bool      // marks is what the bucket has
	first   hourMark  // of the bucket that the summary is in, when it was read
	marks   *dayMarks // nil: there is no summary
}

// beginsDay reports whether h is the first bucket of a day that is over.
func (r *Sealer) beginsDay(h store.Hour) bool {
	if r.o.Now().Add(-r.o.Grace).UnixMilli() < int64((DayOf(h) + hoursPerDay).StartMS()) {
		return false
	}
	for _, b := range r.store.Buckets() {
		if b.Hour >= DayOf(h) {
			return b.Hour == h
		}
	}
	return false
}

// summarise makes the summaries of days that are over and sealed, and makes
// those again that no longer agree with their hours.
func (r *Sealer) summarise(ctx context.Context, now time.Time) error {
	days := map[store.Hour]dayState{}
	var errs []error
	for rest := r.store.Buckets(); len(rest) > 0; {
		n := 1
		for n < len(rest) && DayOf(rest[n].Hour) == DayOf(rest[0].Hour) {
			n++
		}
		day := rest[:n]
		rest = rest[n:]
		if ctx.Err() != nil {
			return errors.Join(append(errs, ctx.Err())...)
		}
		if r.beginsDay(day[0].Hour) {
			errs = append(errs, r.summariseDay(ctx, day, now))
		}
		days[DayOf(day[0].Hour)] = r.days[DayOf(day[0].Hour)]
	}
	r.days = days // forget the dropped
	return errors.Join(errs...)
}

func (r *Sealer) summariseDay(ctx context.Context, day []store.BucketInfo, now time.Time) error {
	first := day[0]
	if f, ok := r.failed[first.Hour]; ok && now.Before(f.next) || first.State != store.StateSealed {
		return nil
	}
	state, err := r.dayState(first)
	if err != nil {
		r.o.Logger.Error("read day summary", "bucket", first.Hour.String(), "err", err)
		state.marks, state.touched = nil, true // make it anew
	}
	if !state.needed(day, now) {
		return nil
	}
	if err := r.seal(ctx, first.Hour); err != nil {
		return err
	}
	if !r.days[DayOf(first.Hour)].damaged {
		r.days[DayOf(first.Hour)] = dayState{} // to be read
	}
	return nil
}

// dayState returns what is known of the day that begins with first, reading the
// summary's head if need be.
func (r *Sealer) dayState(first store.BucketInfo) (dayState, error) {
	state := r.days[DayOf(first.Hour)]
	if state.damaged || state.read && state.first == markOf(first) {
		return state, nil
	}
	marks, err := readMarks(r.store, first.Hour)
	if err != nil {
		return state, err
	}
	state.read, state.first, state.marks = true, markOf(first), marks
	r.days[DayOf(first.Hour)] = state
	return state, nil
}

// readMarks reads the head of the summary in the bucket of that hour, nil if it
// has none.
func readMarks(s *store.Store, h store.Hour) (marks *dayMarks, err error) {
	v, err := s.View(h, h)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, v.Close()) }()
	if len(v.Buckets()) == 0 {
		return nil, nil
	}
	d, err := OpenDay(v.Buckets()[0])
	if d == nil || err != nil {
		return nil, err
	}
	return &d.marks, d.Close()
}

// needed reports whether the day's summary is to be made, or made again.
func (s *dayState) needed(day []store.BucketInfo, now time.Time) bool {
	if s.damaged {
		return false
	}
	var marks dayMarks
	sealed, gone := true, false
	for _, b := range day {
		marks[b.Hour-DayOf(b.Hour)] = markOf(b)
		sealed = sealed && b.State == store.StateSealed
	}
	if s.marks == nil {
		end := int64((DayOf(day[0].Hour) + hoursPerDay).StartMS())
		recent := s.touched || now.UnixMilli() < end+recentDay.Milliseconds()
		return sealed && recent && len(day) >= minDayHours
	}
	for i, mark := range s.marks {
		gone = gone || mark.rows > 0 && marks[i].rows == 0
	}
	return gone || sealed && *s.marks != marks
}
