package collector

import (
	"bytes"
	"encoding/binary"
	"errors"
	"runtime"
	"testing"

	"weir/flow"
	"weir/flow/ledger"
)

// The decoders parse strangers' bytes. Whatever these are: no panic, no more
// records than the bytes can hold, memory in proportion. Run with
//
//	go test -run xxx -fuzz 'FuzzIPFIX$' -fuzztime 60s ./collector

// fuzzLimits are small, so that the fuzzer reaches them.
var fuzzLimits = Limits{
	Exporters: 4, Streams: 4, Templates: 8, TemplateBytes: 1 << 16, TotalTemplateBytes: 1 << 17,
	TotalStreams: 8, TableBytes: 1 << 10, TotalTableBytes: 1 << 11,
	Pending: 4, PendingBytes: 1 << 12, TotalPendingBytes: 1 << 13, Samplers: 4, Interfaces: 4, InterfaceNames: 4,
}

// checkDecoder looks at a decoder after whatever it was given.
func checkDecoder(t *testing.T, d *Decoder, b *flow.Batch, bytes int) {
	t.Helper()
	if b.Len() > bytes {
		t.Fatalf("%d records out of %d bytes", b.Len(), bytes)
	}
	templates, pending, tables, streams := int64(0), int64(0), int64(0), int64(0)
	for _, e := range d.all() {
		n := 0
		for _, s := range e.streams {
			n += len(s.templates)
			for _, tm := range s.templates {
				templates += int64(tm.size())
			}
		}
		if n != e.templates || n > d.limits.Templates {
			t.Fatalf("exporter %s has %d templates, %d by the accounts", e.addr, n, e.templates)
		}
		for _, p := range e.pending {
			pending += int64(len(p.body) + pendingOverhead)
		}
		size := len(e.names) * entryBytes
		for _, m := range e.domains {
			size += m.entries() * entryBytes
		}
		for _, name := range e.names {
			size += len(name.Name) + len(name.Description)
		}
		for _, s := range e.streams {
			for _, a := range s.agents {
				size += agentBytes * (1 + len(a.sources))
			}
		}
		if size != e.tableBytes {
			t.Fatalf("exporter %s has tables of %d bytes, %d by the accounts", e.addr, size, e.tableBytes)
		}
		tables += int64(size)
		streams += int64(len(e.streams))
		if uint64(len(e.pending)) != e.stats.SetsWaiting {
			t.Fatalf("exporter %s has %d sets waiting, %d by the accounts", e.addr, len(e.pending), e.stats.SetsWaiting)
		}
		if len(e.streams) > d.limits.Streams {
			t.Fatalf("exporter %s has %d streams", e.addr, len(e.streams))
		}
	}
	if templates != d.templateBytes.Load() || pending != d.pendingBytes.Load() {
		t.Fatalf("templates of %d bytes, %d by the accounts; %d bytes waiting, %d by the accounts",
			templates, d.templateBytes.Load(), pending, d.pendingBytes.Load())
	}
	if tables != d.tableBytes.Load() || streams != d.streams.Load() {
		t.Fatalf("tables of %d bytes, %d by the accounts; %d streams, %d by the accounts",
			tables, d.tableBytes.Load(), streams, d.streams.Load())
	}
	st := d.Stats().Total
	if st.Records < uint64(b.Len()) {
		t.Fatalf("%d records, %d counted", b.Len(), st.Records)
	}
	for f := range b.Columns().All {
		if f.IsAddr() || f.Bits() == 64 {
			continue
		}
		for row, v := range b.Num(f) {
			if v>>f.Bits() != 0 {
				t.Fatalf("row %d: %s is %d", row, f, v)
			}
			if v != 0 && !b.Has(f, row) {
				t.Fatalf("row %d: %s is %d and absent", row, f, v)
			}
		}
	}
}

// checkLedger compares what was written with the decoder's own counters.
func checkLedger(t *testing.T, d *Decoder, l *memoryLedger) {
	t.Helper()
	all, want := l.all(), d.Stats().Total
	for _, c := range []ledger.Counter{
		ledger.Datagrams, ledger.Bytes, ledger.Records, ledger.BadDatagrams, ledger.Templates, ledger.Options,
		ledger.SetsWithout, ledger.SetsRecovered, ledger.SetsDropped, ledger.BadTimes,
	} {
		if all.Get(c) != want.Count(c) {
			t.Fatalf("%s is %d in the ledger, %d in all", c, all.Get(c), want.Count(c))
		}
	}
	for _, r := range Reasons() {
		if got := all.Errors[r.String()]; got != want.Error(r) && r != ReasonExporterLimit {
			t.Fatalf("%d errors of %s in the ledger, %d in all", got, r, want.Error(r))
		}
	}
	records := uint64(0)
	for _, i := range all.Intervals {
		records += i.Records
	}
	if records != want.Records {
		t.Fatalf("%d records by interval, %d in all", records, want.Records)
	}
}

// fuzzVersion decodes one datagram whose version word is forced.
func fuzzVersion(f *testing.F, version uint16) {
	f.Fuzz(func(t *testing.T, p []byte) {
		if len(p) > maxDatagram {
			return
		}
		if len(p) >= 4 {
			binary.BigEndian.PutUint16(p, version)
			if version == 0 {
				binary.BigEndian.PutUint16(p[2:], 5)
			}
		}
		d := NewDecoder(DecoderOptions{Limits: fuzzLimits, Ledger: discard{}})
		b := flow.NewBatch(0)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_ = d.Decode(b, testTime, addrN(1, 1), p)
		runtime.ReadMemStats(&after)
		// A record of one byte makes a row of some hundred bytes.
		if used := after.TotalAlloc - before.TotalAlloc; used > 4<<20+uint64(len(p))*4096 {
			t.Fatalf("%d bytes allocated for %d", used, len(p))
		}
		checkDecoder(t, d, b, len(p))
	})
}

func FuzzV5(f *testing.F) {
	f.Add(datagram5(2))
	f.Add(datagram5(30))
	fuzzVersion(f, 5)
}

func FuzzV7(f *testing.F) {
	f.Add(append(datagram5(1), 0, 0, 0, 0))
	fuzzVersion(f, 7)
}

func FuzzV9(f *testing.F) {
	f.Add(v9(1, set(0, templateUsual), dataUsual))
	f.Add(optionsV9([]int{1, 4}, []int{34, 4}, uint32(0), uint32(10)))
	addHostile(f, 9)
	fuzzVersion(f, 9)
}

func FuzzIPFIX(f *testing.F) {
	f.Add(ipfix(1, set(2, templateUsual), dataUsual))
	f.Add(ipfix(1, set(2, templateOf(256, 94, 0xffff, 8, 4, 315, 0xffff)), set(256, wire("\x01a", uint32(1), "\x00"))))
	f.Add(optionsIPFIX(0, 1, []int{302, 8, 305, 4, 306, 4}, uint64(7), uint32(1), uint32(9)))
	addHostile(f, 10)
	fuzzVersion(f, 10)
}

func FuzzSFlow(f *testing.F) {
	frame := ethernetOf(wire(etherVLAN, 10, etherIPv4), ipv4Of(protoTCP, 0, nil, tcpOf()))
	f.Add(sflowDatagram(flowSampleOf(1, 2, rawRecord(1, 100, frame), xdrBlock(1001, make([]byte, 16)))))
	f.Add(sflowDatagram(flowSampleOf(1, 2, xdrBlock(1003, make([]byte, 60)), xdrBlock(3, make([]byte, 32)), xdrBlock(4, make([]byte, 56)))))
	addHostile(f, 0)
	fuzzVersion(f, 0)
}

// addHostile seeds with the known killers of a version.
func addHostile(f *testing.F, version uint16) {
	for _, c := range hostile {
		for _, p := range c.datagrams {
			if len(p) > 2 && binary.BigEndian.Uint16(p) == version {
				f.Add(p)
			}
		}
	}
}

// FuzzDecode gives several datagrams of several exporters to one decoder: the
// input is cut at every length that stands in front of a part.
//
//	| source, 1 | length, 2 | datagram ... |
func FuzzDecode(f *testing.F) {
	join := func(datagrams ...[]byte) []byte {
		var all []byte
		for i, p := range datagrams {
			all = append(all, wire(uint8(i%3), len(p), p)...)
		}
		return all
	}
	f.Add(join(v9(1, set(0, templateUsual)), v9(1, set(0, templateUsual)), v9(1, dataUsual), v9(1, dataUsual)))
	f.Add(join(ipfix(1, dataUsual), datagram5(1), ipfix(1, set(2, templateUsual)), ipfix(1, set(2, templateUsual))))
	for _, c := range hostile {
		f.Add(join(c.datagrams...))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		state := newMemoryState()
		l := newMemoryLedger()
		d := NewDecoder(DecoderOptions{Limits: fuzzLimits, State: state, Ledger: l})
		b := flow.NewBatch(0)
		total := 0
		for i := 0; len(data) >= 3 && i < 64; i++ {
			src := addrN(int(data[0]&7), uint16(data[0]>>3))
			n := min(int(binary.BigEndian.Uint16(data[1:])), len(data)-3)
			_ = d.Decode(b, testTime+uint64(i)*60_000, src, data[3:3+n])
			total += n
			data = data[3+n:]
		}
		checkDecoder(t, d, b, total)
		if err := errors.Join(d.Save(), d.WriteLedger()); err != nil {
			t.Fatal(err)
		}
		checkLedger(t, d, l)
		// What was saved is what is loaded.
		again := NewDecoder(DecoderOptions{Limits: fuzzLimits, State: state})
		if got, want := again.templateBytes.Load(), d.templateBytes.Load(); got != want {
			t.Fatalf("%d bytes of templates after loading, %d before", got, want)
		}
	})
}

func FuzzPacket(f *testing.F) {
	f.Add(uint8(0), ethernetOf(wire(etherQinQ, 10, etherVLAN, 10, etherIPv4), ipv4Of(protoTCP, 0, nil, tcpOf())))
	f.Add(uint8(1), ipv6Of(0, wire(uint8(protoTCP), uint8(0), make([]byte, 6), tcpOf())))
	f.Add(uint8(2), wire(uint32(0x01000140), ipv4Of(protoICMP, 0, nil, []byte{8, 0})))
	f.Add(uint8(3), append([]byte{0xff, 3, 0, 0x21}, ipv4Of(protoTCP, 0, nil, tcpOf())...))
	f.Fuzz(func(t *testing.T, kind uint8, b []byte) {
		var p packet
		switch kind & 3 {
		case 0:
			p.parseEthernet(b)
		case 1:
			p.parseIP(b)
		case 2:
			p.parseMPLS(b)
		case 3:
			p.parsePPP(b)
		}
		for f := range p.has.All {
			if !f.IsAddr() && p.nums[f]>>f.Bits() != 0 {
				t.Fatalf("%s is %d", f, p.nums[f])
			}
		}
	})
}

func FuzzCapture(f *testing.F) {
	packet := ipv4Of(protoUDP, 0, nil, udpOf([]byte("x")))
	f.Add(pcapOf(f, 101, packet, packet))
	f.Add(pcapOf(f, 1, ethernetOf(wire(etherIPv4), fragment4(1, 0, true, packet[:16]))))
	f.Fuzz(func(t *testing.T, data []byte) {
		n := 0
		_ = ReadCapture(bytes.NewReader(data), func(g Datagram) error {
			n += len(g.Payload)
			return nil
		})
		if n > len(data) && !(len(data) > 1 && data[0] == 0x1f && data[1] == 0x8b) {
			t.Fatalf("%d bytes of payload out of %d", n, len(data))
		}
	})
}
