package collector

// A counting is what the numbers of a stream count. The standards say it, and
// not every exporter follows them.
type counting uint8

const (
	asStandard  counting = iota // v9, sFlow: datagrams; v5, v7, IPFIX: records, those of the datagram not included
	inDatagrams                 // datagrams, where records are the standard
	inRecords                   // records, where datagrams are the standard
	inclusive                   // records, those of the datagram included
	unusable                    // nothing that could be followed
	countings
)

// How many datagrams a stream is watched for before it is judged, at first and
// later.
const (
	firstWatch = 16
	laterWatch = 64
	plainAfter = 3 // steps, if there is nothing to doubt
)

// A tracker follows the numbers of one stream and finds out what they count.
type tracker struct {
	sequence
	how     counting
	records bool  // the standard counts records
	size    units // records of the last datagram
	number  uint32

	watched, watch uint8
	fits           [countings]uint8 // of those watched: how many each way of counting explains
	wild           uint8            // of those watched: how many leapt or went back
	blame          verdict          // what was counted since the stream last looked sound
	datagrams, sum uint64           // and records in them, for conversion between units
	raw, converted int64            // lost, in the stream's unit and as counted
}

func newTracker(records bool) tracker {
	return tracker{sequence: newSequence(records), records: records, watch: firstWatch}
}

// note takes in the number of a datagram with so many records. It reports
// whether the stream had a sound look at the end of a watch.
func (t *tracker) note(number uint32, size units, h *header) (v verdict, troubled bool) {
	t.datagrams++
	t.sum += uint64(size.lo)
	first := t.datagrams == 1 && number == size.lo && size.lo > 0 // a step from zero, it seems
	if first || t.started || t.how == unusable {
		t.compare(number, size)
	}
	if t.how != unusable {
		v = t.convert(t.follow(number, size, h))
	}
	t.number, t.size = number, size
	if t.watched < t.watch && t.plain() == asStandard {
		if v != (verdict{}) {
			t.blame.add(v)
			t.wild += uint8(min(v.restarts+v.duplicates, 1))
		}
		return v, false
	}
	t.blame.add(v)
	taken, troubled := t.judge(number, size, h)
	v.add(taken)
	return v, troubled
}

// usual takes in a number that is just the next one by the standard, which is
// what nearly all are. It reports whether it was.
func (t *tracker) usual(number uint32, size units, h *header) bool {
	u := size
	if !t.records {
		u = units{1, 1}
	}
	if t.how != asStandard || t.watch == firstWatch || t.watched+1 >= t.watch || !t.isNext(number, h) {
		return false
	}
	t.watched++
	t.fits[asStandard]++
	t.datagrams++
	t.sum += uint64(size.lo)
	t.advance(number, u, h)
	t.number, t.size = number, size
	return true
}

// follow hands the number to the sequence in the unit that the stream counts.
func (t *tracker) follow(number uint32, size units, h *header) verdict {
	switch {
	case t.how == inclusive:
		return t.sequence.note(number-size.lo, size, h)
	case t.how == inRecords || t.how == asStandard && t.records:
		return t.sequence.note(number, size, h)
	}
	return t.sequence.note(number, units{1, 1}, h)
}

// compare notes which ways of counting explain the step from the datagram
// before. While the present one does, the others do not matter.
func (t *tracker) compare(number uint32, size units) {
	t.watched++
	if t.how != unusable && t.watch != firstWatch && t.step(t.how, number, size) {
		t.fits[t.how]++
		return
	}
	for c := range countings {
		if (c != unusable || t.how != unusable) && t.step(c, number, size) {
			t.fits[c]++
		}
	}
}

// plain returns the way of counting that explains all steps of the first watch,
// where the standard explains all but two at the most: it is not worth waiting
// for the end. No loss looks like that.
func (t *tracker) plain() counting {
	if t.watch == firstWatch && t.watched >= plainAfter && t.fits[asStandard]+2 <= t.watched {
		for c := inDatagrams; c < unusable; c++ {
			if t.fits[c] == t.watched {
				return c
			}
		}
	}
	return asStandard
}

// step reports whether a way of counting explains the step from the datagram
// before.
func (t *tracker) step(c counting, number uint32, size units) bool {
	step := number - t.number
	switch {
	case c == unusable:
		return step == 0 && t.size.lo+size.lo > 0
	case c == inclusive:
		return step-size.lo <= size.hi-size.lo
	case c == inRecords || c == asStandard && t.records:
		return step-t.size.lo <= t.size.hi-t.size.lo
	}
	return step == 1
}

// judge ends a watch. It decides how the stream counts, takes back what was
// counted wrongly, and reports whether what is left looks like trouble.
func (t *tracker) judge(number uint32, size units, h *header) (taken verdict, troubled bool) {
	plain, fits, wild, watched := t.plain(), t.fits, t.wild, t.watched
	t.fits, t.wild, t.watched, t.watch = [countings]uint8{}, 0, 0, laterWatch
	own := fits[t.how]
	if t.how == unusable {
		own = watched // until another way explains the numbers
	}
	best := t.how
	for c := range countings {
		if c != t.how && fits[c] > fits[best] && fits[c] >= watched-watched/4 {
			best = c
		}
	}
	switch {
	case plain != asStandard:
		return t.change(plain, number, size, h), false
	case best != t.how && (t.how == unusable || own < watched/4):
		return t.change(best, number, size, h), false
	case own < watched/4 && wild > watched/2:
		return t.change(unusable, number, size, h), false
	case own >= watched-watched/16 && t.how != unusable:
		t.blame = verdict{}
		return verdict{}, false
	}
	return verdict{}, t.how == asStandard
}

// change makes the stream count in another way from this datagram on.
func (t *tracker) change(to counting, number uint32, size units, h *header) verdict {
	taken := t.blame.negative()
	t.how, t.blame, t.raw, t.converted = to, verdict{}, 0, 0
	t.sequence = newSequence(to == inRecords || to == inclusive || to == asStandard && t.records)
	if to != unusable {
		_ = t.follow(number, size, h)
	}
	return taken
}

// convert brings the loss of a stream that does not count as the standard says
// into the standard's unit, by the records that a datagram has on average.
func (t *tracker) convert(v verdict) verdict {
	if v.lost == 0 || t.how == asStandard || t.how == inclusive && t.records {
		return v
	}
	t.raw += v.lost
	mean := max(float64(t.sum)/float64(t.datagrams), 1)
	now := float64(t.raw) / mean
	if t.records {
		now = float64(t.raw) * mean
	}
	v.lost = int64(now+0.5) - t.converted
	t.converted += v.lost
	return v
}
