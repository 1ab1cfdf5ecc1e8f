package bench

import (
	"cmp"
	"encoding/binary"
	"io"
	"slices"
	"time"

	"weir/flow"
)

// A PacketSeen is one packet on a wire, for probes that make flows from
// packets.
type PacketSeen struct {
	Time             uint64 // ms since the Unix epoch
	Src, Dst         flow.Addr
	SrcPort, DstPort uint16
	Proto            uint8
	TCPFlags         uint8
	ICMPType         uint8
	Size             int // bytes of the IP packet
}

// A capturedSession collects packets of a few conversations.
type capturedSession struct{ packets []PacketSeen }

// SessionHosts are the addresses that Session uses.
type SessionHosts struct {
	Client, Resolver, Server flow.Addr // ours
	Client6                  flow.Addr // ours, IPv6
	Scanned                  flow.Addr // first of the 40 addresses that are scanned
	Answered                 flow.Addr // the one of them that lets the scanner in
	Scanner, Controller      flow.Addr // the bad ones
	Stranger                 flow.Addr // a name server that is not ours
	Web, Web6, Visitor, Time flow.Addr // the rest of the world
}

// Session returns ten minutes on the wire of a small office, in order of time:
// web, DNS to the resolver and to a stranger, NTP, ping, IPv6, a visitor of the
// web server, a scan for SSH with one answer, and a call to a controller every
// minute.
func Session(h SessionHosts, start time.Time) []PacketSeen {
	var s capturedSession
	at := ms(start)
	for i := range uint64(8) { // web, over IPv4 and IPv6
		s.stream(at+i*61_000, h.Client, h.Web, uint16(50000+i), 443, 3+int(i), 1200)
		s.stream(at+9_000+i*67_000, h.Client6, h.Web6, uint16(50100+i), 443, 2+int(i), 1300)
	}
	for i := range uint64(12) { // names
		s.ask(at+i*40_000, h.Client, h.Resolver, uint16(51000+i), 53, 66, 182)
		s.ask(at+100+i*40_000, h.Client6, h.Web6, uint16(51100+i), 53, 86, 210)
	}
	for i := range uint64(5) {
		s.ask(at+31_000+i*97_000, h.Client, h.Stranger, uint16(52000+i), 53, 71, 320)
	}
	s.ask(at+5_000, h.Client, h.Time, 123, 123, 76, 76)
	for i := range uint64(10) {
		s.echo(at+120_000+i*1000, h.Client, h.Web, protoICMP, 8, 0, 84)
		s.echo(at+140_000+i*1000, h.Client6, h.Web6, protoICMPv6, 128, 129, 104)
	}
	for i := range uint64(6) {
		s.stream(at+20_000+i*83_000, h.Visitor, h.Server, uint16(40000+i), 80, 4, 900)
	}
	for i := range uint64(10) {
		s.stream(at+3_000+i*60_000, h.Client, h.Controller, uint16(53000+i), 8443, 1, 220)
	}
	s.scan(at+200_000, h, 40)
	slices.SortStableFunc(s.packets, func(a, b PacketSeen) int { return cmp.Compare(a.Time, b.Time) })
	return s.packets
}

func (s *capturedSession) add(p PacketSeen) { s.packets = append(s.packets, p) }

// headerTCP returns the size of a TCP packet without data.
func headerTCP(a flow.Addr) int {
	if a.Is4() {
		return 40
	}
	return 60
}

// stream adds a TCP connection in which the client asks n times and gets two
// packets of the given size each time.
func (s *capturedSession) stream(at uint64, client, server flow.Addr, port, service uint16, n, size int) {
	up := PacketSeen{Src: client, Dst: server, SrcPort: port, DstPort: service, Proto: protoTCP}
	down := PacketSeen{Src: server, Dst: client, SrcPort: service, DstPort: port, Proto: protoTCP}
	least := headerTCP(client)
	send := func(p PacketSeen, flags uint8, size int) {
		p.Time, p.TCPFlags, p.Size = at, flags, size
		s.add(p)
		at += 7
	}
	send(up, flagSYN, least)
	send(down, flagSYN|flagACK, least)
	send(up, flagACK, least)
	for range n {
		send(up, flagPSH|flagACK, least+180)
		send(down, flagACK, least+size)
		send(down, flagPSH|flagACK, least+size/2)
		send(up, flagACK, least)
		at += 400
	}
	send(up, flagFIN|flagACK, least)
	send(down, flagFIN|flagACK, least)
	send(up, flagACK, least)
}

// ask adds a question over UDP and its answer.
func (s *capturedSession) ask(at uint64, from, to flow.Addr, port, service uint16, question, answer int) {
	s.add(PacketSeen{Time: at, Src: from, Dst: to, SrcPort: port, DstPort: service, Proto: protoUDP, Size: question})
	s.add(PacketSeen{Time: at + 12, Src: to, Dst: from, SrcPort: service, DstPort: port, Proto: protoUDP, Size: answer})
}

func (s *capturedSession) echo(at uint64, from, to flow.Addr, proto, request, reply uint8, size int) {
	s.add(PacketSeen{Time: at, Src: from, Dst: to, Proto: proto, ICMPType: request, Size: size})
	s.add(PacketSeen{Time: at + 9, Src: to, Dst: from, Proto: proto, ICMPType: reply, Size: size})
}

// scan adds a probe for SSH of n addresses; every fourth refuses, one answers.
func (s *capturedSession) scan(at uint64, h SessionHosts, n int) {
	target := h.Scanned
	for i := range n {
		if target == h.Answered {
			s.stream(at, h.Scanner, target, 44022, 22, 5, 300)
		} else {
			s.add(PacketSeen{Time: at, Src: h.Scanner, Dst: target, SrcPort: 44022, DstPort: 22,
				Proto: protoTCP, TCPFlags: flagSYN, Size: 44})
			if i%4 == 0 {
				s.add(PacketSeen{Time: at + 2, Src: target, Dst: h.Scanner, SrcPort: 22, DstPort: 44022,
					Proto: protoTCP, TCPFlags: flagRST | flagACK, Size: 40})
			}
		}
		at += 50
		target = target.Next()
	}
}

// WriteSession writes packets as a pcap file of Ethernet frames that keeps the
// headers only, as tcpdump -s does.
func WriteSession(w io.Writer, packets []PacketSeen) error {
	c := NewCaptureWriter(w)
	var frame []byte
	for i := range packets {
		p := &packets[i]
		frame = appendFrame(frame[:0], p)
		if err := c.writeFrame(p.Time, frame, p.Size+14); err != nil {
			return err
		}
	}
	return c.Flush()
}

// appendFrame appends the headers of p, with right lengths and an IPv4 header
// checksum; the checksums over what is not kept are zero.
func appendFrame(dst []byte, p *PacketSeen) []byte {
	var r flow.Record
	r.SetNum(flow.SrcMAC, 0x020000000001)
	r.SetNum(flow.DstMAC, 0x020000000002)
	r.SetAddr(flow.SrcAddr, p.Src)
	r.SetAddr(flow.DstAddr, p.Dst)
	r.SetNum(flow.SrcPort, uint64(p.SrcPort))
	r.SetNum(flow.DstPort, uint64(p.DstPort))
	r.SetNum(flow.Proto, uint64(p.Proto))
	r.SetNum(flow.TCPFlags, uint64(p.TCPFlags))
	r.SetNum(flow.ICMPType, uint64(p.ICMPType))
	r.SetNum(flow.Bytes, uint64(p.Size+14))
	r.SetNum(flow.TTL, 64)
	at := len(dst)
	dst = appendPacket(dst, &r)
	if p.Src.Is4() {
		ip := dst[at+14 : at+34]
		binary.BigEndian.PutUint16(ip[10:], checksum(ip))
	}
	return dst
}
