package query

import (
	"context"
	"math"
	"math/bits"

	"weir/flow"
)

// cells gives the values of a block's columns by row, for questions that sum
// over the rows that matched. It is good as long as the columns are.
type cells struct {
	fields flow.FieldSet // those that were asked for and occur
	nums   [flow.FieldCount][]uint64
	addrs  [flow.FieldCount][]flow.Addr
	some   [flow.FieldCount][]uint64 // rows that have the field, nil for all
}

// spanFields are what the time of a row follows from.
var spanFields = flow.SetOf(flow.Received, flow.Start, flow.End)

// sumFields are what the sums of rows follow from.
var sumFields = flow.SetOf(flow.Bytes, flow.Packets, flow.Flows, flow.SamplingInterval)

// load reads those of the fields that the current block of cols has. Receipts
// are read only if some row has no time of its own.
func (c *cells) load(cols *columns, fields flow.FieldSet) error {
	return c.loadOf(cols, fields, nil, cols.rows)
}

// loadOf is load that is good for the n rows of a set only.
func (c *cells) loadOf(cols *columns, fields flow.FieldSet, set *rowSet, n int) (err error) {
	c.fields = flow.FieldSet{}
	if fields.Has(flow.Received) && fields.Has(flow.Start) && (cols.full(flow.Start) || cols.full(flow.End)) {
		fields.Remove(flow.Received)
	}
	for f := range fields.All {
		if !cols.exists(f) {
			continue
		}
		c.fields.Add(f)
		switch {
		case f.IsAddr():
			c.addrs[f], err = cols.addr(f)
		case n <= cols.rows/fewOf:
			c.nums[f], err = cols.numAt(f, set, n)
		default:
			c.nums[f], err = cols.num(f)
		}
		if err != nil {
			return err
		}
		if c.some[f], err = cols.has(f); err != nil {
			return err
		}
	}
	return nil
}

// has reports whether a row has field f, which was asked for.
func (c *cells) has(f flow.Field, row int) bool {
	return c.fields.Has(f) && inWords(c.some[f], row)
}

// num returns a row's value of a numeric field, 0 where absent.
func (c *cells) num(f flow.Field, row int) uint64 {
	if !c.fields.Has(f) {
		return 0
	}
	return c.nums[f][row]
}

// addr returns a row's value of an address field.
func (c *cells) addr(f flow.Field, row int) flow.Addr {
	if !c.fields.Has(f) {
		return flow.Addr{}
	}
	return c.addrs[f][row]
}

// span returns the time that a row covers, by flow.Span.
func (c *cells) span(row int) (from, to uint64) {
	return flow.Span(c.num(flow.Received, row), c.num(flow.Start, row), c.num(flow.End, row),
		c.has(flow.Start, row), c.has(flow.End, row))
}

// sums returns what a row adds to sums.
func (c *cells) sums(row int) Sums {
	s := Sums{Records: 1, Flows: 1, Bytes: c.num(flow.Bytes, row), Packets: c.num(flow.Packets, row)}
	if c.has(flow.Flows, row) {
		s.Flows = c.num(flow.Flows, row)
	}
	s.EstimatedBytes, s.EstimatedPackets = s.Bytes, s.Packets
	if n := c.num(flow.SamplingInterval, row); n > 1 {
		s.Sampled = 1
		s.EstimatedBytes, s.EstimatedPackets = times(s.Bytes, n), times(s.Packets, n)
		s.Variance = varianceOf(s.Bytes, s.Packets, n)
	}
	s.First, s.Last = c.span(row)
	return s
}

// times returns a*b, or the highest number where that is higher.
func times(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	if hi != 0 {
		return math.MaxUint64
	}
	return lo
}

// plus returns a+b, or the highest number where that is higher: exporters may send
// any counters, and what one of them claims must not take away what others sent.
func plus(a, b uint64) uint64 {
	sum, carry := bits.Add64(a, b, 0)
	return sum | -carry
}

// perWorker returns a new T for each worker of a scan.
func perWorker[T any](make1 func() T) []T {
	list := make([]T, workers())
	for i := range list {
		list[i] = make1()
	}
	return list
}

// sumBlocks calls add for every block with matching rows, with what its worker
// sums into, when the fields are loaded: a block that cannot be read is not
// summed in part. Before that it calls whole, unless that is nil, which may do
// the block in a way of its own and reports whether it did.
func sumBlocks(ctx context.Context, s *scan, fields flow.FieldSet, cellsOf func(worker int) *cells,
	whole func(v *visit) (bool, error), add func(v *visit) error) error {
	look := func(v *visit) (struct{}, error) {
		if whole != nil {
			if done, err := whole(v); done || err != nil {
				return struct{}{}, err
			}
		}
		if err := cellsOf(v.worker).load(v.columns, fields); err != nil {
			return struct{}{}, err
		}
		return struct{}{}, add(v)
	}
	return scanBlocks(ctx, s, look, func(struct{}) error { return nil })
}

// Join adds the sums of other records to s; a sum above 2^64-1 stays at that. The
// first record's times are taken as they are.
func (s *Sums) Join(t Sums) {
	if t.Records == 0 {
		return
	}
	if s.Records == 0 {
		s.First, s.Last = t.First, t.Last
	}
	s.Records += t.Records
	s.Flows = plus(s.Flows, t.Flows)
	s.Bytes = plus(s.Bytes, t.Bytes)
	s.Packets = plus(s.Packets, t.Packets)
	s.EstimatedBytes = plus(s.EstimatedBytes, t.EstimatedBytes)
	s.EstimatedPackets = plus(s.EstimatedPackets, t.EstimatedPackets)
	s.Sampled += t.Sampled
	s.Variance.add(t.Variance)
	s.First, s.Last = min(s.First, t.First), max(s.Last, t.Last)
}
