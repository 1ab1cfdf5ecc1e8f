package collector

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"weir/flow"
	"weir/flow/ledger"
)

// A Sink takes the decoded records. Append copies what it needs; the batch is
// used again afterwards. Several workers call it at once.
type Sink interface {
	Append(*flow.Batch) error
}

// A StateStore keeps small values across restarts, apart from the records. One
// that has SyncState() error too is asked by it to make what was put durable.
type StateStore interface {
	PutState(key string, value []byte) error
	DeleteState(key string) error
	ScanState(prefix string, fn func(key string, value []byte) error) error
}

// Options configure a Collector. Listen and Sink are required.
type Options struct {
	Listen []Listen   // where to listen; on UDP, either scheme takes every version
	Sink   Sink       // takes the records
	State  StateStore // keeps templates and sampling tables; nil: forget them

	Ledger Ledger           // takes what is counted, each second; nil: nobody wants to know
	Known  ledger.Directory // exporters that the configuration describes

	// Forward is handed each datagram as it is received, before anything looks at
	// it; nil: nobody is. It must not wait and not keep the payload. Several
	// goroutines call it at once.
	Forward func(src netip.AddrPort, payload []byte)

	Now    func() time.Time     // the clock; nil: time.Now
	Clock  func() time.Duration // time that has passed since any moment, also while the host slept, however Now is set; nil: the system's
	Logger *slog.Logger         // nil: none
	Limits Limits               // zero fields: DefaultLimits
	Policy *Policy              // whose datagrams are taken, and what with their records; nil: all, as they come

	TLS         *tls.Config      // of addresses for TLS, which need it
	Connections ConnectionLimits // zero fields: DefaultConnectionLimits

	Workers       int           // sockets and goroutines for each address; 0: 2
	ReceiveBuffer int           // bytes of kernel buffer for each socket, as far as the system permits; 0: 32 MiB
	QueueBytes    int           // bytes of datagrams of each socket that wait to be decoded; 0: 64 MiB
	BatchRows     int           // records after which a batch goes to the sink; 0: 2048
	FlushEvery    time.Duration // time after which a batch goes to the sink; 0: 100 ms
	SaveEvery     time.Duration // how often changed state is saved at least; 0: 1 s
}

func (o Options) withDefaults() Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Clock == nil {
		o.Clock = systemClock()
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Workers <= 0 {
		o.Workers = 2
	}
	if o.ReceiveBuffer <= 0 {
		o.ReceiveBuffer = 32 << 20
	}
	if o.QueueBytes <= 0 {
		o.QueueBytes = 64 << 20
	}
	if o.BatchRows <= 0 {
		o.BatchRows = 2048 // more columns than that do not stay in a core's cache until they are copied
	}
	if o.FlushEvery <= 0 {
		o.FlushEvery = 100 * time.Millisecond
	}
	if o.SaveEvery <= 0 {
		o.SaveEvery = time.Second
	}
	return o
}

// A Collector receives export datagrams and hands their records to its Sink.
// New binds the sockets, Run works until its context is done.
type Collector struct {
	o       Options
	decoder *Decoder
	conns   *connections
	began   time.Time // of New
	keeping *pulse    // of keep

	relisten sync.Mutex    // one Relisten at a time
	started  chan struct{} // closed when Run has begun

	mu      sync.Mutex          // guards what follows
	ports   []*port             // one for each Listen
	leaving []*port             // that are read to their end
	past    map[string]overflow // of ports that are gone, by address
	serve   func(*port)         // reads a port; nil: Run does not work
	workers sync.WaitGroup      // of Run; Add with mu held and serve set

	sinkErrors, lostRecords atomic.Uint64
	failing                 atomic.Bool // the sink refused the last batch

	lastSign      uint64        // ms, the last sign of life in the ledger; the keeper's
	lastClock     time.Duration // Options.Clock then; the keeper's
	ledgerRefused int           // times in a row; the keeper's
}

// New binds the sockets and loads the saved state. The sockets receive from now
// on, into the kernel's buffers, until Run reads them or Close gives them up.
func New(o Options) (*Collector, error) {
	o = o.withDefaults()
	if o.Sink == nil {
		return nil, fmt.Errorf("collector without a sink")
	}
	if len(o.Listen) == 0 {
		return nil, fmt.Errorf("collector without an address to listen on")
	}
	c := &Collector{o: o, conns: newConnections(o.Connections), began: time.Now(), past: map[string]overflow{}, started: make(chan struct{})}
	c.keeping = newPulse("the ledger", c.began)
	for _, l := range o.Listen {
		p, err := c.open(l, true)
		if err != nil {
			c.Close()
			return nil, fmt.Errorf("listen on %s: %w", l, err)
		}
		c.ports = append(c.ports, p)
	}
	d := DecoderOptions{State: o.State, Logger: o.Logger, Limits: o.Limits, Policy: o.Policy, Ledger: o.Ledger, Known: o.Known}
	if o.Ledger != nil && o.State != nil {
		var err error
		if d.Run, err = NewRun(o.State, o.Now()); err != nil {
			c.Close()
			return nil, err
		}
	}
	c.decoder = NewDecoder(d)
	return c, nil
}

// warnOfBuffer says that a socket got less of the kernel's memory than asked for.
func (o *Options) warnOfBuffer(l Listen, s *socket) {
	if s.granted > 0 && s.granted < o.ReceiveBuffer {
		o.Logger.Warn("the system grants a smaller receive buffer than asked for: bursts may be lost; see net.core.rmem_max",
			"listen", l, "asked", o.ReceiveBuffer, "granted", s.granted)
	}
}

// Addrs returns the addresses the collector listens on, in the order of
// Options.Listen, with the ports the system chose where they were 0.
func (c *Collector) Addrs() []net.Addr {
	c.mu.Lock()
	defer c.mu.Unlock()
	var addrs []net.Addr
	for _, p := range c.ports {
		addrs = append(addrs, p.addr)
	}
	return addrs
}

// Decoder returns the decoder, for its statistics and interface names.
func (c *Collector) Decoder() *Decoder { return c.decoder }

// Close gives up the sockets of a collector that is not going to Run. Run
// closes them by itself.
func (c *Collector) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.ports {
		p.close()
	}
}

// drainFor is for how long Run reads on after its context is done, at most, if
// the kernel's buffers do not get empty.
const drainFor = 2 * time.Second

// Run receives until ctx is done, then reads what the kernel's buffers still
// hold and connections bring without a pause, hands all of it to the sink, saves the state and returns nil. An error
// means that a socket broke.
func (c *Collector) Run(ctx context.Context) error {
	defer c.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	c.start(ctx, cancel)
	done := make(chan struct{})
	var keeper sync.WaitGroup
	keeper.Go(func() { c.keep(done) })
	<-ctx.Done()
	c.mu.Lock()
	c.serve = nil // no port is opened any more
	c.mu.Unlock()
	c.workers.Wait()
	close(done)
	keeper.Wait()
	c.decoder.Expire(math.MaxUint64) // what waits for a template waits in vain
	_ = c.save()                     // it is logged
	c.writeLedger(true)
	if err := context.Cause(ctx); err != nil && !isDone(ctx, err) {
		return err
	}
	return nil
}

// isDone reports whether err is merely the end of the caller's context.
func isDone(ctx context.Context, err error) bool {
	var broken *socketError
	return ctx.Err() != nil && !asSocketError(err, &broken)
}

// A reader moves datagrams from a socket to its queue.
type reader struct {
	c      *Collector
	socket *socket
	queue  *queue
	chunk  *chunk
	pulse  *pulse
}

// receive reads one socket until ctx is done and the socket is empty. What it
// has read goes to the queue at once, or, while the decoder is busy, together
// with what comes next.
func (c *Collector) receive(ctx context.Context, p *port, s *socket, q *queue) error {
	r := reader{c: c, socket: s, queue: q, chunk: q.take(), pulse: p.pulse("receiving on")}
	defer func() { q.ready <- r.chunk }()
	for ctx.Err() == nil {
		n, err := s.read(c.o.FlushEvery)
		if err != nil {
			if ctx.Err() != nil {
				break
			}
			return &socketError{err}
		}
		r.queueUp(n)
		r.pulse.beat()
		if q.idle() {
			r.handOver() // also if it is empty: the decoder looks at its clock
		}
	}
	if p.retired.Load() {
		s.mute()
	}
	for end := time.Now().Add(drainFor); time.Now().Before(end); {
		n := s.drain()
		if n == 0 {
			break
		}
		r.queueUp(n)
	}
	return nil
}

// queueUp takes in the first n messages of the socket.
func (r *reader) queueUp(n int) {
	received := uint64(r.c.o.Now().UnixMilli())
	for i := range n {
		src, payload := r.socket.message(i)
		if r.c.o.Forward != nil {
			r.c.o.Forward(src, payload)
		}
		r.chunk.add(queued{src: src, received: received}, payload)
		if r.chunk.isFull() {
			r.handOver()
		}
	}
}

// handOver passes the chunk on and takes another one.
func (r *reader) handOver() {
	r.queue.ready <- r.chunk
	r.chunk = r.queue.take()
}

// A worker decodes what one socket received.
type worker struct {
	c     *Collector
	batch *flow.Batch
	since time.Time // when the batch got its first record
}

// work decodes what is queued until the reader ends.
func (c *Collector) work(q *queue, p *pulse) {
	w := worker{c: c, batch: flow.NewBatch(c.o.BatchRows + c.o.BatchRows/4)}
	defer w.flush()
	for chunk := range q.ready {
		w.decode(chunk)
		q.giveBack(chunk)
		p.beat()
	}
}

// decode decodes a chunk and flushes the batch whenever it is full or old. With
// an empty chunk it only does the latter.
func (w *worker) decode(chunk *chunk) {
	chunk.each(func(m *queued, payload []byte) {
		if m.ended {
			w.c.decoder.disconnected(m.src, m.conn)
			return
		}
		// The decoder counts and logs errors; here, nobody is left to tell.
		_ = w.c.decoder.message(w.batch, m.received, m.src, m.conn, payload)
		if w.batch.Len() >= w.c.o.BatchRows {
			w.flush()
		}
	})
	switch mono := time.Now(); {
	case w.batch.Len() == 0:
	case w.since.IsZero():
		w.since = mono
	case mono.Sub(w.since) >= w.c.o.FlushEvery:
		w.flush()
	}
}

// flush hands the batch to the sink. What the sink refuses is lost and counted:
// waiting would only make the kernel drop datagrams, which nobody could count
// by exporter.
func (w *worker) flush() {
	w.since = time.Time{}
	if w.batch.Len() == 0 {
		return
	}
	if err := w.c.o.Sink.Append(w.batch); err != nil {
		w.c.notStored(w.batch, err)
	} else if w.c.failing.Load() {
		w.c.accepted()
	}
	w.batch.Reset()
}

// keep does what is to be done from time to time.
func (c *Collector) keep(done <-chan struct{}) {
	c.writeLedger(false)
	tick, second := time.NewTicker(c.o.SaveEvery), time.NewTicker(time.Second)
	defer tick.Stop()
	defer second.Stop()
	soon := prompt{c: c}
	for {
		select {
		case <-done:
			return
		case <-c.decoder.fresh:
			soon.ask()
		case <-soon.due:
			soon.save()
		case <-second.C:
			c.writeLedger(false)
			c.keeping.beat()
		case <-tick.C:
			c.decoder.Expire(uint64(c.o.Now().UnixMilli()))
			_ = c.save() // it is logged
		}
	}
}

func (c *Collector) save() error {
	err := c.decoder.Save()
	if err != nil {
		c.o.Logger.Error("save templates", "error", err)
	}
	return err
}

// Stats returns the counters.
func (c *Collector) Stats() Stats {
	st := c.decoder.Stats()
	c.mu.Lock()
	for _, p := range c.all() {
		st.overflowed(p.addr.String(), p.stream == nil, p.overflow())
	}
	for _, where := range slices.Sorted(maps.Keys(c.past)) {
		st.overflowed(where, true, c.past[where])
	}
	c.mu.Unlock()
	st.Connections = c.conns.open()
	st.SinkErrors, st.LostRecords = c.sinkErrors.Load(), c.lostRecords.Load()
	return st
}
