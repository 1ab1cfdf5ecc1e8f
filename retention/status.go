package retention

import (
	"fmt"
	"time"

	"weir/store"
)

const confirmCommand = "weir retention confirm"

// A Status is what a Keeper does and why, for people and as JSON.
type Status struct {
	Keep     time.Duration `json:"keep"`                 // ns; 0: for ever
	Now      time.Time     `json:"now"`                  // the wall clock
	Held     bool          `json:"held"`                 // nothing is dropped
	Since    *time.Time    `json:"held_since,omitempty"` // by the time that is believed
	Reason   string        `json:"reason,omitempty"`     // why it is held
	Known    time.Time     `json:"known"`                // where the clock is expected to stand
	Expired  []string      `json:"expired"`              // hours due and not dropped yet, without those that stay
	Stays    []Stay        `json:"stays,omitempty"`      // hours due that a hold keeps whole
	Next     string        `json:"next,omitempty"`       // the hour that expires next
	NextAt   *time.Time    `json:"next_at,omitempty"`    // when it does
	InFuture []string      `json:"in_future"`            // hours after the clock's
	Dropped  Dropped       `json:"dropped"`              // since the start
	Room     *Room         `json:"max_disk,omitempty"`   // what the disk's limit does; nil: there is none
	Early    []Early       `json:"early,omitempty"`      // hours dropped before their time that would still be kept
}

// A Stay is an hour past its time, and the cases that keep it.
type Stay struct {
	Hour  string   `json:"hour"`
	Cases []string `json:"cases"`
}

// Due returns the buckets with records that are past their time, ascending,
// whether they stay or not; none while the clock is not believed.
func (k *Keeper) Due() []store.BucketInfo {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.o.Now()
	if k.clock.check(now.UnixMilli()); k.clock.held() {
		return nil
	}
	return expiredOf(k.o.Store.Buckets(), now, k.keep())
}

// sortOut tells hours that stay from those that go.
func (k *Keeper) sortOut(due []store.BucketInfo) (goes []store.BucketInfo, stays []Stay) {
	for _, b := range due {
		if k.o.Holds != nil {
			if cases := k.o.Holds.Stays(b); len(cases) > 0 {
				stays = append(stays, Stay{b.Hour.String(), cases})
				continue
			}
		}
		goes = append(goes, b)
	}
	return goes, stays
}

// Status returns what the Keeper knows now. It also notices a clock that jumped
// since the last look.
func (k *Keeper) Status() Status {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.o.Now()
	k.clock.check(now.UnixMilli())
	buckets := k.o.Store.Buckets()
	expired, stays := k.sortOut(expiredOf(buckets, now, k.keep()))
	s := Status{
		Keep: k.keep(), Now: now.UTC(), Held: k.clock.held(), Reason: k.clock.reason,
		Known:    time.UnixMilli(k.clock.expected()).UTC(),
		Expired:  hoursOf(expired),
		InFuture: names(future(buckets, now)),
		Dropped:  k.dropped,
		Stays:    stays,
	}
	s.Room = k.room(buckets, now)
	s.Early, _ = LoadEarly(k.o.State, now, k.keep()) // what does not read is not known
	if s.Held {
		since := time.UnixMilli(k.clock.heldSince).UTC()
		s.Since = &since
	}
	for _, b := range buckets { // ascending
		if due, ok := dueMS(b.Hour, k.keep()); ok && due > now.UnixMilli() {
			at := time.UnixMilli(due).UTC()
			s.Next, s.NextAt = b.Hour.String(), &at
			break
		}
	}
	return s
}

func hoursOf(buckets []store.BucketInfo) []string {
	list := make([]string, len(buckets))
	for i, b := range buckets {
		list[i] = b.Hour.String()
	}
	return list
}

func names(hours []store.Hour) []string {
	list := make([]string, len(hours))
	for i, h := range hours {
		list[i] = h.String()
	}
	return list
}

// Line returns what an answer should say about retention, "" if there is
// nothing to say.
func (s Status) Line() string {
	if !s.Held {
		return ""
	}
	return fmt.Sprintf("retention is held (hours due: %d): %s; if the clock is right, run: %s",
		len(s.Expired), s.Reason, confirmCommand)
}
