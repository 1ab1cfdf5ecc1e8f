//go:build !linux

package collector

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"time"
)

// longestRead is how long a read waits at most; the end of Run waits for it.
const longestRead = 100 * time.Millisecond

// reusePort says that several sockets can share a port. Elsewhere than on Linux
// the option exists but does not spread the datagrams.
const reusePort = false

// A socket receives datagrams one by one. On Linux there is a faster one.
type socket struct {
	conn    *net.UDPConn
	addr    net.Addr
	dropped atomic.Uint64 // always 0: not told by the system
	granted int           // bytes of receive buffer; 0: not known
	told    uint64        // of dropped, as the ledger knows; the keeper's
	buffer  []byte
	length  int
	src     netip.AddrPort
}

func openSocket(addr string, receiveBuffer int, _ bool) (*socket, error) {
	conn, err := (&net.ListenConfig{}).ListenPacket(context.Background(), "udp", addr)
	if err != nil {
		return nil, err
	}
	s := &socket{conn: conn.(*net.UDPConn), addr: conn.LocalAddr(), buffer: make([]byte, maxDatagram)}
	for size := receiveBuffer; size >= 1<<16; size /= 2 { // the system refuses what is too much
		if s.conn.SetReadBuffer(size) == nil {
			s.granted = size
			break
		}
	}
	return s, nil
}

func (s *socket) read(wait time.Duration) (int, error) {
	wait = min(wait, longestRead)
	if err := s.conn.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return 0, err
	}
	return s.receive()
}

func (s *socket) receive() (int, error) {
	n, src, err := s.conn.ReadFromUDPAddrPort(s.buffer)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	s.length, s.src = n, src
	return 1, nil
}

func (s *socket) drain() int {
	if s.conn.SetReadDeadline(time.Now().Add(time.Millisecond)) != nil {
		return 0
	}
	n, err := s.receive()
	if err != nil {
		return 0
	}
	return n
}

// mute lets nothing more in, where the system offers that.
func (s *socket) mute() {}

func (s *socket) close() { _ = s.conn.Close() }

func (s *socket) message(int) (netip.AddrPort, []byte) { return s.src, s.buffer[:s.length] }
