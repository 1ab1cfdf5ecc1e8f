package collector

import (
	"encoding/binary"

	"weir/flow"
)

// EtherTypes of what may stand in front of an IP header.
const (
	etherIPv4     = 0x0800
	etherIPv6     = 0x86dd
	etherVLAN     = 0x8100 // IEEE 802.1Q
	etherQinQ     = 0x88a8 // IEEE 802.1ad
	etherQinQOld  = 0x9100
	etherMPLS     = 0x8847
	etherMPLSMult = 0x8848
	etherPPPoE    = 0x8864
)

// A packet is what a sampled packet header says. Fields that the header did not
// reach are left out; has says which are there.
type packet struct {
	has      flow.FieldSet
	nums     [flow.FieldCount]uint64
	src, dst flow.Addr
	labels   int
	ipLength uint64 // bytes of the IP packet by its own header
	isIP     bool
}

func (p *packet) set(f flow.Field, v uint64) {
	p.nums[f] = v
	p.has.Add(f)
}

// parseEthernet reads an Ethernet frame, or as much of it as was sampled.
//
//	| destination, 6 | source, 6 | EtherType, 2 | ...
//	VLAN tag (any number):   | tag, 2 | EtherType, 2 |
func (p *packet) parseEthernet(b []byte) {
	if len(b) < 14 {
		return
	}
	p.set(flow.DstMAC, uintOf(b[:6]))
	p.set(flow.SrcMAC, uintOf(b[6:12]))
	ether := binary.BigEndian.Uint16(b[12:])
	b = b[14:]
	for ether == etherVLAN || ether == etherQinQ || ether == etherQinQOld {
		if len(b) < 4 {
			return
		}
		if !p.has.Has(flow.SrcVLAN) { // of a stack, the outer tag
			p.set(flow.SrcVLAN, uint64(binary.BigEndian.Uint16(b)&0x0fff))
		}
		ether = binary.BigEndian.Uint16(b[2:])
		b = b[4:]
	}
	if ether < 0x600 {
		b, ether = llcSnap(b)
	}
	if ether != 0 {
		p.set(flow.EtherType, uint64(ether))
	}
	p.parseEther(ether, b)
}

// llcSnap returns the EtherType behind an IEEE 802.2 SNAP header, or 0.
func llcSnap(b []byte) ([]byte, uint16) {
	if len(b) < 8 || b[0] != 0xaa || b[1] != 0xaa || b[2] != 3 {
		return nil, 0
	}
	return b[8:], binary.BigEndian.Uint16(b[6:])
}

// parseEther reads what follows an EtherType.
func (p *packet) parseEther(ether uint16, b []byte) {
	switch ether {
	case etherIPv4, etherIPv6:
		p.parseIP(b)
	case etherMPLS, etherMPLSMult:
		p.parseMPLS(b)
	case etherPPPoE: // version, code 0, session, length, PPP protocol
		if len(b) >= 8 && b[1] == 0 {
			switch binary.BigEndian.Uint16(b[6:]) {
			case 0x0021, 0x0057:
				p.parseIP(b[8:])
			}
		}
	}
}

// parseMPLS reads a label stack and what is below it: IP, by its first nibble.
func (p *packet) parseMPLS(b []byte) {
	for len(b) >= 4 {
		entry := uint64(binary.BigEndian.Uint32(b)) >> 8
		if p.labels < 10 {
			p.set(flow.MPLSLabel1+flow.Field(p.labels), entry)
			p.labels++
		}
		b = b[4:]
		if entry&1 != 0 {
			p.parseIP(b)
			return
		}
	}
}

// parseIP reads an IPv4 or IPv6 packet.
func (p *packet) parseIP(b []byte) {
	if len(b) == 0 {
		return
	}
	switch b[0] >> 4 {
	case 4:
		p.parseIPv4(b)
	case 6:
		p.parseIPv6(b)
	}
}

func (p *packet) parseIPv4(b []byte) {
	if len(b) < 20 {
		return
	}
	headerLen := int(b[0]&15) * 4
	if headerLen < 20 {
		return
	}
	p.isIP = true
	p.set(flow.TOS, uint64(b[1]))
	p.ipLength = uint64(binary.BigEndian.Uint16(b[2:]))
	p.set(flow.TTL, uint64(b[8]))
	p.set(flow.Proto, uint64(b[9]))
	p.setAddrs(b[12:16], b[16:20])
	fragment := binary.BigEndian.Uint16(b[6:]) & 0x1fff
	if fragment == 0 && len(b) >= headerLen {
		p.parseTransport(b[9], b[headerLen:])
	}
}

func (p *packet) setAddrs(src, dst []byte) {
	p.src, _ = flow.AddrFromSlice(src)
	p.dst, _ = flow.AddrFromSlice(dst)
	p.has.Add(flow.SrcAddr)
	p.has.Add(flow.DstAddr)
}

// IPv6 extension headers that have a length and stand before the upper layer
// (RFC 8200, section 4).
const (
	ipv6HopByHop = 0
	ipv6Routing  = 43
	ipv6Fragment = 44
	ipv6AH       = 51
	ipv6DestOpts = 60
	ipv6Mobility = 135
	ipv6HIP      = 139
	ipv6Shim6    = 140
)

func (p *packet) parseIPv6(b []byte) {
	if len(b) < 40 {
		return
	}
	p.isIP = true
	p.set(flow.TOS, uint64(binary.BigEndian.Uint16(b)>>4&0xff))
	p.ipLength = uint64(binary.BigEndian.Uint16(b[4:])) + 40
	p.set(flow.TTL, uint64(b[7]))
	p.setAddrs(b[8:24], b[24:40])
	next, rest := b[6], b[40:]
	for {
		size := 0
		switch next {
		case ipv6HopByHop, ipv6Routing, ipv6DestOpts, ipv6Mobility, ipv6HIP, ipv6Shim6:
			if len(rest) >= 2 {
				size = int(rest[1])*8 + 8
			}
		case ipv6AH:
			if len(rest) >= 2 {
				size = int(rest[1])*4 + 8
			}
		case ipv6Fragment:
			size = 8
		default:
			p.set(flow.Proto, uint64(next))
			p.parseTransport(next, rest)
			return
		}
		if size == 0 || len(rest) < size {
			p.set(flow.Proto, uint64(next)) // the chain is cut off here
			return
		}
		later := next == ipv6Fragment && binary.BigEndian.Uint16(rest[2:])&0xfff8 != 0
		next, rest = rest[0], rest[size:]
		if later { // of a later fragment, the rest is data
			p.set(flow.Proto, uint64(next))
			return
		}
	}
}

// parseTransport reads ports, flags, type and code.
func (p *packet) parseTransport(proto uint8, b []byte) {
	switch proto {
	case protoICMP, protoICMPv6:
		if len(b) >= 2 {
			p.set(flow.ICMPType, uint64(b[0]))
			p.set(flow.ICMPCode, uint64(b[1]))
		}
	case protoTCP, protoUDP, 33, 132, 136: // DCCP, SCTP, UDP-Lite
		if len(b) < 4 {
			return
		}
		p.set(flow.SrcPort, uint64(binary.BigEndian.Uint16(b)))
		p.set(flow.DstPort, uint64(binary.BigEndian.Uint16(b[2:])))
		if proto == protoTCP && len(b) >= 14 {
			p.set(flow.TCPFlags, uint64(binary.BigEndian.Uint16(b[12:])&0x0fff))
		}
	}
}

// copyTo writes the packet's fields to a row, those for which keep has no
// objection.
func (p *packet) copyTo(b *flow.Batch, row int, keep func(flow.Field) bool) {
	for f := range p.has.All {
		if keep != nil && !keep(f) {
			continue
		}
		switch f {
		case flow.SrcAddr:
			b.SetAddr(f, row, p.src)
		case flow.DstAddr:
			b.SetAddr(f, row, p.dst)
		default:
			b.SetNum(f, row, p.nums[f])
		}
	}
}

// deriveFrames reads packet sections that records carry (elements 104, 313 and
// 315): what the record itself says stands, the packet fills in the rest. Such
// a record is of one packet; without counters of its own, its bytes are the
// frame's.
func (d *decoding) deriveFrames(p *plan) {
	frame, ip := d.special(p, roleFrame), d.special(p, roleIPPacket)
	for i := range d.n {
		row := d.base + i
		var pk packet
		if frame.len > 0 && d.frameType(p, i) <= 1 {
			pk.parseEthernet(d.at(frame, i))
		}
		if ip.len > 0 && !pk.isIP {
			pk.parseIP(d.at(ip, i))
		}
		pk.copyTo(d.b, row, func(f flow.Field) bool {
			if f.IsAddr() {
				return d.b.GetAddr(f, row).IsUnspecified()
			}
			return !d.b.Has(f, row)
		})
		if !d.b.Has(flow.Bytes, row) && !d.b.Has(flow.Packets, row) && pk.has.Len() > 0 {
			size := d.numberAt(p, roleFrameSize, i)
			if size == 0 {
				size = pk.ipLength
			}
			if size != 0 {
				d.b.SetNum(flow.Bytes, row, size)
			}
			d.b.SetNum(flow.Packets, row, 1)
		}
	}
}

func (d *decoding) frameType(p *plan, i int) uint64 { return d.numberAt(p, roleFrameType, i) }
