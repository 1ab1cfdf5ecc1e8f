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
// until the next read. It is used by one goroutine; wake and dropped by any.
type socket struct {
	conn     *net.UDPConn
	raw      syscall.RawConn
	deadline time.Time
	dropped  atomic.Uint64 // datagrams the kernel dropped for want of room
	granted  int           // bytes of receive buffer; 0: not known
	told     uint64        // of dropped, as the ledger knows; the keeper\'s

	headers  [messagesPerRead]mmsghdr
	iovecs   [messagesPerRead]unix.Iovec
	names    [messagesPerRead]unix.RawSockaddrInet6
	controls [messagesPerRead][controlSpace]byte
	buffers  []byte
	overflow uint32 // SO_RXQ_OVFL as last seen

	count int           // result of receive
	errno syscall.Errno // result of receive
	poll  func(fd uintptr) bool
	once  func(fd uintptr)
	woken atomic.Bool
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
	s := &socket{conn: conn.(*net.UDPConn), buffers: make([]byte, messagesPerRead*maxDatagram)}
	if s.raw, err = s.conn.SyscallConn(); err != nil {
		conn.Close()
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
	// Made once: a closure for each read would be an allocation for each read.
	s.poll = func(fd uintptr) bool { s.receive(fd); return s.errno != unix.EAGAIN && s.errno != unix.EINTR }
	s.once = func(fd uintptr) {
		for s.errno = unix.EINTR; s.errno == unix.EINTR; {
			s.receive(fd)
		}
	}
	_ = s.raw.Control(func(fd uintptr) {
		// The kernel tells twice what it was asked for, to count its own overhead.
		if n, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF); err == nil {
			s.granted = n / 2
		}
	})
	return s, nil
}

// receive takes what is there, without waiting.
func (s *socket) receive(fd uintptr) {
	for i := range s.headers {
		s.headers[i].hdr.Namelen = unix.SizeofSockaddrInet6
		s.headers[i].hdr.SetControllen(controlSpace)
	}
	n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&s.headers[0])),
		messagesPerRead, unix.MSG_DONTWAIT, 0, 0)
	s.count, s.errno = int(n), errno
	if errno != 0 {
		s.count = 0
		return
	}
	s.noteDrops()
}

// read waits for datagrams for at most about the given time and returns how
// many there are, 0 after that time.
func (s *socket) read(wait time.Duration) (int, error) {
	// The deadline is moved only when it has passed: setting it costs as much as
	// a small read.
	if now := time.Now(); !now.Before(s.deadline) {
		s.deadline = now.Add(wait)
		if err := s.conn.SetReadDeadline(s.deadline); err != nil {
			return 0, err
		}
		if s.woken.Load() {
			return 0, nil
		}
	}
	err := s.raw.Read(s.poll)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		s.deadline = time.Time{}
		return 0, nil
	case err != nil:
		return 0, err
	case s.errno == unix.ENOBUFS || s.errno == unix.ENOMEM: // the system is short of memory, for now
		time.Sleep(10 * time.Millisecond)
		return 0, nil
	case s.errno != 0:
		return 0, os.NewSyscallError("recvmmsg", s.errno)
	}
	return s.count, nil
}

// drain returns how many datagrams are there now.
func (s *socket) drain() int {
	if s.raw.Control(s.once) != nil {
		return 0
	}
	return s.count
}

// wake ends a read that waits.
func (s *socket) wake() {
	s.woken.Store(true)
	_ = s.conn.SetReadDeadline(time.Unix(1, 0))
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
	now := binary.NativeEndian.Uint32(s.controls[s.count-1][at : at+4])
	s.dropped.Add(uint64(now - s.overflow)) // the kernel's count has 32 bits and wraps
	s.overflow = now
}
