package collector

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"weir/flow/ledger"
)

// ReceiverOptions configure a Receiver. Listen is required.
type ReceiverOptions struct {
	Listen        []Listen
	Logger        *slog.Logger // nil: none
	ReceiveBuffer int          // bytes of kernel buffer for each address, as far as the system permits; 0: 32 MiB
}

// A Receiver hands out datagrams as they come and decodes none of them, for who
// only looks at them or passes them on. NewReceiver binds the sockets, Run reads
// until its context is done.
type Receiver struct {
	sockets []*socket
}

// NewReceiver binds one socket for each address.
func NewReceiver(o ReceiverOptions) (*Receiver, error) {
	full := Options{Logger: o.Logger, ReceiveBuffer: o.ReceiveBuffer}.withDefaults()
	if len(o.Listen) == 0 {
		return nil, fmt.Errorf("receiver without an address to listen on")
	}
	r := &Receiver{}
	for _, l := range o.Listen {
		s, err := openSocket(l.Addr, full.ReceiveBuffer, false)
		if err != nil {
			r.Close()
			return nil, fmt.Errorf("listen on %s: %w", l, err)
		}
		r.sockets = append(r.sockets, s)
		full.warnOfBuffer(l, s)
	}
	return r, nil
}

// Addrs returns the addresses in the order of ReceiverOptions.Listen.
func (r *Receiver) Addrs() []net.Addr {
	var all []net.Addr
	for _, s := range r.sockets {
		all = append(all, s.addr)
	}
	return all
}

// Close gives up the sockets of a receiver that is not going to Run. Run closes
// them by itself.
func (r *Receiver) Close() {
	for _, s := range r.sockets {
		s.close()
	}
}

// KernelDrops returns the datagrams that the kernel dropped because a receive
// buffer was full, by listening address.
func (r *Receiver) KernelDrops() []ledger.Drop {
	var all []ledger.Drop
	for _, s := range r.sockets {
		all = append(all, ledger.Drop{Where: s.addr.String(), Count: s.dropped.Load()})
	}
	return all
}

// receiverWait is how often a socket without datagrams looks whether the end has
// come.
const receiverWait = 100 * time.Millisecond

// Run calls fn for each datagram until ctx is done and what the kernel holds is
// read. fn is called by one goroutine for each address, and must not keep the
// payload. An error means that a socket broke.
func (r *Receiver) Run(ctx context.Context, fn func(received time.Time, src netip.AddrPort, payload []byte)) error {
	defer r.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var readers sync.WaitGroup
	for _, s := range r.sockets {
		readers.Go(func() {
			if err := s.handOut(ctx, fn); err != nil {
				cancel(err)
			}
		})
	}
	readers.Wait()
	if err := context.Cause(ctx); err != nil && !isDone(ctx, err) {
		return err
	}
	return nil
}

// handOut reads one socket until ctx is done and the socket is empty.
func (s *socket) handOut(ctx context.Context, fn func(received time.Time, src netip.AddrPort, payload []byte)) error {
	each := func(n int) {
		received := time.Now()
		for i := range n {
			src, payload := s.message(i)
			fn(received, src, payload)
		}
	}
	for ctx.Err() == nil {
		n, err := s.read(receiverWait)
		if err != nil {
			if ctx.Err() != nil {
				break
			}
			return &socketError{err}
		}
		each(n)
	}
	for end := time.Now().Add(drainFor); time.Now().Before(end); {
		n := s.drain()
		if n == 0 {
			break
		}
		each(n)
	}
	return nil
}
