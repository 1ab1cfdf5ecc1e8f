package collector

import (
	"sync/atomic"
	"time"
)

// A pulse tells when a loop last went round. Loops go round several times a
// second even if nothing comes in, so one without a pulse is stuck: on the disk,
// on a lock, or on a mistake of ours.
type pulse struct {
	what  string
	began time.Time    // whence at counts, by a clock that nobody sets
	at    atomic.Int64 // ns
}

func newPulse(what string, began time.Time) *pulse {
	p := &pulse{what: what, began: began}
	p.beat()
	return p
}

func (p *pulse) beat() { p.at.Store(int64(time.Since(p.began))) }

// age returns how long ago the last beat was.
func (p *pulse) age() time.Duration { return time.Since(p.began) - time.Duration(p.at.Load()) }

// pulse returns a new pulse of a loop that serves the port.
func (p *port) pulse(what string) *pulse {
	one := newPulse(what+" "+p.listen.String(), p.began)
	p.pulseMu.Lock()
	defer p.pulseMu.Unlock()
	p.pulses = append(p.pulses, one)
	return one
}

// Progress returns which loop of receiving, decoding and storing has not gone
// round for the longest time, and for how long. While Run works that is well
// under two seconds, whatever comes in, unless the disk holds it up.
func (c *Collector) Progress() (what string, since time.Duration) {
	what, since = c.keeping.what, c.keeping.age()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.ports {
		p.pulseMu.Lock()
		for _, one := range p.pulses {
			if age := one.age(); age > since {
				what, since = one.what, age
			}
		}
		p.pulseMu.Unlock()
	}
	return what, since
}
