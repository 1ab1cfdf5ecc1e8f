package query

import (
	"math"

	"weir/flow"
	"weir/store"
)

// counters are the columns of a visit that are summed.
type counters struct {
	bytes, packets []uint64 // 0 where absent; good for the rows that matched
	flows          []uint64 // nil: every record stands for one
	hasFlows       []uint64
	interval       []uint64 // sampling intervals, nil: factor for all
	factor         uint64   // at least 1
	huge           bool     // sums of the block's bytes or packets may be above 2^64-1
	span           func(row int) (from, to uint64)
}

// newCounters reads the columns that are summed, with the times of rows if they
// are asked for.
func newCounters(v *visit, spans bool) (*counters, error) {
	bytes, err := v.numOf(flow.Bytes, v.rows, v.matched)
	if err != nil {
		return nil, err
	}
	packets, err := v.numOf(flow.Packets, v.rows, v.matched)
	if err != nil {
		return nil, err
	}
	c := &counters{factor: 1, bytes: bytes, packets: packets, huge: !fits(v.blk, 1)}
	return c, c.readRare(v, spans)
}

// countOnly is newCounters for records whose bytes and packets are taken as 0,
// as they are in zeros.
func countOnly(v *visit, spans bool, zeros []uint64) (*counters, error) {
	c := &counters{factor: 1, bytes: zeros[:v.columns.rows], packets: zeros[:v.columns.rows]}
	return c, c.readRare(v, spans)
}

// readRare reads the columns that not all records have.
func (c *counters) readRare(v *visit, spans bool) (err error) {
	if v.exists(flow.Flows) {
		if c.flows, err = v.num(flow.Flows); err != nil {
			return err
		}
		if c.hasFlows, err = v.has(flow.Flows); err != nil {
			return err
		}
	}
	switch s := v.blk.Stat(flow.SamplingInterval); {
	case s.MaxNum <= 1: // unsampled, unknown or absent
	case s.MinNum == s.MaxNum && s.Present == v.blk.Rows() && fits(v.blk, s.MaxNum):
		c.factor = s.MaxNum
	default:
		if c.interval, err = v.num(flow.SamplingInterval); err != nil {
			return err
		}
	}
	if spans {
		if c.span, err = v.spans(); err != nil {
			return err
		}
	}
	return nil
}

// fits reports whether a block's sums times factor are below 2^64, so that they
// may be multiplied instead of each record.
func fits(blk *store.Block, factor uint64) bool {
	return sumFits(blk, flow.Bytes, factor) && sumFits(blk, flow.Packets, factor)
}

// sumFits is fits for the sum of one field.
func sumFits(blk *store.Block, f flow.Field, factor uint64) bool {
	return times(times(blk.Stat(f).MaxNum, factor), store.BlockRows) < math.MaxUint64
}

// flowsOf returns how many flows a row stands for.
func (c *counters) flowsOf(row int) uint64 {
	if c.flows == nil || !inWords(c.hasFlows, row) {
		return 1
	}
	return c.flows[row]
}

// factorOf returns what a row's counters are multiplied by for an estimate.
func (c *counters) factorOf(row int) uint64 {
	if c.interval == nil {
		return c.factor
	}
	return max(c.interval[row], 1)
}

// addTotal adds the rows of a visit to the worker's total.
func (w *topWorker) addTotal(v *visit, c *counters) {
	total := Sums{First: ^uint64(0), Records: uint64(v.matched)}
	if c.huge {
		total.Bytes, total.Packets = sumHuge(c.bytes, v.rows), sumHuge(c.packets, v.rows)
	} else {
		total.Bytes, total.Packets = sumRows(c.bytes, v.rows, v.matched), sumRows(c.packets, v.rows, v.matched)
	}
	total.Flows, total.EstimatedBytes, total.EstimatedPackets = total.Records, total.Bytes, total.Packets
	if c.flows != nil {
		total.Flows = 0
		each(v.rows, func(row int) { total.Flows = plus(total.Flows, c.flowsOf(row)) })
	}
	switch {
	case c.interval != nil:
		total.EstimatedBytes, total.EstimatedPackets = 0, 0
		each(v.rows, func(row int) {
			factor := c.factorOf(row)
			total.EstimatedBytes = plus(total.EstimatedBytes, times(c.bytes[row], factor))
			total.EstimatedPackets = plus(total.EstimatedPackets, times(c.packets[row], factor))
			if factor > 1 {
				w.sampled++
			}
		})
	case c.factor > 1:
		total.EstimatedBytes *= c.factor
		total.EstimatedPackets *= c.factor
		w.sampled += total.Records
	}
	if c.span != nil {
		each(v.rows, func(row int) {
			from, to := c.span(row)
			total.First, total.Last = min(total.First, from), max(total.Last, to)
		})
	} else {
		total.First = 0
	}
	w.total.Join(total)
}

// sumRows adds up the values of the rows of a set, n of them.
func sumRows(values []uint64, set *rowSet, n int) (sum uint64) {
	if n == len(values) {
		for _, v := range values {
			sum += v
		}
		return sum
	}
	each(set, func(row int) { sum += values[row] })
	return sum
}

// sumHuge is sumRows for values whose sum may be above 2^64-1.
func sumHuge(values []uint64, set *rowSet) (sum uint64) {
	each(set, func(row int) { sum = plus(sum, values[row]) })
	return sum
}
