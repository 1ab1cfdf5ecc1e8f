package query

import (
	"math"

	"weir/flow"
)

// block adds the rows of a visit column by column, and reports whether it did:
// it can where a row counts as exported in the one series there is, at its
// start. Where all rows of a block start in one step, as nearly all do if steps
// are hours, their times are not even read.
func (a *seriesSums) block(v *visit) (done bool, err error) {
	req := &a.query.req
	if req.Group != "" || req.Spread || a.distinct != nil || a.axis.n >= math.MaxUint16-2 ||
		v.blk.Stat(flow.SamplingInterval).MaxNum > 1 {
		return false, nil
	}
	first, last := a.axis.place(v.blk.MinStart()), a.axis.place(latestStart(v))
	if first == last && !v.exists(flow.Flows) {
		p, err := countedPoint(v)
		if err == nil {
			a.sums[0].addAt(first, p)
		}
		return true, err
	}
	a.starts = resize(a.starts, v.columns.rows)
	if err := a.axis.placeRows(a.starts, v); err != nil {
		return false, err
	}
	c, err := newCounters(v, false)
	if err != nil {
		return false, err
	}
	a.codeSums.add(c, a.axis.n+2, a.starts, v.rows)
	for place := first; place <= last; place++ {
		s := a.codeSums.accs[place]
		p := SeriesPoint{Flows: s.records, Bytes: s.bytes, Packets: s.packets}
		if c.flows != nil {
			p.Flows = a.codeSums.rare[place].flows
		}
		a.sums[0].addAt(place, p)
	}
	return true, nil
}

// countedPoint returns what the rows of a visit come to, each as one flow.
func countedPoint(v *visit) (p SeriesPoint, err error) {
	p.Flows = uint64(v.matched)
	if p.Bytes, err = v.sumOf(flow.Bytes, v.rows, v.matched); err != nil {
		return p, err
	}
	p.Packets, err = v.sumOf(flow.Packets, v.rows, v.matched)
	return p, err
}

// latestStart returns a time that no row of a block starts after.
func latestStart(v *visit) uint64 {
	latest := v.blk.Stat(flow.Start).MaxNum
	if !v.full(flow.Start) {
		latest = max(latest, v.blk.Stat(flow.End).MaxNum, v.blk.Stat(flow.Received).MaxNum)
	}
	return latest
}

// A place on an axis is 0 before the window, n+1 after it, and i+1 in step i.

// place returns the place of a time.
func (a *seriesAxis) place(ms uint64) int {
	switch {
	case ms < a.lo:
		return 0
	case ms >= a.hi:
		return a.n + 1
	}
	return a.at(ms) + 1
}

// placeRows fills dst with the places where the rows of a visit start.
func (a *seriesAxis) placeRows(dst []uint16, v *visit) error {
	from, err := v.from()
	if err != nil {
		return err
	}
	place, lo, length := uint16(0), uint64(0), uint64(0) // of the row before; most start in the same
	put := func(row int, from uint64) {
		if from-lo >= length {
			place = uint16(a.place(from))
			lo, length = a.extent(int(place))
		}
		dst[row] = place
	}
	if from != nil && v.matched == v.columns.rows {
		for row, ms := range from {
			put(row, ms)
		}
		return nil
	}
	span := func(row int) (uint64, uint64) { return from[row], 0 }
	if from == nil {
		if span, err = v.spans(); err != nil {
			return err
		}
	}
	each(v.rows, func(row int) {
		ms, _ := span(row)
		put(row, ms)
	})
	return nil
}

// extent returns where a place begins and how long it lasts, in ms.
func (a *seriesAxis) extent(place int) (lo, length uint64) {
	switch place {
	case 0:
		return 0, a.lo
	case a.n + 1:
		return a.hi, math.MaxUint64 - a.hi
	}
	from := a.from + uint64(place-1)*a.step
	lo = max(from, a.lo)
	return lo, min(from+a.step, a.hi) - lo
}

// addAt adds flows that all count in one place.
func (s *seriesSum) addAt(place int, p SeriesPoint) {
	p.EstimatedBytes, p.EstimatedPackets = p.Bytes, p.Packets
	switch place {
	case 0:
		s.before.add(p)
	case s.axis.n + 1:
		s.after.add(p)
	default:
		s.points[place-1].add(p)
		s.total.add(p)
	}
}
