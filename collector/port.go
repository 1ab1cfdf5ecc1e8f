package collector

import (
	"context"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A port is an address that is listened on, with all that serves it.
type port struct {
	listen  Listen
	addr    net.Addr
	sockets []*socket
	queues  []*queue        // one for each socket
	stream  *streamListener // nil: it takes datagrams
	began   time.Time       // of the Collector

	stop    context.CancelFunc // ends the readers; nil: Run has not come to it
	readers sync.WaitGroup
	retired atomic.Bool // it is stopped for good while the Collector runs on

	pulseMu sync.Mutex // guards pulses
	pulses  []*pulse
}

// An overflow counts what came to an address and found no room.
type overflow struct {
	dropped uint64 // datagrams, by the kernel
	waits   uint64 // times that a reader had to wait for its queue
}

// open opens a port. With probing it makes sure that nobody else has it.
func (c *Collector) open(l Listen, probing bool) (*port, error) {
	if l.IsStream() {
		return c.openStream(l)
	}
	if probing {
		if err := probe(l.Addr); err != nil {
			return nil, err
		}
	}
	return c.openDatagrams(l)
}

// openDatagrams opens the workers' sockets of one address. They share its port
// (SO_REUSEPORT), the kernel spreads the exporters over them.
func (c *Collector) openDatagrams(l Listen) (*port, error) {
	p := &port{listen: l, began: c.began}
	addr := l.Addr
	for range c.o.Workers {
		s, err := openSocket(addr, c.o.ReceiveBuffer, c.o.Workers > 1)
		if err != nil {
			p.close()
			return nil, err
		}
		p.sockets, p.queues = append(p.sockets, s), append(p.queues, newQueue(c.o.QueueBytes))
		if p.addr == nil {
			c.o.warnOfBuffer(l, s)
			p.addr = s.addr
			addr = s.addr.String() // a port that the system chose, for the others
		}
		if !reusePort {
			break
		}
	}
	return p, nil
}

// probe finds out whether somebody else has the port: with SO_REUSEPORT, a
// second collector of the same user would share it, and half of the datagrams.
func probe(addr string) error {
	conn, err := net.ListenPacket("udp", addr)
	if err != nil {
		return err
	}
	return conn.Close()
}

// close gives the port up; nobody reads it any more.
func (p *port) close() {
	for _, s := range p.sockets {
		s.close()
	}
	if p.stream != nil {
		p.stream.l.Close()
	}
}

// start reads the ports until ctx is done, and those that are opened meanwhile.
// cancel is called when one breaks.
func (c *Collector) start(ctx context.Context, cancel context.CancelCauseFunc) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.serve = func(p *port) {
		var until context.Context
		until, p.stop = context.WithCancel(ctx)
		read := func(q *queue, receive func() error) {
			c.workers.Go(func() { c.work(q, p.pulse("decoding for")) })
			p.readers.Add(1)
			c.workers.Go(func() {
				defer p.readers.Done()
				if err := receive(); err != nil {
					cancel(err)
				}
			})
		}
		for i, s := range p.sockets {
			q := p.queues[i]
			read(q, func() error {
				defer close(q.ready)
				return c.receive(until, p, s, q)
			})
		}
		if s := p.stream; s != nil {
			read(s.queue, func() error { return s.receive(until, p.pulse("accepting on")) })
		}
	}
	for _, p := range c.ports {
		c.serve(p)
	}
	close(c.started)
}

// overflow returns what found no room since the port was opened.
func (p *port) overflow() (of overflow) {
	for i, s := range p.sockets {
		of.dropped += s.dropped.Load()
		of.waits += p.queues[i].full.Load()
	}
	if p.stream != nil {
		of.waits += p.stream.queue.full.Load()
	}
	return of
}

// tell writes down what found no room and was not told yet. The Collector's mu
// is held.
func (p *port) tell(b *book, now uint64) {
	for i, s := range p.sockets {
		q := p.queues[i]
		dropped, waits := s.dropped.Load(), q.full.Load()
		b.listened(now, s.addr.String(), dropped-s.told, waits-q.told)
		s.told, q.told = dropped, waits
	}
}

// retire stops reading a port that is leaving when what the kernel holds for it is
// read, and gives it up. What was read is decoded later.
func (c *Collector) retire(p *port) {
	p.retired.Store(true)
	p.stop()
	p.readers.Wait()
	p.close()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leaving = slices.DeleteFunc(c.leaving, func(other *port) bool { return other == p })
	if b := c.decoder.book; b != nil {
		p.tell(b, uint64(c.o.Now().UnixMilli()))
	}
	if of := p.overflow(); p.stream == nil {
		where := p.addr.String()
		c.past[where] = overflow{c.past[where].dropped + of.dropped, c.past[where].waits + of.waits}
	}
}

// all returns the ports that are read. The Collector's mu is held.
func (c *Collector) all() []*port { return append(slices.Clone(c.ports), c.leaving...) }
