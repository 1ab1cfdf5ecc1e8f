package bench

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"
	"time"
)

// Ports that collectors listen on by custom.
const (
	PortNetFlow = 2055
	PortSFlow   = 6343
)

// Stats count what was written or sent.
type Stats struct {
	Records   int64
	Datagrams int64
	Bytes     int64 // of UDP payload
	First     uint64
	Last      uint64 // simulated times of the first and last datagram, ms since the Unix epoch
	Elapsed   time.Duration
}

func (s *Stats) count(p *Packet) {
	if s.Datagrams == 0 {
		s.First = p.Time
	}
	s.Records += int64(p.Records)
	s.Datagrams++
	s.Bytes += int64(len(p.Payload))
	s.Last = p.Time
}

// WriteCapture writes the datagrams of o as a pcap file with Ethernet frames.
// Without o.Records it would not end, so that is an error.
func WriteCapture(w io.Writer, o Options) (Stats, error) {
	if o.Records <= 0 {
		return Stats{}, fmt.Errorf("write a capture of %d records: the number must be positive", o.Records)
	}
	began := time.Now()
	stats, _, err := New(o).WriteCapture(w, time.Time{})
	stats.Elapsed = time.Since(began)
	return stats, err
}

// WriteCapture writes datagrams as a pcap file with Ethernet frames: those up
// to and with the first that is sent at until or later, so that a long stream
// can be cut into captures and none of them takes more room than it should. A
// zero until means all there are. more says that there may be further ones.
// Each capture stands for itself: the exporters announce their templates in it.
func (g *Generator) WriteCapture(w io.Writer, until time.Time) (stats Stats, more bool, err error) {
	c := NewCaptureWriter(w)
	g.announce()
	for {
		p, ok := g.Next(nil)
		if !ok {
			return stats, false, c.Flush()
		}
		stats.count(&p)
		if err := c.Write(p.Time, p.Source(), p.Destination(), p.Payload); err != nil {
			return stats, true, err
		}
		if !until.IsZero() && p.Time >= ms(until) {
			return stats, true, c.Flush()
		}
	}
}

// Source returns the address and port that the datagram comes from.
func (p *Packet) Source() netip.AddrPort { return netip.AddrPortFrom(p.Exporter.Addr, 50000) }

// Destination returns the address and port that a capture says the datagram
// goes to.
func (p *Packet) Destination() netip.AddrPort {
	port := uint16(PortNetFlow)
	if p.Exporter.Format == SFlow5 {
		port = PortSFlow
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port)
}

// A CaptureWriter writes UDP datagrams over IPv4 to a pcap file:
//
//	file:   magic a1b2c3d4, version 2.4, zone 0, accuracy 0, snaplen, link type 1
//	packet: seconds 4, microseconds 4, length kept 4, length sent 4, frame
//	frame:  Ethernet 14, IPv4 20, UDP 8, payload
type CaptureWriter struct {
	w       *bufio.Writer
	started bool
	header  [16 + frameOverhead]byte
}

const (
	frameOverhead = 14 + 20 + 8
	snapLength    = 65535 + 14
)

// NewCaptureWriter returns a CaptureWriter. Flush must be called at the end.
func NewCaptureWriter(w io.Writer) *CaptureWriter {
	return &CaptureWriter{w: bufio.NewWriterSize(w, 1<<18)}
}

// Write writes one datagram with its time in ms since the Unix epoch. Both
// addresses must be IPv4.
func (c *CaptureWriter) Write(ms uint64, src, dst netip.AddrPort, payload []byte) error {
	if err := c.start(); err != nil {
		return err
	}
	if !src.Addr().Is4() || !dst.Addr().Is4() {
		return fmt.Errorf("write a datagram from %v to %v: not IPv4", src, dst)
	}
	h := c.header[:]
	putPacketHeader(h, ms, frameOverhead+len(payload), frameOverhead+len(payload))
	putFrame(h[16:], src, dst, len(payload))
	if _, err := c.w.Write(h); err != nil {
		return fmt.Errorf("write packet header: %w", err)
	}
	if _, err := c.w.Write(payload); err != nil {
		return fmt.Errorf("write packet: %w", err)
	}
	return nil
}

func (c *CaptureWriter) start() error {
	if c.started {
		return nil
	}
	c.started = true
	var h [24]byte
	binary.LittleEndian.PutUint32(h[0:], 0xa1b2c3d4)
	binary.LittleEndian.PutUint16(h[4:], 2)
	binary.LittleEndian.PutUint16(h[6:], 4)
	binary.LittleEndian.PutUint32(h[16:], snapLength)
	binary.LittleEndian.PutUint32(h[20:], 1)
	if _, err := c.w.Write(h[:]); err != nil {
		return fmt.Errorf("write capture header: %w", err)
	}
	return nil
}

// writeFrame writes a frame of which size bytes were on the wire.
func (c *CaptureWriter) writeFrame(ms uint64, frame []byte, size int) error {
	if err := c.start(); err != nil {
		return err
	}
	h := c.header[:16]
	putPacketHeader(h, ms, len(frame), size)
	if _, err := c.w.Write(h); err != nil {
		return fmt.Errorf("write packet header: %w", err)
	}
	if _, err := c.w.Write(frame); err != nil {
		return fmt.Errorf("write packet: %w", err)
	}
	return nil
}

func putPacketHeader(h []byte, ms uint64, kept, size int) {
	binary.LittleEndian.PutUint32(h[0:], uint32(ms/1000))
	binary.LittleEndian.PutUint32(h[4:], uint32(ms%1000*1000))
	binary.LittleEndian.PutUint32(h[8:], uint32(kept))
	binary.LittleEndian.PutUint32(h[12:], uint32(size))
}

// Flush writes what is buffered, and the file header if nothing came before.
func (c *CaptureWriter) Flush() error {
	if err := c.start(); err != nil {
		return err
	}
	if err := c.w.Flush(); err != nil {
		return fmt.Errorf("write capture: %w", err)
	}
	return nil
}

// putFrame writes Ethernet, IPv4 and UDP headers to h. The UDP checksum is left
// out (0), which IPv4 allows.
func putFrame(h []byte, src, dst netip.AddrPort, payload int) {
	copy(h, "\x02\x00\x00\x00\x00\x02\x02\x00\x00\x00\x00\x01\x08\x00")
	ip := h[14:34]
	ip[0], ip[1] = 0x45, 0
	binary.BigEndian.PutUint16(ip[2:], uint16(20+8+payload))
	binary.BigEndian.PutUint32(ip[4:], 0x4000) // don't fragment
	ip[8], ip[9] = 64, protoUDP
	ip[10], ip[11] = 0, 0
	s, d := src.Addr().As4(), dst.Addr().As4()
	copy(ip[12:], s[:])
	copy(ip[16:], d[:])
	binary.BigEndian.PutUint16(ip[10:], checksum(ip))
	udp := h[34:42]
	binary.BigEndian.PutUint16(udp[0:], src.Port())
	binary.BigEndian.PutUint16(udp[2:], dst.Port())
	binary.BigEndian.PutUint16(udp[4:], uint16(8+payload))
	udp[6], udp[7] = 0, 0
}

// checksum returns the Internet checksum (RFC 1071) of an even number of bytes.
func checksum(b []byte) uint16 {
	sum := uint32(0)
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(b[i])<<8 | uint32(b[i+1])
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
