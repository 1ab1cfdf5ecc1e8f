package collector

import (
	"encoding/binary"

	"weir/flow"
)

// The fixed formats are plans that no template needs to announce: their layout
// is written in v9's elements.

// layout1 is the record of NetFlow v1, 52 bytes.
var layout1 = []wireField{
	{id: 8, len: 4}, {id: 12, len: 4}, {id: 15, len: 4}, {id: 10, len: 2}, {id: 14, len: 2},
	{id: 2, len: 4}, {id: 1, len: 4}, {id: 22, len: 4}, {id: 21, len: 4}, {id: 7, len: 2}, {id: 11, len: 2},
	{id: 0, len: 2}, {id: 4, len: 1}, {id: 5, len: 1}, {id: 6, len: 1}, {id: 0, len: 11},
}

// layout5 is the record of NetFlow v5, 48 bytes.
//
//	0 source    4 destination  8 next hop     12 in, out ifIndex
//	16 packets  20 bytes      24 first       28 last
//	32 ports    36 pad, flags, protocol, ToS  40 AS numbers  44 masks, pad
var layout5 = []wireField{
	{id: 8, len: 4}, {id: 12, len: 4}, {id: 15, len: 4}, {id: 10, len: 2}, {id: 14, len: 2},
	{id: 2, len: 4}, {id: 1, len: 4}, {id: 22, len: 4}, {id: 21, len: 4}, {id: 7, len: 2}, {id: 11, len: 2},
	{id: 0, len: 1}, {id: 6, len: 1}, {id: 4, len: 1}, {id: 5, len: 1},
	{id: 16, len: 2}, {id: 17, len: 2}, {id: 9, len: 1}, {id: 13, len: 1}, {id: 0, len: 2},
}

// layout7 is the record of NetFlow v7 (Catalyst), 52 bytes: v5 with flags for
// invalid fields where its padding is, and the router that was bypassed.
var layout7 = append(append([]wireField(nil), layout5...), wireField{id: 0, len: 4})

// A fixedFormat is a version whose records have one layout.
type fixedFormat struct {
	version    uint64 // flow.Version
	headerLen  int    // bytes
	maxRecords int    // in one datagram, by its specification
	plan       *plan
}

// fixedFormats are the plans of NetFlow v1, v5 and v7.
type fixedFormats struct {
	v1, v5, v7 fixedFormat
}

func newFixedFormats() fixedFormats {
	return fixedFormats{
		v1: fixedFormat{flow.VersionNF1, 16, 24, compilePlan(9, layout1, nil)},
		v5: fixedFormat{flow.VersionNF5, 24, 30, compilePlan(9, layout5, nil)},
		v7: fixedFormat{flow.VersionNF7, 24, 28, compilePlan(9, layout7, nil)},
	}
}

// readHeader reads the header of v1, v5 and v7.
//
//	0  version | count           12 nanoseconds
//	4  sysUptime, ms             16 sequence, flows (v5, v7)
//	8  seconds since 1970        20 engine type, engine id, sampling mode and interval (v5)
func (f *fixedFormat) readHeader(h *header, p []byte) {
	h.uptime, h.hasUptime = binary.BigEndian.Uint32(p[4:]), true
	h.exportMS = uint64(binary.BigEndian.Uint32(p[8:]))*1000 + uint64(binary.BigEndian.Uint32(p[12:]))/1e6
	if f.version == flow.VersionNF1 {
		return
	}
	h.sequence = binary.BigEndian.Uint32(p[16:])
	if f.version == flow.VersionNF5 {
		h.domain = uint32(binary.BigEndian.Uint16(p[20:]))
		h.sampling = uint32(binary.BigEndian.Uint16(p[22:]) & 0x3fff)
	}
}

// fixed decodes a datagram of a fixed format. If it holds less than its header
// counts, it was cut: the records that are whole are kept. If it counts more
// than any such datagram could hold, the header is rubbish, and so may be the
// rest: nothing is kept. Bytes behind the counted records are no records.
func (e *exporter) fixed(b *flow.Batch, f *fixedFormat, h *header, p []byte) error {
	count, body := int(binary.BigEndian.Uint16(p[2:])), p[f.headerLen:]
	var err error
	whole := len(body) / f.plan.recLen
	switch {
	case count > whole:
		err = decodeErrorf(ReasonCount, "v%d header counts %d records, %d are there", h.version, count, whole)
	case len(body) > count*f.plan.recLen && !allZero(body[count*f.plan.recLen:]):
		err = decodeErrorf(ReasonTrailing, "%d bytes after %d records of v%d", len(body)-count*f.plan.recLen, count, h.version)
	}
	if err != nil {
		e.noteError(err)
	}
	n := min(count, whole)
	e.account.size = units{uint32(n), uint32(count)}
	if n == 0 || count > whole && count > f.maxRecords {
		return err
	}
	dec := &e.work
	dec.begin(b, h, nil)
	dec.body, dec.refs, dec.n, dec.recLen = body[:n*f.plan.recLen], f.plan.refs, n, f.plan.recLen
	dec.base = b.Grow(n)
	dec.common(f.version)
	dec.run(f.plan)
	if h.sampling != 0 {
		dec.constant(flow.SamplingInterval, uint64(h.sampling))
	}
	e.stats.Records += uint64(n)
	e.stats.Errors[ReasonTime] += dec.badTimes
	e.rows(b, dec.base, h, false)
	return err
}
