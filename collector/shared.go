package collector

import "slices"

// Bounds of the search for sequences that several streams share.
const (
	maxCommons   = 16
	trialLength  = 256     // datagrams that decide
	trialEarly   = 32      // datagrams, and units of trouble, that decide if the common sequence has none at all
	trialRest    = 4096    // datagrams until the next trial of the same streams
	parallelFor  = 300_000 // ms since its last datagram that a stream counts as parallel
	restartCosts = 100     // units of trouble that a restart counts for
)

// A common follows one sequence that several streams of an exporter may share:
// the ports of one observation domain, where a router spreads its datagrams over
// several sockets, or the domains of one port, where an exporter counts all its
// datagrams together. Whether they do is found out by trial: both ways are
// followed for a while, and the one with far less trouble is right.
type common struct {
	tracker
	byPort   bool // of the domains of one port; else of the ports of one domain
	key      streamKey
	on       bool    // they do share it
	left     int     // datagrams of the trial that are left; negative: of the rest after it
	own, all int64   // trouble of the streams by themselves; of the common sequence
	trial    verdict // what the common sequence told in the trial
}

// covers reports whether a stream belongs to the common sequence.
func (c *common) covers(key streamKey) bool {
	if c.byPort {
		key.Domain = c.key.Domain
	} else {
		key.Port = c.key.Port
	}
	return key == c.key
}

func trouble(v verdict) int64 { return v.lost + v.duplicates + restartCosts*v.restarts }

// follow takes in the number of the datagram that was decoded.
func (e *exporter) follow(s *stream, h *header, d *Decoder) {
	if s.common == nil && s.usual(h.sequence, e.account.size, h) {
		return
	}
	v := e.judge(s, h, e.account.size, d)
	if s.datagrams == 1 && e.replaces(s, h) {
		v.restarts++
	}
	if v.restarts > 0 && e.counted(s, h) {
		v.restarts = 0
	}
	if v != (verdict{}) {
		e.restarted(h, v)
	}
}

// replaces reports whether a stream that begins is that of an exporter that was
// started after all others of the domain fell silent: it came back with another
// source port.
func (e *exporter) replaces(s *stream, h *header) bool {
	if !h.clocked() || h.exportMS == 0 {
		return false
	}
	others := false
	boot := h.exportMS - min(uint64(h.uptime), h.exportMS)
	for _, o := range e.streams {
		if o == s || o.domain != s.domain || !o.started {
			continue
		}
		if o.export > boot+madeLater/2 {
			return false
		}
		others = true
	}
	return others
}

// sameRestart is for how long after a restart of one stream that of another of
// the domain is the same.
const sameRestart = 60_000 // ms

// counted reports whether a restart was counted for another stream of the
// domain: the ports of a router restart together.
func (e *exporter) counted(s *stream, h *header) bool {
	m := s.domain
	same := m.restarted > s.restarted && m.restarted+sameRestart > h.received
	s.restarted = h.received
	if !same {
		m.restarted = h.received
	}
	return same
}

// judge returns what the number of a datagram of a stream adds to the counters.
func (e *exporter) judge(s *stream, h *header, size units, d *Decoder) verdict {
	v, troubled := s.tracker.note(h.sequence, size, h)
	c := s.common
	switch {
	case c == nil && troubled:
		e.suspect(s)
		return v
	case c == nil:
		return v
	case c.left < 0 && !c.on:
		if c.left++; c.left == 0 {
			e.leave(c)
		}
		return v
	}
	together, _ := c.note(h.sequence, size, h)
	c.own, c.all = c.own+trouble(v), c.all+trouble(together)
	c.left--
	if !c.on {
		c.trial.add(together)
	}
	switch {
	case c.on && c.left > 0:
		return together
	case c.on:
		if c.all > 64 && 2*c.all > c.own { // not any more
			e.leave(c)
		}
		c.left, c.own, c.all = trialRest, 0, 0
		return together
	case c.left > 0 && (c.left > trialLength-trialEarly || c.all > 0 || c.own < trialEarly):
		return v
	case c.own >= 16 && 4*c.all <= c.own:
		c.on, c.left, c.own, c.all = true, trialRest, 0, 0
		e.pardon(c, s, h, d)
		v.add(s.blame.negative())
		s.blame = verdict{}
		v.add(c.trial)
		return v
	}
	c.left = -trialRest
	return v
}

// pardon takes back what was counted for the streams of a common sequence by
// themselves, each where it was counted, but for the stream s.
func (e *exporter) pardon(c *common, s *stream, h *header, d *Decoder) {
	for _, member := range e.streams {
		if member.common == c && member != s {
			e.elsewhere(member.key, h.received, d, func() { e.stats.note(member.key.Version, member.blame.negative()) })
			member.blame = verdict{}
		}
	}
}

// suspect starts a trial if the stream is one of several that could share a
// sequence.
func (e *exporter) suspect(s *stream) {
	ports, domains := false, false
	for _, o := range e.streams {
		if o == s || o.seen+parallelFor < s.seen || o.key.Version != s.key.Version || o.key.Conn != s.key.Conn || o.common != nil {
			continue
		}
		ports = ports || o.key.Domain == s.key.Domain
		domains = domains || o.key.Port == s.key.Port
	}
	if !ports && !domains || len(e.commons) >= maxCommons {
		return
	}
	byPort := domains && (!ports || e.tryPort)
	e.tryPort = !byPort
	c := &common{tracker: newTracker(s.records), byPort: byPort, key: s.key, left: trialLength}
	e.commons = append(e.commons, c)
	for _, o := range e.streams {
		if o.common == nil && c.covers(o.key) {
			o.common = c
		}
	}
}

// leave lets the streams of a common sequence be judged by themselves.
func (e *exporter) leave(c *common) {
	e.commons = slices.DeleteFunc(e.commons, func(o *common) bool { return o == c })
	for _, s := range e.streams {
		if s.common == c {
			s.common = nil
			s.tracker = newTracker(s.records)
		}
	}
}

// commonOf returns the common sequence that a new stream belongs to, nil if
// there is none.
func (e *exporter) commonOf(key streamKey) *common {
	for _, c := range e.commons {
		if c.covers(key) {
			return c
		}
	}
	return nil
}
