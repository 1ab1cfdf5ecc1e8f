package collector

import (
	"fmt"
	"net/netip"
	"sync"

	"weir/flow"
	"weir/flow/ledger"
)

// Bounds of what is kept of sFlow agents.
const (
	maxAgents  = 64   // of one stream: a relay speaks for many
	maxSources = 4096 // of one agent
	agentBytes = 512  // what an agent takes, about
)

// An agent is what is known of an sFlow agent, or one of its sub-agents, that is
// heard through one stream. Its datagrams have sequence numbers of their own.
type agent struct {
	tracker
	sources map[uint64]*source // by source: type << 32 | index

	// Some agents number the samples of all sources together. Both are followed
	// until one of them is clear.
	samples  sequence // of all sources
	sample   uint32   // number of the last sample
	own, all uint32   // samples that were the next of their source; of all. Of one source only, both
	wide     bool     // all of them explains the numbers, own does not
	settled  bool     // own does, and only the sources are followed
	missed   uint32   // since settled: samples that were not the next of their source
	lost     int64    // samples counted as lost since it was last clear
}

// A source is one of an agent's sampling processes, an interface mostly.
type source struct {
	sequence        // of its flow samples
	drops    uint32 // samples that the agent could not send, as last said
	rate     uint32 // its sampling interval, as last said; 0: not known
	counted  bool   // drops is known
}

// agentOf returns the agent that a datagram is from, nil if there are too many.
func (e *exporter) agentOf(s *stream, h *header, d *Decoder) *agent {
	if s.agent != nil && s.agentAddr == h.agent {
		return s.agent
	}
	a := s.agents[h.agent]
	if a == nil {
		if len(s.agents) >= maxAgents || !e.reserve(agentBytes, d) {
			return nil
		}
		if s.agents == nil {
			s.agents = map[flow.Addr]*agent{}
		}
		a = &agent{tracker: newTracker(false), sources: map[uint64]*source{}, samples: newSequence(false)}
		s.agents[h.agent] = a
		e.settleIn(a, s, h, d)
	}
	s.agent, s.agentAddr = a, h.agent
	return a
}

// forgetAgents gives back the memory of a stream's agents.
func (e *exporter) forgetAgents(s *stream, d *Decoder) {
	for _, a := range s.agents {
		e.release(agentBytes+len(a.sources)*agentBytes, d)
	}
}

// A sampled is the head of a flow sample.
type sampled struct {
	source                uint64 // type << 32 | index
	sequence, rate, drops uint32
}

// sampled takes in the head of a flow sample: gaps in its source's numbers, the
// agent's own count of what it dropped, and a change of its rate.
func (e *exporter) sampled(a *agent, h *header, f sampled, d *Decoder) {
	s := a.sources[f.source]
	if s == nil {
		if len(a.sources) >= maxSources || !e.reserve(agentBytes, d) {
			return
		}
		s = &source{sequence: newSequence(false)}
		a.sources[f.source] = s
	}
	v := a.numbered(s, f.sequence, h)
	e.stats.more[ledger.LostSamples] += uint64(v.lost)
	if v.reordered+v.duplicates > 0 {
		return // what it says is older than what is known
	}
	grown := f.drops - s.drops
	if s.counted && v.restarts == 0 && grown < 1<<31 {
		e.stats.more[ledger.SampleDrops] += uint64(grown)
	}
	s.drops, s.counted = f.drops, true
	if s.rate != 0 && f.rate != 0 && s.rate != f.rate {
		e.resampled(h.received, h.domain, s.rate, f.rate)
	}
	s.rate = f.rate
}

// How many samples decide how an agent numbers them, how many settle it, and how
// many surprises unsettle it.
const (
	numbersSeen   = 8
	numbersSettle = 64
	numbersMissed = 64
)

// numbered takes in the number of a sample of a source.
func (a *agent) numbered(s *source, number uint32, h *header) verdict {
	switch {
	case !a.settled:
		return a.compare(s, number, h)
	case s.isNext(number, h):
		s.advance(number, units{1, 1}, h)
		return verdict{}
	case number == s.next:
		return s.note(number, units{1, 1}, h)
	}
	if a.missed++; a.missed >= numbersMissed {
		a.settled, a.own, a.all, a.missed, a.lost, a.samples = false, 0, 0, 0, 0, newSequence(false)
	}
	return s.note(number, units{1, 1}, h)
}

// compare is numbered while both ways are followed.
func (a *agent) compare(s *source, number uint32, h *header) verdict {
	if s.started && number == s.next {
		a.own++
	}
	if a.samples.started && number == a.sample+1 {
		a.all++
	}
	a.sample = number
	v, together := s.note(number, units{1, 1}, h), a.samples.note(number, units{1, 1}, h)
	if a.own+a.all >= numbersSeen {
		if wide := a.all > a.own; wide != a.wide {
			a.wide, v.lost, a.lost = wide, -a.lost, 0
			return v
		}
	}
	switch {
	case a.wide:
		v = together
	case a.own >= numbersSettle:
		a.settled = true
	}
	if a.own+a.all >= 1<<16 {
		a.own, a.all = a.own/2, a.all/2
	}
	a.lost += v.lost
	return v
}

// settleIn looks whether an agent that is new to a stream was heard before:
// through another port, and was started since, or from another source.
func (e *exporter) settleIn(a *agent, s *stream, h *header, d *Decoder) {
	for _, other := range e.streams {
		old := other.agents[h.agent]
		if old != nil && old != a && other.domain == s.domain && old.started && old.rebooted(h) {
			e.restarted(h, verdict{restarts: 1})
			return
		}
	}
	if before := d.agents.meet(h.agent, e.addr); before != e.addr {
		e.happened(h.received, ledger.EventAddress, h.domain,
			fmt.Sprintf("agent %s, before from %s", h.agent, before))
	}
}

// agentSources remembers which source sFlow agents were heard from last. It is
// safe for use by several goroutines.
type agentSources struct {
	mu sync.Mutex
	of map[flow.Addr]netip.Addr
}

const maxAgentSources = 4096

// meet notes a source and returns the one before, or the same for an agent that
// is not known.
func (a *agentSources) meet(agent flow.Addr, source netip.Addr) netip.Addr {
	a.mu.Lock()
	defer a.mu.Unlock()
	before, ok := a.of[agent]
	if !ok {
		before = source
		if len(a.of) >= maxAgentSources {
			return before
		}
	}
	if a.of == nil {
		a.of = map[flow.Addr]netip.Addr{}
	}
	a.of[agent] = source
	return before
}
