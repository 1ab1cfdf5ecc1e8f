package collector

import (
	"bytes"
	"encoding/binary"

	"github.com/netsampler/goflow2/v2/decoders/sflow"

	"weir/flow"
)

// sFlow flow record formats of enterprise 0 that are not goflow2's names.
const (
	recordNAT     = 1007
	recordNATPort = 1020
)

// record reads one flow record. The sampled header, the switch record, the
// router record and the gateway record are read here: the first two because
// nearly every sample has them and goflow2 takes a microsecond and a handful of
// allocations, the others because goflow2 refuses a next hop that is not known
// and reads only the first segment of an AS path. Formats that say nothing we
// keep are skipped; of an unknown one, that is counted.
func (s *flowSample) record(format uint32, data []byte) error {
	x := xdr{b: data}
	switch format {
	case sflow.FLOW_TYPE_RAW:
		s.rawHeader(&x)
	case sflow.FLOW_TYPE_ETH:
		s.ethernet(&x)
	case sflow.FLOW_TYPE_IPV4, sflow.FLOW_TYPE_IPV6:
		return s.goflow(format, data)
	case sflow.FLOW_TYPE_EXT_SWITCH:
		s.vlan(flow.SrcVLAN, x.u32(), x.u32())
		s.vlan(flow.DstVLAN, x.u32(), x.u32())
	case sflow.FLOW_TYPE_EXT_ROUTER:
		s.router(&x)
	case sflow.FLOW_TYPE_EXT_GATEWAY:
		s.gateway(&x)
	case recordNAT:
		s.setAddr(flow.NATSrcAddr, &x)
		s.setAddr(flow.NATDstAddr, &x)
	case recordNATPort:
		s.b.SetNum(flow.NATSrcPort, s.row, uint64(x.u32()&0xffff))
		s.b.SetNum(flow.NATDstPort, s.row, uint64(x.u32()&0xffff))
	default:
		if format > sflow.FLOW_TYPE_EXT_FUNCTION {
			s.exporter.count(ReasonSampleFormat)
		}
	}
	return x.err
}

// rawHeader reads the first bytes of the sampled packet.
//
//	| protocol | frame length | bytes stripped | header length | header ... |
func (s *flowSample) rawHeader(x *xdr) {
	protocol, frame := x.u32(), x.u32()
	x.u32() // bytes stripped from the frame's end, such as its checksum
	b := x.bytes(x.u32())
	if x.err != nil {
		return
	}
	s.packet = packet{}
	switch protocol {
	case 1:
		s.packet.parseEthernet(b)
	case 7, 14: // PPP, with or without address and control
		s.packet.parsePPP(b)
	case 11, 12:
		s.packet.parseIP(b)
	case 13:
		s.packet.parseMPLS(b)
	}
	s.b.SetNum(flow.Bytes, s.row, uint64(frame))
	s.sawPacket = true
}

func (p *packet) parsePPP(b []byte) {
	if len(b) >= 2 && b[0] == 0xff && b[1] == 3 {
		b = b[2:]
	}
	if len(b) < 2 {
		return
	}
	switch binary.BigEndian.Uint16(b) {
	case 0x0021, 0x0057:
		p.parseIP(b[2:])
	case 0x0281, 0x0283:
		p.parseMPLS(b[2:])
	}
}

// ethernet reads sampled_ethernet, whose MAC addresses are padded to eight
// bytes; goflow2 expects six.
func (s *flowSample) ethernet(x *xdr) {
	length := x.u32()
	src, dst := x.bytes(6), x.bytes(6)
	ether := x.u32()
	if x.err != nil {
		return
	}
	if !s.b.Has(flow.Bytes, s.row) {
		s.b.SetNum(flow.Bytes, s.row, uint64(length))
	}
	s.b.SetNum(flow.SrcMAC, s.row, uintOf(src))
	s.b.SetNum(flow.DstMAC, s.row, uintOf(dst))
	if ether <= 0xffff {
		s.b.SetNum(flow.EtherType, s.row, uint64(ether))
	}
	s.sawPacket = true
}

// vlan takes a VLAN of the switch record; numbers that are none mean unknown.
func (s *flowSample) vlan(f flow.Field, id, _ uint32) {
	if id > 0 && id < 4096 {
		s.b.SetNum(f, s.row, uint64(id))
	}
}

// router reads extended_router. A mask longer than an address is not known.
//
//	| next hop | source mask, bits | destination mask, bits |
func (s *flowSample) router(x *xdr) {
	if a, ok := x.addr(); ok {
		s.b.SetAddr(flow.NextHop, s.row, a)
	}
	if src, dst := x.u32(), x.u32(); src <= 128 && dst <= 128 {
		s.b.SetNum(flow.SrcMask, s.row, uint64(src))
		s.b.SetNum(flow.DstMask, s.row, uint64(dst))
	}
}

// gateway reads extended_gateway. The destination AS is the last of the path;
// an empty path is a destination inside, whose AS is not said.
//
//	| next hop | AS | source AS | source peer AS | segments | segment ...
//	segment:   | type | length | AS ... |
//	           | communities | community ... | local preference |
func (s *flowSample) gateway(x *xdr) {
	s.setAddr(flow.BGPNextHop, x)
	x.u32() // AS of the gateway
	s.b.SetNum(flow.SrcAS, s.row, uint64(x.u32()))
	if peer := x.u32(); peer != 0 {
		s.b.SetNum(flow.PrevAS, s.row, uint64(peer))
	}
	first, last := uint32(0), uint32(0)
	for segments := x.u32(); segments > 0 && x.err == nil; segments-- {
		x.u32() // a sequence, or a set
		for hops := x.u32(); hops > 0 && x.err == nil; hops-- {
			last = x.u32()
			if first == 0 {
				first = last
			}
		}
	}
	if x.err != nil || last == 0 {
		return
	}
	s.b.SetNum(flow.DstAS, s.row, uint64(last))
	s.b.SetNum(flow.NextAS, s.row, uint64(first))
}

func (s *flowSample) setAddr(f flow.Field, x *xdr) {
	if a, ok := x.addr(); ok && !a.IsUnspecified() {
		s.b.SetAddr(f, s.row, a)
	}
}

// goflow has goflow2 read a record.
func (s *flowSample) goflow(format uint32, data []byte) error {
	head := sflow.RecordHeader{DataFormat: format, Length: uint32(len(data))}
	record, err := sflow.DecodeFlowRecord(&head, bytes.NewBuffer(data))
	if err != nil {
		return err
	}
	switch r := record.Data.(type) {
	case sflow.SampledIPv4:
		s.sampledIP(&r.SampledIPBase, r.Tos)
	case sflow.SampledIPv6:
		s.sampledIP(&r.SampledIPBase, r.Priority)
	}
	return nil
}

// sampledIP takes over sampled_ipv4 or sampled_ipv6.
func (s *flowSample) sampledIP(r *sflow.SampledIPBase, tos uint32) {
	src, _ := flow.AddrFromSlice(r.SrcIP)
	dst, _ := flow.AddrFromSlice(r.DstIP)
	s.b.SetAddr(flow.SrcAddr, s.row, src)
	s.b.SetAddr(flow.DstAddr, s.row, dst)
	s.b.SetNum(flow.Proto, s.row, uint64(r.Protocol&0xff))
	s.b.SetNum(flow.TOS, s.row, uint64(tos&0xff))
	switch r.Protocol {
	case protoTCP:
		s.b.SetNum(flow.TCPFlags, s.row, uint64(r.TcpFlags&0xffff))
		fallthrough
	case protoUDP, 132:
		s.b.SetNum(flow.SrcPort, s.row, uint64(r.SrcPort&0xffff))
		s.b.SetNum(flow.DstPort, s.row, uint64(r.DstPort&0xffff))
	}
	if !s.b.Has(flow.Bytes, s.row) {
		s.b.SetNum(flow.Bytes, s.row, uint64(r.Length))
	}
	s.sawPacket = true
}

// finish completes the row once all records are read. What the sampled header
// says goes before what other records say; the tag of the frame before the
// switch record, unless it only carries a priority.
func (s *flowSample) finish() {
	if !s.sawPacket {
		return
	}
	s.packet.copyTo(s.b, s.row, func(f flow.Field) bool {
		return f != flow.SrcVLAN || s.packet.nums[f] != 0
	})
	s.b.SetNum(flow.Packets, s.row, 1)
}
