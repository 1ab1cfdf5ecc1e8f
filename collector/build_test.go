package collector

import (
	"encoding/binary"
	"net/netip"
)

// Builders of datagrams for tests.

// wire appends big-endian values: uint8, uint16, uint32, uint64, int (as 16
// bits), bytes and strings.
func wire(values ...any) []byte {
	var b []byte
	for _, v := range values {
		switch v := v.(type) {
		case uint8:
			b = append(b, v)
		case int:
			b = binary.BigEndian.AppendUint16(b, uint16(v))
		case uint16:
			b = binary.BigEndian.AppendUint16(b, v)
		case uint32:
			b = binary.BigEndian.AppendUint32(b, v)
		case uint64:
			b = binary.BigEndian.AppendUint64(b, v)
		case []byte:
			b = append(b, v...)
		case string:
			b = append(b, v...)
		case netip.Addr:
			b = append(b, v.AsSlice()...)
		default:
			panic("wire: unknown type")
		}
	}
	return b
}

// Times of the built headers.
const (
	builtExport = 1_700_000_000 // s
	builtUptime = 1_000_000     // ms
)

// set makes a set of the given id.
func set(id int, body ...[]byte) []byte {
	all := wire(id, 0)
	for _, b := range body {
		all = append(all, b...)
	}
	binary.BigEndian.PutUint16(all[2:], uint16(len(all)))
	return all
}

// v9 makes a v9 datagram of source id domain.
func v9(domain uint32, sets ...[]byte) []byte {
	p := wire(9, len(sets), uint32(builtUptime), uint32(builtExport), uint32(7), domain)
	for _, s := range sets {
		p = append(p, s...)
	}
	return p
}

// ipfix makes an IPFIX message.
func ipfix(domain uint32, sets ...[]byte) []byte {
	p := wire(10, 0, uint32(builtExport), uint32(7), domain)
	for _, s := range sets {
		p = append(p, s...)
	}
	binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
	return p
}

// templateOf makes a template record; fields are id, length, id, length, ...
// An element of an enterprise is written as id | 0x8000 with the number in pens.
func templateOf(id int, fields ...int) []byte {
	b := wire(id, len(fields)/2)
	for _, f := range fields {
		b = append(b, wire(f)...)
	}
	return b
}

// usualFields are the twenty fields of a usual router's template, 55 bytes.
var usualFields = []int{
	8, 4, 12, 4, 7, 2, 11, 2, 4, 1, 5, 1, 6, 1, 1, 4, 2, 4, 22, 4, 21, 4, 10, 4, 14, 4, 16, 4, 17, 4,
	9, 1, 13, 1, 15, 4, 61, 1, 89, 1,
}

// usualRecord makes a record of usualFields.
func usualRecord(i int) []byte {
	return wire(uint32(0x0a000000+i), uint32(0xc0a80000+i), 40000+i%1000, 443, uint8(protoTCP), uint8(0), uint8(0x1b),
		uint32(1500*(i+1)), uint32(i+1), uint32(900_000), uint32(990_000), uint32(10), uint32(20), uint32(64500), uint32(64501),
		uint8(24), uint8(16), uint32(0x0a0000fe), uint8(0), uint8(64))
}

func repeat(n int, record func(int) []byte) []byte {
	var b []byte
	for i := range n {
		b = append(b, record(i)...)
	}
	return b
}

// sflow makes an sFlow datagram.
func sflowDatagram(samples ...[]byte) []byte {
	p := wire(uint32(5), uint32(1), uint32(0xac100003), uint32(2), uint32(7), uint32(builtUptime), uint32(len(samples)))
	for _, s := range samples {
		p = append(p, s...)
	}
	return p
}

// xdrBlock makes a format, a length and the data.
func xdrBlock(format uint32, data ...[]byte) []byte {
	var all []byte
	for _, d := range data {
		all = append(all, d...)
	}
	for len(all)%4 != 0 {
		all = append(all, 0)
	}
	return append(wire(format, uint32(len(all))), all...)
}

// flowSampleOf makes a compact flow sample with sampling rate 1024.
func flowSampleOf(in, out uint32, records ...[]byte) []byte {
	data := wire(uint32(1), uint32(3), uint32(1024), uint32(0), uint32(0), in, out, uint32(len(records)))
	for _, r := range records {
		data = append(data, r...)
	}
	return xdrBlock(sampleFlow, data)
}

// rawRecord makes a record with a sampled header.
func rawRecord(protocol uint32, frameLen int, header []byte) []byte {
	return xdrBlock(1, wire(protocol, uint32(frameLen), uint32(4), uint32(len(header))), header)
}

// ethernetOf makes an Ethernet frame.
func ethernetOf(rest ...[]byte) []byte {
	b := wire([]byte{2, 0, 0, 0, 0, 1}, []byte{2, 0, 0, 0, 0, 2})
	for _, r := range rest {
		b = append(b, r...)
	}
	return b
}

// ipv4Of makes an IPv4 header, with its options, in front of the payload.
func ipv4Of(proto uint8, fragment int, options, payload []byte) []byte {
	b := wire(uint8(0x45+len(options)/4), uint8(0x08), 20+len(options)+len(payload), 0x1234, fragment, uint8(61), proto, 0,
		uint32(0xc0000201), uint32(0xc6336402))
	return append(append(b, options...), payload...)
}

// ipv6Of makes an IPv6 header in front of the payload.
func ipv6Of(next uint8, payload []byte) []byte {
	b := wire(uint32(0x6ab00000), len(payload), next, uint8(63),
		netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2"))
	return append(b, payload...)
}

func tcpOf() []byte {
	return wire(40000, 443, uint32(1), uint32(2), uint8(0x50), uint8(0x12), 100, 0, 0)
}
