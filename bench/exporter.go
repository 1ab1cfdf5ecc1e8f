package bench

import (
	"fmt"
	"net/netip"
	"time"

	"weir/flow"
)

// A Format is an export protocol.
type Format uint8

// The export protocols that an exporter can speak.
const (
	NetFlow9 Format = iota
	NetFlow5
	IPFIX
	SFlow5
)

// String returns the name that records carry: "netflow9", "netflow5", "ipfix"
// or "sflow5".
func (f Format) String() string { return flow.VersionName(f.version()) }

// ParseFormat is the inverse of String.
func ParseFormat(name string) (Format, error) {
	for _, f := range []Format{NetFlow9, NetFlow5, IPFIX, SFlow5} {
		if f.String() == name {
			return f, nil
		}
	}
	return 0, fmt.Errorf("export format %q is none of netflow5, netflow9, ipfix, sflow5", name)
}

func (f Format) version() uint64 {
	switch f {
	case NetFlow5:
		return flow.VersionNF5
	case IPFIX:
		return flow.VersionIPFIX
	case SFlow5:
		return flow.VersionSFlow5
	}
	return flow.VersionNF9
}

// An Exporter is a simulated router.
type Exporter struct {
	Name     string
	Addr     netip.Addr // source address of its datagrams; IPv4
	Format   Format
	Domain   uint32 // observation domain; v5 engine type<<8|id; sFlow sub-agent
	Share    int    // weight among the exporters; 0 sees nothing but incidents
	Sampling uint32 // 1 in N packets; 0 and 1 are all of them
	Layer2   bool   // exports MAC addresses and VLANs (v9 and IPFIX)
	NAT      bool   // translates addresses and exports them (v9 and IPFIX)
	Uplinks  int    // interfaces towards the outside; 0 counts as 1

	// Uptime is how long the exporter had been up at the start, in whole
	// seconds; 0 is 3 to 40 days. Its 32-bit clock wraps after 49.7 days.
	Uptime time.Duration
}

// DefaultExporters returns the exporters of a research network, one of each
// kind: core, region, edge and organisation, speaking NetFlow v9, IPFIX, sFlow
// v5 and NetFlow v5, with sampling at the edge and layer 2 in the region. Their
// addresses are loopback addresses, so that Send can use them as sources.
func DefaultExporters() []Exporter {
	return []Exporter{
		{Name: "core1", Addr: netip.MustParseAddr("127.2.0.1"), Format: NetFlow9, Domain: 1, Share: 45, Uplinks: 4},
		{Name: "region1", Addr: netip.MustParseAddr("127.2.0.2"), Format: IPFIX, Domain: 7, Share: 25, Layer2: true, Uplinks: 2},
		{Name: "edge1", Addr: netip.MustParseAddr("127.2.0.3"), Format: NetFlow9, Domain: 257, Share: 15, Sampling: 100, Uplinks: 3},
		{Name: "org1", Addr: netip.MustParseAddr("127.2.0.4"), Format: NetFlow5, Domain: 2<<8 | 1, Share: 8, Uplinks: 1},
		{Name: "switch1", Addr: netip.MustParseAddr("127.2.0.5"), Format: SFlow5, Domain: 0, Share: 4, Sampling: 512, Uplinks: 2},
		{Name: "nat1", Addr: netip.MustParseAddr("127.2.0.6"), Format: IPFIX, Domain: 3, Share: 3, NAT: true, Uplinks: 1},
	}
}

// UniformExporters returns n unsampled exporters of equal share and one format:
// what a peer that reads only that format can take.
func UniformExporters(n int, format Format) []Exporter {
	exporters := make([]Exporter, n)
	for i := range exporters {
		exporters[i] = Exporter{
			Name: fmt.Sprint("router", i+1), Addr: netip.AddrFrom4([4]byte{127, 2, 1, byte(i + 1)}),
			Format: format, Domain: uint32(i + 1), Share: 1, Uplinks: 4,
		}
	}
	return exporters
}

// A kind is what a record needs of a template.
type kind uint8

const (
	kindV4 kind = iota
	kindV6
	kindICMPv4
	kindICMPv6
	kindCount
)

func kindOf(f *Flow) kind {
	switch {
	case f.Proto == protoICMP:
		return kindICMPv4
	case f.Proto == protoICMPv6:
		return kindICMPv6
	case f.Src.Is4():
		return kindV4
	}
	return kindV6
}

// carries reports whether the exporter's protocol can express a flow.
func (e *Exporter) carries(f *Flow) bool { return e.Format != NetFlow5 || f.Src.Is4() }

// record fills r with what the exporter sends of a flow, all but the time of
// receipt. The fields of r that the exporter's format does not carry are left
// absent.
func (e *Exporter) record(s *seen, r *flow.Record) {
	*r = flow.Record{}
	r.SetAddr(flow.Exporter, flow.AddrFromNetip(e.Addr))
	r.SetNum(flow.Domain, uint64(e.Domain))
	r.SetNum(flow.Version, e.Format.version())
	r.SetAddr(flow.SrcAddr, s.Src)
	r.SetAddr(flow.DstAddr, s.Dst)
	r.SetNum(flow.Proto, uint64(s.Proto))
	r.SetNum(flow.TOS, uint64(s.TOS))
	r.SetNum(flow.Bytes, s.Bytes)
	r.SetNum(flow.Packets, s.Packets)
	if e.Sampling > 1 {
		thin(r, uint64(e.Sampling))
	}
	e.setPorts(s, r)
	e.setRouting(s, r)
	switch e.Format {
	case SFlow5:
		e.setSFlow(s, r)
		return
	case NetFlow5:
		narrow(r)
	case IPFIX:
		r.SetNum(flow.FlowEndReason, endReason(s))
	}
	r.SetNum(flow.Start, s.Start)
	r.SetNum(flow.End, s.End)
	if e.Sampling > 1 {
		r.SetNum(flow.SamplingInterval, uint64(e.Sampling))
	}
	if e.Layer2 {
		setLayer2(s, r)
	}
	if e.NAT && s.Src.Is4() && s.Proto != protoICMP {
		e.setNAT(s, r)
	}
}

// thin leaves of a flow's counters what one packet in n shows.
func thin(r *flow.Record, n uint64) {
	packets, bytes := r.Num(flow.Packets), r.Num(flow.Bytes)
	kept := max(packets/n, 1)
	r.SetNum(flow.Packets, kept)
	r.SetNum(flow.Bytes, bytes/packets*kept)
}

// narrow cuts AS numbers and counters to the widths of NetFlow v5 (RFC 6793,
// section 4.2.2, for AS numbers).
func narrow(r *flow.Record) {
	for _, f := range [...]flow.Field{flow.SrcAS, flow.DstAS} {
		if r.Num(f) > 0xffff {
			r.SetNum(f, 23456)
		}
	}
	r.SetNum(flow.Bytes, min(r.Num(flow.Bytes), 0xffffffff))
	r.SetNum(flow.Packets, min(r.Num(flow.Packets), 0xffffffff))
}

func (e *Exporter) setPorts(s *seen, r *flow.Record) {
	switch s.Proto {
	case protoICMP, protoICMPv6:
		if e.Format == NetFlow5 { // Cisco's habit: type and code in the destination port
			r.SetNum(flow.SrcPort, 0)
			r.SetNum(flow.DstPort, uint64(s.ICMPType)<<8|uint64(s.ICMPCode))
			r.SetNum(flow.TCPFlags, 0)
			return
		}
		r.SetNum(flow.ICMPType, uint64(s.ICMPType))
		r.SetNum(flow.ICMPCode, uint64(s.ICMPCode))
		return
	}
	r.SetNum(flow.SrcPort, uint64(s.SrcPort))
	r.SetNum(flow.DstPort, uint64(s.DstPort))
	r.SetNum(flow.TCPFlags, uint64(s.TCPFlags))
}

// setRouting sets interfaces, AS numbers, masks and the next hop.
func (e *Exporter) setRouting(s *seen, r *flow.Record) {
	src, dst := routeOf(s.src), routeOf(s.dst)
	r.SetNum(flow.InIf, e.interfaceTo(s.src))
	r.SetNum(flow.OutIf, e.interfaceTo(s.dst))
	r.SetNum(flow.SrcAS, uint64(src.as))
	r.SetNum(flow.DstAS, uint64(dst.as))
	r.SetNum(flow.SrcMask, uint64(src.mask))
	r.SetNum(flow.DstMask, uint64(dst.mask))
	out := r.Num(flow.OutIf)
	if s.Dst.Is4() {
		r.SetAddr(flow.NextHop, flow.AddrFrom4(uint32(0xc0000200|out&0xff))) // 192.0.2.0/24
	} else {
		r.SetAddr(flow.NextHop, flow.Addr{Hi: 0xfe800000_00000000, Lo: out})
	}
}

// interfaceTo returns the ifIndex of the interface towards a host: one of the
// uplinks by prefix, or the organisation's own.
func (e *Exporter) interfaceTo(h host) uint64 {
	if h.org >= 0 {
		return uint64(100 + h.org)
	}
	prefix := h.addr.Hi >> 16
	if h.addr.Is4() {
		prefix = h.addr.Lo >> 16
	}
	return 1 + mix(prefix)>>20%uint64(max(e.Uplinks, 1))
}

// endReason returns the flow end reason (RFC 5102, section 5.11.3).
func endReason(s *seen) uint64 {
	switch {
	case s.left > 0:
		return 2 // active timeout
	case s.TCPFlags&(flagFIN|flagRST) != 0:
		return 3 // end of flow detected
	}
	return 1 // idle timeout
}

// setLayer2 sets the MAC addresses and VLANs of both sides: locally
// administered addresses that follow from the subnet.
func setLayer2(s *seen, r *flow.Record) {
	r.SetNum(flow.SrcMAC, macOf(s.src))
	r.SetNum(flow.DstMAC, macOf(s.dst))
	r.SetNum(flow.SrcVLAN, vlanOf(s.src))
	r.SetNum(flow.DstVLAN, vlanOf(s.dst))
}

func macOf(h host) uint64 {
	if h.org < 0 {
		return 0x02005e000001 // the upstream router
	}
	return 0x02005e000000 | uint64(h.org+2)
}

func vlanOf(h host) uint64 {
	if h.org < 0 {
		return 10
	}
	return uint64(200 + h.org)
}

// setNAT sets the translated source of flows that leave and the translated
// destination of flows that come back, from a pool in 203.0.113.0/24.
func (e *Exporter) setNAT(s *seen, r *flow.Record) {
	src, dst, srcPort, dstPort := s.NATSrc, s.NATDst, s.NATSrcPort, s.NATDstPort
	if src == (flow.Addr{}) {
		src, srcPort = translate(s.src, s.SrcPort)
		dst, dstPort = translate(s.dst, s.DstPort)
	}
	r.SetAddr(flow.NATSrcAddr, src)
	r.SetAddr(flow.NATDstAddr, dst)
	r.SetNum(flow.NATSrcPort, uint64(srcPort))
	r.SetNum(flow.NATDstPort, uint64(dstPort))
}

func translate(h host, port uint16) (flow.Addr, uint16) {
	if h.org < 0 || port == 0 {
		return h.addr, port
	}
	x := mix(h.addr.Lo ^ uint64(port)<<40)
	return flow.AddrFrom4(uint32(0xcb007100 | x&0x3f)), uint16(1024 + x>>8%64000)
}

// setSFlow replaces the flow by its one sampled packet.
func (e *Exporter) setSFlow(s *seen, r *flow.Record) {
	least := uint64(60) // an Ethernet frame without its checksum
	if !s.Src.Is4() {
		least = 78
	}
	size := min(max(s.Bytes/s.Packets, 28)+14, 1514)
	r.SetNum(flow.Bytes, max(size, least))
	r.SetNum(flow.Packets, 1)
	r.SetNum(flow.SamplingInterval, uint64(max(e.Sampling, 1)))
	r.SetAddr(flow.Agent, flow.AddrFromNetip(e.Addr))
	r.SetNum(flow.SrcMAC, macOf(s.src))
	r.SetNum(flow.DstMAC, macOf(s.dst))
	r.SetNum(flow.SrcVLAN, vlanOf(s.src))
	r.SetNum(flow.DstVLAN, vlanOf(s.dst))
	r.SetNum(flow.TTL, 64)
	r.SetNum(flow.EtherType, 0x86dd)
	if s.Src.Is4() {
		r.SetNum(flow.EtherType, 0x0800)
	}
	if s.Proto != protoTCP {
		r.Clear(flow.TCPFlags)
	}
	if s.Proto == protoESP {
		r.Clear(flow.SrcPort)
		r.Clear(flow.DstPort)
	}
	// The gateway record's next hop and neighbours.
	r.SetAddr(flow.BGPNextHop, r.Addr(flow.NextHop))
	r.SetNum(flow.NextAS, r.Num(flow.DstAS))
	r.SetNum(flow.PrevAS, r.Num(flow.SrcAS))
}
