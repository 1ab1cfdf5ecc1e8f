package collector

import (
	"cmp"
	"net/netip"
	"slices"
	"sync"

	"weir/flow"
	"weir/flow/ledger"
)

// A streamKey names one stream of an exporter: what one exporting process sends
// of one observation domain. Template ids are its own (RFC 7011, section 8.4);
// the source port tells processes behind one address apart, and the connection
// tells one that comes back from what it was before.
type streamKey struct {
	Domain  uint32
	Port    uint16
	Version uint16
	Conn    uint64 `json:"-"` // the connection; 0: none, datagrams
}

// A stream holds what one exporting process defined.
type stream struct {
	key       streamKey
	domain    *domain
	templates map[uint16]*template
	seen      uint64               // ms, receipt of the last datagram
	tracker                        // of its sequence numbers; of sFlow, each agent has its own
	common    *common              // sequence that it shares, or may share, with others; nil: none
	restarted uint64               // ms, receipt of the first datagram after a restart; 0: none
	agents    map[flow.Addr]*agent // of sFlow; nil: none yet
	agent     *agent               // the one looked up last
	agentAddr flow.Addr            // its address
	sampling  uint32               // v5: interval of the last header
	hour      uint32               // of the last datagram
	inHour    uint32               // datagrams in it
}

// An exporter is what is known of one UDP source address. All of it is guarded
// by mu, which Decode holds for one datagram.
type exporter struct {
	mu      sync.Mutex
	addr    netip.Addr
	key     flow.Addr
	streams map[streamKey]*stream
	last    *stream // the one looked up last
	domains map[domainKey]*domain
	names   map[uint32]Interface // by ifIndex
	commons []*common            // sequences that streams share, or may share
	tryPort bool                 // what the next trial is about

	pending      []pendingSet // oldest first
	pendingBytes int

	templates     int
	templateBytes int
	tableBytes    int // of sampling tables and names
	stats         ExporterStats
	rule          *rule      // of the Policy; nil: there is none
	scope         scopeTally // of this hour
	head          header     // of the datagram being decoded; here, so that it costs no allocation
	work          decoding   // of the set being decoded; likewise
	account       account    // of the datagram being decoded
	chronicle     chronicle
	changed       bool // there is something new to persist
	urgent        bool // at once: it is known from nowhere else
	gone          bool // evicted; look it up again
}

// A domainKey names an observation domain, whose sampling tables all streams of
// the exporter share.
type domainKey struct {
	Domain  uint32
	Version uint16
}

// An Interface is the name that an exporter gave to one of its interfaces in
// options data.
type Interface struct {
	Index       uint32 `json:"index"`
	Name        string `json:"name,omitempty"`        // interfaceName (82)
	Description string `json:"description,omitempty"` // interfaceDescription (83)
}

func newExporter(addr netip.Addr) *exporter {
	return &exporter{
		addr:    addr,
		key:     flow.AddrFromNetip(addr),
		streams: map[streamKey]*stream{},
		domains: map[domainKey]*domain{},
		stats:   ExporterStats{Exporter: addr},
	}
}

// stream returns the stream of that key and makes it if need be.
func (e *exporter) stream(key streamKey, received uint64, limits *Limits, d *Decoder) *stream {
	if e.last != nil && e.last.key == key {
		e.last.seen = received
		return e.last
	}
	s := e.streams[key]
	if s == nil {
		crowded := int(d.streams.Load()) >= limits.TotalStreams && len(e.streams) > 0
		if len(e.streams) >= limits.Streams || crowded {
			e.dropStream(d)
		}
		d.streams.Add(1)
		s = &stream{key: key, domain: e.domain(domainKey{key.Domain, key.Version}, limits), templates: map[uint16]*template{}}
		s.tracker = newTracker(ledger.UnitOf(key.Version) != ledger.UnitDatagrams)
		s.common = e.commonOf(key)
		e.streams[key] = s
	}
	s.seen = received
	e.last = s
	return s
}

// dropStream forgets the stream that was silent for the longest time, but first
// those that defined nothing: some exporters send every datagram from another
// port.
func (e *exporter) dropStream(d *Decoder) {
	var oldest *stream
	for _, s := range e.streams {
		if oldest == nil {
			oldest = s
			continue
		}
		if s.dispensable(oldest) < 0 {
			oldest = s
		}
	}
	e.removeStream(oldest, d)
}

// dispensable orders streams by how little their loss matters, least first. What
// a connection defined goes after what datagrams did, which is sent again.
func (s *stream) dispensable(o *stream) int {
	return cmp.Or(
		cmp.Compare(btoi(len(s.templates) > 0), btoi(len(o.templates) > 0)),
		cmp.Compare(btoi(s.key.Conn != 0), btoi(o.key.Conn != 0)),
		cmp.Compare(s.seen, o.seen),
	)
}

// removeStream forgets a stream and what it defined.
func (e *exporter) removeStream(s *stream, d *Decoder) {
	for _, t := range s.templates {
		if s.domain.latest[t.id] == t {
			delete(s.domain.latest, t.id)
		}
		e.forget(t, d)
	}
	e.forgetAgents(s, d)
	delete(e.streams, s.key)
	d.streams.Add(-1)
	e.last = nil
	e.dropUnusedDomain(s.domain, d)
}

// dropUnusedDomain forgets a domain that no stream belongs to any more.
func (e *exporter) dropUnusedDomain(unused *domain, d *Decoder) {
	for _, s := range e.streams {
		if s.domain == unused {
			return
		}
	}
	delete(e.domains, unused.key)
	for _, other := range e.domains {
		if other.whole == unused {
			other.whole = nil
		}
	}
	e.release(unused.entries()*entryBytes, d)
}

// forget takes a template out of the accounts.
func (e *exporter) forget(t *template, d *Decoder) {
	e.templates--
	e.templateBytes -= t.size()
	d.templateBytes.Add(-int64(t.size()))
	e.changed = true
}

// domain returns the domain of that key and makes it if need be.
func (e *exporter) domain(key domainKey, limits *Limits) *domain {
	if dom := e.domains[key]; dom != nil {
		return dom
	}
	dom := newDomain(key)
	if key.Domain != 0 {
		dom.whole = e.domains[domainKey{0, key.Version}]
	} else {
		for _, other := range e.domains {
			if other.key.Version == key.Version {
				other.whole = dom
			}
		}
	}
	e.domains[key] = dom
	return dom
}

// define stores a template that the stream announced. It reports whether the
// layout is new.
func (e *exporter) define(s *stream, t *template, received uint64, d *Decoder) bool {
	t.used = received
	old := s.templates[t.id]
	if old != nil {
		if old.same(t) {
			old.used = received
			return false
		}
		e.forget(old, d)
		delete(s.templates, t.id)
	}
	if !e.makeRoom(t, d) {
		if old != nil && s.domain.latest[t.id] == old {
			delete(s.domain.latest, t.id) // data that follow are not of that layout
		}
		e.count(ReasonTemplateLimit)
		return false
	}
	s.templates[t.id] = t
	e.templates++
	e.templateBytes += t.size()
	d.templateBytes.Add(int64(t.size()))
	e.changed = true
	if e.disputes(s, t) {
		e.count(ReasonTemplateConflict)
	}
	before := old
	if s.key.Conn == 0 {
		before = s.domain.latest[t.id]
		s.domain.latest[t.id] = t // a connection's are nobody else's
	}
	if before == nil || !before.same(t) {
		e.urgent = true
		e.stats.more[ledger.TemplateChanges]++
		if before != nil {
			e.happened(received, ledger.EventTemplate, s.key.Domain, before.change(t))
		}
	}
	return true
}

// liveFor is for how long after its last datagram a stream counts as alive.
const liveFor = 30 * 60 * 1000 // ms

// disputes reports whether another living stream of the domain has a different
// layout under the same template id. Connections never dispute: their templates
// are their own.
func (e *exporter) disputes(s *stream, t *template) bool {
	for _, other := range e.streams {
		if other == s || s.key.Conn != 0 || other.key.Conn != 0 || other.domain != s.domain || other.seen+liveFor < s.seen {
			continue
		}
		if o := other.templates[t.id]; o != nil && !o.same(t) {
			return true
		}
	}
	return false
}

// makeRoom forgets templates of this exporter until t is within the limits,
// those first that were not used for the longest time.
func (e *exporter) makeRoom(t *template, d *Decoder) bool {
	l := &d.limits
	over := func() bool {
		own := e.templateBytes + t.size()
		return e.templates+1 > l.Templates || own > l.TemplateBytes ||
			own > templateShare && int(d.templateBytes.Load())+t.size() > l.TotalTemplateBytes
	}
	if !over() {
		return true
	}
	type owned struct {
		s *stream
		t *template
	}
	var all []owned
	for _, s := range e.streams {
		for _, have := range s.templates {
			all = append(all, owned{s, have})
		}
	}
	slices.SortFunc(all, func(a, b owned) int { // unused ones first, then by age
		if c := cmp.Compare(btoi(a.t.plan != nil), btoi(b.t.plan != nil)); c != 0 {
			return c
		}
		return cmp.Compare(a.t.used, b.t.used)
	})
	// An eighth at a time, so that a flood does not sort for every template.
	for i, o := range all {
		if !over() && i >= len(all)/8 {
			break
		}
		delete(o.s.templates, o.t.id)
		if o.s.domain.latest[o.t.id] == o.t {
			delete(o.s.domain.latest, o.t.id)
		}
		e.forget(o.t, d)
		e.count(ReasonTemplateLimit)
	}
	return !over()
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// template returns the layout of a data set: the stream's own, else what the
// same domain of this exporter defined last under another source port, so that
// an exporter that comes back with a new port is understood at once. Where
// living streams disagree, or the set's length contradicts, there is no such
// borrowing: the set waits for its own template. Nor is there for connections.
func (e *exporter) template(s *stream, id uint16, setBytes int) *template {
	if t := s.templates[id]; t != nil || s.key.Conn != 0 {
		return t
	}
	t := s.domain.latest[id]
	if t == nil || !t.fits(setBytes) || e.disputes(s, t) {
		return nil
	}
	return t
}

func (e *exporter) count(r Reason) { e.stats.Errors[r]++ }
