package bench

import (
	"slices"
	"time"

	"weir/flow"
)

// Options say what a Generator makes. The zero value is an endless stream from
// the default exporters.
type Options struct {
	Seed      uint64
	Start     time.Time  // simulated time of the first record; zero: DefaultStart
	Rate      int        // records per second of simulated time; 0: DefaultRate
	Records   int64      // records to make, about (a last datagram is finished); 0: no end
	Exporters []Exporter // nil: DefaultExporters
	Incidents []Incident // planted in the traffic

	// SeenTwice is the percentage of conversations that the exporter next in
	// the list sees too, and exports again.
	SeenTwice int
}

// DefaultStart is where simulated time starts unless Options say otherwise.
var DefaultStart = time.Date(2026, time.November, 22, 14, 0, 0, 0, time.UTC)

// DefaultRate is the number of records per simulated second unless Options say
// otherwise.
const DefaultRate = 5000

// A Packet is one export datagram.
type Packet struct {
	Exporter *Exporter
	Time     uint64 // when it is sent, and received; ms since the Unix epoch
	Payload  []byte // valid until the next call
	Records  int    // flow records in it
}

// A Generator makes export datagrams in order of time. It is not safe for use
// by several goroutines at once.
type Generator struct {
	traffic   *traffic
	exporters []*session
	byWeight  []int // exporter indices, each as often as its share
	planted   []seen
	start     uint64
	rate      uint64
	limit     int64
	twice     uint64 // percentage of conversations that two exporters see
	made      int64  // records handed to sessions
	now       uint64 // ms
	swept     uint64 // ms; when old datagrams were last sent on
	ready     []*session
	scratch   []byte
}

// A session is an exporter and the datagram it is filling.
type session struct {
	exporter *Exporter
	encoder  encoder
	groups   [kindCount][]flow.Record
	count    int    // records in groups
	size     int    // bytes that the datagram takes
	oldest   uint64 // ms; when the first record came
	untold   int    // datagrams until templates are sent again
	full     []seen // a record that did not fit, at most one
}

const (
	announceEvery = 256 // datagrams between two announcements of the templates
	sendAfter     = 500 // ms that a record waits for its datagram to fill
	sweepEvery    = 100 // ms
)

// New returns a Generator.
func New(o Options) *Generator {
	if o.Start.IsZero() {
		o.Start = DefaultStart
	}
	if o.Rate <= 0 {
		o.Rate = DefaultRate
	}
	if o.Exporters == nil {
		o.Exporters = DefaultExporters()
	}
	start := uint64(o.Start.UnixMilli())
	g := &Generator{
		traffic: newTraffic(o.Seed, start), start: start, now: start, swept: start,
		rate: uint64(o.Rate), limit: o.Records, twice: uint64(max(o.SeenTwice, 0)),
	}
	for i := range o.Exporters {
		e := &o.Exporters[i]
		uptime := uint64(e.Uptime/time.Second) * 1000
		if uptime == 0 {
			uptime = (3 + mix(uint64(i)^o.Seed)%37) * 86_400_000
		}
		boot := start - uptime - start%1000 // whole seconds, see encoderV9
		g.exporters = append(g.exporters, &session{exporter: e, encoder: newEncoder(e, boot)})
		for range e.Share {
			g.byWeight = append(g.byWeight, i)
		}
	}
	g.plant(o.Incidents)
	return g
}

// Next makes the next datagram, appends its records to b (unless that is nil)
// and returns it. It returns false at the end. Announcements of templates are
// datagrams without records.
func (g *Generator) Next(b *flow.Batch) (Packet, bool) {
	for {
		if n := len(g.ready); n > 0 {
			s := g.ready[0]
			if s.untold == 0 {
				s.untold = announceEvery
				g.scratch = s.encoder.announce(g.scratch[:0], g.now)
				if len(g.scratch) > 0 {
					return Packet{Exporter: s.exporter, Time: g.now, Payload: g.scratch}, true
				}
			}
			s.untold--
			g.ready = slices.Delete(g.ready, 0, 1)
			return g.send(s, b), true
		}
		if g.limit > 0 && g.made >= g.limit {
			if !g.flush(g.now) {
				return Packet{}, false
			}
			continue
		}
		g.step()
	}
}

// announce lets every exporter send its templates before its next records.
func (g *Generator) announce() {
	for _, s := range g.exporters {
		s.untold = 0
	}
}

// step makes one record and puts it in its exporter's datagram; full and old
// datagrams become ready.
func (g *Generator) step() {
	g.now = g.start + uint64(g.made)*1000/g.rate
	if g.now-g.swept >= sweepEvery {
		g.swept = g.now
		if g.flush(g.now - sendAfter) {
			return
		}
	}
	s, ok := g.nextPlanted()
	if !ok {
		s = g.traffic.next(g.now)
		if s.exporter < 0 {
			if s.exporter = g.choose(&s); s.exporter < 0 {
				return
			}
			g.repeat(s)
		}
	}
	g.made++
	session := g.exporters[s.exporter]
	if !session.fits(&s.Flow) {
		g.ready = append(g.ready, session)
		session.full = append(session.full, s)
		return
	}
	session.add(&s, g.now)
}

// flush makes ready what has waited since the given time.
func (g *Generator) flush(since uint64) bool {
	for _, s := range g.exporters {
		if s.count > 0 && s.oldest <= since {
			g.ready = append(g.ready, s)
		}
	}
	return len(g.ready) > 0
}

// choose returns the exporter that sees a flow: the one that its inside host's
// organisation is connected to. It returns -1 if there is none for it.
func (g *Generator) choose(s *seen) int {
	if len(g.byWeight) == 0 {
		return -1
	}
	org := max(s.src.org, s.dst.org)
	// Organisations differ in size by far, so a flow's prefix has a say too.
	x := mix(uint64(org)<<32 ^ s.src.addr.Lo>>8 ^ s.dst.addr.Lo>>8 ^ s.src.addr.Hi ^ s.dst.addr.Hi)
	for range 4 {
		i := g.byWeight[x%uint64(len(g.byWeight))]
		if g.exporters[i].exporter.carries(&s.Flow) {
			return i
		}
		x = mix(x)
	}
	return -1
}

// repeat lets the next exporter see a flow too, if it is one that two see.
func (g *Generator) repeat(s seen) {
	pair := min(s.Src.Lo, s.Dst.Lo) ^ max(s.Src.Lo, s.Dst.Lo)<<1
	if mix(pair)%100 >= g.twice {
		return
	}
	s.exporter = (s.exporter + 1) % len(g.exporters)
	if g.exporters[s.exporter].exporter.carries(&s.Flow) {
		g.traffic.queue = append(g.traffic.queue, s)
	}
}

// fits reports whether the datagram has room for one more record.
func (s *session) fits(f *Flow) bool {
	group, size := s.encoder.slot(kindOf(f))
	header, set := s.encoder.overhead()
	if s.count == 0 {
		return true
	}
	if len(s.groups[group]) == 0 {
		size += set
	}
	return header+s.size+size <= maxPayload
}

// add puts a record in the datagram.
func (s *session) add(f *seen, now uint64) {
	group, size := s.encoder.slot(kindOf(&f.Flow))
	_, set := s.encoder.overhead()
	if s.count == 0 {
		s.oldest, s.size = now, 0
	}
	if len(s.groups[group]) == 0 {
		s.size += set
	}
	s.size += size
	s.count++
	s.groups[group] = slices.Grow(s.groups[group], 1)
	s.groups[group] = s.groups[group][:len(s.groups[group])+1]
	s.exporter.record(f, &s.groups[group][len(s.groups[group])-1])
}

// send encodes the datagram of a session and begins the next.
func (g *Generator) send(s *session, b *flow.Batch) Packet {
	for k := range s.groups {
		for i := range s.groups[k] {
			if b == nil {
				break
			}
			s.groups[k][i].SetNum(flow.Received, g.now)
			b.AppendRecord(&s.groups[k][i])
		}
	}
	g.scratch = s.encoder.encode(g.scratch[:0], &s.groups, g.now)
	p := Packet{Exporter: s.exporter, Time: g.now, Payload: g.scratch, Records: s.count}
	for k := range s.groups {
		s.groups[k] = s.groups[k][:0]
	}
	s.count = 0
	for i := range s.full {
		s.add(&s.full[i], g.now)
	}
	s.full = s.full[:0]
	return p
}
