package collector

import (
	"encoding/binary"
	"math"

	"weir/flow"
)

// Times outside these bounds mean nothing and are left absent.
const (
	minTimeMS = 1               // 0 is what exporters send for "unknown"
	maxTimeMS = 253402300799999 // the last millisecond of the year 9999
)

// beforeEpoch stands for every time before 1970.
const beforeEpoch = maxTimeMS + 1

// ntpEpoch is the NTP time of the Unix epoch, in seconds.
const ntpEpoch = 2208988800

// A decoding holds what the steps of a plan need besides the plan: where the
// records are and what the datagram's header said.
type decoding struct {
	b       *flow.Batch
	body    []byte // n records of recLen bytes
	refs    []ref
	base, n int // rows of the batch
	recLen  int
	head    *header
	state   *domain // sampling tables, systemInitTime; nil for none

	located []ref // buffer for the places in a record with variable-length fields

	badTimes, badValues uint64 // values left absent
	cutTexts            uint64 // texts of which the beginning is kept
	mixed               bool   // the records may have several sampling intervals
}

// begin makes d ready for a set. The buffer stays.
func (d *decoding) begin(b *flow.Batch, h *header, state *domain) {
	*d = decoding{b: b, head: h, state: state, located: d.located}
}

// release lets go of what belongs to the caller.
func (d *decoding) release() { d.begin(nil, nil, nil) }

// run decodes the records column by column.
func (d *decoding) run(p *plan) {
	for i := range p.steps {
		d.step(&p.steps[i])
	}
	if len(p.pairs) > 0 {
		d.resolvePairs(p)
	}
	if p.columns.Labels() != (flow.FieldSet{}) {
		d.trimLabels()
	}
	d.derive(p)
	for i := range p.kept {
		d.keep(&p.kept[i])
	}
}

func (d *decoding) step(s *step) {
	r := d.refs[s.ref]
	if r.len == 0 {
		return // a variable-length field that is empty in this record
	}
	if s.fill {
		d.fill(s, r)
		return
	}
	switch s.role {
	case roleNumber:
		d.numbers(s.field, r)
	case roleAddr:
		d.addrs(s.field, r)
	default:
		d.times(s, r)
	}
}

// numbers copies unsigned integers of any length, most significant byte first
// (RFC 7011, section 6.1.1 and 6.2).
func (d *decoding) numbers(f flow.Field, r ref) {
	if r.len == 0 {
		return
	}
	col := d.b.Num(f)[d.base : d.base+d.n]
	body, off, step := d.body, int(r.off), d.recLen
	switch r.len {
	case 1:
		for i := range col {
			col[i] = uint64(body[off])
			off += step
		}
	case 2:
		for i := range col {
			col[i] = uint64(binary.BigEndian.Uint16(body[off:]))
			off += step
		}
	case 4:
		for i := range col {
			col[i] = uint64(binary.BigEndian.Uint32(body[off:]))
			off += step
		}
	case 8:
		for i := range col {
			col[i] = binary.BigEndian.Uint64(body[off:])
			off += step
		}
	default:
		for i := range col {
			col[i] = uintOf(body[off : off+int(r.len)])
			off += step
		}
	}
	d.b.Mark(f, d.base, d.base+d.n)
	if int(r.len)*8 > f.Bits() {
		d.dropWide(f, r)
	}
}

// dropWide makes values absent that are wider than the field.
func (d *decoding) dropWide(f flow.Field, r ref) {
	for i := range d.n {
		if tooWide(f, d.at(r, i)) {
			d.b.Unmark(f, d.base+i, d.base+i+1)
			d.badValues++
		}
	}
}

// tooWide reports whether an unsigned integer is wider than the field.
func tooWide(f flow.Field, value []byte) bool {
	bits := f.Bits()
	return !fits64(value) || bits < 64 && uintOf(value)>>bits != 0
}

// fits64 reports whether an unsigned integer of any length is below 2^64.
func fits64(value []byte) bool { return len(value) <= 8 || allZero(value[:len(value)-8]) }

// uintOf reads an unsigned integer of any length; of a longer one than 8 bytes,
// the last 8.
func uintOf(value []byte) uint64 {
	var v uint64
	for _, b := range value {
		v = v<<8 | uint64(b)
	}
	return v
}

// at returns the bytes of a value in the i-th record.
func (d *decoding) at(r ref, i int) []byte {
	off := i*d.recLen + int(r.off)
	return d.body[off : off+int(r.len)]
}

func (d *decoding) addrs(f flow.Field, r ref) {
	if r.len != 4 && r.len != 16 {
		d.badValues += uint64(d.n)
		return
	}
	col := d.b.Addr(f)[d.base : d.base+d.n]
	body, off, step := d.body, int(r.off), d.recLen
	if r.len == 4 {
		for i := range col {
			col[i] = flow.AddrFrom4(binary.BigEndian.Uint32(body[off:]))
			off += step
		}
	} else {
		for i := range col {
			col[i] = flow.Addr{Hi: binary.BigEndian.Uint64(body[off:]), Lo: binary.BigEndian.Uint64(body[off+8:])}
			off += step
		}
	}
	d.b.Mark(f, d.base, d.base+d.n)
}

// trimLabels makes the entries of zero bits below the last label absent, with
// which exporters fill up the MPLS label stack. Above a label, such an entry is
// one: IPv4's explicit null (RFC 3032, section 2.1).
func (d *decoding) trimLabels() {
	for row := d.base; row < d.base+d.n; row++ {
		for f := flow.MPLSLabel10; f >= flow.MPLSLabel1 && d.b.GetNum(f, row) == 0; f-- {
			if d.b.Has(f, row) {
				d.b.Unmark(f, row, row+1)
			}
		}
	}
}

// times converts points in time of any coding to milliseconds since 1970.
func (d *decoding) times(s *step, r ref) {
	convert := d.converter(s.role, r)
	if convert == nil {
		return
	}
	f := s.field
	col := d.b.Num(f)[d.base : d.base+d.n]
	if s.role == roleUptime && r.len == 4 && d.head.hasUptime {
		now, up := d.head.exportMS, d.head.uptime
		off := int(r.off)
		for i := range col {
			col[i] = uptimeToMS(now, up, binary.BigEndian.Uint32(d.body[off:]))
			off += d.recLen
		}
	} else {
		for i := range col {
			col[i] = convert(d, d.at(r, i))
		}
	}
	d.b.Mark(f, d.base, d.base+d.n)
	for i, v := range col {
		if v < minTimeMS || v > maxTimeMS {
			d.b.Unmark(f, d.base+i, d.base+i+1)
			if v != 0 {
				d.badTimes++
			}
		}
	}
}

// uptimeToMS converts a sysUptime to milliseconds since 1970, given the export
// time and the uptime then. Uptimes are 32 bits of milliseconds and wrap every
// 49.7 days, so the distance between the two is taken modulo 2^32, as the
// nearer of past and future: some exporters stamp flows a little later than
// the header.
func uptimeToMS(exportMS uint64, uptime, at uint32) uint64 {
	return exportMS - uint64(int64(int32(uptime-at)))
}

// converter returns the function that turns the bytes of a time into
// milliseconds, or nil if the times cannot be known.
func (d *decoding) converter(r role, at ref) func(*decoding, []byte) uint64 {
	switch r {
	case roleMillis:
		return func(_ *decoding, v []byte) uint64 { return countOf(v) }
	case roleSeconds:
		return func(_ *decoding, v []byte) uint64 { return min(countOf(v), maxTimeMS) * 1000 }
	case roleNTP:
		if at.len != 8 {
			return nil
		}
		return func(d *decoding, v []byte) uint64 { return ntpToMS(binary.BigEndian.Uint64(v), d.head.exportMS) }
	case roleDelta:
		return func(d *decoding, v []byte) uint64 { return d.head.exportMS - min(uintOf(v)/1000, d.head.exportMS) }
	case roleUptime:
		if d.head.hasUptime {
			return func(d *decoding, v []byte) uint64 {
				return uptimeToMS(d.head.exportMS, d.head.uptime, uint32(uintOf(v)))
			}
		}
	}
	return nil // IPFIX's sysUptime: see deriveUptimes
}

// countOf reads the units since 1970 of a time. A number that 64 bits do not
// hold is the highest that they do, which is after every time.
func countOf(value []byte) uint64 {
	if !fits64(value) {
		return math.MaxUint64
	}
	return uintOf(value)
}

// ntpToMS converts NTP seconds and fraction to milliseconds since 1970. The
// seconds wrap in 2036; the era is that of the export time.
func ntpToMS(v, exportMS uint64) uint64 {
	seconds, fraction := v>>32, v&0xffffffff
	if v == 0 {
		return 0
	}
	const wrap = 1 << 32
	if exportMS/1000+ntpEpoch >= wrap && seconds < 1<<31 {
		seconds += wrap
	}
	if seconds < ntpEpoch {
		return beforeEpoch
	}
	return (seconds-ntpEpoch)*1000 + fraction*1000>>32
}

// fill does a step only for the rows where the field is absent or zero.
func (d *decoding) fill(s *step, r ref) {
	switch s.role {
	case roleAddr:
		d.fillAddrs(s.field, r)
	case roleNumber:
		d.fillNumbers(s.field, r)
	default:
		d.fillTimes(s, r)
	}
}

func (d *decoding) fillAddrs(f flow.Field, r ref) {
	if r.len != 4 && r.len != 16 {
		return
	}
	for i := range d.n {
		row := d.base + i
		if a, _ := flow.AddrFromSlice(d.at(r, i)); d.b.GetAddr(f, row).IsUnspecified() && !a.IsUnspecified() {
			d.b.SetAddr(f, row, a)
		}
	}
}

func (d *decoding) fillNumbers(f flow.Field, r ref) {
	for i := range d.n {
		row, value := d.base+i, d.at(r, i)
		switch v := uintOf(value); {
		case d.b.GetNum(f, row) != 0:
		case tooWide(f, value):
			d.badValues++
		case v != 0:
			d.b.SetNum(f, row, v)
		}
	}
}

func (d *decoding) fillTimes(s *step, r ref) {
	convert := d.converter(s.role, r)
	if convert == nil {
		return
	}
	for i := range d.n {
		row := d.base + i
		if d.b.GetNum(s.field, row) != 0 {
			continue
		}
		switch v := convert(d, d.at(r, i)); {
		case v > maxTimeMS:
			d.badTimes++
		case v >= minTimeMS:
			d.b.SetNum(s.field, row, v)
		}
	}
}
