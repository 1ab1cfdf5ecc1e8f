package collector

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"net/netip"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

var captureTime = time.Date(2026, 11, 22, 14, 0, 0, 123_000_000, time.UTC)

// pcapOf makes a pcap file of the given link type, a packet a millisecond.
func pcapOf(t testing.TB, link layers.LinkType, packets ...[]byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := pcapgo.NewWriter(&buf)
	if err := w.WriteFileHeader(65536, link); err != nil {
		t.Fatal(err)
	}
	for i, p := range packets {
		info := gopacket.CaptureInfo{Timestamp: captureTime.Add(time.Duration(i) * time.Millisecond), CaptureLength: len(p), Length: len(p)}
		if err := w.WritePacket(info, p); err != nil {
			t.Fatal(err)
		}
	}
	return buf.Bytes()
}

// read reads a capture whole.
func readAll(data []byte) ([]Datagram, error) {
	var all []Datagram
	err := ReadCapture(bytes.NewReader(data), func(g Datagram) error {
		g.Payload = append([]byte(nil), g.Payload...)
		all = append(all, g)
		return nil
	})
	return all, err
}

// udpOf makes a UDP datagram from port 4711 to 2055.
func udpOf(payload []byte) []byte { return wire(4711, 2055, 8+len(payload), 0, payload) }

func TestLinkTypes(t *testing.T) {
	payload := []byte("netflow")
	v4, v6 := ipv4Of(protoUDP, 0, nil, udpOf(payload)), ipv6Of(protoUDP, udpOf(payload))
	for _, c := range []struct {
		name  string
		link  layers.LinkType
		frame []byte
		v6    bool
	}{
		{"Ethernet", 1, ethernetOf(wire(etherIPv4), v4), false},
		{"Ethernet, IPv6", 1, ethernetOf(wire(etherIPv6), v6), true},
		{"VLAN", 1, ethernetOf(wire(etherVLAN, 5, etherIPv4), v4), false},
		{"QinQ", 1, ethernetOf(wire(etherQinQ, 5, etherVLAN, 6, etherIPv6), v6), true},
		{"PPPoE", 1, ethernetOf(wire(etherPPPoE, 0x1100, 1, 42, 0x0021), v4), false},
		{"MPLS", 1, ethernetOf(wire(etherMPLS, uint32(0x01000140)), v4), false},
		{"Ethernet padding", 1, ethernetOf(wire(etherIPv4), v4, make([]byte, 20)), false},
		{"IP options", 1, ethernetOf(wire(etherIPv4), ipv4Of(protoUDP, 0, []byte{1, 1, 1, 1}, udpOf(payload))), false},
		{"hop-by-hop", 101, ipv6Of(0, wire(uint8(protoUDP), uint8(0), make([]byte, 6), udpOf(payload))), true},
		{"raw", 101, v4, false}, {"raw BSD", 12, v6, true}, {"raw 14", 14, v4, false}, {"IPv4", 228, v4, false}, {"IPv6", 229, v6, true},
		{"null", 0, append([]byte{2, 0, 0, 0}, v4...), false},
		{"loop", 108, append([]byte{0, 0, 0, 24}, v6...), true},
		{"PPP", 9, append([]byte{0xff, 3, 0, 0x21}, v4...), false},
		{"PPP, compressed", 9, append([]byte{0, 0x57}, v6...), true},
		{"Linux cooked", 113, append(wire(make([]byte, 14), etherIPv4), v4...), false},
		{"Linux cooked 2", 276, append(wire(etherIPv6, make([]byte, 18)), v6...), true},
		{"802.11", 105, append(append([]byte{0x88, 1}, make([]byte, 24)...), wire([]byte{0xaa, 0xaa, 3, 0, 0, 0}, etherIPv4, v4)...), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := readAll(pcapOf(t, c.link, c.frame))
			if err != nil || len(got) != 1 {
				t.Fatalf("got %d datagrams, %v, want 1", len(got), err)
			}
			src := netip.MustParseAddr("192.0.2.1")
			if c.v6 {
				src = netip.MustParseAddr("2001:db8::1")
			}
			if got[0].Src != netip.AddrPortFrom(src, 4711) || got[0].Dst.Port() != 2055 {
				t.Errorf("got %v to %v", got[0].Src, got[0].Dst)
			}
			if string(got[0].Payload) != string(payload) {
				t.Errorf("got payload %q, want %q", got[0].Payload, payload)
			}
			if !got[0].Time.Equal(captureTime) {
				t.Errorf("got time %v, want %v", got[0].Time, captureTime)
			}
			for n := range c.frame { // every cut is read without a panic
				_, _ = readAll(pcapOf(t, c.link, c.frame[:n:n]))
			}
		})
	}
}

func TestPcapNG(t *testing.T) {
	var buf bytes.Buffer
	w, err := pcapgo.NewNgWriter(&buf, layers.LinkTypeEthernet)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := w.AddInterface(pcapgo.NgInterface{LinkType: linkRawOther})
	if err != nil {
		t.Fatal(err)
	}
	v4 := ipv4Of(protoUDP, 0, nil, udpOf([]byte("one")))
	for i, frame := range [][]byte{ethernetOf(wire(etherIPv4), v4), v4} {
		info := gopacket.CaptureInfo{Timestamp: captureTime, CaptureLength: len(frame), Length: len(frame), InterfaceIndex: i * raw}
		if err := w.WritePacket(info, frame); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	got, err := readAll(buf.Bytes())
	if err != nil || len(got) != 2 {
		t.Fatalf("got %d datagrams, %v, want 2: interfaces of different link types", len(got), err)
	}
}

// ngBlock makes a block of a pcapng file, big-endian.
func ngBlock(kind uint32, body []byte) []byte {
	for len(body)%4 != 0 {
		body = append(body, 0)
	}
	size := uint32(12 + len(body))
	return wire(kind, size, body, size)
}

// ngOf makes a pcapng file of raw IP packets with the given options of its
// interface, one packet at each time.
func ngOf(options, packet []byte, times ...uint64) []byte {
	file := ngBlock(0x0a0d0d0a, wire(uint32(0x1a2b3c4d), 1, 0, ^uint64(0)))
	file = append(file, ngBlock(1, wire(linkRawOther, 0, uint32(65535), options))...)
	for _, at := range times {
		n := uint32(len(packet))
		file = append(file, ngBlock(6, wire(uint32(0), at, n, n, packet))...)
	}
	return file
}

// A packet whose time no archive has an hour for is left out and counted.
func TestMisdatedPackets(t *testing.T) {
	packet := ipv4Of(protoUDP, 0, nil, udpOf([]byte("x")))
	const year10000 = (maxTimeMS + 1) * 1000 // us
	seconds := wire(9, 1, uint8(0x80), []byte{0, 0, 0})
	offset := func(seconds int64) []byte { return wire(14, 8, uint64(seconds)) }
	for _, c := range []struct {
		name     string
		file     []byte
		want     int
		misdated int
	}{
		{"microseconds", ngOf(nil, packet, 0, 1, year10000-1), 3, 0},
		{"after 9999", ngOf(nil, packet, year10000, 1<<63-1, ^uint64(0)), 0, 3},
		{"in between", ngOf(nil, packet, 1<<60, 1, year10000, 2), 2, 2},
		{"seconds of 64 bits", ngOf(seconds, packet, 1, year10000/1_000_000, 1<<62, 1<<63-1, 1<<63, ^uint64(0)), 1, 5},
		{"offset to before 1970", ngOf(offset(-2), packet, 0, 1_999_999, 2_000_000), 1, 2},
		{"offset to after 9999", ngOf(offset(year10000/1_000_000), packet, 0), 0, 1},
		{"no time", append(ngOf(nil, nil), ngBlock(3, wire(uint32(len(packet)), packet))...), 0, 1},
		{"of no UDP", ngOf(nil, []byte{0x45}, year10000, 1), 0, 1},
		{"pcap", pcapOf(t, 101, packet, packet), 2, 0},
	} {
		got, err := readAll(c.file)
		if len(got) != c.want {
			t.Errorf("%s: got %d datagrams, want %d", c.name, len(got), c.want)
		}
		var lacks *CaptureError
		if misdated := errors.As(err, &lacks); misdated != (c.misdated > 0) || misdated && (lacks.Misdated != c.misdated || lacks.Err != nil) {
			t.Errorf("%s: got error %v, want %d misdated", c.name, err, c.misdated)
		}
	}
	whole := ngOf(nil, packet, year10000, 1)
	var lacks *CaptureError
	if _, err := readAll(whole[:len(whole)-1]); !errors.As(err, &lacks) || lacks.Misdated != 1 || lacks.Err == nil {
		t.Errorf("a file that breaks off: got error %v, want it and 1 misdated", err)
	}
}

func TestGzippedCapture(t *testing.T) {
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	_, _ = z.Write(pcapOf(t, 101, ipv4Of(protoUDP, 0, nil, udpOf([]byte("x")))))
	z.Close()
	if got, err := readAll(buf.Bytes()); err != nil || len(got) != 1 {
		t.Errorf("got %d datagrams, %v, want 1", len(got), err)
	}
}

// fragment4 makes the fragment of an IPv4 packet with identification id.
func fragment4(id, off int, more bool, body []byte) []byte {
	flags := off / 8
	if more {
		flags |= 0x2000
	}
	b := ipv4Of(protoUDP, flags, nil, body)
	binary.BigEndian.PutUint16(b[4:], uint16(id))
	return b
}

func TestFragments(t *testing.T) {
	payload := make([]byte, 3000)
	for i := range payload {
		payload[i] = byte(i * 7)
	}
	udp := udpOf(payload)
	parts := [][]byte{fragment4(1, 0, true, udp[:1400]), fragment4(1, 1400, true, udp[1400:2800]), fragment4(1, 2800, false, udp[2800:])}
	for _, order := range [][]int{{0, 1, 2}, {2, 1, 0}, {1, 2, 0}} {
		var packets [][]byte
		for _, i := range order {
			packets = append(packets, parts[i])
		}
		got, err := readAll(pcapOf(t, 101, packets...))
		if err != nil || len(got) != 1 || !bytes.Equal(got[0].Payload, payload) {
			t.Errorf("order %v: got %d datagrams, %v", order, len(got), err)
		}
	}
	six := func(off int, more int, body []byte) []byte {
		return ipv6Of(44, wire(uint8(protoUDP), uint8(0), off|more, uint32(9), body))
	}
	got, err := readAll(pcapOf(t, 101, six(0, 1, udp[:1448]), six(1448, 0, udp[1448:])))
	if err != nil || len(got) != 1 || !bytes.Equal(got[0].Payload, payload) {
		t.Errorf("IPv6: got %d datagrams, %v", len(got), err)
	}
	var incomplete *CaptureError
	got, err = readAll(pcapOf(t, 101, parts[0], parts[2]))
	if len(got) != 0 || !errors.As(err, &incomplete) || incomplete.Incomplete != 1 {
		t.Errorf("one missing: got %d datagrams, %v", len(got), err)
	}
	got, err = readAll(pcapOf(t, 101, parts[0], fragment4(1, 1392, true, udp[1392:2800]), parts[2]))
	if len(got) != 0 || err == nil {
		t.Errorf("overlapping: got %d datagrams, %v", len(got), err)
	}
	var flood [][]byte
	for id := range 5000 {
		flood = append(flood, fragment4(id, 0, true, udp[:1400]))
	}
	f := newFragments()
	c := captured{time: captureTime, fragments: f, fn: func(Datagram) error { return nil }}
	for _, p := range flood {
		_ = c.ip(p)
	}
	if len(f.parts) > maxFragmented || f.incomplete() != 5000 {
		t.Errorf("got %d packets in the making, %d incomplete, want at most %d and 5000", len(f.parts), f.incomplete(), maxFragmented)
	}
}

// Of a file that breaks off, what is whole is read, and the error says where.
func TestTruncatedCapture(t *testing.T) {
	packet := ipv4Of(protoUDP, 0, nil, udpOf([]byte("whole")))
	whole := pcapOf(t, 101, packet, packet, packet)
	record := 16 + len(packet)
	for n := 24; n < len(whole); n++ {
		got, err := readAll(whole[:n])
		if want := (n - 24) / record; len(got) != want {
			t.Fatalf("%d of %d bytes: got %d datagrams, want %d", n, len(whole), len(got), want)
		}
		var broken *CaptureError
		if (n-24)%record == 0 {
			if err != nil {
				t.Fatalf("%d of %d bytes: %v", n, len(whole), err)
			}
		} else if !errors.As(err, &broken) || broken.Packets != (n-24)/record || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("%d of %d bytes: got error %v", n, len(whole), err)
		}
	}
	for _, data := range [][]byte{nil, {1}, []byte("not a capture at all, but long enough"), {0x0a, 0x0d, 0x0d, 0x0a}, whole[:20], {0x1f, 0x8b, 0, 0}} {
		if _, err := readAll(data); !errors.Is(err, ErrNotCapture) {
			t.Errorf("%q: got %v, want ErrNotCapture", data, err)
		}
	}
}

func TestCaptureCallbackError(t *testing.T) {
	stop := errors.New("stop")
	packet := ipv4Of(protoUDP, 0, nil, udpOf([]byte("x")))
	err := ReadCapture(bytes.NewReader(pcapOf(t, 101, packet, packet)), func(Datagram) error { return stop })
	if err != stop {
		t.Errorf("got %v, want the callback's error as it is", err)
	}
}
