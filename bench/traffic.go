package bench

import "weir/flow"

// A Flow is one direction of a conversation as a router sees it, before it is
// exported: without what the exporter adds of its own.
type Flow struct {
	Src, Dst         flow.Addr
	SrcPort, DstPort uint16
	Proto            uint8
	TCPFlags         uint8
	TOS              uint8
	ICMPType         uint8
	ICMPCode         uint8
	Bytes, Packets   uint64
	Start, End       uint64 // ms since the Unix epoch

	// Translated addresses and ports, sent by exporters that translate.
	NATSrc, NATDst         flow.Addr
	NATSrcPort, NATDstPort uint16
}

// reverse returns the other direction of a flow, without counters.
func (f Flow) reverse() Flow {
	f.Src, f.Dst = f.Dst, f.Src
	f.SrcPort, f.DstPort = f.DstPort, f.SrcPort
	f.NATSrc, f.NATDst = f.NATDst, f.NATSrc
	f.NATSrcPort, f.NATDstPort = f.NATDstPort, f.NATSrcPort
	return f
}

// A seen flow is one that an exporter has in its cache.
type seen struct {
	Flow
	src, dst host
	exporter int // index, or -1 to be chosen by the organisation
	left     uint64
}

const (
	activeTimeout = 60_000 // ms after which an exporter reports a flow that goes on
	wheelSlots    = 64     // seconds ahead that the wheel reaches; more than the active timeout
	wheelDepth    = 4096   // flows that may wait in one slot
	scannerCount  = 8      // scans under way at any time
)

// traffic makes the flows of the simulated network in order of export.
type traffic struct {
	rng      rng
	queue    []seen // made and not yet handed out, last first
	wheel    [wheelSlots][]seen
	wheelAt  uint64 // second whose slot is being emptied
	scanners [scannerCount]scanner
}

// A scanner probes addresses of the network one after another.
type scanner struct {
	from     host
	srcPort  uint16
	dstPort  uint16
	proto    uint8
	position uint64
	left     uint64 // probes to go
	random   bool   // targets at random, not in sequence
	answers  bool   // closed ports answer with a reset
}

func newTraffic(seed uint64, start uint64) *traffic {
	return &traffic{rng: rng{mix(seed)}, wheelAt: start / 1000}
}

// next returns the flow that is exported at time now, in ms.
func (t *traffic) next(now uint64) seen {
	if s, ok := t.continued(now); ok {
		return s
	}
	if len(t.queue) == 0 {
		t.start(now)
	}
	s := t.queue[len(t.queue)-1]
	t.queue = t.queue[:len(t.queue)-1]
	return s
}

// start puts the flows of a new conversation, probe or stray in the queue.
func (t *traffic) start(now uint64) {
	switch n := t.rng.below(100); {
	case n < 21: // conversations are two flows, so this is an eighth of all
		t.probe(now)
	case n < 30:
		t.stray(now)
	default:
		t.converse(now)
	}
}

// converse queues the two flows of a conversation.
func (t *traffic) converse(now uint64) {
	s := &services[serviceTable[t.rng.next()>>57]]
	v6 := s.proto != protoESP && t.rng.percent(9)
	client, server := t.parties(s, v6)
	r := &t.rng

	req := Flow{Src: client.addr, Dst: server.addr, Proto: s.proto, TOS: s.tos, DstPort: s.port}
	switch {
	case s.proto == protoESP:
	case s.proto == protoICMP:
		req.ICMPType = 8
		if v6 {
			req.Proto, req.ICMPType = protoICMPv6, 128
		}
	case s.samePort && r.percent(70):
		req.SrcPort = s.port
	default:
		req.SrcPort = uint16(49152 + r.below(16384))
	}
	resp := req.reverse()
	if s.proto == protoICMP {
		resp.ICMPType = req.ICMPType &^ 8 // an echo reply is 0
		if v6 {
			resp.ICMPType = 129
		}
	}
	duration := t.fill(s, &req, &resp)
	end := now - r.between(1000, 4000)
	t.export(now, seen{Flow: resp, src: server, dst: client, exporter: -1}, end, duration)
	t.export(now, seen{Flow: req, src: client, dst: server, exporter: -1}, end, duration)
}

// parties picks client and server.
func (t *traffic) parties(s *service, v6 bool) (client, server host) {
	r := &t.rng
	switch n := r.below(100); {
	case n < 4:
		return insideHost(r.zipf(insideOctaves), v6), insideServer(r.zipf(9), v6)
	case n < 4+s.inwards:
		return outsideHost(r.zipf(outsideOctaves), v6), insideServer(r.zipf(9), v6)
	case s.port == 53:
		return insideServer(r.zipf(8), v6), outsideHost(r.zipf(12), v6) // resolvers ask
	}
	return insideHost(r.zipf(insideOctaves), v6), outsideHost(r.zipf(outsideOctaves), v6)
}

// fill sets packets, bytes and flags of both directions and returns the
// duration in ms.
func (t *traffic) fill(s *service, req, resp *Flow) uint64 {
	r := &t.rng
	packets := uint64(1)
	if s.limit > 0 {
		packets = r.heavy(s.limit) * r.between(1, 4)
	}
	if s.proto == protoTCP {
		packets += 3
		req.TCPFlags = flagSYN | flagACK | flagPSH | flagFIN
		resp.TCPFlags = req.TCPFlags
		if r.percent(12) {
			req.TCPFlags |= flagRST
		}
	}
	req.Packets, resp.Packets = packets, packets
	if packets > 16 { // whoever listens acknowledges every second packet
		if s.reqLo > s.respLo {
			resp.Packets = packets/2 + r.below(packets/8+1)
		} else {
			req.Packets = packets/2 + r.below(packets/8+1)
		}
	}
	req.Bytes = req.Packets * r.between(s.reqLo, s.reqHi)
	resp.Bytes = resp.Packets * r.between(s.respLo, s.respHi)
	if packets == 1 {
		return 0
	}
	return min(packets*r.between(1, s.msPerPkt), 3_600_000)
}

// export queues a flow; one that outlasts the active timeout is queued in
// parts, the later ones when their time has come.
func (t *traffic) export(now uint64, s seen, end, duration uint64) {
	if duration <= activeTimeout {
		s.Start, s.End = end-duration, end
		t.queue = append(t.queue, s)
		return
	}
	s.Start, s.End, s.left = end-activeTimeout, end, duration-activeTimeout
	t.slice(now, s, duration)
}

// slice queues the first part of a flow, which lasted from Start to End, and
// lets the rest wait. total is the time that the counters stand for.
func (t *traffic) slice(now uint64, s seen, total uint64) {
	rest := s
	part := s.End - s.Start
	s.Packets = max(s.Packets*part/total, 1)
	s.Bytes = max(s.Bytes*part/total, s.Packets*40)
	rest.Packets = max(rest.Packets-min(s.Packets, rest.Packets), 1)
	rest.Bytes = max(rest.Bytes-min(s.Bytes, rest.Bytes), rest.Packets*40)
	if s.left > 0 {
		s.TCPFlags &^= flagFIN | flagRST
		rest.TCPFlags &^= flagSYN
		t.wait(now, rest)
	}
	t.queue = append(t.queue, s)
}

// wait puts a flow on the wheel until its next export. A full slot forgets it.
func (t *traffic) wait(now uint64, s seen) {
	due := now + min(s.left, activeTimeout)
	slot := &t.wheel[due/1000%wheelSlots]
	if len(*slot) < wheelDepth {
		*slot = append(*slot, s)
	}
}

// continued returns the next part of a long flow, if one is due.
func (t *traffic) continued(now uint64) (seen, bool) {
	for {
		slot := &t.wheel[t.wheelAt%wheelSlots]
		if n := len(*slot); n > 0 && t.wheelAt <= now/1000 {
			s := (*slot)[n-1]
			*slot = (*slot)[:n-1]
			return t.resume(now, s), true
		}
		if t.wheelAt >= now/1000 {
			return seen{}, false
		}
		t.wheelAt++
	}
}

// resume returns the part of s that is due and lets the rest wait.
func (t *traffic) resume(now uint64, s seen) seen {
	total := s.left
	part := min(total, activeTimeout)
	s.Start = s.End
	s.End = s.Start + part
	s.left -= part
	t.slice(now, s, total)
	s = t.queue[len(t.queue)-1]
	t.queue = t.queue[:len(t.queue)-1]
	return s
}

// scanPorts is what scanners look for.
var scanPorts = [...]uint16{22, 23, 80, 443, 445, 2323, 3389, 5900, 6379, 8080, 8728, 37215, 5060, 1433, 25, 5555}

// probe queues one packet of a scan.
func (t *traffic) probe(now uint64) {
	r := &t.rng
	sc := &t.scanners[r.below(scannerCount)]
	if sc.left == 0 {
		*sc = scanner{
			from: outsideHost(1<<40|r.next()>>24, false), proto: protoTCP,
			srcPort: uint16(1024 + r.below(64512)), dstPort: scanPorts[r.below(uint64(len(scanPorts)))],
			position: r.next(), left: 200 + r.below(60000), random: r.percent(40), answers: r.percent(30),
		}
	}
	sc.left--
	sc.position++
	at := sc.position
	if sc.random {
		at = mix(at)
	}
	org := at >> 16 % orgCount
	target := host{flow.AddrFrom4(uint32(10<<24 | (org+1)<<16 | at&0xffff)), int(org)}
	f := Flow{
		Src: sc.from.addr, Dst: target.addr, SrcPort: sc.srcPort, DstPort: sc.dstPort,
		Proto: sc.proto, TCPFlags: flagSYN, Packets: 1, Bytes: 40 + sc.left&1*4,
	}
	if r.percent(10) {
		f.Packets, f.Bytes = 2, 2*f.Bytes
	}
	end := now - r.between(1000, 4000)
	f.Start, f.End = end-(f.Packets-1)*1000, end
	if sc.answers && r.percent(20) {
		reset := f.reverse()
		reset.TCPFlags, reset.Packets, reset.Bytes = flagRST|flagACK, f.Packets, 40*f.Packets
		t.queue = append(t.queue, seen{Flow: reset, src: target, dst: sc.from, exporter: -1})
	}
	t.queue = append(t.queue, seen{Flow: f, src: sc.from, dst: target, exporter: -1})
}

// stray queues a packet that nobody asked for.
func (t *traffic) stray(now uint64) {
	r := &t.rng
	from := outsideHost(1<<41|r.next()>>24, false)
	to := insideHost(r.below(1<<insideOctaves), false)
	end := now - r.between(1000, 4000)
	f := Flow{
		Src: from.addr, Dst: to.addr, SrcPort: uint16(r.between(1024, 65535)), DstPort: uint16(r.between(1024, 65535)),
		Proto: protoUDP, Packets: 1, Bytes: r.between(29, 600), Start: end, End: end,
	}
	t.queue = append(t.queue, seen{Flow: f, src: from, dst: to, exporter: -1})
}
