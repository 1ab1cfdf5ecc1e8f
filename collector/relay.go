package collector

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// RelayOptions configure a Relay.
type RelayOptions struct {
	To         []netip.AddrPort // who gets each datagram; none: nobody, until Retarget names some
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
//
// Retarget changes the targets at any time.
type Relay struct {
	log   *slog.Logger
	limit int  // bytes that wait for each target
	own   bool // RelayOptions.ownSource

	targets atomic.Pointer[[]*relayTarget]

	mu    sync.Mutex // guards what follows
	start func(*relayTarget)
	left  sync.WaitGroup // targets that send what still waits; Add with mu held and start set
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
	stop   context.CancelFunc // ends run; nil: it has not begun

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
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.QueueBytes <= 0 {
		o.QueueBytes = defaultRelayQueue
	}
	r := &Relay{log: o.Logger, limit: o.QueueBytes, own: o.ownSource}
	r.targets.Store(&[]*relayTarget{})
	return r, r.Retarget(o.To, o.Listen)
}

// Retarget replaces RelayOptions.To and Listen. A target that is there already
// goes on with its queue and its counters; one that is left out gets what waits
// for it, for a second at most. After an error the targets are those from before.
func (r *Relay) Retarget(to []netip.AddrPort, listen []Listen) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	gone := slices.Clone(*r.targets.Load())
	targets := make([]*relayTarget, 0, len(to))
	var opened []*relayTarget
	for _, addr := range to {
		at := slices.IndexFunc(gone, func(t *relayTarget) bool { return t.stats.To == addr })
		err := refuseLoop(addr, listen)
		if err == nil && at >= 0 {
			targets = append(targets, gone[at])
			gone = slices.Delete(gone, at, at+1)
			continue
		}
		var t *relayTarget
		if err == nil {
			t, err = r.open(addr)
		}
		if err != nil {
			for _, t := range opened {
				t.close()
			}
			return err
		}
		targets, opened = append(targets, t), append(opened, t)
	}
	r.targets.Store(&targets)
	for _, t := range opened {
		if r.start != nil {
			r.start(t)
		}
	}
	for _, t := range gone {
		if t.stop != nil {
			t.stop()
			continue
		}
		t.flush(&chunk{}, time.Now().Add(relayFlush))
		t.close()
	}
	return nil
}

// open opens the sockets for one target.
func (r *Relay) open(to netip.AddrPort) (*relayTarget, error) {
	t := &relayTarget{limit: r.limit, wake: make(chan struct{}, 1), waiting: &chunk{}, stats: RelayStats{To: to}}
	var err error
	if t.conn, err = net.ListenUDP("udp", nil); err != nil {
		return nil, fmt.Errorf("open a socket to forward by: %w", err)
	}
	if r.own {
		return t, nil
	}
	if t.source, err = openRawSender(to); err != nil {
		t.source = nil
		r.log.Warn("forwards from its own address: the source can be kept only with CAP_NET_RAW", "to", to, "error", err)
	} else {
		r.log.Info("forwards with the exporters' addresses as source", "to", to)
	}
	return t, nil
}

// close gives up the sockets; nothing is read from them.
func (t *relayTarget) close() {
	t.conn.Close()
	if t.source != nil {
		t.source.close()
	}
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
	for _, t := range *r.targets.Load() {
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

// Stats returns the counters of the present targets in the order in which they
// were named.
func (r *Relay) Stats() []RelayStats {
	targets := *r.targets.Load()
	all := make([]RelayStats, len(targets))
	for i, t := range targets {
		t.mu.Lock()
		all[i] = t.stats
		t.mu.Unlock()
	}
	return all
}

// Run sends what is queued until ctx is done, then what still waits, for a
// second at most, and closes the sockets.
func (r *Relay) Run(ctx context.Context) error {
	r.mu.Lock()
	r.start = func(t *relayTarget) {
		var until context.Context
		until, t.stop = context.WithCancel(ctx)
		r.left.Go(func() {
			t.run(until)
			t.close()
		})
	}
	for _, t := range *r.targets.Load() {
		r.start(t)
	}
	r.mu.Unlock()
	ended := make(chan struct{})
	var reporter sync.WaitGroup
	reporter.Go(func() { r.report(ended) })
	<-ctx.Done()
	r.mu.Lock()
	r.start = nil
	r.mu.Unlock()
	r.left.Wait()
	close(ended)
	reporter.Wait()
	return nil
}

// Close gives up the sockets of a relay that is not going to Run. Run closes them
// by itself.
func (r *Relay) Close() {
	for _, t := range *r.targets.Load() {
		t.close()
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
	told := map[*relayTarget]uint64{}
	for more := true; more; {
		select {
		case <-tick.C:
		case <-ended:
			more = false
		}
		targets := *r.targets.Load()
		for _, t := range targets {
			t.mu.Lock()
			s, err := t.stats, t.lastErr
			t.mu.Unlock()
			if s.dropped() > told[t] {
				told[t] = s.dropped()
				r.log.Warn("datagrams were not forwarded", "to", s.To, "sent", s.Sent, "queue_full", s.Full, "failed", s.Failed, "error", err)
			}
		}
		maps.DeleteFunc(told, func(t *relayTarget, _ uint64) bool { return !slices.Contains(targets, t) })
	}
}
