//go:build linux

package collector

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// reusePort says that several sockets can share a port.
const reusePort = true

const (
	messagesPerRead = 64
	controlSpace    = 64 // bytes, for SO_RXQ_OVFL
)

// A message header of recvmmsg(2).
type mmsghdr struct {
	hdr unix.Msghdr
	len uint32
}

// A socket receives many datagrams with one system call. Its messages are valid
// until the next read. It is used by one goroutine; dropped by any.
//
// Its descriptor blocks, and the runtime's poller does not know it: the poller
// would be woken for every datagram, although a thousand are read at a time.
type socket struct {
	fd      int
	addr    net.Addr
	wait    time.Duration // of a read, as the system knows it
	dropped atomic.Uint64 // datagrams the kernel dropped for want of room
	granted int           // bytes of receive buffer; 0: not known
	told    uint64        // of dropped, as the ledger knows; the keeper's

	headers  [messagesPerRead]mmsghdr
	iovecs   [messagesPerRead]unix.Iovec
	names    [messagesPerRead]unix.RawSockaddrInet6
	controls [messagesPerRead][controlSpace]byte
	buffers  []byte
	overflow uint32 // SO_RXQ_OVFL as last seen
	count    int    // messages of the last read
}

// openSocket binds a UDP socket. An address without a host takes both families.
func openSocket(addr string, receiveBuffer int, share bool) (*socket, error) {
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		controlErr := c.Control(func(fd uintptr) {
			if share {
				err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
			}
			// Both buffer options may be refused or cut by the system's limits, and
			// the overflow count is a comfort: reception goes on without.
			if unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer) != nil {
				_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer)
			}
			_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RXQ_OVFL, 1)
		})
		return errors.Join(controlErr, err)
	}}
	conn, err := config.ListenPacket(context.Background(), "udp", addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close() // the duplicate keeps the socket
	s := &socket{addr: conn.LocalAddr(), buffers: make([]byte, messagesPerRead*maxDatagram)}
	if s.fd, err = duplicate(conn.(*net.UDPConn)); err != nil {
		return nil, err
	}
	for i := range s.headers {
		s.iovecs[i].Base = &s.buffers[i*maxDatagram]
		s.iovecs[i].SetLen(maxDatagram)
		h := &s.headers[i].hdr
		h.Iov = &s.iovecs[i]
		h.SetIovlen(1)
		h.Name = (*byte)(unsafe.Pointer(&s.names[i]))
		h.Control = &s.controls[i][0]
	}
	// The kernel tells twice what it was asked for, to count its own overhead.
	if n, err := unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_RCVBUF); err == nil {
		s.granted = n / 2
	}
	return s, nil
}

// duplicate returns another descriptor of a connection, one that blocks.
func duplicate(conn *net.UDPConn) (fd int, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return -1, err
	}
	controlErr := raw.Control(func(of uintptr) {
		if fd, err = unix.FcntlInt(of, unix.F_DUPFD_CLOEXEC, 0); err == nil {
			err = unix.SetNonblock(fd, false)
		}
	})
	if err = errors.Join(controlErr, os.NewSyscallError("dup", err)); err != nil {
		return -1, err
	}
	return fd, nil
}

// close gives the port up. No read may be under way.
func (s *socket) close() {
	if s.fd >= 0 {
		_ = unix.Close(s.fd)
		s.fd, s.buffers = -1, nil
	}
}

// mute lets nothing more in, and leaves what is there to be read: connected to
// somebody who never sends, the socket gets no one else's datagrams, and another
// one with the same port, that is wider or narrower, gets them. A system that
// refuses costs what comes in between the last read and close.
func (s *socket) mute() {
	const discard = 9 // RFC 863
	var to unix.Sockaddr = &unix.SockaddrInet6{Port: discard, Addr: netip.IPv6Loopback().As16()}
	if a, ok := s.addr.(*net.UDPAddr); ok && a.IP.To4() != nil {
		to = &unix.SockaddrInet4{Port: discard, Addr: [4]byte{127, 0, 0, 1}}
	}
	_ = unix.Connect(s.fd, to)
}

// receive takes what is there. Unless flags say otherwise it waits for a first
// message.
func (s *socket) receive(flags uintptr) syscall.Errno {
	for i := range s.headers {
		s.headers[i].hdr.Namelen = unix.SizeofSockaddrInet6
		s.headers[i].hdr.SetControllen(controlSpace)
	}
	n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(s.fd), uintptr(unsafe.Pointer(&s.headers[0])),
		messagesPerRead, flags, 0, 0)
	s.count = 0
	if errno == 0 {
		s.count = int(n)
		s.noteDrops()
	}
	return errno
}

// A socket that was read to its end rests a little, if its buffer is large
// enough for what may come meanwhile: to be woken costs more than to read.
const (
	restFor    = time.Millisecond
	restBuffer = 1 << 20 // bytes
)

// longestRead is how long a read waits at most; the end of Run waits for it.
const longestRead = 100 * time.Millisecond

// read waits for datagrams for at most about the given time and returns how
// many there are, 0 after that time.
func (s *socket) read(wait time.Duration) (int, error) {
	if wait = min(wait, longestRead); wait != s.wait {
		limit := unix.NsecToTimeval(wait.Nanoseconds())
		if err := unix.SetsockoptTimeval(s.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit); err != nil {
			return 0, os.NewSyscallError("setsockopt", err)
		}
		s.wait = wait
	}
	if s.count > 0 && s.count < messagesPerRead && s.granted >= restBuffer {
		time.Sleep(restFor)
	}
	switch errno := s.receive(unix.MSG_WAITFORONE); errno {
	case 0, unix.EINTR:
		return s.count, nil
	case unix.EAGAIN:
		s.askDrops()
		return 0, nil
	case unix.ENOBUFS, unix.ENOMEM: // the system is short of memory, for now
		time.Sleep(10 * time.Millisecond)
		return 0, nil
	default:
		return 0, os.NewSyscallError("recvmmsg", errno)
	}
}

// drain returns how many datagrams are there now.
func (s *socket) drain() int {
	for s.receive(unix.MSG_DONTWAIT) == unix.EINTR {
	}
	if s.count == 0 {
		s.askDrops()
	}
	return s.count
}

// message returns the source and the bytes of a datagram of the last read.
func (s *socket) message(i int) (netip.AddrPort, []byte) {
	name := &s.names[i]
	port := binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(&name.Port))[:])
	length := min(int(s.headers[i].len), maxDatagram)
	payload := s.buffers[i*maxDatagram : i*maxDatagram+length]
	if name.Family == unix.AF_INET {
		v4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(name))
		return netip.AddrPortFrom(netip.AddrFrom4(v4.Addr), port), payload
	}
	return netip.AddrPortFrom(netip.AddrFrom16(name.Addr).Unmap(), port), payload
}

// noteDrops takes the kernel's count of dropped datagrams out of the last
// message. The kernel sends it with every datagram once it is not zero.
func (s *socket) noteDrops() {
	if s.count == 0 {
		return
	}
	h := &s.headers[s.count-1].hdr
	if h.Controllen < unix.SizeofCmsghdr+4 {
		return
	}
	c := (*unix.Cmsghdr)(unsafe.Pointer(h.Control))
	if c.Level != unix.SOL_SOCKET || c.Type != unix.SO_RXQ_OVFL {
		return
	}
	at := unix.CmsgLen(0)
	s.noteCount(binary.NativeEndian.Uint32(s.controls[s.count-1][at : at+4]))
}

// noteCount takes over the kernel's count, which has 32 bits and wraps. One that
// came with a datagram may be older than the one that was asked for before.
func (s *socket) noteCount(drops uint32) {
	if more := int32(drops - s.overflow); more > 0 {
		s.dropped.Add(uint64(more))
		s.overflow = drops
	}
}

// askDrops asks the kernel for its count: no datagram may come to bring it.
func (s *socket) askDrops() {
	const drops = 8 // the place of the count among those of SO_MEMINFO
	var info [drops + 1]uint32
	size := uint32(unsafe.Sizeof(info))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(s.fd), unix.SOL_SOCKET, unix.SO_MEMINFO,
		uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
	if errno == 0 && size == uint32(unsafe.Sizeof(info)) { // kernels before 4.12 do not know it
		s.noteCount(info[drops])
	}
}
