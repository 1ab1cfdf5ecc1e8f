package collector

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"
)

// RelayOptions configure a Relay. To is required.
type RelayOptions struct {
	To         []netip.AddrPort // who gets each datagram
	Listen     []Listen         // where the datagrams come from; a target that is one of these is refused
	Logger     *slog.Logger     // nil: none
	QueueBytes int              // of payloads that wait for each target; 0: 16 MiB

	ownSource bool // tests: send from the relay's own address even where the system allows more
}

// A Relay repeats datagrams to other collectors. With the privilege of Linux's
// CAP_NET_RAW they carry the source address and port of the exporter; else, and
// where target and exporter are of different families, they come from a socket
// of the relay. NewRelay opens the sockets, Send takes datagrams, Run sends them
// until its context is done.
//
// Send never waits: a target that takes less than comes loses the rest, which is
// counted, and costs nobody else anything.
type Relay struct {
	log     *slog.Logger
	targets []*relayTarget
}

// RelayStats are the counters of one target since the start.
type RelayStats struct {
	To     netip.AddrPort
	Sent   uint64
	Full   uint64 // dropped because the queue was full
	Failed uint64 // dropped because the system refused to send them
}

// dropped returns what did not go out.
func (s RelayStats) dropped() uint64 { return s.Full + s.Failed }

// A relayTarget is one target with its queue: what waits, and the chunk that is
// being sent, change places.
type relayTarget struct {
	conn   *net.UDPConn
	source rawSender // sends as somebody else; nil: the system does not allow it
	limit  int       // bytes that wait
	wake   chan struct{}

	mu      sync.Mutex // guards what follows
	stats   RelayStats
	lastErr error
	waiting *chunk
}

const (
	defaultRelayQueue = 16 << 20
	relayReport       = time.Minute // between two complaints about drops
	relayFlush        = time.Second // for which Run sends on after its context is done
)

// A rawSender sends a datagram with a source of the caller's choice.
type rawSender interface {
	send(src, dst netip.AddrPort, payload []byte) error
	close()
}

// errOtherFamily says that a source cannot be kept.
var errOtherFamily = errors.New("source and target are of different families")

// NewRelay opens the sockets. It refuses a target at which the datagrams came
// in: they would go round for ever.
func NewRelay(o RelayOptions) (*Relay, error) {
	if len(o.To) == 0 {
		return nil, errors.New("relay without a target")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.QueueBytes <= 0 {
		o.QueueBytes = defaultRelayQueue
	}
	r := &Relay{log: o.Logger}
	for _, to := range o.To {
		if err := refuseLoop(to, o.Listen); err != nil {
			r.Close()
			return nil, err
		}
		t := &relayTarget{limit: o.QueueBytes, wake: make(chan struct{}, 1), waiting: &chunk{}, stats: RelayStats{To: to}}
		var err error
		if t.conn, err = net.ListenUDP("udp", nil); err != nil {
			r.Close()
			return nil, fmt.Errorf("open a socket to forward by: %w", err)
		}
		r.targets = append(r.targets, t)
		if o.ownSource {
			continue
		}
		if t.source, err = openRawSender(to); err != nil {
			t.source = nil
			o.Logger.Warn("forwards from its own address: the source can be kept only with CAP_NET_RAW", "to", to, "error", err)
			continue
		}
		o.Logger.Info("forwards with the exporters' addresses as source", "to", to)
	}
	return r, nil
}

// refuseLoop returns an error if a target is an address that is listened on.
func refuseLoop(to netip.AddrPort, listen []Listen) error {
	for _, l := range listen {
		host, port, err := net.SplitHostPort(l.Addr)
		if err != nil || port != strconv.Itoa(int(to.Port())) {
			continue
		}
		if isHere(to.Addr().Unmap(), host) {
			return fmt.Errorf("forward to %s: that is %s, where the datagrams come in: they would go round for ever", to, l)
		}
	}
	return nil
}

// isHere reports whether who listens on a host gets what is sent to an address.
func isHere(to netip.Addr, host string) bool {
	if host != "" {
		if at, err := net.ResolveIPAddr("ip", host); err == nil && !at.IP.IsUnspecified() {
			a, _ := netip.AddrFromSlice(at.IP)
			return a.Unmap() == to.WithZone("")
		}
	}
	if to.IsLoopback() || to.IsUnspecified() {
		return true
	}
	own, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	for _, n := range own {
		if p, ok := n.(*net.IPNet); ok {
			if a, _ := netip.AddrFromSlice(p.IP); a.Unmap() == to.WithZone("") {
				return true
			}
		}
	}
	return false
}

// Send queues a datagram for every target. Several goroutines may call it; it
// does not keep the payload.
func (r *Relay) Send(src netip.AddrPort, payload []byte) {
	for _, t := range r.targets {
		t.add(src, payload)
	}
}

func (t *relayTarget) add(src netip.AddrPort, payload []byte) {
	t.mu.Lock()
	full := len(t.waiting.data)+len(payload)+len(t.waiting.messages)*queuedBytes > t.limit
	if full {
		t.stats.Full++
	} else {
		t.waiting.add(queued{src: src}, payload)
	}
	t.mu.Unlock()
	if full {
		return
	}
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// queuedBytes is what a datagram takes in a queue beside its payload, about.
const queuedBytes = 48

// Stats returns the counters of the targets in the order of RelayOptions.To.
func (r *Relay) Stats() []RelayStats {
	all := make([]RelayStats, len(r.targets))
	for i, t := range r.targets {
		t.mu.Lock()
		all[i] = t.stats
		t.mu.Unlock()
	}
	return all
}

// Run sends what is queued until ctx is done, then what still waits, for a
// second at most, and closes the sockets.
func (r *Relay) Run(ctx context.Context) error {
	defer r.Close()
	var senders sync.WaitGroup
	for _, t := range r.targets {
		senders.Go(func() { t.run(ctx) })
	}
	ended := make(chan struct{})
	var reporter sync.WaitGroup
	reporter.Go(func() { r.report(ended) })
	senders.Wait()
	close(ended)
	reporter.Wait()
	return nil
}

// Close gives up the sockets of a relay that is not going to Run. Run closes them
// by itself.
func (r *Relay) Close() {
	for _, t := range r.targets {
		t.conn.Close() // nothing is read from it
		if t.source != nil {
			t.source.close()
		}
	}
}

// run sends for one target.
func (t *relayTarget) run(ctx context.Context) {
	sending := &chunk{}
	for ctx.Err() == nil {
		select {
		case <-t.wake:
			sending = t.flush(sending, time.Time{})
		case <-ctx.Done():
		}
	}
	t.flush(sending, time.Now().Add(relayFlush))
}

// flush sends all that waits and returns the emptied chunk. After the end, unless
// that is zero, it drops and counts.
func (t *relayTarget) flush(empty *chunk, end time.Time) *chunk {
	t.mu.Lock()
	sending := t.waiting
	t.waiting = empty
	t.mu.Unlock()
	_ = t.conn.SetWriteDeadline(end) // an open socket takes it
	sent, failed, lastErr := uint64(0), uint64(0), error(nil)
	sending.each(func(m *queued, payload []byte) {
		if err := t.send(m.src, payload); err != nil {
			failed++
			lastErr = err
			return
		}
		sent++
	})
	t.mu.Lock()
	t.stats.Sent += sent
	t.stats.Failed += failed
	if lastErr != nil {
		t.lastErr = lastErr
	}
	t.mu.Unlock()
	if cap(sending.data) > t.limit/4 {
		return &chunk{} // a burst's memory is let go
	}
	sending.data, sending.messages = sending.data[:0], sending.messages[:0]
	return sending
}

func (t *relayTarget) send(src netip.AddrPort, payload []byte) error {
	if t.source != nil {
		if err := t.source.send(src, t.stats.To, payload); !errors.Is(err, errOtherFamily) {
			return err
		}
	}
	_, err := t.conn.WriteToUDPAddrPort(payload, t.stats.To)
	return err
}

// report logs what was dropped, each minute in which something was, and at the
// end.
func (r *Relay) report(ended <-chan struct{}) {
	tick := time.NewTicker(relayReport)
	defer tick.Stop()
	told := make([]uint64, len(r.targets))
	for more := true; more; {
		select {
		case <-tick.C:
		case <-ended:
			more = false
		}
		for i, t := range r.targets {
			t.mu.Lock()
			s, err := t.stats, t.lastErr
			t.mu.Unlock()
			if s.dropped() > told[i] {
				told[i] = s.dropped()
				r.log.Warn("datagrams were not forwarded", "to", s.To, "sent", s.Sent, "queue_full", s.Full, "failed", s.Failed, "error", err)
			}
		}
	}
}
