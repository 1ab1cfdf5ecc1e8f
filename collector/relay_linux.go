package collector

import (
	"encoding/binary"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// A rawSocket writes IP packets whole, headers included. One goroutine uses it.
type rawSocket struct {
	fd     int
	packet []byte
}

// openRawSender opens a socket for packets to a target; it takes CAP_NET_RAW.
func openRawSender(to netip.AddrPort) (rawSender, error) {
	family := unix.AF_INET
	if !to.Addr().Unmap().Is4() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	return &rawSocket{fd: fd}, nil
}

func (r *rawSocket) close() { _ = unix.Close(r.fd) }

const (
	ipv4Header = 20
	ipv6Header = 40
	udpHeader  = 8
)

// send writes one packet. The kernel fills in total length, identification and
// checksum of an IPv4 header, and refuses a packet that is longer than the
// path's MTU.
//
//	IPv4   0 0x45 | 8 ttl, protocol 17 | 12 source | 16 destination
//	IPv6   0 0x60 | 4 payload length, next header 17, hop limit | 8 source | 24 destination
//	UDP    source port | destination port | length | checksum
func (r *rawSocket) send(src, dst netip.AddrPort, payload []byte) error {
	from, to := src.Addr().Unmap(), dst.Addr().Unmap()
	if from.Is4() != to.Is4() || from.Zone() != "" {
		return errOtherFamily
	}
	size := udpHeader + len(payload)
	head := ipv6Header
	if to.Is4() {
		head = ipv4Header
	}
	if size > maxDatagram || head == ipv4Header && size+head > maxDatagram {
		return unix.EMSGSIZE
	}
	p := append(r.packet[:0], make([]byte, head+udpHeader)...)
	if head == ipv4Header {
		p[0], p[8], p[9] = 0x45, 64, unix.IPPROTO_UDP
		copy(p[12:], from.AsSlice())
		copy(p[16:], to.AsSlice())
	} else {
		p[0], p[6], p[7] = 0x60, unix.IPPROTO_UDP, 64
		binary.BigEndian.PutUint16(p[4:], uint16(size))
		copy(p[8:], from.AsSlice())
		copy(p[24:], to.AsSlice())
	}
	udp := p[head:]
	binary.BigEndian.PutUint16(udp[0:], src.Port())
	binary.BigEndian.PutUint16(udp[2:], dst.Port())
	binary.BigEndian.PutUint16(udp[4:], uint16(size))
	p = append(p, payload...)
	r.packet = p
	binary.BigEndian.PutUint16(p[head+6:], udpChecksum(from, to, p[head:]))
	return os.NewSyscallError("sendto", unix.Sendto(r.fd, p, 0, r.sockaddr(to)))
}

// sockaddr returns where the packet goes; a raw socket has no port.
func (r *rawSocket) sockaddr(to netip.Addr) unix.Sockaddr {
	if to.Is4() {
		return &unix.SockaddrInet4{Addr: to.As4()}
	}
	return &unix.SockaddrInet6{Addr: to.As16()}
}

// udpChecksum is that of a datagram whose checksum is zero so far (RFC 768; RFC
// 8200, section 8.1).
func udpChecksum(from, to netip.Addr, udp []byte) uint16 {
	sum := uint64(unix.IPPROTO_UDP) + uint64(len(udp))
	add := func(b []byte) {
		for ; len(b) >= 2; b = b[2:] {
			sum += uint64(binary.BigEndian.Uint16(b))
		}
		if len(b) == 1 {
			sum += uint64(b[0]) << 8
		}
	}
	add(from.AsSlice())
	add(to.AsSlice())
	add(udp)
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	if sum == 0xffff {
		return 0xffff // zero would mean that there is none
	}
	return ^uint16(sum)
}
