package collector

import (
	"bytes"
	"runtime"
	"testing"
	"time"

	"weir/flow"
)

// hostile are datagrams that kill goflow2's decoders, or make them or others
// invent records, and how many records they hold in truth. Those that belong
// together are decoded one after the other.
var hostile = []struct {
	name      string
	datagrams [][]byte
	records   int
	errors    int // datagrams with an error
}{
	{"v9 template without fields, then data: decodes for ever",
		[][]byte{v9(0, set(0, wire(256, 0))), v9(0, set(256, make([]byte, 100)))}, 0, 1},
	{"v9 template of empty fields, then data: decodes for ever",
		[][]byte{v9(0, set(0, templateOf(256, 8, 0, 12, 0))), v9(0, set(256, make([]byte, 100)))}, 0, 1},
	{"IPFIX withdrawal, then data: decodes for ever",
		[][]byte{ipfix(0, set(2, wire(256, 0))), ipfix(0, set(256, make([]byte, 100)))}, 0, 0},
	{"options template of empty fields, then data: decodes for ever",
		[][]byte{v9(0, set(1, wire(256, 4, 4, 1, 0, 34, 0))), v9(0, set(256, make([]byte, 100)))}, 0, 1},
	{"IPFIX options template of empty fields",
		[][]byte{ipfix(0, set(3, wire(256, 2, 1, 149, 0, 34, 0))), ipfix(0, set(256, make([]byte, 100)))}, 0, 1},
	{"sFlow expanded sample of 2^32-1 records: allocates 100 GB",
		[][]byte{sflowDatagram(xdrBlock(sampleFlowExpanded, wire(uint32(1), uint32(0), uint32(3), uint32(1), uint32(0), uint32(0),
			uint32(0), uint32(1), uint32(0), uint32(2), uint32(0xffffffff))))}, 0, 1},
	{"sFlow sample of 2^32-1 records",
		[][]byte{sflowDatagram(flowSampleOf(1, 2)[:0], wire(uint32(1), uint32(32), uint32(1), uint32(3), uint32(1), uint32(0), uint32(0),
			uint32(1), uint32(2), uint32(0xffffffff)))}, 0, 1},
	{"sFlow of 2^32-1 samples",
		[][]byte{wire(uint32(5), uint32(1), uint32(1), uint32(0), uint32(0), uint32(0), uint32(0xffffffff))}, 0, 1},
	{"sFlow AS path of 2^32-1 segments of 2^32-1",
		[][]byte{sflowDatagram(flowSampleOf(1, 2, xdrBlock(1003, wire(uint32(1), uint32(1), uint32(1), uint32(1), uint32(1),
			uint32(0xffffffff), uint32(2), uint32(0xffffffff)))))}, 0, 1},
	{"sFlow router record with a strange address",
		[][]byte{sflowDatagram(flowSampleOf(1, 2, xdrBlock(1002, wire(uint32(77), uint32(1), uint32(1)))))}, 0, 1},
	{"v5 count of 65535 with one record", [][]byte{func() []byte { p := datagram5(1); p[2], p[3] = 0xff, 0xff; return p }()}, 0, 1},
	{"v5 count of 30 with one record", [][]byte{func() []byte { p := datagram5(1); p[3] = 30; return p }()}, 1, 1},
	{"v5 of 40 records, larger than it may be", [][]byte{datagram5(40)}, 40, 0},
	{"v5 count of 65535 without records", [][]byte{func() []byte { p := datagram5(0); p[2], p[3] = 0xff, 0xff; return p }()}, 0, 1},
	{"v5 count of 1 with two records", [][]byte{func() []byte { p := datagram5(2); p[3] = 1; return p }()}, 1, 1},
	{"template of 65535 fields", [][]byte{v9(0, set(0, wire(256, 65535)))}, 0, 1},
	{"options template of 65535 scopes", [][]byte{ipfix(0, set(3, wire(256, 65535, 65535)))}, 0, 1},
	{"IPFIX length under the header", [][]byte{wire(10, 4, uint32(0), uint32(0), uint32(0), make([]byte, 64))}, 0, 1},
	{"set length 0", [][]byte{v9(0, wire(256, 0, make([]byte, 60), 1))}, 0, 1},
	{"set length 3", [][]byte{v9(0, wire(256, 3, make([]byte, 60)))}, 0, 1},
	{"variable length of 65535 in 10 bytes",
		[][]byte{ipfix(0, set(2, templateOf(256, 8, 4, 94, 0xffff)), set(256, wire(uint32(1), uint8(255), 65535, "abc")))}, 0, 1},
	{"template of variable lengths only, padding behind",
		[][]byte{ipfix(0, set(2, templateOf(256, 94, 0xffff, 8, 0xffff)), set(256, wire("\x01a\x04\x0a\x00\x00\x01", uint8(0))))}, 1, 0},
	{"set ids that are reserved", [][]byte{v9(0, set(2, make([]byte, 8))), ipfix(0, set(0, make([]byte, 8)))}, 0, 2},
	{"empty", [][]byte{{}}, 0, 1},
	{"three bytes", [][]byte{{0, 9, 0}}, 0, 1},
	{"unknown version", [][]byte{wire(8, make([]byte, 60))}, 0, 1},
	{"sFlow version 4", [][]byte{wire(uint32(4), make([]byte, 60))}, 0, 1},
}

func TestHostileDatagrams(t *testing.T) {
	for _, c := range hostile {
		t.Run(c.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			b, errs := decodeAll(NewDecoder(DecoderOptions{}), addrN(1, 1), c.datagrams...)
			took := time.Since(start)
			runtime.ReadMemStats(&after)
			wantRows(t, c.name, b, c.records)
			if len(errs) != c.errors {
				t.Errorf("got errors %v, want %d", errs, c.errors)
			}
			if took > 10*time.Second { // four billion of anything take longer, a machine that is busy does not
				t.Errorf("took %v", took)
			}
			if used := after.TotalAlloc - before.TotalAlloc; used > 8<<20 {
				t.Errorf("allocated %d bytes", used)
			}
		})
	}
}

// What is whole in a datagram that was cut is decoded, and nothing else: for
// every cut of a datagram, as many records as there are whole ones.
func TestCutDatagrams(t *testing.T) {
	for _, c := range []struct {
		name     string
		template []byte
		data     []byte
		head     int // bytes before the first record
		record   int
	}{
		{"v5", nil, datagram5(4), 24, 48},
		{"v9", v9(0, set(0, templateUsual)), v9(0, dataUsual), 24, 55},
		{"IPFIX", ipfix(0, set(2, templateUsual)), ipfix(0, dataUsual), 20, 55},
	} {
		for n := range c.data {
			d := NewDecoder(DecoderOptions{})
			if c.template != nil {
				_, _ = decodeAll(d, addrN(1, 1), c.template)
			}
			b, errs := decodeAll(d, addrN(1, 1), c.data[:n])
			if want := max(0, (n-c.head)/c.record); b.Len() != want {
				t.Fatalf("%s: %d of %d bytes: got %d records, want %d", c.name, n, len(c.data), b.Len(), want)
			}
			if len(errs) == 0 && n != 20 { // a v9 header alone is a datagram without sets
				t.Fatalf("%s: %d of %d bytes: got no error", c.name, n, len(c.data))
			}
		}
	}
}

// A bad set does not take its neighbours with it.
func TestSetsBesideBadOnes(t *testing.T) {
	d := NewDecoder(DecoderOptions{})
	b, errs := decodeAll(d, addrN(1, 1),
		v9(0, set(0, templateUsual), set(7, []byte{1, 2, 3, 4}), dataUsual, set(0, wire(256, 0)), dataUsual))
	wantRows(t, "sets", b, 10)
	if len(errs) != 1 || d.Stats().Total.BadDatagrams != 1 {
		t.Errorf("got errors %v, want the first one of one datagram", errs)
	}
	st := d.Stats().Total
	if st.Error(ReasonSetID) != 1 || st.Error(ReasonTemplate) != 1 {
		t.Errorf("got %d set_id, %d template, want 1 and 1", st.Error(ReasonSetID), st.Error(ReasonTemplate))
	}
}

// Bytes behind the end of an IPFIX message are no part of it.
func TestTrailingBytes(t *testing.T) {
	d := NewDecoder(DecoderOptions{})
	p := ipfix(0, set(2, templateUsual), dataUsual)
	b, errs := decodeAll(d, addrN(1, 1), append(p, dataUsual...))
	wantRows(t, "message", b, 5)
	if len(errs) != 1 || d.Stats().Total.Error(ReasonTrailing) != 1 {
		t.Errorf("got errors %v, want trailing", errs)
	}
}

// What is left behind the last record of a set is padding up to 7 bytes, or if it
// is zero; else it is a record that was cut, whatever the template describes.
func TestBytesBehindTheLastRecord(t *testing.T) {
	addrs := wire(uint32(1), uint32(2))
	for _, kind := range []struct {
		name     string
		template []byte // of id 400
		record   []byte
	}{
		{"fixed", set(2, templateOf(400, 8, 4, 12, 4, 1, 8)), wire(addrs, uint64(3))},
		{"variable", set(2, templateOf(400, 8, 4, 12, 4, 82, 0xffff, 1, 8)), wire(addrs, uint8(0), uint64(3))},
		{"options", set(3, wire(400, 2, 1, 10, 4, 82, 12)), wire(uint32(7), "eth000000000")},
		{"options of variable length", set(3, wire(400, 3, 1, 10, 4, 82, 0xffff, 83, 8)), wire(uint32(7), uint8(4), "eth0", "the name")},
		{"no flow", set(2, templateOf(400, 82, 12, 83, 4)), wire("eth000000000", "name")},
	} {
		for _, c := range []struct {
			name    string
			records int
			rest    []byte
			want    uint64 // errors
		}{
			{"nothing", 2, nil, 0},
			{"4 bytes, not zero", 2, []byte{1, 2, 3, 4}, 0},
			{"12 zero bytes", 2, make([]byte, 12), 0},
			{"12 bytes of a record", 2, kind.record[:12], 1},
			{"12 bytes of a record, alone", 0, kind.record[:12], 1},
			{"4 bytes of a record, alone", 0, kind.record[:4], 1},
		} {
			d := NewDecoder(DecoderOptions{})
			body := append(bytes.Repeat(kind.record, c.records), c.rest...)
			_, errs := decodeAll(d, addrN(1, 1), ipfix(0, kind.template), ipfix(0, set(400, body)))
			st := d.Stats().Total
			if got := st.Error(ReasonRecord); got != c.want || len(errs) != int(c.want) {
				t.Errorf("%s, %s: got %d of record and errors %v, want %d", kind.name, c.name, got, errs, c.want)
			}
			if got := st.Records + st.OptionsRecords + st.Error(ReasonNoFlow); got != uint64(c.records) {
				t.Errorf("%s, %s: got %d records, want %d", kind.name, c.name, got, c.records)
			}
		}
	}
}

// The version word decides, not the port, and each exporter is counted by
// itself.
func TestVersionsOfOneSource(t *testing.T) {
	d := NewDecoder(DecoderOptions{})
	sample := flowSampleOf(1, 2, rawRecord(11, 100, ipv4Of(protoTCP, 0, nil, tcpOf())))
	v7 := append(datagram5(1), 192, 0, 2, 9)
	v7[1] = 7
	v1 := wire(1, 1, uint32(builtUptime), uint32(builtExport), uint32(0), datagram5(1)[24:24+36],
		make([]byte, 2), uint8(17), uint8(4), uint8(0x12), make([]byte, 11))
	b, errs := decodeAll(d, addrN(1, 1), v1, datagram5(1), v7, v9(0, set(0, templateUsual), dataUsual),
		ipfix(0, set(2, templateUsual), dataUsual), sflowDatagram(sample))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	for row, want := range []uint64{1, 5, 7, 9, 9, 9, 9, 9, 10, 10, 10, 10, 10, 105} {
		if got := b.GetNum(flow.Version, row); got != want {
			t.Errorf("row %d: got version %d, want %d", row, got, want)
		}
	}
	wantNum(t, b, 0, flow.Proto, 17)
	wantNum(t, b, 0, flow.TCPFlags, 0x12)
	wantNum(t, b, 0, flow.DstPort, 443)
	wantNum(t, b, 2, flow.End, testTime-10_000)
	if got := d.Stats().Exporters[0].Records; got != 14 {
		t.Errorf("got %d records counted, want 14", got)
	}
}
