package collector

import (
	"testing"

	"weir/flow"
)

func TestPacketHeaders(t *testing.T) {
	tcp, udp := tcpOf(), wire(5353, 53, 8, 0)
	v4 := ipv4Of(protoTCP, 0, nil, tcp)
	v6 := ipv6Of(protoTCP, tcp)
	hop := wire(uint8(protoTCP), uint8(0), []byte{0, 0, 0, 0, 0, 0})
	for _, c := range []struct {
		name  string
		frame []byte
		want  map[flow.Field]uint64
		none  []flow.Field
	}{
		{"IPv4", ethernetOf(wire(etherIPv4), v4),
			map[flow.Field]uint64{flow.Proto: 6, flow.SrcPort: 40000, flow.DstPort: 443, flow.TCPFlags: 0x12, flow.TTL: 61, flow.TOS: 8}, []flow.Field{flow.SrcVLAN}},
		{"IPv4 with options", ethernetOf(wire(etherIPv4), ipv4Of(protoTCP, 0, []byte{1, 1, 1, 1, 1, 1, 1, 1}, tcp)),
			map[flow.Field]uint64{flow.SrcPort: 40000, flow.DstPort: 443, flow.TCPFlags: 0x12}, nil},
		{"first fragment", ethernetOf(wire(etherIPv4), ipv4Of(protoTCP, 0x2000, nil, tcp)),
			map[flow.Field]uint64{flow.Proto: 6, flow.SrcPort: 40000}, nil},
		{"later fragment", ethernetOf(wire(etherIPv4), ipv4Of(protoTCP, 0x2010, nil, tcp)),
			map[flow.Field]uint64{flow.Proto: 6}, []flow.Field{flow.SrcPort, flow.DstPort, flow.TCPFlags}},
		{"later fragment of ICMP", ethernetOf(wire(etherIPv4), ipv4Of(protoICMP, 0x0010, nil, tcp)),
			map[flow.Field]uint64{flow.Proto: 1}, []flow.Field{flow.ICMPType}},
		{"VLAN with priority", ethernetOf(wire(etherVLAN, 7<<13|10, etherIPv4), v4), map[flow.Field]uint64{flow.SrcVLAN: 10, flow.SrcPort: 40000}, nil},
		{"two tags", ethernetOf(wire(etherQinQ, 100, etherVLAN, 10, etherIPv4), v4), map[flow.Field]uint64{flow.SrcVLAN: 100, flow.SrcPort: 40000}, nil},
		{"old two tags", ethernetOf(wire(etherQinQOld, 100, etherVLAN, 10, etherIPv6), v6), map[flow.Field]uint64{flow.SrcVLAN: 100, flow.SrcPort: 40000}, nil},
		{"MPLS", ethernetOf(wire(etherMPLS, uint32(0x01000040), uint32(0x02000140)), v4),
			map[flow.Field]uint64{flow.MPLSLabel1: 0x010000, flow.MPLSLabel2: 0x020001, flow.SrcPort: 40000}, []flow.Field{flow.MPLSLabel3}},
		{"PPPoE", ethernetOf(wire(etherPPPoE, 0x1100, 1, 42, 0x0021), v4), map[flow.Field]uint64{flow.SrcPort: 40000}, nil},
		{"PPPoE with IPv6", ethernetOf(wire(etherPPPoE, 0x1100, 1, 42, 0x0057), v6), map[flow.Field]uint64{flow.SrcPort: 40000}, nil},
		{"SNAP", ethernetOf(wire(100, []byte{0xaa, 0xaa, 3, 0, 0, 0}, etherIPv4), v4), map[flow.Field]uint64{flow.SrcPort: 40000, flow.EtherType: etherIPv4}, nil},
		{"IPv6", ethernetOf(wire(etherIPv6), v6), map[flow.Field]uint64{flow.Proto: 6, flow.SrcPort: 40000, flow.TTL: 63, flow.TOS: 0xab}, nil},
		{"hop-by-hop", ethernetOf(wire(etherIPv6), ipv6Of(0, append(hop, tcp...))), map[flow.Field]uint64{flow.Proto: 6, flow.SrcPort: 40000}, nil},
		{"hop-by-hop, routing, destination", ethernetOf(wire(etherIPv6), ipv6Of(0, wire(
			uint8(43), uint8(0), []byte{0, 0, 0, 0, 0, 0}, uint8(60), uint8(1), make([]byte, 14), hop, tcp))),
			map[flow.Field]uint64{flow.Proto: 6, flow.SrcPort: 40000}, nil},
		{"authentication header", ethernetOf(wire(etherIPv6), ipv6Of(51, wire(uint8(protoUDP), uint8(1), make([]byte, 10), udp))),
			map[flow.Field]uint64{flow.Proto: 17, flow.SrcPort: 5353}, nil},
		{"IPv6 first fragment", ethernetOf(wire(etherIPv6), ipv6Of(44, wire(uint8(protoUDP), uint8(0), 1, uint32(1), udp))),
			map[flow.Field]uint64{flow.Proto: 17, flow.SrcPort: 5353}, nil},
		{"IPv6 later fragment", ethernetOf(wire(etherIPv6), ipv6Of(44, wire(uint8(protoUDP), uint8(0), 0x100, uint32(1), udp))),
			map[flow.Field]uint64{flow.Proto: 17}, []flow.Field{flow.SrcPort}},
		{"ICMPv6", ethernetOf(wire(etherIPv6), ipv6Of(58, []byte{135, 0, 0, 0})), map[flow.Field]uint64{flow.ICMPType: 135, flow.ICMPCode: 0}, []flow.Field{flow.SrcPort}},
		{"VXLAN keeps the outer", ethernetOf(wire(etherIPv4), ipv4Of(protoUDP, 0, nil, wire(1234, 4789, 100, 0, uint32(0x08000000), uint32(77<<8), ethernetOf(wire(etherIPv6), v6)))),
			map[flow.Field]uint64{flow.Proto: 17, flow.DstPort: 4789, flow.TTL: 61}, nil},
		{"GRE keeps the outer", ethernetOf(wire(etherIPv4), ipv4Of(47, 0, nil, wire(0, etherIPv6, v6))),
			map[flow.Field]uint64{flow.Proto: 47, flow.TTL: 61}, []flow.Field{flow.SrcPort}},
		{"ports cut off", ethernetOf(wire(etherIPv4), ipv4Of(protoTCP, 0, nil, []byte{1, 2, 3})), map[flow.Field]uint64{flow.Proto: 6}, []flow.Field{flow.SrcPort}},
		{"flags cut off", ethernetOf(wire(etherIPv4), ipv4Of(protoTCP, 0, nil, tcp[:12])), map[flow.Field]uint64{flow.SrcPort: 40000}, []flow.Field{flow.TCPFlags}},
		{"ARP", ethernetOf(wire(0x0806), make([]byte, 28)), map[flow.Field]uint64{flow.EtherType: 0x0806, flow.SrcMAC: 0x020000000002}, []flow.Field{flow.Proto}},
		{"header length of nothing", ethernetOf(wire(etherIPv4), append([]byte{0x41}, v4[1:]...)), nil, []flow.Field{flow.Proto}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var p packet
			p.parseEthernet(c.frame)
			for f, want := range c.want {
				if !p.has.Has(f) || p.nums[f] != want {
					t.Errorf("got %s %d (present %v), want %d", f, p.nums[f], p.has.Has(f), want)
				}
			}
			for _, f := range c.none {
				if p.has.Has(f) {
					t.Errorf("got %s %d, want it absent", f, p.nums[f])
				}
			}
			for n := range c.frame { // every cut is read without a panic
				var cut packet
				cut.parseEthernet(c.frame[:n:n])
			}
		})
	}
}

// dataLinkFrameSection and ipHeaderPacketSection carry the packet itself.
func TestPacketSections(t *testing.T) {
	frame := ethernetOf(wire(etherVLAN, 231, etherIPv4), ipv4Of(protoUDP, 0, nil, wire(5353, 53, 8, 0)))
	b := decodeOne(t, 10, []int{10, 4, 312, 2, 315, len(frame)}, wire(uint32(582), 114, frame))
	wantNum(t, b, 0, flow.InIf, 582)
	wantAddr(t, b, 0, flow.SrcAddr, "192.0.2.1")
	wantNum(t, b, 0, flow.SrcVLAN, 231)
	wantNum(t, b, 0, flow.DstPort, 53)
	wantNum(t, b, 0, flow.Bytes, 114)
	wantNum(t, b, 0, flow.Packets, 1)
	packet := ipv6Of(protoTCP, tcpOf())
	b = decodeOne(t, 10, []int{313, len(packet), 4, 1}, wire(packet, uint8(99)))
	wantAddr(t, b, 0, flow.DstAddr, "2001:db8::2")
	wantNum(t, b, 0, flow.Proto, 99) // what the record says itself stands
	wantNum(t, b, 0, flow.Bytes, uint64(len(packet)))
}
