package retention

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"weir/store"
)

// maxJump is how far the wall clock may stand from where it is expected before
// nothing is dropped any more.
const maxJump = 24 * time.Hour

// clockKey is where the clock record is kept in the store's state.
const clockKey = "retention/clock"

// clockRecord is what is known of the clock, as JSON under clockKey. While the
// keeper believes the clock, Known is the wall clock's last reading. While it
// does not, Known goes on from the last reading that was believed by the
// monotonic clock, so that a restart does not make a wrong clock the known one.
type clockRecord struct {
	Known     int64  `json:"known"`                // ms since the Unix epoch
	HeldSince int64  `json:"held_since,omitempty"` // ms by Known; 0: not held
	Reason    string `json:"reason,omitempty"`     // why it is held
	Doubted   bool   `json:"doubted,omitempty"`    // not for the clock's sake
}

// A clock compares the wall clock with where it should be.
//
// The wall clock is read once a look and handed in, so that the time that is
// judged is the time that decides what has expired.
type clock struct {
	mono func() time.Duration // a clock nobody sets

	knownAt int64         // the wall clock's reading in ms that is believed
	monoAt  time.Duration // the monotonic clock's at that moment
	lastGap time.Duration // deviation at the last check, to notice steps back

	heldSince int64  // ms by the expected time; 0: not held
	reason    string // why it is held
	doubted   bool   // not for the clock's sake: a clock that is right does not end it
}

// expected returns where the wall clock should stand, in ms.
func (c *clock) expected() int64 { return c.knownAt + (c.mono() - c.monoAt).Milliseconds() }

// deviation returns how far the wall clock's reading stands before (positive) or
// behind the expected time.
func (c *clock) deviation(wall int64) time.Duration {
	ms := wall - c.expected()
	const most = int64(1<<63-1) / int64(time.Millisecond)
	return time.Duration(min(max(ms, -most), most)) * time.Millisecond
}

// start sets the clock going from the record of an earlier run, or, without
// one, from the newest record's receipt, or else from the wall clock.
func (c *clock) start(wall int64, rec *clockRecord, newest int64) {
	c.monoAt = c.mono()
	switch {
	case rec != nil:
		c.knownAt, c.heldSince, c.reason, c.doubted = rec.Known, rec.HeldSince, rec.Reason, rec.Doubted
	case newest > 0 && newest < wall:
		c.knownAt = newest
	default:
		c.knownAt = wall
	}
	gap := c.deviation(wall)
	if gap.Abs() <= maxJump && !c.doubted {
		c.believe(wall)
		return
	}
	c.lastGap = gap
	if c.heldSince != 0 {
		return // and keeps its first reason
	}
	switch known := formatMS(c.knownAt); {
	case rec == nil:
		c.hold(fmt.Sprintf("no time of an earlier run is on record and the newest record, of %s, is %s old", known, days(gap)))
	case gap > 0:
		c.hold(fmt.Sprintf("the clock is %s after the last time known, %s: it jumped, or weir was off that long", days(gap), known))
	default:
		c.hold(fmt.Sprintf("the clock is %s before the last time known, %s: one of the two is wrong", days(-gap), known))
	}
}

// stepBack returns by how much the wall clock was set back since the last call,
// 0 if that is a minute or less.
func (c *clock) stepBack(wall int64) time.Duration {
	gap := c.deviation(wall)
	back := c.lastGap - gap
	c.lastGap = gap
	if back <= time.Minute {
		return 0
	}
	return back
}

// check judges the wall clock's reading: it holds, or ends a hold when the clock
// is back where it is expected. It does not take on small deviations: what adds
// up to more than a day in one run is a jump.
func (c *clock) check(wall int64) {
	gap := c.deviation(wall)
	if gap.Abs() <= maxJump && !c.doubted {
		c.heldSince, c.reason = 0, ""
		return
	}
	if c.heldSince != 0 {
		return
	}
	if gap > 0 {
		c.hold(fmt.Sprintf("the clock jumped forward by %s from %s", days(gap), formatMS(c.expected())))
	} else {
		c.hold(fmt.Sprintf("the clock went back by %s from %s", days(-gap), formatMS(c.expected())))
	}
}

// doubt holds for a reason that is not the clock's, until it is confirmed.
func (c *clock) doubt(reason string) {
	c.hold(reason)
	c.doubted = true
}

func (c *clock) hold(reason string) {
	c.heldSince, c.reason = max(c.expected(), 1), reason
}

// believe makes the wall clock's reading the known time and ends a hold.
func (c *clock) believe(wall int64) {
	c.knownAt, c.monoAt = wall, c.mono()
	c.lastGap, c.heldSince, c.reason, c.doubted = 0, 0, "", false
}

func (c *clock) held() bool { return c.heldSince != 0 }

// record returns what a later run must know.
func (c *clock) record(wall int64) clockRecord {
	if c.held() {
		return clockRecord{Known: c.expected(), HeldSince: c.heldSince, Reason: c.reason, Doubted: c.doubted}
	}
	return clockRecord{Known: wall}
}

var errClockRecord = errors.New("record of the last known time is damaged")

// loadClock reads the record of an earlier run, nil if there is none.
func loadClock(s State) (*clockRecord, error) {
	value, err := s.GetState(clockKey)
	if err != nil {
		return nil, fmt.Errorf("read last known time: %w", err)
	}
	if value == nil {
		return nil, nil
	}
	var rec clockRecord
	if err := json.Unmarshal(value, &rec); err != nil {
		return nil, fmt.Errorf("%w: %w", errClockRecord, err)
	}
	return &rec, nil
}

// save writes down what a later run must know.
func (c *clock) save(s State, wall int64) error {
	value, err := json.Marshal(c.record(wall))
	if err == nil {
		err = s.PutState(clockKey, value)
	}
	if err != nil {
		return fmt.Errorf("write last known time: %w", err)
	}
	return nil
}

// newestReceipt returns the last receipt of all buckets in ms, 0 without any.
func newestReceipt(buckets []store.BucketInfo) int64 {
	newest := uint64(0)
	for _, b := range buckets {
		newest = max(newest, b.LastReceived)
	}
	return int64(newest)
}

func formatMS(ms int64) string { return time.UnixMilli(ms).UTC().Format(time.RFC3339) }

// days prints a length of time the way people say it.
func days(d time.Duration) string {
	if d >= 48*time.Hour {
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	}
	return d.Round(time.Minute).String()
}
