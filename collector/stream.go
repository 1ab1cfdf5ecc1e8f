package collector

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// A streamListener takes IPFIX over TCP, or TLS. Each connection has a goroutine
// that cuts out messages and puts them into the listener's queue, so that one
// that is slow, or hostile, holds up no other. If the decoder does not keep up
// all wait, and TCP makes the exporters wait: nothing is lost here.
type streamListener struct {
	c     *Collector
	l     net.Listener
	tls   atomic.Pointer[tls.Config] // of new connections; nil: plain TCP
	queue *queue

	mu    sync.Mutex // guards chunk, and that only one waits for the queue
	chunk *chunk

	draining atomic.Bool
	connMu   sync.Mutex // guards conns
	conns    map[net.Conn]bool
}

// errNoTLS says what a listener for TLS lacks.
var errNoTLS = errors.New("TLS without a certificate and its key")

// openStream opens the listener of one address.
func (c *Collector) openStream(l Listen) (*port, error) {
	config := c.o.TLS
	if !l.IsTLS() {
		config = nil
	} else if config == nil {
		return nil, errNoTLS
	}
	listener, err := net.Listen("tcp", l.Addr)
	if err != nil {
		return nil, err
	}
	q := newQueue(c.o.QueueBytes)
	s := &streamListener{c: c, l: listener, queue: q, chunk: q.take(), conns: map[net.Conn]bool{}}
	s.tls.Store(config)
	return &port{listen: l, addr: listener.Addr(), stream: s, began: c.began}, nil
}

// receive accepts connections until ctx is done, lets them bring what is on its
// way, and closes them and the queue.
func (s *streamListener) receive(ctx context.Context, p *pulse) error {
	defer close(s.queue.ready)
	var readers sync.WaitGroup
	ended := make(chan struct{})
	readers.Go(func() { s.handOverRegularly(ended, p) })
	stop := context.AfterFunc(ctx, s.drain)
	defer stop()
	var conns sync.WaitGroup
	err := s.accept(ctx, &conns)
	if err != nil {
		s.drain()
	}
	conns.Wait()
	close(ended)
	readers.Wait()
	s.queue.ready <- s.chunk
	return err
}

// accept accepts connections until ctx is done. A system that has no descriptor
// left for one has one later.
func (s *streamListener) accept(ctx context.Context, conns *sync.WaitGroup) error {
	for {
		conn, err := s.l.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				conn.Close()
			}
			return nil
		case errors.Is(err, net.ErrClosed):
			return &socketError{err}
		case err != nil:
			s.c.decoder.log.note("a connection cannot be accepted", "listen", s.l.Addr(), "error", err)
			time.Sleep(time.Second)
			continue
		}
		s.admit(ctx, conn, conns)
	}
}

// admit starts reading a connection, if its sender and the limits permit.
func (s *streamListener) admit(ctx context.Context, conn net.Conn, conns *sync.WaitGroup) {
	src := conn.RemoteAddr().(*net.TCPAddr).AddrPort()
	addr, received := normalAddr(src.Addr()), s.now()
	if !s.c.decoder.policy.admits(addr, received) {
		conn.Close()
		return
	}
	id, err := s.c.conns.enter(addr)
	if err != nil {
		s.c.decoder.fault(received, src, err)
		conn.Close()
		return
	}
	r := &connReader{s: s, conn: conn, src: src, id: id}
	if config := s.tls.Load(); config != nil {
		r.conn = tls.Server(conn, config)
	}
	s.connMu.Lock()
	s.conns[r.conn] = true
	s.connMu.Unlock()
	conns.Go(func() {
		defer s.c.conns.leave(addr)
		r.run(ctx)
		s.connMu.Lock()
		delete(s.conns, r.conn)
		s.connMu.Unlock()
		r.conn.Close()
	})
}

func (s *streamListener) now() uint64 { return uint64(s.c.o.Now().UnixMilli()) }

// quietFor is how long a connection may be silent before it has brought all, when
// the collector stops.
const quietFor = 100 * time.Millisecond

// drain stops accepting, and lets connections bring what is on its way.
func (s *streamListener) drain() {
	s.draining.Store(true)
	s.l.Close()
	s.connMu.Lock()
	defer s.connMu.Unlock()
	for conn := range s.conns {
		// The reader looks at draining after it has set another deadline.
		_ = conn.SetReadDeadline(time.Now().Add(quietFor))
	}
}

// add puts a message into the queue. It waits while the queue is full.
func (s *streamListener) add(m queued, payload []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.chunk.add(m, payload)
	if s.chunk.isFull() || s.queue.idle() {
		s.handOver()
	}
}

// handOver passes the chunk on and takes another one. The caller holds mu.
func (s *streamListener) handOver() {
	s.queue.ready <- s.chunk
	s.chunk = s.queue.take()
}

// handOverRegularly passes on what came while the decoder was busy, and an empty
// chunk too: the decoder looks at its clock then.
func (s *streamListener) handOverRegularly(ended <-chan struct{}, p *pulse) {
	tick := time.NewTicker(s.c.o.FlushEvery)
	defer tick.Stop()
	for {
		select {
		case <-ended:
			return
		case <-tick.C:
		}
		s.mu.Lock()
		if s.queue.idle() {
			s.handOver()
		}
		s.mu.Unlock()
		p.beat()
	}
}

// A connReader reads one connection.
type connReader struct {
	s      *streamListener
	conn   net.Conn
	src    netip.AddrPort
	id     uint64
	framer framer
	begun  time.Time // when the first byte of the message came that is not whole, or the peer connected
	waits  bool      // for the rest of that message, or for the first
	until  time.Time // when draining ends; zero: there is none
}

// run reads until the connection ends, its peer stalls, or what it sends is no
// IPFIX.
func (r *connReader) run(ctx context.Context) {
	if !r.agree(ctx) {
		return
	}
	defer func() { r.s.add(queued{src: r.src, received: r.s.now(), conn: r.id, ended: true}, nil) }()
	r.begun, r.waits = time.Now(), true
	for {
		r.setDeadline()
		n, err := r.conn.Read(r.framer.space())
		r.framer.came(n)
		if n > 0 && !r.messages() {
			return
		}
		if err != nil {
			r.end(err)
			return
		}
	}
}

// agree does the handshake of TLS, if there is one to do.
func (r *connReader) agree(ctx context.Context) bool {
	conn, ok := r.conn.(*tls.Conn)
	if !ok {
		return true
	}
	hurry, cancel := context.WithTimeout(ctx, r.s.c.conns.limits.Handshake)
	defer cancel()
	err := conn.HandshakeContext(hurry)
	if err != nil && ctx.Err() == nil {
		r.s.c.decoder.fault(r.s.now(), r.src, &DecodeError{ReasonTLS, err.Error()})
	}
	return err == nil
}

// setDeadline says for how long the next read may wait.
func (r *connReader) setDeadline() {
	limits := &r.s.c.conns.limits
	until := time.Now().Add(limits.Idle)
	if r.waits {
		until = r.begun.Add(limits.Message)
	}
	_ = r.conn.SetReadDeadline(until)
	if !r.s.draining.Load() {
		return
	}
	if r.until.IsZero() {
		r.until = time.Now().Add(drainFor)
	}
	until = time.Now().Add(quietFor)
	if until.After(r.until) {
		until = r.until
	}
	_ = r.conn.SetReadDeadline(until)
}

// messages puts the whole messages that have come into the queue. It reports
// whether the connection makes sense.
func (r *connReader) messages() bool {
	received, some := r.s.now(), false
	for {
		m, err := r.framer.next()
		if err != nil {
			r.incomplete(received) // the decoder counts why
			return false
		}
		if m == nil {
			break
		}
		some = true
		r.s.add(queued{src: r.src, received: received, conn: r.id}, m)
	}
	partial := len(r.framer.rest()) > 0
	if some && partial || partial && !r.waits {
		r.begun = time.Now()
	}
	r.waits = partial || r.waits && !some
	return true
}

// end says why the connection ends where the peer has not merely closed it. What
// came of a message is decoded as far as it goes, and counted as cut off.
func (r *connReader) end(err error) {
	received := r.s.now()
	if errors.Is(err, os.ErrDeadlineExceeded) && !r.s.draining.Load() {
		what := "silent for too long"
		if r.waits {
			what = "no whole message in time"
		}
		r.s.c.decoder.fault(received, r.src, decodeErrorf(ReasonConnection, "closed: %s", what))
	}
	if len(r.framer.rest()) > 0 {
		r.incomplete(received)
	}
}

// incomplete gives the decoder what is no whole message.
func (r *connReader) incomplete(received uint64) {
	r.s.add(queued{src: r.src, received: received, conn: r.id}, r.framer.rest())
}
