package collector

import (
	"encoding/binary"
	"errors"

	"weir/flow"
)

// sFlow sample formats (sflow.org, sFlow version 5; format 5 from "sFlow
// Dropped Packet Notification Structures").
const (
	sampleFlow            = 1
	sampleCounter         = 2
	sampleFlowExpanded    = 3
	sampleCounterExpanded = 4
	sampleDrop            = 5
)

// sflowUnknownIf is the interface number that means the agent itself, or that
// the interface is not known.
const sflowUnknownIf = 0x3fffffff

// errShort says that an XDR structure runs over its end.
var errShort = errors.New("cut off")

// An xdr reads 32-bit words, most significant byte first (RFC 4506). After the
// first read over the end, err is set and all reads give zero.
type xdr struct {
	b   []byte
	err error
}

func (x *xdr) u32() uint32 {
	if len(x.b) < 4 {
		x.fail()
		return 0
	}
	v := binary.BigEndian.Uint32(x.b)
	x.b = x.b[4:]
	return v
}

// bytes takes n bytes, and the padding to a multiple of four behind them as far
// as it is there.
func (x *xdr) bytes(n uint32) []byte {
	if uint64(n) > uint64(len(x.b)) {
		x.fail()
		return nil
	}
	v := x.b[:n]
	x.b = x.b[min(len(x.b), int(n+3)&^3):]
	return v
}

// addr reads an address: its type, 1 for IPv4 and 2 for IPv6, and its bytes.
// Type 0 is an address that is not known.
func (x *xdr) addr() (flow.Addr, bool) {
	switch x.u32() {
	case 1:
		return flow.AddrFromSlice(x.bytes(4))
	case 2:
		return flow.AddrFromSlice(x.bytes(16))
	case 0:
		return flow.Addr{}, false
	}
	x.fail()
	return flow.Addr{}, false
}

// source reads the source of a flow sample: its type << 32 | its index. The
// compact form has both in one word, the index in 24 bits; the expanded one has
// a word for each, for indexes that take more.
func (x *xdr) source(expanded bool) uint64 {
	kind := uint64(x.u32())
	if !expanded {
		return kind>>24<<32 | kind&0xffffff
	}
	return kind<<32 | uint64(x.u32())
}

func (x *xdr) fail() {
	x.err = errShort
	x.b = nil
}

// sflow decodes an sFlow version 5 datagram. It is cut into samples here, and
// every sample is decoded by itself: one of an unknown format, or with an
// absurd count, costs itself and not its neighbours.
//
//	| version 5 | agent address | sub-agent | sequence | uptime, ms | samples |
//	sample:   | enterprise << 12 | format | length | data ... |
func (d *Decoder) sflow(b *flow.Batch, e *exporter, h *header, port uint16, payload []byte) error {
	h.version = uint16(flow.VersionSFlow5)
	x := xdr{b: payload[4:]}
	h.agent, h.hasAgent = x.addr()
	h.domain, h.sequence, h.uptime = x.u32(), x.u32(), x.u32()
	count := x.u32()
	if x.err != nil {
		return e.refuse(ReasonTruncated, "header of sFlow in %d bytes", len(payload))
	}
	s := e.stream(streamKey{h.domain, port, h.version, h.conn}, h.received, &d.limits, d)
	e.enter(s, h, d)
	a := e.agentOf(s, h, d)
	if a != nil {
		v, _ := a.tracker.note(h.sequence, units{1, 1}, h)
		e.restarted(h, v)
	}
	before := b.Len()
	first := e.samples(b, h, &x, count, a, d)
	e.rows(b, before, h, true)
	return first
}

// samples decodes the samples of a datagram.
func (e *exporter) samples(b *flow.Batch, h *header, x *xdr, count uint32, a *agent, d *Decoder) error {
	var first error
	note := func(err error) {
		if err != nil {
			e.noteError(err)
			if first == nil {
				first = err
			}
		}
	}
	for i := uint32(0); i < count; i++ {
		if len(x.b) < 8 {
			note(decodeErrorf(ReasonCount, "sFlow header counts %d samples, %d are there", count, i))
			return first
		}
		format, length := x.u32(), x.u32()
		data := x.bytes(length)
		if x.err != nil {
			note(decodeErrorf(ReasonTruncated, "sFlow sample %d of %d bytes", i, length))
			return first
		}
		note(e.sample(b, h, format, data, a, d))
	}
	if len(x.b) > 0 && !allZero(x.b) {
		note(decodeErrorf(ReasonTrailing, "%d bytes after the last sample", len(x.b)))
	}
	return first
}

// sample decodes one sample.
func (e *exporter) sample(b *flow.Batch, h *header, format uint32, data []byte, a *agent, d *Decoder) error {
	switch format {
	case sampleFlow, sampleFlowExpanded:
	case sampleCounter, sampleCounterExpanded:
		e.stats.CounterSamples++
		return nil
	case sampleDrop:
		e.stats.DropSamples++
		return nil
	default: // a vendor's own, or newer than this program: skipped, as the standard asks
		e.count(ReasonSampleFormat)
		return nil
	}
	row := b.Grow(1)
	dec := &e.work
	dec.begin(b, h, nil)
	dec.base, dec.n = row, 1
	s := flowSample{row: row, b: b, exporter: e}
	err := s.read(format, data)
	if a != nil && s.headed {
		e.sampled(a, h, s.head, d)
	}
	if err != nil {
		b.Truncate(row)
		return decodeErrorf(ReasonSample, "sFlow flow sample: %v", err)
	}
	if !s.sawPacket {
		b.Truncate(row)
		e.count(ReasonNoFlow)
		return nil
	}
	dec.common(flow.VersionSFlow5)
	if h.hasAgent {
		b.SetAddr(flow.Agent, row, h.agent)
	}
	e.stats.Records++
	return nil
}

// A flowSample is a flow sample on its way into a row.
type flowSample struct {
	b         *flow.Batch
	exporter  *exporter
	row       int
	packet    packet // of the sampled header
	head      sampled
	headed    bool // the head is there
	sawPacket bool // there is a record that says what packet was sampled
}

// read reads a flow sample, compact or expanded.
//
//	compact:   | sequence | source | rate | pool | drops | input | output | records |
//	expanded:  | sequence | source type, index | rate | pool | drops
//	           | input format, value | output format, value | records |
//	record:    | enterprise << 12 | format | length | data ... |
func (s *flowSample) read(format uint32, data []byte) error {
	x := xdr{b: data}
	s.head.sequence = x.u32()
	s.head.source = x.source(format == sampleFlowExpanded)
	if s.head.rate = x.u32(); s.head.rate != 0 {
		s.b.SetNum(flow.SamplingInterval, s.row, uint64(s.head.rate))
	}
	x.u32() // pool
	s.head.drops = x.u32()
	s.headed = x.err == nil
	s.interfaces(&x, format)
	count := x.u32()
	for range count {
		if x.err != nil {
			return x.err
		}
		recordFormat, length := x.u32(), x.u32()
		if err := s.record(recordFormat, x.bytes(length)); err != nil {
			return err
		}
	}
	if x.err != nil {
		return x.err
	}
	s.finish()
	return nil
}

// interfaces reads input and output. Only plain interface numbers are kept:
// the compact form tells "discarded" and "several outputs" in the top two bits,
// the expanded one in a format of its own.
func (s *flowSample) interfaces(x *xdr, format uint32) {
	for _, f := range [2]flow.Field{flow.InIf, flow.OutIf} {
		var kind, value uint32
		if format == sampleFlowExpanded {
			kind, value = x.u32(), x.u32()
			if value == 0xffffffff {
				value = sflowUnknownIf
			}
		} else {
			v := x.u32()
			kind, value = v>>30, v&sflowUnknownIf
		}
		if kind == 0 && value != sflowUnknownIf {
			s.b.SetNum(f, s.row, uint64(value))
		}
	}
}
