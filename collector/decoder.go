package collector

import (
	"cmp"
	"encoding/binary"
	"log/slog"
	"math/bits"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"weir/flow"
	"weir/flow/ledger"
)

// DecoderOptions configure a Decoder. The zero value works.
type DecoderOptions struct {
	State  StateStore   // keeps templates and sampling tables across restarts; nil: forget them
	Logger *slog.Logger // for complaints, rate-limited; nil: none
	Limits Limits       // zero fields: DefaultLimits
	Policy *Policy      // whose datagrams are taken, and what with their records; nil: all, as they come
	Watch  *Watch       // is told what is read by templates; nil: nobody watches

	Ledger Ledger           // takes what is counted; nil: nobody wants to know
	Run    ledger.Run       // names its rows; 0: the time of NewDecoder. NewRun gives one that no other run has
	Import bool             // the datagrams are out of captures
	Known  ledger.Directory // exporters that the configuration describes
}

// A Decoder turns datagrams into flow records. It remembers what exporters
// define; several goroutines may use it at once, datagrams of one exporter then
// take turns.
type Decoder struct {
	limits  Limits
	formats fixedFormats
	state   StateStore
	log     *complaints
	policy  *Policy
	watch   *Watch // nil: nobody watches
	book    *book  // nil: without a ledger
	known   atomic.Pointer[ledger.Directory]
	agents  agentSources
	fresh   chan struct{} // has one while an exporter has defined something that is not saved

	mu        sync.RWMutex // guards exporters and other
	exporters map[netip.Addr]*exporter
	other     ExporterStats // what was counted for exporters that are forgotten

	templateBytes atomic.Int64
	pendingBytes  atomic.Int64
	tableBytes    atomic.Int64
	streams       atomic.Int64

	saveMu    sync.Mutex          // one Save at a time; guards what follows
	saved     map[netip.Addr]bool // exporters that have a value in the StateStore
	histories histories           // exporters that have a history there
}

// NewDecoder returns a Decoder. If the options name a StateStore, what was
// saved there is known from the start; state that cannot be read is left out
// and logged, because exporters send it again.
func NewDecoder(o DecoderOptions) *Decoder {
	d := &Decoder{
		limits:    o.Limits.withDefaults(),
		formats:   newFixedFormats(),
		state:     o.State,
		log:       newComplaints(o.Logger),
		policy:    o.Policy,
		watch:     o.Watch,
		exporters: map[netip.Addr]*exporter{},
		saved:     map[netip.Addr]bool{},
		fresh:     make(chan struct{}, 1),
	}
	d.known.Store(&o.Known)
	d.book = newBook(&o, d.limits.PendingAge+time.Minute)
	d.load()
	return d
}

// SetKnown replaces DecoderOptions.Known.
func (d *Decoder) SetKnown(known ledger.Directory) {
	d.known.Store(&known)
	if d.book != nil {
		d.book.setKnown(known)
	}
}

// directory returns the exporters that the configuration describes now.
func (d *Decoder) directory() ledger.Directory { return *d.known.Load() }

// Decode appends the records of one datagram to b. received is the time of
// receipt in ms since 1970, src the UDP source. The error is a *DecodeError; it
// says what is wrong with the datagram, or with its first wrong part: records
// of the intact parts are in b all the same. Data sets that came earlier and
// waited for a template of this datagram are decoded too, with their own time
// of receipt.
//
// A datagram that the Policy refuses is counted there and is no error.
//
// payload is not kept and may be reused.
func (d *Decoder) Decode(b *flow.Batch, received uint64, src netip.AddrPort, payload []byte) error {
	return d.message(b, received, src, 0, payload)
}

// message is Decode for a datagram, or for a message of a connection if conn is
// not 0.
func (d *Decoder) message(b *flow.Batch, received uint64, src netip.AddrPort, conn uint64, payload []byte) error {
	addr := normalAddr(src.Addr())
	if !d.policy.admits(addr, received) {
		return nil
	}
	e := d.lock(addr)
	defer e.mu.Unlock()
	e.stats.Datagrams++
	e.stats.Bytes += uint64(len(payload))
	e.stats.LastReceived = max(e.stats.LastReceived, received)
	d.policy.applyTo(e)
	if e.chronicle.first == 0 {
		e.chronicle.first = received
	}
	before := b.Len()
	e.head = header{received: received, exporter: e.key, conn: conn}
	err := d.datagram(b, e, src.Port(), payload)
	if err != nil {
		e.stats.BadDatagrams++
		d.log.complain(addr, err)
	}
	if b.Len() > before {
		e.stats.LastRecord = max(e.stats.LastRecord, received)
	}
	d.policy.sift(e, b, before, received)
	e.finish(received, d)
	if e.urgent {
		e.urgent = false
		d.announce()
	}
	return err
}

// announce says that there is something to save.
func (d *Decoder) announce() {
	select {
	case d.fresh <- struct{}{}:
	default:
	}
}

func (d *Decoder) datagram(b *flow.Batch, e *exporter, port uint16, payload []byte) error {
	e.account.size = units{}
	h := &e.head
	defer e.work.release()
	if len(payload) < 4 {
		return e.refuse(ReasonTruncated, "%d bytes", len(payload))
	}
	if h.conn != 0 {
		if err := checkFrame(payload); err != nil {
			e.noteError(err)
			return err
		}
	}
	h.version = binary.BigEndian.Uint16(payload)
	switch h.version {
	case 1, 5, 7:
		return d.fixed(b, e, h, port, payload)
	case 9, 10:
		return d.templated(b, e, h, port, payload)
	case 0:
		if payload[2] == 0 && payload[3] == 5 {
			return d.sflow(b, e, h, port, payload)
		}
		return e.refuse(ReasonVersion, "sFlow version %d", binary.BigEndian.Uint16(payload[2:]))
	}
	return e.refuse(ReasonVersion, "version %d", h.version)
}

func (d *Decoder) fixed(b *flow.Batch, e *exporter, h *header, port uint16, payload []byte) error {
	f := &d.formats.v5
	switch h.version {
	case 1:
		f = &d.formats.v1
	case 7:
		f = &d.formats.v7
	}
	if len(payload) < f.headerLen {
		return e.refuse(ReasonTruncated, "header of v%d in %d bytes", h.version, len(payload))
	}
	f.readHeader(h, payload)
	s := e.stream(streamKey{h.domain, port, h.version, h.conn}, h.received, &d.limits, d)
	e.enter(s, h, d)
	err := e.fixed(b, f, h, payload)
	if s.sampling != 0 && h.sampling != 0 && s.sampling != h.sampling {
		e.resampled(h.received, h.domain, s.sampling, h.sampling)
	}
	s.sampling = h.sampling
	if h.version != 1 { // which has no sequence numbers
		e.follow(s, h, d)
	}
	return err
}

func (d *Decoder) templated(b *flow.Batch, e *exporter, h *header, port uint16, payload []byte) error {
	read := readHeader9
	if h.version == 10 {
		read = readHeader10
	}
	sets, err := read(h, payload)
	if err != nil {
		e.noteError(err)
		if sets == nil {
			return err
		}
	}
	s := e.stream(streamKey{h.domain, port, h.version, h.conn}, h.received, &d.limits, d)
	e.enter(s, h, d)
	if len(e.pending) > 0 {
		e.expire(h.received, d)
	}
	if setErr := e.sets(b, s, h, sets, d); err == nil {
		err = setErr
	}
	if err != nil { // whatever was cut off or skipped may have held records
		e.account.size.hi += uint32(len(payload))
	}
	e.follow(s, h, d)
	return err
}

// refuse counts and returns an error about a whole datagram.
func (e *exporter) refuse(r Reason, format string, args ...any) error {
	e.count(r)
	return decodeErrorf(r, format, args...)
}

// lock returns the exporter of that address with its mutex held.
func (d *Decoder) lock(addr netip.Addr) *exporter {
	for {
		d.mu.RLock()
		e := d.exporters[addr]
		d.mu.RUnlock()
		if e == nil {
			e = d.add(addr)
		}
		e.mu.Lock()
		if !e.gone {
			return e
		}
		e.mu.Unlock()
	}
}

// add makes the exporter of that address known.
func (d *Decoder) add(addr netip.Addr) *exporter {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e := d.exporters[addr]; e != nil {
		return e
	}
	if len(d.exporters) >= d.limits.Exporters {
		d.evict()
	}
	e := newExporter(addr)
	d.exporters[addr] = e
	return e
}

// evict forgets a sixteenth of the exporters, the least useful ones, and adds
// what was counted for them to other. Useful is who sent much and not long ago:
// of a flood from spoofed addresses, each sends little, so it evicts itself and
// not the routers. The caller holds d.mu.
func (d *Decoder) evict() {
	type ranked struct {
		e     *exporter
		score int64
	}
	all := make([]ranked, 0, len(d.exporters))
	newest := uint64(0)
	for _, e := range d.exporters {
		e.mu.Lock()
		newest = max(newest, e.stats.LastReceived)
		all = append(all, ranked{e, int64(bits.Len64(e.stats.Records))})
		e.mu.Unlock()
	}
	for i := range all {
		e := all[i].e
		e.mu.Lock()
		hours := int64((newest - min(newest, e.stats.LastReceived)) / 3_600_000)
		all[i].score = all[i].score<<40 - hours<<38 + int64(e.stats.LastReceived&(1<<38-1))>>10
		e.mu.Unlock()
	}
	slices.SortFunc(all, func(a, b ranked) int { return cmp.Compare(a.score, b.score) })
	for _, r := range all[:max(1, len(all)/16)] {
		d.drop(r.e)
	}
}

// drop forgets one exporter. The caller holds d.mu.
func (d *Decoder) drop(e *exporter) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for len(e.pending) > 0 {
		e.dropOldest(d)
	}
	d.templateBytes.Add(-int64(e.templateBytes))
	d.tableBytes.Add(-int64(e.tableBytes))
	d.streams.Add(-int64(len(e.streams)))
	e.gone = true
	e.count(ReasonExporterLimit)
	d.other.add(&e.stats)
	delete(d.exporters, e.addr)
}

// Expire drops data sets that have waited too long for their template, as of
// the given time in ms since 1970.
func (d *Decoder) Expire(now uint64) {
	for _, e := range d.all() {
		e.mu.Lock()
		e.expire(now, d)
		e.mu.Unlock()
	}
}

// WriteLedger writes what was counted and not written yet to the Ledger, if there
// is one. Who decodes without a Collector calls it from time to time and at the
// end.
func (d *Decoder) WriteLedger() error {
	if d.book == nil {
		return nil
	}
	return d.book.flush(0, true)
}

// all returns the exporters of this moment.
func (d *Decoder) all() []*exporter {
	d.mu.RLock()
	defer d.mu.RUnlock()
	all := make([]*exporter, 0, len(d.exporters))
	for _, e := range d.exporters {
		all = append(all, e)
	}
	return all
}
