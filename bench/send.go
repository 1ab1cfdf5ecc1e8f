package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// Send makes the datagrams of o and sends them to a collector, each when its
// simulated time has come: o.Rate is the rate on the wire. Without o.Start the
// traffic starts now. A rate that the machine cannot reach is sent as fast as
// it can, but what a pause has delayed is not made up for at once: it would
// come as a burst that no exporter sends. It ends after o.Records, or when ctx
// is done, which is no error.
func Send(ctx context.Context, collector netip.AddrPort, o Options) (Stats, error) {
	began := time.Now()
	if o.Start.IsZero() {
		o.Start = began
	}
	out := NewSender(collector)
	defer out.Close()
	g := New(o)
	first := uint64(o.Start.UnixMilli())
	var stats Stats
	shift := time.Duration(0)
	for ctx.Err() == nil {
		p, ok := g.Next(nil)
		if !ok {
			break
		}
		due := began.Add(shift + time.Duration(p.Time-first)*time.Millisecond)
		if late := time.Since(due); late > maxBurst {
			shift += late - maxBurst
		}
		if !waitUntil(ctx, due) {
			break
		}
		if err := out.Send(p.Exporter.Addr, p.Payload); err != nil {
			stats.Elapsed = time.Since(began)
			return stats, err
		}
		stats.count(&p)
	}
	stats.Elapsed = time.Since(began)
	return stats, nil
}

// maxBurst is how much of the traffic Send sends at once when it is late.
const maxBurst = 20 * time.Millisecond

// waitUntil sleeps until t and reports whether ctx is still on.
func waitUntil(ctx context.Context, t time.Time) bool {
	d := time.Until(t)
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// A Sender sends datagrams to one collector from several source addresses. It
// is not safe for use by several goroutines at once.
type Sender struct {
	collector netip.AddrPort
	conns     map[netip.Addr]*net.UDPConn
}

// NewSender returns a Sender. Close frees its sockets.
func NewSender(collector netip.AddrPort) *Sender {
	return &Sender{collector: collector, conns: map[netip.Addr]*net.UDPConn{}}
}

// Send sends one datagram. Its source address is src if this machine has that
// address (on Linux it has all of 127.0.0.0/8), else whatever the system picks:
// Source tells which.
func (s *Sender) Send(src netip.Addr, payload []byte) error {
	conn, err := s.conn(src)
	if err != nil {
		return err
	}
	if _, err := conn.Write(payload); err != nil {
		return fmt.Errorf("send to %v: %w", s.collector, err)
	}
	return nil
}

// Source returns the address and port from which Send sends for src.
func (s *Sender) Source(src netip.Addr) (netip.AddrPort, error) {
	conn, err := s.conn(src)
	if err != nil {
		return netip.AddrPort{}, err
	}
	return conn.LocalAddr().(*net.UDPAddr).AddrPort(), nil
}

func (s *Sender) conn(src netip.Addr) (*net.UDPConn, error) {
	if conn := s.conns[src]; conn != nil {
		return conn, nil
	}
	to := net.UDPAddrFromAddrPort(s.collector)
	conn, err := net.DialUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(src, 0)), to)
	if err != nil {
		if conn, err = net.DialUDP("udp", nil, to); err != nil {
			return nil, fmt.Errorf("open a socket to %v: %w", s.collector, err)
		}
	}
	s.conns[src] = conn
	return conn, nil
}

// Close closes the sockets.
func (s *Sender) Close() error {
	var errs []error
	for _, conn := range s.conns {
		errs = append(errs, conn.Close())
	}
	clear(s.conns)
	return errors.Join(errs...)
}
