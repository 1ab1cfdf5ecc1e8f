package collector

import (
	"weir/flow"
)

// Protocol numbers that decide how the rest of a header reads.
const (
	protoICMP   = 1
	protoTCP    = 6
	protoUDP    = 17
	protoICMPv6 = 58
)

// resolvePairs chooses, for each record of a template that has addresses of
// both families, the one that is meant. Exporters leave the other at zero, for
// source and destination alike. Where neither is zero and ipVersion does not
// decide, the plan's primary stands: the inner of two headers, else the first
// in the template.
func (d *decoding) resolvePairs(p *plan) {
	version := d.special(p, roleIPVersion)
	for i := range d.n {
		row := d.base + i
		takeOther := true
		for _, pair := range p.pairs {
			if !d.addrAt(pair.primary, i).IsUnspecified() {
				takeOther = false
			}
		}
		if !takeOther && len(p.outer) == 0 && version.len > 0 {
			takeOther = d.familyDiffers(p, uintOf(d.at(version, i)), i)
		}
		for _, pair := range p.pairs {
			if other := d.addrAt(pair.other, i); takeOther && !other.IsUnspecified() {
				d.b.SetAddr(pair.field, row, other)
			}
		}
		if !takeOther {
			d.outer(p, i)
		}
	}
}

// familyDiffers reports whether the primary addresses are of another family
// than ipVersion says while the others are of that one.
func (d *decoding) familyDiffers(p *plan, version uint64, i int) bool {
	if version != 4 && version != 6 {
		return false
	}
	for _, pair := range p.pairs {
		primary, other := d.refs[pair.primary], d.refs[pair.other]
		want := int32(4)
		if version == 6 {
			want = 16
		}
		if primary.len == want || other.len != want || d.addrAt(pair.other, i).IsUnspecified() {
			return false
		}
	}
	return true
}

func (d *decoding) addrAt(at int16, i int) flow.Addr {
	a, _ := flow.AddrFromSlice(d.at(d.refs[at], i))
	return a
}

// outer stores what the outer of two headers says.
func (d *decoding) outer(p *plan, i int) {
	for _, s := range p.outer {
		if s.role == roleAddr && d.addrAt(s.ref, i).IsUnspecified() {
			return
		}
	}
	for _, s := range p.outer {
		r := d.refs[s.ref]
		switch {
		case s.role == roleAddr && (r.len == 4 || r.len == 16):
			d.b.SetAddr(s.field, d.base+i, d.addrAt(s.ref, i))
		case s.role == roleNumber && r.len == 1:
			d.b.SetNum(s.field, d.base+i, uintOf(d.at(r, i)))
		}
	}
}

// special returns where the element of that role lies; its length is 0 if the
// template has none.
func (d *decoding) special(p *plan, r role) ref {
	if at := p.special[r]; at != noRef {
		return d.refs[at]
	}
	return ref{}
}

// derive sets the fields that take more than one element to know.
func (d *decoding) derive(p *plan) {
	if p.icmp {
		d.deriveICMP(p)
	}
	if !d.head.hasUptime {
		d.deriveUptimes(p)
	}
	if r := d.special(p, roleDurationMillis); r.len > 0 {
		d.deriveDuration(r, 1)
	} else if r := d.special(p, roleDurationMicros); r.len > 0 {
		d.deriveDuration(r, 1000)
	}
	if p.special[roleFrame] != noRef || p.special[roleIPPacket] != noRef {
		d.deriveFrames(p)
	}
	d.deriveSampling(p)
}

// deriveICMP sets type and code of ICMP and ICMPv6 records, each from the
// elements of its own family: many exporters fill these elements for every
// flow, with ports or with rubbish.
func (d *decoding) deriveICMP(p *plan) {
	known := p.columns.Has(flow.Proto)
	for i := range d.n {
		proto := uint64(0)
		if known {
			proto = d.b.GetNum(flow.Proto, d.base+i)
		}
		if proto == protoICMP || !known {
			d.icmp(p, i, roleICMP4, roleICMPType4, roleICMPCode4)
		}
		if proto == protoICMPv6 || !known {
			d.icmp(p, i, roleICMP6, roleICMPType6, roleICMPCode6)
		}
	}
}

// icmp sets type and code of one record, from elements of their own or from
// one that has both. That one in a single byte is, in IPFIX, a number that is
// less than 256 (RFC 7011, section 6.2); v9 has no reduced sizes, and calls it
// the type.
func (d *decoding) icmp(p *plan, i int, both, kind, code role) {
	row := d.base + i
	if r := d.special(p, both); r.len >= 2 || r.len == 1 && d.head.version == 10 {
		v := uintOf(d.at(r, i))
		d.b.SetNum(flow.ICMPType, row, v>>8&0xff)
		d.b.SetNum(flow.ICMPCode, row, v&0xff)
	} else if r.len == 1 {
		d.b.SetNum(flow.ICMPType, row, uintOf(d.at(r, i)))
	}
	if r := d.special(p, kind); r.len > 0 {
		d.b.SetNum(flow.ICMPType, row, uintOf(d.at(r, i))&0xff)
	}
	if r := d.special(p, code); r.len > 0 {
		d.b.SetNum(flow.ICMPCode, row, uintOf(d.at(r, i))&0xff)
	}
}

// deriveUptimes sets Start and End from sysUptimes in IPFIX, whose header has
// no uptime: they count from systemInitTimeMilliseconds, which the record or
// the options data gives. Without it, the times are not known.
func (d *decoding) deriveUptimes(p *plan) {
	init := d.special(p, roleSysInit)
	for i := range p.steps {
		s := &p.steps[i]
		r := d.refs[s.ref]
		if s.role != roleUptime || r.len == 0 {
			continue
		}
		for row := range d.n {
			boot := uint64(0)
			if init.len > 0 {
				boot = uintOf(d.at(init, row))
			}
			if boot == 0 && d.state != nil {
				boot = d.state.sysInitMS()
			}
			if boot < minTimeMS || boot > maxTimeMS {
				continue
			}
			uptime := uintOf(d.at(r, row))
			t := bootToMS(boot, uptime, d.head.exportMS)
			if uptime >= 1<<32 || t > maxTimeMS {
				d.badTimes++
				continue
			}
			d.b.SetNum(s.field, d.base+row, t)
		}
	}
}

// bootToMS adds a 32-bit sysUptime to the time of the boot. If the exporter has
// been up for longer than the 49.7 days that an uptime can count, as many whole
// turns are added as bring it nearest to the export time.
func bootToMS(boot, uptime, exportMS uint64) uint64 {
	const turn = 1 << 32
	t := boot + uptime
	if exportMS > t+turn/2 {
		t += (exportMS - t + turn/2) / turn * turn
	}
	return t
}

// deriveDuration sets the missing one of Start and End from the other and the
// duration.
func (d *decoding) deriveDuration(r ref, perMS uint64) {
	for i := range d.n {
		row := d.base + i
		start, end := d.b.Has(flow.Start, row), d.b.Has(flow.End, row)
		if start == end {
			continue
		}
		length := uintOf(d.at(r, i)) / perMS
		if start {
			if t := d.b.GetNum(flow.Start, row) + length; t <= maxTimeMS && t >= length {
				d.b.SetNum(flow.End, row, t)
			}
		} else if t := d.b.GetNum(flow.End, row); t > length {
			d.b.SetNum(flow.Start, row, t-length)
		}
	}
}
