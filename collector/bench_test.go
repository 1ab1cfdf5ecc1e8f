package collector

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"

	"weir/flow"
	"weir/flow/ledger"
)

// The decoders' cost of a record. Run with
//
//	go test -run xxx -bench Decode -count 6 ./collector | tee new.txt; benchstat new.txt

var benchSource = netip.MustParseAddrPort("192.0.2.1:4711")

// discard is a Ledger that keeps nothing.
type discard struct{}

func (discard) PutLedger(uint32, []ledger.Row) error { return nil }

// A numbering says where a datagram's sequence number is, and how it advances.
type numbering struct {
	at   int
	step uint32
}

// benchmarkDecode decodes a datagram over and over, with the sequence numbers
// that follow, after those that set the stage.
func benchmarkDecode(b *testing.B, number numbering, payload []byte, before ...[]byte) {
	d := NewDecoder(DecoderOptions{Ledger: discard{}})
	batch := flow.NewBatch(10000)
	for _, p := range before {
		if err := d.Decode(batch, builtExport*1000, benchSource, p); err != nil {
			b.Fatal(err)
		}
	}
	batch.Reset()
	if err := d.Decode(batch, builtExport*1000, benchSource, payload); err != nil {
		b.Fatal(err)
	}
	records := batch.Len()
	b.ReportAllocs()
	b.SetBytes(int64(len(payload)))
	for b.Loop() {
		if batch.Len() > 8192 {
			batch.Reset()
		}
		sequence := payload[number.at:]
		binary.BigEndian.PutUint32(sequence, binary.BigEndian.Uint32(sequence)+number.step)
		_ = d.Decode(batch, builtExport*1000, benchSource, payload)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*records), "ns/record")
}

func BenchmarkDecodeV5(b *testing.B) { benchmarkDecode(b, numbering{16, 30}, datagram5(30)) }

func BenchmarkDecodeV9(b *testing.B) {
	benchmarkDecode(b, numbering{12, 1}, v9(1, set(300, repeat(24, usualRecord))), v9(1, set(0, templateOf(300, usualFields...))))
}

func BenchmarkDecodeIPFIX(b *testing.B) {
	benchmarkDecode(b, numbering{8, 24}, ipfix(1, set(300, repeat(24, usualRecord))), ipfix(1, set(2, templateOf(300, usualFields...))))
}

// A sampler id in every record, as routers that sample send it.
func BenchmarkDecodeV9Sampled(b *testing.B) {
	fields := append(append([]int(nil), usualFields...), 48, 2)
	record := func(i int) []byte { return append(usualRecord(i), 0, 7) }
	options := wire(400, 4, 8, 1, 4, 48, 2, 50, 4)
	benchmarkDecode(b, numbering{12, 1}, v9(1, set(300, repeat(24, record))),
		v9(1, set(0, templateOf(300, fields...)), set(1, options), set(400, wire(uint32(0), 7, uint32(1000)))))
}

func BenchmarkDecodeVariable(b *testing.B) {
	fields := append(append([]int(nil), usualFields...), 94, 0xffff)
	record := func(i int) []byte { return append(usualRecord(i), "\x05https"...) }
	benchmarkDecode(b, numbering{8, 20}, ipfix(1, set(300, repeat(20, record))), ipfix(1, set(2, templateOf(300, fields...))))
}

func BenchmarkDecodeSFlow(b *testing.B) {
	header := ethernetOf(wire(etherVLAN, 10, etherIPv4), ipv4Of(protoTCP, 0, nil, append(tcpOf(), make([]byte, 70)...)))
	sample := flowSampleOf(1, 2, rawRecord(1, 1500, header), xdrBlock(1001, wire(uint32(10), uint32(0), uint32(20), uint32(0))))
	benchmarkDecode(b, numbering{16, 1}, sflowDatagram(sample, sample, sample, sample, sample, sample))
}

// Reading a capture and decoding it, as an import does.
func BenchmarkCapture(b *testing.B) {
	const datagrams = 1000
	packets := [][]byte{ethernetOf(wire(etherIPv4), ipv4Of(protoUDP, 0, nil, udpOf(v9(1, set(0, templateUsual)))))}
	data := ethernetOf(wire(etherIPv4), ipv4Of(protoUDP, 0, nil, udpOf(v9(1, set(300, repeat(24, usualRecord))))))
	for range datagrams {
		packets = append(packets, data)
	}
	file := pcapOf(b, 1, packets...)
	batch := flow.NewBatch(32768)
	b.SetBytes(int64(len(file)))
	b.ReportAllocs()
	for b.Loop() {
		d := NewDecoder(DecoderOptions{})
		batch.Reset()
		err := ReadCapture(bytes.NewReader(file), func(g Datagram) error {
			return d.Decode(batch, uint64(g.Time.UnixMilli()), g.Src, g.Payload)
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*datagrams*24), "ns/record")
}
