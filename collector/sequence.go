package collector

// Bounds of what a sequence remembers.
const (
	windowDatagrams = 4096  // how far back a late datagram is told from a restart
	windowRecords   = 16384 // the same where records are counted
	maxHoles        = 1024  // gaps that a late datagram can still fill
)

// When a number that went back, or leapt, is no straggler and no loss.
const (
	lateFor       = 30_000 // ms of receipt after which nothing comes late any more
	madeLater     = 2_000  // ms by the exporter's own clock
	bootSlack     = 10_000 // ms by which receipt may be off the uptime
	paceSlack     = 2_000  // ms added to the time that a gap had to arise in
	paceDatagrams = 2_000  // units a second that are always thought possible
	paceRecords   = 60_000
	paceFactor    = 64 // times the rate of what arrived
)

// units are what a datagram adds to its exporter's count: at least, and at most,
// where it cannot be known exactly.
type units struct{ lo, hi uint32 }

func (u *units) add(lo, hi int) {
	u.lo += uint32(lo)
	u.hi += uint32(hi)
}

// A verdict is what a datagram's number adds to the counters. What turns out to
// be not lost after all is negative.
type verdict struct {
	lost, gaps, reordered, duplicates, restarts int64
}

func (v *verdict) add(o verdict) {
	v.lost += o.lost
	v.gaps += o.gaps
	v.reordered += o.reordered
	v.duplicates += o.duplicates
	v.restarts += o.restarts
}

func (v verdict) negative() verdict {
	return verdict{-v.lost, -v.gaps, -v.reordered, -v.duplicates, -v.restarts}
}

// A hole is a run of units that have not arrived, from inclusive, to exclusive.
type hole struct{ from, to uint32 }

// A sequence follows the numbers of one exporting process, in whatever unit it
// counts, modulo 2^32. Of what lies behind next, the last known units are
// remembered: all of them arrived but for those in holes.
//
//	        known
//	 |<---------------->|
//	 ......[hole]...[hole]........> next
//	floor               (the number that comes if nothing is lost)
type sequence struct {
	started  bool
	complete bool   // nothing before floor was forgotten: the sequence began there
	next     uint32 //
	slack    uint32 // by which next may be too low
	known    uint32 // at most window
	window   uint32
	pace     uint64 // units a second that are always thought possible
	holes    []hole // ascending

	heard  uint64 // ms, receipt of the furthest datagram
	export uint64 // ms, its own time; 0 where the protocol has none
	zero   uint64 // ms, the exporter's own time of the last datagram of number 0 that moved on
	uptime uint32 // ms, its sysUptime
	since  uint64 // ms, receipt of the first datagram
	total  uint64 // units that arrived since
}

func newSequence(records bool) sequence {
	if records {
		return sequence{window: windowRecords, pace: paceRecords}
	}
	return sequence{window: windowDatagrams, pace: paceDatagrams}
}

// note takes in the number of a datagram with so many units.
func (q *sequence) note(number uint32, u units, h *header) verdict {
	if q.isNext(number, h) {
		q.advance(number, u, h)
		return verdict{}
	}
	return q.unusual(number, u, h)
}

// isNext reports whether a number is the next of a sequence without holes.
func (q *sequence) isNext(number uint32, h *header) bool {
	return number-q.next <= q.slack && q.started && h.uptime >= q.uptime && len(q.holes) == 0
}

// unusual is note for everything but the next number of a sequence without
// holes.
func (q *sequence) unusual(number uint32, u units, h *header) verdict {
	if !q.started {
		q.begin(number, u, h)
		return verdict{}
	}
	if q.rebooted(h) {
		q.begin(number, u, h)
		return verdict{restarts: 1}
	}
	ahead := int32(number - q.next)
	switch {
	case number-q.next <= q.slack:
		q.advance(number, u, h)
		return verdict{}
	case ahead > 0:
		gap := number - q.next - q.slack
		if uint64(gap) > q.plausible(h) {
			q.begin(number, u, h)
			return verdict{restarts: 1}
		}
		q.open(hole{number - gap, number})
		q.advance(number, u, h)
		return verdict{lost: int64(gap), gaps: 1}
	case q.next-number > q.window || q.later(h) || q.anew(number, h):
		q.begin(number, u, h)
		return verdict{restarts: 1}
	}
	return q.late(number, u)
}

// begin starts anew at a datagram.
func (q *sequence) begin(number uint32, u units, h *header) {
	*q = sequence{started: true, complete: true, next: number, window: q.window, pace: q.pace, holes: q.holes[:0], since: h.received}
	q.advance(number, u, h)
}

// advance moves on behind a datagram that is further than all before.
func (q *sequence) advance(number uint32, u units, h *header) {
	moved := number - q.next + u.lo
	q.known += moved
	if q.known > q.window {
		q.known, q.complete = q.window, false
	}
	q.next, q.slack = number+u.lo, u.hi-u.lo
	q.total += uint64(u.lo)
	q.heard, q.export, q.uptime = h.received, h.exportMS, h.uptime
	if number == 0 {
		q.zero = h.exportMS
	}
	if len(q.holes) > 0 {
		q.trim()
	}
}

// open remembers a hole in front of the datagram that is about to advance. The
// oldest makes room, and what it lacks is lost for good.
func (q *sequence) open(o hole) {
	if len(q.holes) >= maxHoles {
		q.giveUp()
	}
	q.holes = append(q.holes, o)
}

// giveUp forgets the oldest hole.
func (q *sequence) giveUp() {
	q.known, q.complete = q.next-q.holes[0].to, false
	q.holes = append(q.holes[:0], q.holes[1:]...)
}

// trim forgets holes beyond the window.
func (q *sequence) trim() {
	floor := q.next - q.known
	for len(q.holes) > 0 && q.next-q.holes[0].from > q.known {
		if int32(q.holes[0].to-floor) > 0 {
			q.holes[0].from = floor
			return
		}
		q.holes = append(q.holes[:0], q.holes[1:]...)
	}
}

// late takes in a datagram from behind next, by at most the window.
func (q *sequence) late(number uint32, u units) verdict {
	floor := q.next - q.known
	if q.next-number > q.known {
		v := verdict{reordered: 1}
		if !q.complete || len(q.holes) >= maxHoles {
			return v // it may have been counted as lost, or have come before
		}
		if end := number + u.hi; int32(floor-end) > 0 {
			q.holes = append([]hole{{end, floor}}, q.holes...)
			v.lost, v.gaps = int64(floor-end), 1
		}
		q.known = q.next - number
		return v
	}
	from, to := number-floor, number-floor+u.hi
	for i, o := range q.holes {
		a, b := max(from, o.from-floor), min(to, o.to-floor)
		if a >= b {
			continue
		}
		left, right := hole{o.from, floor + a}, hole{floor + b, o.to}
		v := verdict{lost: -int64(b - a), gaps: -1, reordered: 1}
		rest := append([]hole(nil), q.holes[i+1:]...)
		q.holes = q.holes[:i]
		for _, part := range [2]hole{left, right} {
			if part.from != part.to {
				q.holes = append(q.holes, part)
				v.gaps++
			}
		}
		if q.holes = append(q.holes, rest...); len(q.holes) > maxHoles {
			q.giveUp()
		}
		return v
	}
	if u.hi == 0 {
		return verdict{reordered: 1}
	}
	return verdict{duplicates: 1}
}

// rebooted reports whether the exporter was started after its furthest
// datagram: its uptime is lower, is not where the time that has passed would
// have brought it (which it is when 32 bits wrap), and began since.
func (q *sequence) rebooted(h *header) bool {
	if !h.clocked() || h.uptime >= q.uptime {
		return false
	}
	passed := h.received - min(q.heard, h.received)
	off := int64(int32(h.uptime - q.uptime - uint32(passed)))
	return max(off, -off) > madeLater && uint64(h.uptime) <= passed+bootSlack
}

// later reports whether a datagram whose number is lower than next was made
// after the furthest one: then it is no straggler.
func (q *sequence) later(h *header) bool {
	switch {
	case h.received > q.heard+lateFor:
		return true
	case h.exportMS != 0:
		return h.exportMS > q.export+madeLater
	}
	return h.clocked() && h.uptime > q.uptime && h.uptime-q.uptime > madeLater
}

// anew reports whether a datagram says that counting began again, where nothing
// but its time tells: it is the first of all by its number, and was sent in a
// later second than the furthest one, which no straggler is, or in a later one than
// the first of all, which arrived.
func (q *sequence) anew(number uint32, h *header) bool {
	if number != 0 || h.clocked() {
		return false
	}
	fromZero := q.complete && q.known == q.next && (len(q.holes) == 0 || q.holes[0].from != 0)
	return h.exportMS > q.export || fromZero && h.exportMS > q.zero
}

// plausible returns how many units can have been lost since the furthest
// datagram. More is another sequence, not a loss.
func (q *sequence) plausible(h *header) uint64 {
	passed := h.received - min(q.heard, h.received)
	rate := q.total * 1000 / (q.heard - min(q.since, q.heard) + 1000)
	return uint64(q.window) + (passed+paceSlack)*max(q.pace, paceFactor*rate)/1000
}
