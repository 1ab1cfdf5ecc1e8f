package bench

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"weir/flow"
)

func TestWriteCapture(t *testing.T) {
	var file bytes.Buffer
	stats, err := WriteCapture(&file, Options{Seed: 3, Records: 5000, Rate: 1000})
	if err != nil {
		t.Fatal(err)
	}
	if stats.Records < 5000 || stats.Records > 5400 {
		t.Errorf("%d records, want about 5000", stats.Records)
	}
	start := uint64(DefaultStart.UnixMilli())
	if stats.First < start || stats.Last > start+6000 || stats.Last < start+4500 {
		t.Errorf("from %d to %d, want about the 5 s from %d", stats.First, stats.Last, start)
	}
	datagrams, payload := int64(0), int64(0)
	for b := file.Bytes()[24:]; len(b) > 0; datagrams++ {
		kept := int(binary.LittleEndian.Uint32(b[8:]))
		frame := b[16 : 16+kept]
		if sum := checksum(frame[14:34]); sum != 0 {
			t.Fatalf("datagram %d: IPv4 header checksum is off by %#x", datagrams, sum)
		}
		if size := int(binary.BigEndian.Uint16(frame[16:])); size != kept-14 {
			t.Fatalf("datagram %d: IPv4 length %d, want %d", datagrams, size, kept-14)
		}
		payload += int64(kept - frameOverhead)
		b = b[16+kept:]
	}
	if datagrams != stats.Datagrams || payload != stats.Bytes {
		t.Errorf("the file has %d datagrams, %d bytes; Stats say %d, %d", datagrams, payload, stats.Datagrams, stats.Bytes)
	}
}

func TestWriteCaptureNeedsAnEnd(t *testing.T) {
	if _, err := WriteCapture(io.Discard, Options{}); err == nil {
		t.Error("WriteCapture without Records: no error")
	}
}

// listen returns a UDP socket on a free loopback port.
func listen(t *testing.T) (*net.UDPConn, netip.AddrPort) {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetReadBuffer(4 << 20); err != nil {
		t.Fatal(err)
	}
	return conn, conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

// TestSend checks that what is sent is what a capture would hold, at the rate
// asked for.
func TestSend(t *testing.T) {
	conn, to := listen(t)
	o := Options{Seed: 5, Records: 2000, Rate: 10000, Start: DefaultStart}
	sent, err := Send(context.Background(), to, o)
	if err != nil {
		t.Fatal(err)
	}
	if sent.Elapsed < 150*time.Millisecond {
		t.Errorf("2000 records at 10000 a second took %v, want about 200 ms", sent.Elapsed)
	}
	g := New(o)
	buf := make([]byte, 65536)
	for i := range sent.Datagrams {
		p, ok := g.Next(nil)
		if !ok {
			t.Fatalf("%d datagrams sent, %d expected", sent.Datagrams, i)
		}
		if err := conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
			t.Fatal(err)
		}
		n, err := conn.Read(buf)
		if err != nil {
			t.Fatalf("datagram %d: %v", i, err)
		}
		if !bytes.Equal(buf[:n], p.Payload) {
			t.Fatalf("datagram %d is not the generator's", i)
		}
	}
}

func TestSendEndsWithItsContext(t *testing.T) {
	_, to := listen(t)
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	stats, err := Send(ctx, to, Options{Rate: 1000})
	if err != nil || stats.Elapsed > 5*time.Second {
		t.Errorf("Send returned %v after %v, want nil soon after its context is done", err, stats.Elapsed)
	}
}

// TestSenderWithoutAddress sends from an address that no machine has.
func TestSenderWithoutAddress(t *testing.T) {
	conn, to := listen(t)
	s := NewSender(to)
	defer s.Close()
	src := netip.MustParseAddr("192.0.2.99")
	if err := s.Send(src, []byte("x")); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Source(src); err != nil || !got.Addr().IsLoopback() {
		t.Errorf("Source = %v, %v, want a loopback address", got, err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if n, err := conn.Read(make([]byte, 10)); n != 1 || err != nil {
		t.Errorf("received %d bytes, %v, want 1", n, err)
	}
}

// TestTrafficIsRealistic holds the shares of the mix within bounds.
func TestTrafficIsRealistic(t *testing.T) {
	g := New(Options{Seed: 4, Records: 100_000, Exporters: UniformExporters(4, NetFlow9)})
	b := flow.NewBatch(1 << 17)
	for {
		if _, ok := g.Next(b); !ok {
			break
		}
	}
	count := map[string]int{}
	sources := map[flow.Addr]int{}
	for i := range b.Len() {
		src, dst := b.GetAddr(flow.SrcAddr, i), b.GetAddr(flow.DstAddr, i)
		sources[src]++
		note := func(what string, is bool) {
			if is {
				count[what]++
			}
		}
		note("scan", b.GetNum(flow.Proto, i) == protoTCP && b.GetNum(flow.TCPFlags, i) == flagSYN)
		note("IPv6", !src.Is4())
		note("out", IsInside(src) && !IsInside(dst))
		note("in", !IsInside(src) && IsInside(dst))
		note("foreign", !IsInside(src) && !IsInside(dst))
		note("backwards", b.GetNum(flow.End, i) < b.GetNum(flow.Start, i))
		note("too long", b.GetNum(flow.End, i)-b.GetNum(flow.Start, i) > activeTimeout)
		note("future", b.GetNum(flow.End, i) > b.GetNum(flow.Received, i))
		note("unordered", i > 0 && b.GetNum(flow.Received, i) < b.GetNum(flow.Received, i-1))
		note("thin packets", b.GetNum(flow.Bytes, i) < 20*b.GetNum(flow.Packets, i))
		note("empty", b.GetNum(flow.Packets, i) == 0)
	}
	for _, c := range []struct {
		what   string
		lo, hi int // in a thousand
	}{
		{"scan", 100, 140}, {"IPv6", 60, 100}, {"out", 350, 500}, {"in", 450, 600},
		{"foreign", 0, 0}, {"backwards", 0, 0}, {"too long", 0, 0}, {"future", 0, 0}, {"unordered", 0, 0},
		{"thin packets", 0, 0}, {"empty", 0, 0},
	} {
		if got := count[c.what] * 1000 / b.Len(); got < c.lo || got > c.hi || c.hi == 0 && count[c.what] > 0 {
			t.Errorf("%s: %d of %d records, want %d to %d in a thousand", c.what, count[c.what], b.Len(), c.lo, c.hi)
		}
	}
	most := 0
	for _, n := range sources {
		most = max(most, n)
	}
	if len(sources) < 15_000 || most < 1000 {
		t.Errorf("%d sources, the busiest with %d records: not Zipf's law", len(sources), most)
	}
}
