package bench

import (
	"encoding/binary"

	"weir/flow"
)

// encoderSFlow writes sFlow version 5 datagrams (sflow.org, sFlow Version 5,
// section 5): each record becomes a flow sample that holds the headers of one
// packet, the VLANs, the route and the AS numbers.
type encoderSFlow struct {
	exporter *Exporter
	boot     uint64
	sequence uint32 // datagrams sent
	samples  uint32 // samples sent
}

// sFlow data formats, enterprise 0.
const (
	sflowFlowSample      = 1
	sflowRawHeader       = 1
	sflowExtendedSwitch  = 1001
	sflowExtendedRouter  = 1002
	sflowExtendedGateway = 1003
)

func (e *encoderSFlow) slot(kind) (kind, int) { return kindV4, 270 } // the largest: IPv6 with TCP

func (e *encoderSFlow) overhead() (datagram, group int) { return 28, 0 }

func (e *encoderSFlow) announce(dst []byte, _ uint64) []byte { return dst }

func (e *encoderSFlow) encode(dst []byte, groups *[kindCount][]flow.Record, now uint64) []byte {
	records := groups[kindV4]
	addr := e.exporter.Addr.As4()
	e.sequence++
	for _, word := range [...]uint32{
		5, 1, binary.BigEndian.Uint32(addr[:]), e.exporter.Domain, e.sequence, uint32(now - e.boot), uint32(len(records)),
	} {
		dst = binary.BigEndian.AppendUint32(dst, word)
	}
	for i := range records {
		dst = e.appendSample(dst, &records[i])
	}
	return dst
}

// appendSample appends a flow sample: format, length, and in it sequence,
// source, sampling rate, pool, drops, input, output and the flow records.
func (e *encoderSFlow) appendSample(dst []byte, r *flow.Record) []byte {
	e.samples++
	rate := uint32(r.Num(flow.SamplingInterval))
	dst = appendWords(dst, sflowFlowSample, 0)
	at := len(dst)
	dst = appendWords(dst, e.samples, uint32(r.Num(flow.InIf)), rate, e.samples*rate, 0,
		uint32(r.Num(flow.InIf)), uint32(r.Num(flow.OutIf)), 4)
	dst = e.appendRawHeader(dst, r)
	dst = appendWords(dst, sflowExtendedSwitch, 16, uint32(r.Num(flow.SrcVLAN)), 0, uint32(r.Num(flow.DstVLAN)), 0)

	hop := r.Addr(flow.NextHop)
	dst = appendWords(dst, sflowExtendedRouter, uint32(12+addrSize(hop)))
	dst = appendAddr(dst, hop)
	dst = appendWords(dst, uint32(r.Num(flow.SrcMask)), uint32(r.Num(flow.DstMask)))

	dst = appendWords(dst, sflowExtendedGateway, uint32(40+addrSize(hop)))
	dst = appendAddr(dst, hop)
	as := uint32(r.Num(flow.SrcAS))
	dst = appendWords(dst, networkAS, as, as)                          // the router's AS, the source's, the source peer's
	dst = appendWords(dst, 1, 2, 1, uint32(r.Num(flow.DstAS)), 0, 100) // one AS_SEQUENCE of one AS, no communities, preference

	binary.BigEndian.PutUint32(dst[at-4:], uint32(len(dst)-at))
	return dst
}

// appendRawHeader appends the sampled packet's headers: Ethernet, IP, and what
// comes after.
func (e *encoderSFlow) appendRawHeader(dst []byte, r *flow.Record) []byte {
	dst = appendWords(dst, sflowRawHeader, 0)
	at := len(dst)
	dst = appendWords(dst, 1, uint32(r.Num(flow.Bytes)), 4, 0) // Ethernet, frame length, bytes stripped, header length
	header := len(dst)
	dst = appendPacket(dst, r)
	binary.BigEndian.PutUint32(dst[header-4:], uint32(len(dst)-header))
	for (len(dst)-header)%4 != 0 {
		dst = append(dst, 0)
	}
	binary.BigEndian.PutUint32(dst[at-4:], uint32(len(dst)-at))
	return dst
}

// appendPacket appends the headers of a frame of r's size.
func appendPacket(dst []byte, r *flow.Record) []byte {
	dst = appendUint(dst, r.Num(flow.DstMAC), 6)
	dst = appendUint(dst, r.Num(flow.SrcMAC), 6)
	src, dest, proto := r.Addr(flow.SrcAddr), r.Addr(flow.DstAddr), r.Num(flow.Proto)
	size := r.Num(flow.Bytes) - 14
	if src.Is4() {
		dst = append(dst, 0x08, 0x00, 0x45, byte(r.Num(flow.TOS)))
		dst = appendUint(dst, size, 2)
		dst = append(dst, 0, 0, 0x40, 0, byte(r.Num(flow.TTL)), byte(proto), 0, 0)
		dst = binary.BigEndian.AppendUint32(dst, src.As4())
		dst = binary.BigEndian.AppendUint32(dst, dest.As4())
	} else {
		dst = append(dst, 0x86, 0xdd)
		dst = appendWords(dst, 6<<28|uint32(r.Num(flow.TOS))<<20)
		dst = appendUint(dst, size-40, 2)
		dst = append(dst, byte(proto), byte(r.Num(flow.TTL)))
		for _, a := range [...]flow.Addr{src, dest} {
			dst = binary.BigEndian.AppendUint64(dst, a.Hi)
			dst = binary.BigEndian.AppendUint64(dst, a.Lo)
		}
	}
	switch proto {
	case protoTCP:
		dst = appendUint(dst, r.Num(flow.SrcPort), 2)
		dst = appendUint(dst, r.Num(flow.DstPort), 2)
		return append(dst, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, byte(r.Num(flow.TCPFlags)), 0xff, 0xff, 0, 0, 0, 0)
	case protoUDP:
		dst = appendUint(dst, r.Num(flow.SrcPort), 2)
		dst = appendUint(dst, r.Num(flow.DstPort), 2)
		return append(dst, 0, 8, 0, 0)
	case protoICMP, protoICMPv6:
		return append(dst, byte(r.Num(flow.ICMPType)), byte(r.Num(flow.ICMPCode)), 0, 0, 0, 0, 0, 0)
	}
	return append(dst, 0, 0, 0, 0, 0, 0, 0, 0)
}

func appendWords(dst []byte, words ...uint32) []byte {
	for _, w := range words {
		dst = binary.BigEndian.AppendUint32(dst, w)
	}
	return dst
}

func addrSize(a flow.Addr) int {
	if a.Is4() {
		return 4
	}
	return 16
}

// appendAddr appends an address with its type: 1 for IPv4, 2 for IPv6.
func appendAddr(dst []byte, a flow.Addr) []byte {
	if a.Is4() {
		return appendWords(dst, 1, a.As4())
	}
	dst = appendWords(dst, 2)
	dst = binary.BigEndian.AppendUint64(dst, a.Hi)
	return binary.BigEndian.AppendUint64(dst, a.Lo)
}
