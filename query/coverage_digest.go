package query

import (
	"maps"
	"slices"
	"time"

	"weir/flow/ledger"
)

// digestOf returns the digest of one entry of a ledger, without its skew, which
// is that of all entries of an exporter together.
func digestOf(e *ledger.Entry, version uint16) Digest {
	d := Digest{
		Datagrams: e.Get(ledger.Datagrams), Bytes: e.Get(ledger.Bytes), Records: e.Get(ledger.Records),
		Lost: e.LostRecords(version), Gaps: e.Get(ledger.Gaps), Reordered: e.Get(ledger.Reordered),
		Duplicates: e.Get(ledger.Duplicates), Restarts: e.Get(ledger.Restarts),
		SetsWithout: e.Get(ledger.SetsWithout), SetsRecovered: e.Get(ledger.SetsRecovered), SetsDropped: e.Get(ledger.SetsDropped),
		LostSamples: e.Get(ledger.LostSamples), SampleDrops: e.Get(ledger.SampleDrops),
		Templates: e.Get(ledger.Templates), TemplateChanges: e.Get(ledger.TemplateChanges), Options: e.Get(ledger.Options),
		BadDatagrams: e.Get(ledger.BadDatagrams), BadTimes: e.Get(ledger.BadTimes), Changes: e.Get(ledger.SamplingChanges),
		OutOfScope: e.Get(ledger.OutOfScope), SetAside: e.Get(ledger.SetAside), Refused: e.Get(ledger.Refused),
		First: Moment(e.First), Last: Moment(e.Last), Silence: e.Silence, Intervals: e.Intervals,
		Errors: e.Errors,
	}
	d.miss(version, e.Get(ledger.Lost))
	return d
}

// Add adds what o counted, of another exporter or another time.
func (d *Digest) Add(o *Digest) {
	d.Datagrams += o.Datagrams
	d.Bytes += o.Bytes
	d.Records += o.Records
	d.Lost += o.Lost
	d.LostFlows += o.LostFlows
	d.LostDatagrams += o.LostDatagrams
	d.LostData += o.LostData
	d.Gaps += o.Gaps
	d.Reordered += o.Reordered
	d.Duplicates += o.Duplicates
	d.Restarts += o.Restarts
	d.SetsWithout += o.SetsWithout
	d.SetsRecovered += o.SetsRecovered
	d.SetsDropped += o.SetsDropped
	d.LostSamples += o.LostSamples
	d.SampleDrops += o.SampleDrops
	d.Templates += o.Templates
	d.TemplateChanges += o.TemplateChanges
	d.Options += o.Options
	d.BadDatagrams += o.BadDatagrams
	d.BadTimes += o.BadTimes
	d.Changes += o.Changes
	d.OutOfScope += o.OutOfScope
	d.SetAside += o.SetAside
	d.Refused += o.Refused
	if o.First != 0 && (d.First == 0 || o.First < d.First) {
		d.First = o.First
	}
	d.Last = max(d.Last, o.Last)
	if o.Silence.Length() > d.Silence.Length() {
		d.Silence = o.Silence
	}
	if clockError(o.SkewMS) > clockError(d.SkewMS) || d.SkewMS == 0 {
		d.SkewMS = o.SkewMS
	}
	switch {
	case d.SkewMinMS == 0 && d.SkewMaxMS == 0:
		d.SkewMinMS, d.SkewMaxMS = o.SkewMinMS, o.SkewMaxMS
	case o.SkewMinMS != 0 || o.SkewMaxMS != 0:
		d.SkewMinMS, d.SkewMaxMS = min(d.SkewMinMS, o.SkewMinMS), max(d.SkewMaxMS, o.SkewMaxMS)
	}
	d.Errors = addErrors(d.Errors, o.Errors)
	d.Intervals = addIntervals(d.Intervals, o.Intervals)
}

// addErrors adds errors by reason; neither map is changed.
func addErrors(a, b map[string]uint64) map[string]uint64 {
	switch {
	case len(b) == 0:
		return a
	case len(a) == 0:
		return b
	}
	sum := maps.Clone(a)
	for reason, n := range b {
		sum[reason] += n
	}
	return sum
}

// addIntervals adds records by sampling interval; a is changed where it has
// room.
func addIntervals(a, b []ledger.Interval) []ledger.Interval {
	if slices.EqualFunc(a, b, func(x, y ledger.Interval) bool { return x.N == y.N }) { // nearly always
		for i := range b {
			a[i].Records += b[i].Records
		}
		return a
	}
	e := ledger.Entry{Intervals: slices.Clone(a)}
	for _, i := range b {
		e.Sample(i.N, i.Records)
	}
	return e.Intervals
}

// How far the median of receipt less end may be from zero. A flow is exported
// when it has been idle for a while, or after the active timeout, so receipt
// comes seconds to minutes later; nothing ends after it was reported. Alert
// rules and documents go by the same bounds.
const (
	ClockAhead  = 10 * time.Second // of the exporter's clock
	ClockBehind = 15 * time.Minute
)

// clockError returns how far a median of receipt less end is beyond what is
// ordinary, in ms.
func clockError(skew int64) int64 {
	ahead, behind := ClockAhead.Milliseconds(), ClockBehind.Milliseconds()
	switch {
	case skew < -ahead:
		return -(skew + ahead)
	case skew > behind:
		return skew - behind
	}
	return 0
}

// clockOff reports whether a clock with this median is off.
func clockOff(skew int64) bool { return clockError(skew) > 0 }
