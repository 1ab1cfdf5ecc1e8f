package collector

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// A Datagram is a UDP datagram out of a capture.
type Datagram struct {
	Time     time.Time // when it was captured; from 1970 to 9999
	Src, Dst netip.AddrPort
	Payload  []byte // valid until the callback returns
}

// A CaptureError says what of a capture could not be read. The rest was handed
// out all the same.
type CaptureError struct {
	Packets    int   // read before the fault, or in all
	Incomplete int   // IP packets of which fragments are missing
	Misdated   int   // packets with no time from 1970 to 9999, passed over
	Err        error // the fault; nil if the file was read to its end
}

// Error returns what is wrong and where.
func (e *CaptureError) Error() string {
	where := fmt.Sprintf("capture of %d packets", e.Packets)
	var wrong []string
	if e.Err != nil {
		where = fmt.Sprintf("read capture after packet %d", e.Packets)
		wrong = append(wrong, e.Err.Error())
	}
	if e.Incomplete > 0 {
		wrong = append(wrong, fmt.Sprintf("%d fragmented IP packets are incomplete", e.Incomplete))
	}
	if e.Misdated > 0 {
		wrong = append(wrong, fmt.Sprintf("%d packets have no time from 1970 to 9999 and are left out", e.Misdated))
	}
	return where + ": " + strings.Join(wrong, "; ")
}

// Unwrap returns the fault.
func (e *CaptureError) Unwrap() error { return e.Err }

// ErrNotCapture says that a file is neither pcap nor pcapng.
var ErrNotCapture = errors.New("neither pcap nor pcapng")

// ReadCapture reads a pcap or pcapng file, gzipped or not, and calls fn for
// every UDP datagram, in file order. IP fragments are put together, the datagram
// takes the time of the fragment that completes it. Packets that are not UDP are
// passed over, and so are those whose time cannot be: an archive has no hour for
// them. An error of fn ends the reading and is returned as it is; a file that
// breaks off, lacks fragments or has such times gives a *CaptureError at the end.
func ReadCapture(r io.Reader, fn func(Datagram) error) error {
	next, err := openCapture(r)
	if err != nil {
		return err
	}
	c := captured{fragments: newFragments(), fn: fn}
	misdated := 0
	for packets := 0; ; packets++ {
		data, link, when, err := next()
		if err != nil {
			e := &CaptureError{Packets: packets, Incomplete: c.fragments.incomplete(), Misdated: misdated}
			if !errors.Is(err, io.EOF) {
				e.Err = err
			} else if e.Incomplete == 0 && e.Misdated == 0 {
				return nil
			}
			return e
		}
		if !inArchive(when) {
			misdated++
			continue
		}
		c.time = when
		if err := c.frame(link, data); err != nil {
			return err
		}
	}
}

// inArchive reports whether a time is one that records can have been received
// at. It looks at seconds: the nanoseconds of what pcapng can write do not fit
// 64 bits. A simple packet block of pcapng has no time, which is the year 1.
func inArchive(t time.Time) bool {
	sec := t.Unix()
	return sec >= 0 && sec <= maxTimeMS/1000
}

// A nextPacket returns the next packet of a file, io.EOF at its end.
type nextPacket func() ([]byte, layers.LinkType, time.Time, error)

// openCapture finds out the format of a file and opens it.
func openCapture(r io.Reader) (nextPacket, error) {
	br := bufio.NewReaderSize(r, 1<<16)
	magic, err := br.Peek(4)
	if err != nil {
		return nil, fmt.Errorf("%w: file of %d bytes", ErrNotCapture, len(magic))
	}
	if magic[0] == 0x1f && magic[1] == 0x8b {
		return openGzip(br)
	}
	if binary.BigEndian.Uint32(magic) == 0x0a0d0d0a {
		ng, err := pcapgo.NewNgReader(br, pcapgo.NgReaderOptions{WantMixedLinkType: true, SkipUnknownVersion: true})
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrNotCapture, err)
		}
		return func() ([]byte, layers.LinkType, time.Time, error) {
			data, info, err := ng.ZeroCopyReadPacketData()
			link, _ := linkOf(info)
			return data, link, info.Timestamp, err
		}, nil
	}
	old, err := pcapgo.NewReader(br)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotCapture, err)
	}
	return func() ([]byte, layers.LinkType, time.Time, error) {
		data, info, err := old.ZeroCopyReadPacketData()
		if err == io.EOF && info.Length > 0 { // between a packet's header and its bytes
			err = io.ErrUnexpectedEOF
		}
		return data, old.LinkType(), info.Timestamp, err
	}, nil
}

func linkOf(info gopacket.CaptureInfo) (layers.LinkType, bool) {
	if len(info.AncillaryData) == 0 {
		return 0, false
	}
	link, ok := info.AncillaryData[0].(layers.LinkType)
	return link, ok
}

// captured hands out the datagrams of a capture.
type captured struct {
	time      time.Time
	fragments *fragments
	fn        func(Datagram) error
}

// Link types that gopacket has no names for (www.tcpdump.org/linktypes.html).
const (
	linkRawBSD   = 12
	linkRawOld   = 14
	linkRawOther = 101
	linkIPv4     = 228
	linkIPv6     = 229
)

// frame finds the IP packet in a frame of the given link type. Other protocols
// are passed over.
func (c *captured) frame(link layers.LinkType, b []byte) error {
	switch link {
	case layers.LinkTypeEthernet:
		return c.ethernet(b)
	case linkRawBSD, linkRawOld, linkRawOther, linkIPv4, linkIPv6:
		return c.ip(b)
	case layers.LinkTypeNull, layers.LinkTypeLoop:
		return c.ip(skip(b, 4)) // an address family, in one byte order or the other
	case layers.LinkTypePPP, layers.LinkType(50), layers.LinkType(51): // PPP, PPP_SERIAL, PPP_ETHER
		return c.ppp(link, b)
	case layers.LinkTypeLinuxSLL:
		return c.ether(at16(b, 14), skip(b, 16))
	case layers.LinkTypeLinuxSLL2:
		return c.ether(at16(b, 0), skip(b, 20))
	case layers.LinkTypeIEEE802_11:
		return c.wireless(b)
	}
	return nil
}

// wireless reads an unencrypted 802.11 data frame with an LLC/SNAP header.
func (c *captured) wireless(b []byte) error {
	if len(b) < 24 || b[0]>>2&3 != 2 || b[1]&0x40 != 0 {
		return nil
	}
	size := 24
	if b[1]&3 == 3 { // four addresses
		size += 6
	}
	if b[0]&0x80 != 0 { // QoS
		size += 2
	}
	rest, ether := llcSnap(skip(b, size))
	return c.ether(ether, rest)
}

func (c *captured) ethernet(b []byte) error {
	ether := at16(b, 12)
	b = skip(b, 14)
	if ether < 0x600 {
		b, ether = llcSnap(b)
	}
	return c.ether(ether, b)
}

// ether reads what follows an EtherType.
func (c *captured) ether(ether uint16, b []byte) error {
	for ether == etherVLAN || ether == etherQinQ || ether == etherQinQOld {
		ether, b = at16(b, 2), skip(b, 4)
	}
	switch ether {
	case etherIPv4, etherIPv6:
		return c.ip(b)
	case etherPPPoE:
		return c.ppp(0, skip(b, 6))
	case etherMPLS, etherMPLSMult:
		for len(b) >= 4 {
			bottom := b[2]&1 != 0
			b = b[4:]
			if bottom {
				return c.ip(b)
			}
		}
	}
	return nil
}

func (c *captured) ppp(link layers.LinkType, b []byte) error {
	if link == 51 { // a PPPoE session header
		b = skip(b, 6)
	}
	if len(b) >= 2 && b[0] == 0xff && b[1] == 3 {
		b = b[2:]
	}
	switch at16(b, 0) {
	case 0x0021, 0x0057:
		return c.ip(skip(b, 2))
	}
	return nil
}

// ip reads an IPv4 or IPv6 packet up to its UDP header.
func (c *captured) ip(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	switch b[0] >> 4 {
	case 4:
		return c.ipv4(b)
	case 6:
		return c.ipv6(b)
	}
	return nil
}

func (c *captured) ipv4(b []byte) error {
	if len(b) < 20 {
		return nil
	}
	size, total := int(b[0]&15)*4, int(at16(b, 2))
	if total == 0 { // left to the network card
		total = len(b)
	}
	if size < 20 || total < size || len(b) < size || b[9] != protoUDP {
		return nil
	}
	src, dst := netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20]))
	body := b[size:min(total, len(b))]
	if flags := at16(b, 6); flags&0x3fff != 0 {
		key := fragmentKey{src, dst, uint32(at16(b, 4))}
		whole := c.fragments.add(key, c.time, int(flags&0x1fff)*8, flags&0x2000 != 0, body, total-size)
		if whole == nil {
			return nil
		}
		body = whole
	}
	return c.udp(src, dst, body)
}

func (c *captured) ipv6(b []byte) error {
	if len(b) < 40 {
		return nil
	}
	src, dst := netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
	next, size := b[6], int(at16(b, 4))
	body := b[40:min(40+size, len(b))]
	for {
		skipped := 0
		switch next {
		case protoUDP:
			return c.udp(src, dst, body)
		case ipv6HopByHop, ipv6Routing, ipv6DestOpts, ipv6Mobility, ipv6HIP, ipv6Shim6:
			skipped = int(at16(body, 0)&0xff)*8 + 8
		case ipv6AH:
			skipped = int(at16(body, 0)&0xff)*4 + 8
		case ipv6Fragment:
			return c.ipv6Fragment(src, dst, body, size)
		default:
			return nil
		}
		if skipped > len(body) {
			return nil
		}
		next, body, size = body[0], body[skipped:], size-skipped
	}
}

func (c *captured) ipv6Fragment(src, dst netip.Addr, body []byte, size int) error {
	if len(body) < 8 || body[0] != protoUDP {
		return nil
	}
	at := at16(body, 2)
	key := fragmentKey{src, dst, binary.BigEndian.Uint32(body[4:])}
	whole := c.fragments.add(key, c.time, int(at&0xfff8), at&1 != 0, body[8:], size-8)
	if whole == nil {
		return nil
	}
	return c.udp(src, dst, whole)
}

// udp hands out a datagram. One that the capture cut short is handed out as far
// as it is there; decoding says what is missing.
func (c *captured) udp(src, dst netip.Addr, b []byte) error {
	if len(b) < 8 {
		return nil
	}
	payload := b[8:]
	if n := int(at16(b, 4)); n >= 8 && n-8 < len(payload) {
		payload = payload[:n-8]
	}
	return c.fn(Datagram{
		Time:    c.time,
		Src:     netip.AddrPortFrom(src, at16(b, 0)),
		Dst:     netip.AddrPortFrom(dst, at16(b, 2)),
		Payload: payload,
	})
}

// at16 returns the 16 bits at an offset, 0 if they are not there.
func at16(b []byte, off int) uint16 {
	if len(b) < off+2 {
		return 0
	}
	return binary.BigEndian.Uint16(b[off:])
}

// skip returns b without its first n bytes.
func skip(b []byte, n int) []byte { return b[min(n, len(b)):] }
