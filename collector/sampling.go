package collector

import (
	"slices"

	"weir/flow"
)

// A domain holds what the options data of one observation domain said: sampling
// intervals, by what they apply to, and when the exporter was started. All
// intervals are N of "1 in N", never 0. Tables are nil until they are needed.
type domain struct {
	key        domainKey
	whole      *domain              // domain 0 of the exporter, which speaks for all (RFC 7011, section 3.1)
	latest     map[uint16]*template // by id, the definition that came last
	samplers   map[uint64]uint32    // by samplerId (48) or selectorId (302)
	sequences  map[uint64]uint64    // selectionSequenceId (301) to selectorId
	interfaces map[uint32]uint32    // by ifIndex
	templates  map[uint16]uint32    // by template id
	system     uint32               // of everything else; 0: not known
	sysInit    uint64               // systemInitTimeMilliseconds; 0: not known

	tally     *tally         // of the hour of the last datagram; nil: none
	heard     uint64         // ms, receipt of the last datagram; 0: none since the start
	restarted uint64         // ms, receipt, when a restart was counted; 0: never
	said      []saidInterval // the last one first
}

func newDomain(key domainKey) *domain {
	return &domain{key: key, latest: map[uint16]*template{}}
}

// entries returns how many entries the sampling tables have.
func (m *domain) entries() int {
	return len(m.samplers) + len(m.sequences) + len(m.interfaces) + len(m.templates)
}

func (m *domain) sysInitMS() uint64 {
	if m.sysInit == 0 && m.whole != nil {
		return m.whole.sysInit
	}
	return m.sysInit
}

// sampler returns the interval of a sampler or selector, 0 if not known.
func (m *domain) sampler(id uint64) uint32 {
	if n := m.samplers[id]; n != 0 || m.whole == nil {
		return n
	}
	return m.whole.samplers[id]
}

// byInterface returns the interval of an interface, 0 if not known.
func (m *domain) byInterface(ifIndex uint32) uint32 {
	if n := m.interfaces[ifIndex]; n != 0 || m.whole == nil {
		return n
	}
	return m.whole.interfaces[ifIndex]
}

// systemWide returns the interval that holds for the template where nothing
// more particular is known, 0 if none.
func (m *domain) systemWide(template uint16) uint32 {
	if n := m.templates[template]; n != 0 {
		return n
	}
	if m.system == 0 && m.whole != nil {
		return m.whole.system
	}
	return m.system
}

// deriveSampling sets SamplingInterval: the record's own, else that of the
// sampler it names, else that of its interface, else the system's. Without any
// it stays absent.
func (d *decoding) deriveSampling(p *plan) {
	own := p.ownInterval()
	named := d.state != nil && (p.special[roleSampler] != noRef || p.special[roleSequence] != noRef)
	byInterface := d.state != nil && d.state.hasInterfaces()
	system := uint32(0)
	if d.state != nil {
		system = d.state.systemWide(d.head.template)
	}
	if !own && !named && !byInterface {
		if system != 0 {
			d.constant(flow.SamplingInterval, uint64(system))
		}
		return
	}
	d.mixed = true
	var lastID uint64
	var lastN uint32 // of lastID
	for i := range d.n {
		n := uint64(0)
		if own {
			n = d.ownInterval(p, i)
		}
		if n == 0 && named {
			if id, ok := d.samplerID(p, i); ok {
				if id != lastID || lastN == 0 {
					lastID, lastN = id, d.state.sampler(id)
				}
				n = uint64(lastN)
			}
		}
		if n == 0 && byInterface {
			n = uint64(d.interfaceInterval(i))
		}
		if n == 0 {
			n = uint64(system)
		}
		if n != 0 && n <= 0xffffffff {
			d.b.SetNum(flow.SamplingInterval, d.base+i, n)
		}
	}
}

// ownInterval reports whether the records say their sampling interval themselves.
func (p *plan) ownInterval() bool {
	return p.special[roleInterval] != noRef || p.special[roleRandomInterval] != noRef ||
		p.special[rolePacketInterval] != noRef || p.special[rolePopulation] != noRef
}

// A saidInterval is a sampling interval that records of a domain said
// themselves. Interfaces may differ, so several can be in force at once.
type saidInterval struct {
	n    uint32
	seen uint64 // ms, receipt
}

const (
	inForceFor   = 900_000 // ms after which an interval that came back is a change
	maxIntervals = 16      // in force at once
)

// saidInterval notes the interval of the first record of a set. One that was
// not in force is a change.
func (e *exporter) saidInterval(m *domain, n uint32, received uint64) {
	if n == 0 {
		return
	}
	at := slices.IndexFunc(m.said, func(i saidInterval) bool { return i.n == n })
	if at < 0 {
		at = len(m.said)
		if at == maxIntervals {
			at--
		} else {
			m.said = append(m.said, saidInterval{n: n})
		}
	}
	if at > 0 {
		if m.said[at].seen+inForceFor < received {
			e.resampled(received, m.key.Domain, m.said[0].n, n)
		}
		copy(m.said[1:at+1], m.said[:at])
	}
	m.said[0] = saidInterval{n, received}
}

// constant sets a numeric field of all rows to one value.
func (d *decoding) constant(f flow.Field, v uint64) {
	col := d.b.Num(f)[d.base : d.base+d.n]
	for i := range col {
		col[i] = v
	}
	d.b.Mark(f, d.base, d.base+d.n)
}

func (d *decoding) numberAt(p *plan, r role, i int) uint64 {
	at := d.special(p, r)
	if at.len == 0 {
		return 0
	}
	return uintOf(d.at(at, i))
}

func (d *decoding) ownInterval(p *plan, i int) uint64 {
	return statement{
		interval: d.numberAt(p, roleInterval, i), random: d.numberAt(p, roleRandomInterval, i),
		packets: d.numberAt(p, rolePacketInterval, i), space: d.numberAt(p, rolePacketSpace, i),
		hasSpace: p.special[rolePacketSpace] != noRef,
		size:     d.numberAt(p, roleSampleSize, i), population: d.numberAt(p, rolePopulation, i),
	}.n()
}

// A statement is what an exporter said about sampling in one record; zero is
// unsaid.
type statement struct {
	interval, random uint64 // 34, 50
	packets, space   uint64 // 305 packets taken, then 306 left out (RFC 5477, section 8.2)
	hasSpace         bool
	size, population uint64 // 309 packets taken out of 310
}

// n returns N of "1 in N", or 0. Exporters that send 305 without 306 mean it as
// an interval, unless they also say how many of how many.
func (s statement) n() uint64 {
	switch {
	case s.interval != 0:
		return s.interval
	case s.random != 0:
		return s.random
	case s.packets != 0 && s.hasSpace && s.packets < 1<<32 && s.space < 1<<32:
		return (s.packets + s.space + s.packets/2) / s.packets
	case s.size != 0 && s.population >= s.size && s.population < 1<<40:
		return (s.population + s.size/2) / s.size
	}
	return s.packets
}

func (d *decoding) samplerID(p *plan, i int) (uint64, bool) {
	if at := d.special(p, roleSampler); at.len > 0 {
		return uintOf(d.at(at, i)), true
	}
	if at := d.special(p, roleSequence); at.len > 0 {
		id, ok := d.state.sequences[uintOf(d.at(at, i))]
		return id, ok
	}
	return 0, false
}

func (m *domain) hasInterfaces() bool {
	return len(m.interfaces) > 0 || m.whole != nil && len(m.whole.interfaces) > 0
}

// interfaceInterval returns the interval of the interface where the record was
// metered: the output for egress flows, else the input.
func (d *decoding) interfaceInterval(i int) uint32 {
	row := d.base + i
	f := flow.InIf
	if d.b.Has(flow.Direction, row) && d.b.GetNum(flow.Direction, row) == 1 {
		f = flow.OutIf
	}
	if !d.b.Has(f, row) {
		return 0
	}
	return d.state.byInterface(uint32(d.b.GetNum(f, row)))
}
