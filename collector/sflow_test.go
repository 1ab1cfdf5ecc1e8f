package collector

import (
	"testing"

	"weir/flow"
	"weir/flow/ledger"
)

func decodeSample(t *testing.T, samples ...[]byte) *flow.Batch {
	t.Helper()
	b, errs := decodeAll(NewDecoder(DecoderOptions{}), addrN(1, 6343), sflowDatagram(samples...))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	return b
}

func TestSFlowSample(t *testing.T) {
	frame := ethernetOf(wire(etherVLAN, 7<<13|10, etherIPv4), ipv4Of(protoTCP, 0, nil, tcpOf()))
	gateway := wire(uint32(1), uint32(0x0a000009), uint32(64512), uint32(64500), uint32(64501),
		uint32(2), uint32(2), uint32(2), uint32(64502), uint32(64503), uint32(1), uint32(1), uint32(64504),
		uint32(1), uint32(0xfde80001), uint32(100))
	b := decodeSample(t, flowSampleOf(5, 6, rawRecord(1, 1518, frame),
		xdrBlock(1001, wire(uint32(99), uint32(0), uint32(20), uint32(0))),
		xdrBlock(1002, wire(uint32(1), uint32(0x0a000008), uint32(24), uint32(16))),
		xdrBlock(1003, gateway),
		xdrBlock(1007, wire(uint32(1), uint32(0xc0000201), uint32(1), uint32(0xc0000202))),
		xdrBlock(9<<12|7, []byte("of a vendor")),
		xdrBlock(1006, []byte("ignored")),
	))
	wantRows(t, "sample", b, 1)
	for f, want := range map[flow.Field]uint64{
		flow.Received: testTime, flow.Version: flow.VersionSFlow5, flow.Domain: 2,
		flow.SrcPort: 40000, flow.DstPort: 443, flow.Proto: 6, flow.TCPFlags: 0x12, flow.TOS: 8, flow.TTL: 61,
		flow.Bytes: 1518, flow.Packets: 1, flow.SamplingInterval: 1024, flow.InIf: 5, flow.OutIf: 6,
		flow.SrcVLAN: 10, flow.DstVLAN: 20, flow.SrcMAC: 0x020000000002, flow.DstMAC: 0x020000000001,
		flow.SrcMask: 24, flow.DstMask: 16, flow.SrcAS: 64500, flow.DstAS: 64504, flow.PrevAS: 64501, flow.NextAS: 64502,
		flow.EtherType: etherIPv4,
	} {
		wantNum(t, b, 0, f, want)
	}
	for f, want := range map[flow.Field]string{
		flow.Exporter: "10.0.0.1", flow.Agent: "172.16.0.3", flow.SrcAddr: "192.0.2.1", flow.DstAddr: "198.51.100.2",
		flow.NextHop: "10.0.0.8", flow.BGPNextHop: "10.0.0.9", flow.NATSrcAddr: "192.0.2.1", flow.NATDstAddr: "192.0.2.2",
	} {
		wantAddr(t, b, 0, f, want)
	}
	wantAbsent(t, b, 0, flow.Start, flow.End, flow.ICMPType)
}

func TestSFlowExpanded(t *testing.T) {
	frame := rawRecord(1, 100, ethernetOf(wire(etherIPv4), ipv4Of(protoUDP, 0, nil, wire(53, 1024, 8, 0))))
	for _, c := range []struct {
		name                          string
		inFormat, in, outFormat, out_ uint32
		wantIn, wantOut               bool
	}{
		{"plain", 0, 29001, 0, 1285816721, true, true},
		{"discarded", 0, 1, 1, 256, true, false},
		{"several outputs", 0, 1, 2, 3, true, false},
		{"internal", 0, sflowUnknownIf, 0, 1, false, true},
		{"unknown", 0, 0xffffffff, 0, 1, false, true},
	} {
		data := wire(uint32(1), uint32(0), uint32(3), uint32(1000), uint32(0), uint32(0),
			c.inFormat, c.in, c.outFormat, c.out_, uint32(1))
		b := decodeSample(t, xdrBlock(sampleFlowExpanded, data, frame))
		wantRows(t, c.name, b, 1)
		if b.Has(flow.InIf, 0) != c.wantIn || b.Has(flow.OutIf, 0) != c.wantOut {
			t.Errorf("%s: got input %v, output %v", c.name, b.Has(flow.InIf, 0), b.Has(flow.OutIf, 0))
		}
	}
	for _, out := range []uint32{1<<30 | 256, 2<<30 | 3, sflowUnknownIf} {
		b := decodeSample(t, flowSampleOf(1, out, frame))
		wantAbsent(t, b, 0, flow.OutIf)
	}
}

func TestSFlowSampledIP(t *testing.T) {
	v4 := wire(uint32(100), uint32(17), uint32(0xc0000201), uint32(0xc0000202), uint32(53), uint32(1024), uint32(0), uint32(4))
	v6 := wire(uint32(90), uint32(6), v6one, v6two, uint32(443), uint32(1024), uint32(0x18), uint32(4))
	b := decodeSample(t, flowSampleOf(1, 2, xdrBlock(3, v4)), flowSampleOf(1, 2, xdrBlock(4, v6)))
	wantRows(t, "sampled IP", b, 2)
	wantAddr(t, b, 0, flow.SrcAddr, "192.0.2.1")
	wantNum(t, b, 0, flow.SrcPort, 53)
	wantNum(t, b, 0, flow.Bytes, 100)
	wantAbsent(t, b, 0, flow.TCPFlags)
	wantAddr(t, b, 1, flow.DstAddr, "2001:db8::2")
	wantNum(t, b, 1, flow.TCPFlags, 0x18)
	// The MAC addresses of sampled_ethernet are padded to eight bytes.
	ether := wire(uint32(60), []byte{2, 0, 0, 0, 0, 9, 0, 0}, []byte{2, 0, 0, 0, 0, 8, 0, 0}, uint32(0x0806))
	b = decodeSample(t, flowSampleOf(1, 2, xdrBlock(2, ether)))
	wantNum(t, b, 0, flow.SrcMAC, 0x020000000009)
	wantNum(t, b, 0, flow.DstMAC, 0x020000000008)
	wantNum(t, b, 0, flow.EtherType, 0x0806)
}

// A router record says the next hop and the masks, and a next hop that is not
// known costs neither the masks nor the sample.
func TestSFlowRouter(t *testing.T) {
	frame := rawRecord(1, 100, ethernetOf(wire(etherIPv4), ipv4Of(protoTCP, 0, nil, tcpOf())))
	for _, c := range []struct {
		name     string
		record   []byte
		next     string // "": absent
		src, dst int    // -1: absent
	}{
		{"IPv4", wire(uint32(1), uint32(0x0a000008), uint32(24), uint32(16)), "10.0.0.8", 24, 16},
		{"IPv6", wire(uint32(2), v6two, uint32(64), uint32(48)), "2001:db8::2", 64, 48},
		{"unknown next hop", wire(uint32(0), uint32(24), uint32(16)), "", 24, 16},
		{"masks longer than an address", wire(uint32(1), uint32(0x0a000008), uint32(24), uint32(129)), "10.0.0.8", -1, -1},
	} {
		b := decodeSample(t, flowSampleOf(1, 2, frame, xdrBlock(1002, c.record)))
		wantRows(t, c.name, b, 1)
		if c.next == "" {
			wantAbsent(t, b, 0, flow.NextHop)
		} else {
			wantAddr(t, b, 0, flow.NextHop, c.next)
		}
		if c.src < 0 {
			wantAbsent(t, b, 0, flow.SrcMask, flow.DstMask)
			continue
		}
		wantNum(t, b, 0, flow.SrcMask, uint64(c.src))
		wantNum(t, b, 0, flow.DstMask, uint64(c.dst))
	}
	for name, record := range map[string][]byte{
		"an address of no type": wire(uint32(3), uint32(0x0a000008), uint32(24), uint32(16)),
		"cut off":               wire(uint32(1), uint32(0x0a000008), uint32(24)),
	} {
		d := NewDecoder(DecoderOptions{})
		b, errs := decodeAll(d, addrN(1, 6343), sflowDatagram(flowSampleOf(1, 2, frame, xdrBlock(1002, record))))
		wantRows(t, name, b, 0)
		if len(errs) != 1 || d.Stats().Total.Error(ReasonSample) != 1 {
			t.Errorf("%s: got errors %v, want one", name, errs)
		}
	}
}

// A sample that cannot be read costs itself; samples that are none of ours are
// counted and skipped.
func TestSFlowBesideBadSamples(t *testing.T) {
	good := flowSampleOf(1, 2, rawRecord(1, 100, ethernetOf(wire(etherIPv4), ipv4Of(protoTCP, 0, nil, tcpOf()))))
	absurd := xdrBlock(sampleFlowExpanded, wire(uint32(1), uint32(0), uint32(3), uint32(1000), uint32(0), uint32(0),
		uint32(0), uint32(1), uint32(0), uint32(2), uint32(0xffffffff)))
	d := NewDecoder(DecoderOptions{})
	b, errs := decodeAll(d, addrN(1, 6343), sflowDatagram(
		good, absurd, good,
		xdrBlock(4300<<12|1, []byte("a vendor's sample")), good,
		xdrBlock(sampleCounter, wire(uint32(1), uint32(1), uint32(0xffffffff))), good,
		xdrBlock(sampleCounterExpanded, nil), xdrBlock(sampleDrop, wire(uint32(1))), good,
		flowSampleOf(1, 2, xdrBlock(1, wire(uint32(1), uint32(100), uint32(0), uint32(1000)), []byte("too short"))), good,
		flowSampleOf(1, 2, xdrBlock(1003, wire(uint32(1), uint32(1), uint32(1), uint32(1), uint32(1), uint32(0xffffffff)))), good,
	))
	wantRows(t, "good samples", b, 7)
	if len(errs) != 1 {
		t.Errorf("got errors %v, want the first one", errs)
	}
	st := d.Stats().Total
	if st.Error(ReasonSample) != 3 || st.Error(ReasonSampleFormat) != 1 || st.CounterSamples != 2 || st.DropSamples != 1 || st.Records != 7 {
		t.Errorf("got %d bad samples, %d unknown, %d counter, %d drop, %d records, want 3, 1, 2, 1, 7", st.Error(ReasonSample),
			st.Error(ReasonSampleFormat), st.CounterSamples, st.DropSamples, st.Records)
	}
}

func TestSFlowCutOff(t *testing.T) {
	good := flowSampleOf(1, 2, rawRecord(1, 100, ethernetOf(wire(etherIPv4), ipv4Of(protoTCP, 0, nil, tcpOf()))))
	whole := sflowDatagram(good, good)
	for n := range whole {
		d := NewDecoder(DecoderOptions{})
		b, errs := decodeAll(d, addrN(1, 6343), whole[:n])
		if len(errs) != 1 {
			t.Fatalf("%d of %d bytes: got errors %v, want one", n, len(whole), errs)
		}
		if want := max(0, (n-28)/len(good)); b.Len() != want {
			t.Fatalf("%d of %d bytes: got %d records, want %d", n, len(whole), b.Len(), want)
		}
	}
}

func TestSFlowAgentV6(t *testing.T) {
	p := wire(uint32(5), uint32(2), v6one, uint32(0), uint32(1), uint32(1), uint32(1))
	p = append(p, flowSampleOf(1, 2, rawRecord(12, 100, ipv6Of(protoUDP, wire(53, 1024, 8, 0))))...)
	b, errs := decodeAll(NewDecoder(DecoderOptions{}), addrN(1, 6343), p)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	wantAddr(t, b, 0, flow.Agent, "2001:db8::1")
	wantAddr(t, b, 0, flow.SrcAddr, "2001:db8::1")
}

// numberedSample makes a flow sample with its number, source and drop count.
func numberedSample(number, source, rate, drops uint32) []byte {
	record := rawRecord(11, 60, ipv4Of(protoTCP, 0, nil, tcpOf()))
	return xdrBlock(sampleFlow, wire(number, source, rate, uint32(0), drops, uint32(1), uint32(2), uint32(1)), record)
}

// TestSFlowLedger loses datagrams and samples, and compares the ledger: each
// agent's datagrams and each source's samples have numbers of their own, which
// some agents share among all sources.
func TestSFlowLedger(t *testing.T) {
	for _, wide := range []bool{false, true} {
		s := newScripted(t, DecoderOptions{})
		s.domain = 2
		next, total, drops := map[uint32]uint32{}, uint32(0), uint32(5)
		const sources, perDatagram = 3, 4
		lost := uint64(0)
		for i := range 200 {
			var samples [][]byte
			for j := range perDatagram {
				source := uint32((i*perDatagram + j) % sources)
				next[source]++
				total++
				number := next[source]
				if wide {
					number = total
				}
				if drops == 5 && i == 150 {
					drops = 12
				}
				samples = append(samples, numberedSample(number, source, 512, drops))
			}
			p := s.head(sflowDatagram(samples...), 1)
			if i%20 == 19 && i < 199 { // the last cannot be known
				lost++
				continue
			}
			s.deliver(p)
			s.at += 100
		}
		e := s.entry(testHour, uint16(flow.VersionSFlow5))
		wantCounts(t, "sFlow", e, map[ledger.Counter]uint64{
			ledger.Datagrams: 200 - lost, ledger.Records: (200 - lost) * perDatagram, ledger.Lost: lost, ledger.Gaps: lost,
			ledger.LostSamples: lost * perDatagram, ledger.SampleDrops: 7 * sources,
		})
	}
}

// Sources are told apart by type and index, in the expanded form by all 32 bits
// of it; a source is the same one in either form.
func TestSFlowSources(t *testing.T) {
	record := rawRecord(11, 60, ipv4Of(protoTCP, 0, nil, tcpOf()))
	compact := func(kind, index, number uint32) []byte { return numberedSample(number, kind<<24|index, 512, 0) }
	expanded := func(kind, index, number uint32) []byte {
		head := wire(number, kind, index, uint32(512), uint32(0), uint32(0), uint32(0), uint32(1), uint32(0), uint32(2), uint32(1))
		return xdrBlock(sampleFlowExpanded, head, record)
	}
	type form func(kind, index, number uint32) []byte
	type source struct {
		form        form
		kind, index uint32
	}
	for _, c := range []struct {
		name string
		a, b source
		same bool
	}{
		{"indexes that differ in the top byte", source{expanded, 0, 0x1a000000}, source{expanded, 0, 0x16000000}, false},
		{"indexes that differ in the last bit", source{expanded, 0, 0x1a000000}, source{expanded, 0, 0x1a000001}, false},
		{"types of one index", source{expanded, 0, 7}, source{expanded, 2, 7}, false},
		{"a type is no part of an index", source{expanded, 1, 7}, source{expanded, 0, 1<<24 | 7}, false},
		{"compact types of one index", source{compact, 0, 7}, source{compact, 2, 7}, false},
		{"one source in both forms", source{compact, 2, 7}, source{expanded, 2, 7}, true},
	} {
		s := newScripted(t, DecoderOptions{})
		s.domain = 2
		// Each has numbers of its own, far from the other's; one source counts on.
		next := [2]uint32{100, 7000}
		for i := range 100 {
			at, of := i%2, c.a
			if at == 1 {
				of = c.b
			}
			if c.same {
				at = 0
			}
			s.send(sflowDatagram(of.form(of.kind, of.index, next[at])), 1)
			next[at]++
		}
		wantCounts(t, c.name, s.entry(testHour, uint16(flow.VersionSFlow5)), map[ledger.Counter]uint64{
			ledger.Datagrams: 100, ledger.Records: 100,
		})
		sources := 0
		for _, e := range s.d.all() {
			for _, stream := range e.streams {
				for _, a := range stream.agents {
					sources += len(a.sources)
				}
			}
		}
		if want := 2 - btoi(c.same); sources != want {
			t.Errorf("%s: got %d sources, want %d", c.name, sources, want)
		}
	}
}

// A change of the sampling rate, a restart, and two agents behind one source.
func TestSFlowAgents(t *testing.T) {
	s := newScripted(t, DecoderOptions{})
	s.domain = 2
	agent := func(last uint8, p []byte) []byte {
		p[11] = last
		return p
	}
	next := [2]uint32{100, 7000}
	for i := range 40 {
		s.next = next[i%2]
		s.send(agent(uint8(i%2), sflowDatagram(numberedSample(uint32(i/2+1), 3, 512, 0))), 1)
		next[i%2] = s.next
	}
	s.next = next[0]
	s.send(agent(0, sflowDatagram(numberedSample(21, 3, 1024, 0))), 1)
	s.boot, s.next, s.at = s.at, 1, s.at+4000
	s.send(agent(0, sflowDatagram(numberedSample(1, 3, 1024, 0))), 1)
	e := s.entry(testHour, uint16(flow.VersionSFlow5))
	wantCounts(t, "two agents", e, map[ledger.Counter]uint64{
		ledger.Datagrams: 42, ledger.Records: 42, ledger.SamplingChanges: 1, ledger.Restarts: 1,
	})
}
