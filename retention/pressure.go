package retention

import (
	"context"
	"errors"
	"fmt"
	"time"

	"weir/store"
)

// A Pressure says how much room there is for the archive. Its fields may be nil
// where they say so.
type Pressure struct {
	Room func() (used, limit uint64, err error)                   // bytes of the data directory, and how many it may take; limit 0: as many as there are
	Rate func(buckets []store.BucketInfo, now store.Hour) float64 // bytes that an hour brings
	Held func(h store.Hour) bool                                  // the hour must stay, whatever happens; nil: none
	Note func(h store.Hour, used, limit uint64) error             // called before an hour is dropped early; an error keeps it; nil: nothing
}

// Over returns the hours that go for want of room, the oldest first, until what
// is used is no more than limit: not those that are held, and neither the newest
// hour nor any that begins at now or later. buckets ascend.
func Over(buckets []store.BucketInfo, used, limit uint64, now store.Hour, held func(store.Hour) bool) []store.Hour {
	var hours []store.Hour
	for i, b := range buckets {
		if used <= limit || i == len(buckets)-1 || b.Hour >= now {
			break
		}
		if b.Bytes <= 0 || held != nil && held(b.Hour) {
			continue // it frees nothing, or must not go
		}
		hours = append(hours, b.Hour)
		used -= min(used, uint64(b.Bytes))
	}
	return hours
}

// maxAhead bounds how far Foresee looks.
const maxAhead = 366 * 24

// Foresee returns when, if each hour brings as much as rate, the first hour goes
// for want of room before its time is over, and which: false if none does. It is
// a forecast, to the hour.
func Foresee(buckets []store.BucketInfo, used, limit uint64, now store.Hour, keep time.Duration, rate float64, held func(store.Hour) bool) (at, first store.Hour, ok bool) {
	if limit == 0 || rate <= 0 || len(buckets) == 0 {
		return 0, 0, false
	}
	size, taken, next := float64(used), rate, 0
	for ahead := store.Hour(0); ahead < maxAhead; ahead++ {
		at = now + ahead
		for next < len(buckets) && due(buckets[next].Hour, at, keep) {
			size -= float64(buckets[next].Bytes)
			next++
		}
		if next == len(buckets) {
			return 0, 0, false // what goes from here on is what came meanwhile
		}
		if size > float64(limit) {
			for _, b := range buckets[next:] {
				if held == nil || !held(b.Hour) {
					return at, b.Hour, b.Hour < at
				}
			}
			return 0, 0, false
		}
		size += taken
	}
	return 0, 0, false
}

// due reports whether hour h is past its time when hour at begins.
func due(h, at store.Hour, keep time.Duration) bool {
	ms, ok := dueMS(h, keep)
	return ok && ms <= int64(at.StartMS())
}

// freeFor is how long the disk may take to be rid of what was dropped: questions
// that read it, and copies of the directory within it, keep it for a while.
const freeFor = 5 * time.Minute

// A pressing is what a Keeper knows of the room.
type pressing struct {
	until time.Duration // monotonic; what was dropped is waited for
	to    uint64        // bytes that the directory should have by then
	told  time.Duration // monotonic time of the last announcement
	said  bool          // there was one
}

// press drops hours for want of room, and says beforehand when it will. The
// clock is believed, and what has expired is gone.
func (k *Keeper) press(ctx context.Context, now time.Time) {
	p := &k.o.Pressure
	if p.Room == nil || ctx.Err() != nil {
		return
	}
	used, limit, err := p.Room()
	if err != nil {
		k.o.Logger.Error("look at the room on the disk", "err", err)
		return
	}
	if limit == 0 {
		return
	}
	hour := store.HourOf(uint64(max(now.UnixMilli(), 0)))
	buckets := k.o.Store.Buckets()
	if used <= limit {
		k.announce(buckets, used, limit, hour)
		return
	}
	if k.o.Monotonic() < k.pressed.until && used > k.pressed.to {
		return // on its way
	}
	hours := Over(buckets, used, limit, hour, k.held(buckets))
	if len(hours) == 0 {
		k.tellPressure("the archive takes more room than it may, and no hour can go", "used", used, "max_disk", limit)
		return
	}
	k.pressed.until, k.pressed.to = k.o.Monotonic()+freeFor, used
	for _, b := range buckets {
		for _, h := range hours {
			if b.Hour == h && ctx.Err() == nil {
				k.dropEarly(ctx, b, used, limit)
			}
		}
	}
}

// dropEarly drops one hour before its time, and writes down that it did.
func (k *Keeper) dropEarly(ctx context.Context, b store.BucketInfo, used, limit uint64) {
	before := func(h store.Hour) error {
		if k.o.Pressure.Note != nil {
			if err := k.o.Pressure.Note(h, used, limit); err != nil {
				return err
			}
		}
		return noteEarly(k.o.State, b, k.o.Now())
	}
	start := k.o.Monotonic()
	if err := k.dropOne(ctx, b, before); err != nil {
		if !errors.Is(err, ErrStays) {
			k.o.Logger.Error("drop bucket for want of room", "bucket", b.Hour.String(), "err", err)
		}
		return
	}
	k.mu.Lock()
	k.dropped.add(b)
	k.dropped.Early++
	k.mu.Unlock()
	k.pressed.to -= min(k.pressed.to, uint64(b.Bytes)/2)
	k.o.Logger.Warn("bucket dropped before its time, for want of room", "bucket", b.Hour.String(), "records", b.Rows, "bytes", b.Bytes,
		"took", (k.o.Monotonic() - start).Round(10*time.Microsecond), "used", used, "max_disk", limit)
}

// aheadLog is how long before the first hour goes early that is logged.
const aheadLog = 14 * 24 * time.Hour

// announce says when hours will go before their time.
func (k *Keeper) announce(buckets []store.BucketInfo, used, limit uint64, now store.Hour) {
	at, first, ok := k.foresee(buckets, used, limit, now)
	if !ok || time.Duration(at-now)*time.Hour > aheadLog {
		k.pressed.said = false
		return
	}
	k.tellPressure("at the present rate hours go before their time, for want of room", "first", first.String(),
		"at", at.String(), "used", used, "max_disk", limit, "keep", k.keep())
}

func (k *Keeper) foresee(buckets []store.BucketInfo, used, limit uint64, now store.Hour) (at, first store.Hour, ok bool) {
	if k.o.Pressure.Rate == nil {
		return 0, 0, false
	}
	return Foresee(buckets, used, limit, now, k.keep(), k.o.Pressure.Rate(buckets, now), k.held(buckets))
}

// held returns what tells which of the hours must stay, whatever happens.
func (k *Keeper) held(buckets []store.BucketInfo) func(store.Hour) bool {
	stays := map[store.Hour]bool{}
	for _, b := range buckets {
		stays[b.Hour] = k.o.Holds != nil && len(k.o.Holds.Stays(b)) > 0 || k.o.Pressure.Held != nil && k.o.Pressure.Held(b.Hour)
	}
	return func(h store.Hour) bool { return stays[h] }
}

// tellPressure logs a warning, the same one once a day at most.
func (k *Keeper) tellPressure(msg string, attrs ...any) {
	mono := k.o.Monotonic()
	if k.pressed.said && mono-k.pressed.told < 24*time.Hour {
		return
	}
	k.pressed.said, k.pressed.told = true, mono
	k.o.Logger.Warn(msg, attrs...)
}

// A Room is what a Keeper knows of the disk.
type Room struct {
	Used  uint64     `json:"used"`               // bytes of the data directory
	Limit uint64     `json:"max"`                // that it may take
	First string     `json:"first,omitempty"`    // the hour that goes first before its time, by the present rate
	At    *time.Time `json:"first_at,omitempty"` // when it does
}

// room returns what is known of the disk, nil without a limit.
func (k *Keeper) room(buckets []store.BucketInfo, now time.Time) *Room {
	p := &k.o.Pressure
	if p.Room == nil {
		return nil
	}
	used, limit, err := p.Room()
	if err != nil || limit == 0 {
		return nil
	}
	r := &Room{Used: used, Limit: limit}
	hour := store.HourOf(uint64(max(now.UnixMilli(), 0)))
	if at, first, ok := k.foresee(buckets, used, limit, hour); ok {
		when := time.UnixMilli(int64(at.StartMS())).UTC()
		if when.Before(now) {
			when = now.UTC()
		}
		r.First, r.At = first.String(), &when
	}
	return r
}

// Text says it for people.
func (r *Room) Text() string {
	text := fmt.Sprintf("%s of %s used", sizeText(r.Used), sizeText(r.Limit))
	if r.At == nil {
		return text
	}
	return text + fmt.Sprintf("; at the present rate hour %s goes at %s, before its time", r.First, r.At.Format(time.RFC3339))
}

// sizeText writes a number of bytes for people.
func sizeText(n uint64) string {
	size, units := float64(n), []string{"B", "kB", "MB", "GB", "TB", "PB"}
	for len(units) > 1 && size >= 1000 {
		size, units = size/1000, units[1:]
	}
	return fmt.Sprintf("%.3g %s", size, units[0])
}
