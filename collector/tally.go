package collector

import (
	"slices"
	"sync"

	"weir/flow"
	"weir/flow/ledger"
)

// What a record's time cannot be.
const (
	firstTime   = 631_152_000_000 // ms, the year 1990: before the first flow export
	futureSlack = 86_400_000      // ms after its receipt
)

// A tally counts one key of one hour. Decode holds its lock for a datagram.
type tally struct {
	key  ledger.Key
	hour uint32

	mu       sync.Mutex
	entry    ledger.Entry // without Errors and Skew, which are in
	errors   [reasonCount]uint64
	skew     skew
	parallel uint32 // streams that sent more than one datagram in the hour
	interval int    // index in entry.Intervals of the last interval counted
	row      int    // which of a set is looked at for the skew, in turn
	dirty    bool   // it is in the book's list of changes
	gone     bool   // the hour is over; look the tally up again
}

// A skew is a ledger.Skew with its buckets in an array, which is quicker to
// count in.
type skew struct {
	count    uint64
	min, max int64
	first    int16    // bucket of counts[0]
	counts   []uint64 // by bucket
}

func (s *skew) note(ms int64, n uint64) {
	b := ledger.SkewBucket(ms)
	switch {
	case len(s.counts) == 0:
		s.first, s.counts = b, make([]uint64, 1, 16)
	case b < s.first:
		s.counts = slices.Insert(s.counts, 0, make([]uint64, s.first-b)...)
		s.first = b
	case int(b-s.first) >= len(s.counts):
		s.counts = append(s.counts, make([]uint64, int(b-s.first)+1-len(s.counts))...)
	}
	s.counts[b-s.first] += n
	s.count += n
}

// snapshot returns the distribution as the ledger keeps it.
func (s *skew) snapshot() ledger.Skew {
	out := ledger.Skew{Count: s.count, Min: s.min, Max: s.max}
	if s.count == 0 {
		return ledger.Skew{}
	}
	out.Buckets = make(map[int16]uint64, len(s.counts))
	for i, n := range s.counts {
		if n > 0 {
			out.Buckets[s.first+int16(i)] = n
		}
	}
	return out
}

// add changes a counter. What is taken back and was not counted in this hour is
// returned.
func (t *tally) add(c ledger.Counter, n int64) (missing int64) {
	have := t.entry.Counts[c]
	if n < 0 && uint64(-n) > have {
		t.entry.Counts[c] = 0
		return n + int64(have)
	}
	t.entry.Counts[c] = have + uint64(n)
	return 0
}

// heard notes a datagram, and the time since the one before.
func (t *tally) heard(received, before uint64) {
	e := &t.entry
	if e.First == 0 || received < e.First {
		e.First = received
	}
	e.Last = max(e.Last, received)
	if before != 0 && received > before && received-before > e.Silence.Length() {
		e.Silence = ledger.Span{From: before, To: received}
	}
}

// skewRows is the number of records of a set of which one is looked at for the
// median of the skew, and stands for the others.
const skewRows = 32

// rows looks at the records of a set, from inclusive to exclusive: clocks and
// sampling. It returns how many have impossible times. mixed says that the
// records may have several sampling intervals.
func (t *tally) rows(b *flow.Batch, from, to int, received uint64, mixed bool) (bad uint64) {
	t.intervals(b, from, to, mixed)
	cols := b.Columns()
	hasEnd := cols.Has(flow.End)
	if !hasEnd && !cols.Has(flow.Start) {
		return 0
	}
	// A column that is missing is made, of zeroes, which is what absent values are.
	starts, ends := b.Num(flow.Start)[from:to], b.Num(flow.End)[from:to]
	if !hasEnd || !t.usual(starts, ends, received) {
		return t.clocks(starts, ends, received)
	}
	n := len(ends)
	looks := 1 + n/skewRows
	for i := range looks {
		at := t.row + i*n/looks
		if at >= n {
			at %= n
		}
		t.skew.note(int64(received-ends[at]), uint64((i+1)*n/looks-i*n/looks))
	}
	t.row = (t.row + 1) & 0xff
	return 0
}

// usual reports whether all records have a start and an end, and possible ones;
// it then notes the extremes of the skew.
func (t *tally) usual(starts, ends []uint64, received uint64) bool {
	least, most, earliest, backward := ends[0], ends[0], starts[0], uint64(0)
	starts = starts[:len(ends)]
	for i, end := range ends {
		start := starts[i]
		least, most, earliest = min(least, end), max(most, end), min(earliest, start)
		backward |= end - start
	}
	if backward>>63 != 0 || earliest < firstTime || most > received+futureSlack {
		return false
	}
	t.extremes(int64(received-most), int64(received-least))
	return true
}

// impossible reports whether times cannot be; 0 is absent.
func impossible(start, end, latest uint64) bool {
	return start != 0 && (start < firstTime || start > latest) ||
		end != 0 && (end < firstTime || end > latest || start > end)
}

// clocks looks at the records one by one: it notes the skew of those that have
// an end, and returns how many have impossible times.
func (t *tally) clocks(starts, ends []uint64, received uint64) (bad uint64) {
	latest := received + futureSlack
	for i, end := range ends {
		switch {
		case impossible(starts[i], end, latest):
			bad++
		case end != 0:
			ms := int64(received - end)
			t.extremes(ms, ms)
			t.skew.note(ms, 1)
		}
	}
	return bad
}

func (t *tally) extremes(least, most int64) {
	if t.skew.count == 0 {
		t.skew.min, t.skew.max = least, most
		return
	}
	t.skew.min, t.skew.max = min(t.skew.min, least), max(t.skew.max, most)
}

// intervals counts the records by their sampling interval.
func (t *tally) intervals(b *flow.Batch, from, to int, mixed bool) {
	if !mixed {
		t.sample(uint32(b.GetNum(flow.SamplingInterval, from)), uint64(to-from))
		return
	}
	col := b.Num(flow.SamplingInterval)[from:to]
	for len(col) > 0 {
		n := 1
		for n < len(col) && col[n] == col[0] {
			n++
		}
		t.sample(uint32(col[0]), uint64(n))
		col = col[n:]
	}
}

func (t *tally) sample(interval uint32, n uint64) {
	e := &t.entry
	if t.interval < len(e.Intervals) && e.Intervals[t.interval].N == interval {
		e.Intervals[t.interval].Records += n
		return
	}
	e.Sample(interval, n)
	for i := range e.Intervals {
		if e.Intervals[i].N == interval {
			t.interval = i
		}
	}
}

// snapshot returns the entry as it stands, sharing nothing with the tally.
func (t *tally) snapshot() *ledger.Entry {
	e := t.entry
	e.Intervals = slices.Clone(e.Intervals)
	e.Skew = t.skew.snapshot()
	for r, n := range t.errors {
		e.Fail(Reason(r).String(), n)
	}
	return &e
}
