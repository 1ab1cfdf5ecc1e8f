package collector

import (
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"weir/flow/ledger"
)

// Stats are counters since the start. Totals are the sums over all exporters,
// forgotten ones included.
type Stats struct {
	Total     ExporterStats   // Exporter is the zero Addr
	Other     ExporterStats   // exporters that were forgotten to make room
	Exporters []ExporterStats // by address

	KernelDrops uint64        // datagrams that the kernel dropped because a receive buffer was full
	Sockets     []ledger.Drop // of them, by listening address
	QueueFull   uint64        // times that a socket was not read because what it gave before waited to be decoded
	Waits       []ledger.Drop // of them, by listening address
	Connections int           // that are open now
	SinkErrors  uint64        // batches that the sink refused
	LostRecords uint64        // records in them
	Refused     uint64        // datagrams of senders that the Policy refused
}

// ExporterStats are the counters of one exporter.
type ExporterStats struct {
	Exporter       netip.Addr
	Datagrams      uint64
	Bytes          uint64 // of datagrams, without UDP and IP headers
	Records        uint64 // flow records decoded
	Templates      uint64 // template records received
	OptionsRecords uint64
	CounterSamples uint64 // sFlow counter samples, which are not kept
	DropSamples    uint64 // sFlow discarded-packet samples, which are not kept
	BadDatagrams   uint64 // datagrams with at least one error
	SetsWaiting    uint64 // data sets that wait for their template now
	SetsRecovered  uint64 // waited and were decoded
	SetsDropped    uint64 // waited in vain, or found no room
	LastReceived   uint64 // ms since 1970, of the last datagram
	LastRecord     uint64 // ms since 1970, of the last datagram with records
	Errors         [reasonCount]uint64

	Domains []DomainStats // what is known of it now, by domain and version

	more [ledger.CounterCount]uint64    // the counters of the ledger that have no field here
	lost [ledger.UnitRecords + 1]uint64 // what of them is lost, by unit
}

// Lost returns what is missing by sequence numbers that count a unit. It falls
// when datagrams turn out to have been late only.
func (s ExporterStats) Lost(u ledger.Unit) uint64 { return s.lost[u] }

// LostRecords estimates the flow records that never came, as
// ledger.Entry.LostRecords does, by what a datagram of the exporter had on
// average.
func (s ExporterStats) LostRecords() uint64 {
	n := s.lost[ledger.UnitFlows] + s.lost[ledger.UnitRecords]
	if s.Datagrams > 0 {
		n += uint64(float64(s.lost[ledger.UnitDatagrams])*float64(s.Records)/float64(s.Datagrams) + 0.5)
	}
	return n
}

// Count returns one of the ledger's counters. Loss is in the unit of the
// exporter's protocols.
func (s ExporterStats) Count(c ledger.Counter) uint64 { return s.counts()[c] }

func (s *ExporterStats) counts() [ledger.CounterCount]uint64 {
	c := s.more
	c[ledger.Datagrams], c[ledger.Bytes], c[ledger.Records] = s.Datagrams, s.Bytes, s.Records
	c[ledger.Templates], c[ledger.Options], c[ledger.BadDatagrams] = s.Templates, s.OptionsRecords, s.BadDatagrams
	c[ledger.SetsRecovered], c[ledger.SetsDropped] = s.SetsRecovered, s.SetsDropped
	return c
}

// rare is a sum that moves whenever one of the counters does that have a field
// here and stand still for most datagrams.
func (s *ExporterStats) rare() uint64 {
	return s.Templates + s.OptionsRecords + s.BadDatagrams + s.SetsRecovered + s.SetsDropped
}

// note adds what a sequence number of a protocol told.
func (s *ExporterStats) note(version uint16, v verdict) {
	if v == (verdict{}) {
		return
	}
	s.more[ledger.Lost] += uint64(v.lost)
	s.lost[ledger.UnitOf(version)] += uint64(v.lost)
	s.more[ledger.Gaps] += uint64(v.gaps)
	s.more[ledger.Reordered] += uint64(v.reordered)
	s.more[ledger.Duplicates] += uint64(v.duplicates)
	s.more[ledger.Restarts] += uint64(v.restarts)
}

// overflowed adds what a listening address lost, or was not read for. Only
// addresses for datagrams are told apart.
func (st *Stats) overflowed(where string, datagrams bool, of overflow) {
	st.KernelDrops += of.dropped
	st.QueueFull += of.waits
	if !datagrams {
		return
	}
	at := slices.IndexFunc(st.Sockets, func(d ledger.Drop) bool { return d.Where == where })
	if at < 0 {
		at = len(st.Sockets)
		st.Sockets = append(st.Sockets, ledger.Drop{Where: where})
		st.Waits = append(st.Waits, ledger.Drop{Where: where})
	}
	st.Sockets[at].Count += of.dropped
	st.Waits[at].Count += of.waits
}

// Error returns the count of one reason.
func (s ExporterStats) Error(r Reason) uint64 { return s.Errors[r] }

func (s *ExporterStats) add(o *ExporterStats) {
	s.Datagrams += o.Datagrams
	s.Bytes += o.Bytes
	s.Records += o.Records
	s.Templates += o.Templates
	s.OptionsRecords += o.OptionsRecords
	s.CounterSamples += o.CounterSamples
	s.DropSamples += o.DropSamples
	s.BadDatagrams += o.BadDatagrams
	s.SetsWaiting += o.SetsWaiting
	s.SetsRecovered += o.SetsRecovered
	s.SetsDropped += o.SetsDropped
	s.LastReceived = max(s.LastReceived, o.LastReceived)
	s.LastRecord = max(s.LastRecord, o.LastRecord)
	for i := range s.Errors {
		s.Errors[i] += o.Errors[i]
	}
	for i := range s.more {
		s.more[i] += o.more[i]
	}
	for i := range s.lost {
		s.lost[i] += o.lost[i]
	}
}

// Stats returns the counters.
func (d *Decoder) Stats() Stats {
	var st Stats
	d.mu.RLock()
	st.Other = d.other
	d.mu.RUnlock()
	for _, e := range d.all() {
		e.mu.Lock()
		if !e.gone {
			one := e.stats
			one.Domains = e.domainStats()
			st.Exporters = append(st.Exporters, one)
		}
		e.mu.Unlock()
	}
	st.Refused = d.policy.refusedTotal()
	slices.SortFunc(st.Exporters, func(a, b ExporterStats) int { return a.Exporter.Compare(b.Exporter) })
	st.Total.add(&st.Other)
	for i := range st.Exporters {
		st.Total.add(&st.Exporters[i])
	}
	return st
}

// complaints logs what is wrong with datagrams, each exporter and reason at
// most once a minute, and not more than a handful of lines a second in all.
type complaints struct {
	log *slog.Logger

	mu      sync.Mutex
	last    map[complaint]*silence
	window  time.Time // start of the current second
	written int       // lines in it
}

type complaint struct {
	exporter netip.Addr
	reason   Reason
}

// A silence is a complaint that was made and not repeated.
type silence struct {
	since      time.Time
	suppressed int
}

const (
	complainEvery   = time.Minute
	complainPerSec  = 5
	complaintsKnown = 4096
)

func newComplaints(log *slog.Logger) *complaints {
	return &complaints{log: log, last: map[complaint]*silence{}}
}

// note logs something that happens once.
func (c *complaints) note(msg string, args ...any) {
	if c.log != nil {
		c.log.Warn(msg, args...)
	}
}

func (c *complaints) complain(exporter netip.Addr, err error) {
	reason, ok := reasonOf(err)
	if c.log == nil || !ok {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	key := complaint{exporter, reason}
	quiet := c.last[key]
	if quiet != nil && now.Sub(quiet.since) < complainEvery {
		quiet.suppressed++
		return
	}
	if now.Sub(c.window) >= time.Second {
		c.window, c.written = now, 0
	}
	if c.written >= complainPerSec {
		return
	}
	c.written++
	suppressed := 0
	if quiet != nil {
		suppressed = quiet.suppressed
	}
	if len(c.last) >= complaintsKnown {
		clear(c.last)
	}
	c.last[key] = &silence{since: now}
	c.log.Warn("bad datagram", "exporter", exporter, "reason", reason, "error", err, "suppressed", suppressed)
}
