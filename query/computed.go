package query

import (
	"math"
	"math/bits"

	"weir/flow"
)

// A computed value is a number that a record does not carry but that follows
// from its fields.
type computed uint8

const (
	computedDuration computed = iota + 1 // End - Start in ms; 0 if End stands before Start
	computedPPS                          // packets per second of the duration, 0 if that is 0
	computedBPS                          // bits per second of the duration, 0 if that is 0
	computedBPP                          // bytes per packet, 0 without packets
	computedFlows                        // flows that the record stands for, 1 where not exported
	computedEOS                          // label at the bottom of the MPLS stack
	computedTTLs                         // MaxTTL - MinTTL
)

var computedNames = [...]string{
	computedDuration: "duration", computedPPS: "pps", computedBPS: "bps", computedBPP: "bpp",
	computedFlows: "flows", computedEOS: "mpls eos", computedTTLs: "ttl_spread",
}

func (c computed) String() string { return computedNames[c] }

// needs returns the fields that the value follows from.
func (c computed) needs() flow.FieldSet {
	switch c {
	case computedDuration:
		return flow.SetOf(flow.Start, flow.End)
	case computedPPS:
		return flow.SetOf(flow.Start, flow.End, flow.Packets)
	case computedBPS:
		return flow.SetOf(flow.Start, flow.End, flow.Bytes)
	case computedBPP:
		return flow.SetOf(flow.Bytes, flow.Packets)
	case computedFlows:
		return flow.SetOf(flow.Flows)
	case computedEOS:
		var set flow.FieldSet
		for f := flow.MPLSLabel1; f <= flow.MPLSLabel10; f++ {
			set.Add(f)
		}
		return set
	case computedTTLs:
		return flow.SetOf(flow.MinTTL, flow.MaxTTL)
	}
	return flow.FieldSet{}
}

// all reports whether the value is defined only where every field it needs is
// present.
func (c computed) all() bool { return c != computedFlows && c != computedEOS }

// of returns the value for one record, and false where a field that it needs is
// absent.
func (c computed) of(r *flow.Record) (uint64, bool) {
	if c.all() {
		for f := range c.needs().All {
			if !r.Has(f) {
				return 0, false
			}
		}
	}
	switch c {
	case computedDuration:
		return duration(r.Num(flow.Start), r.Num(flow.End)), true
	case computedPPS:
		return Rate(r.Num(flow.Packets), 1000, duration(r.Num(flow.Start), r.Num(flow.End))), true
	case computedBPS:
		return Rate(r.Num(flow.Bytes), 8000, duration(r.Num(flow.Start), r.Num(flow.End))), true
	case computedBPP:
		return Rate(r.Num(flow.Bytes), 1, r.Num(flow.Packets)), true
	case computedFlows:
		if !r.Has(flow.Flows) {
			return 1, true
		}
		return r.Num(flow.Flows), true
	case computedEOS:
		for f := flow.MPLSLabel1; f <= flow.MPLSLabel10; f++ {
			if v := r.Num(f); r.Has(f) && v&1 != 0 {
				return v >> 4, true
			}
		}
	case computedTTLs:
		return r.Num(flow.MaxTTL) - min(r.Num(flow.MaxTTL), r.Num(flow.MinTTL)), true
	}
	return 0, false
}

// duration returns how long a flow lasted, in ms.
func duration(start, end uint64) uint64 { return end - min(start, end) }

// Rate returns n*scale/per rounded down, 0 if per is 0, and the highest number
// if the quotient is higher.
func Rate(n, scale, per uint64) uint64 {
	if per == 0 {
		return 0
	}
	hi, lo := bits.Mul64(n, scale)
	if hi >= per {
		return math.MaxUint64
	}
	q, _ := bits.Div64(hi, lo, per)
	return q
}
