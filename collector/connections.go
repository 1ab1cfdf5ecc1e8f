package collector

import (
	"net/netip"
	"sync"
	"time"
)

// ConnectionLimits bound what those who connect can hold and for how long. Zero
// fields take the defaults of DefaultConnectionLimits.
type ConnectionLimits struct {
	Total      int           // connections at once; a connection takes up to 64 KiB, with TLS about 100 KiB
	PerAddress int           // of them, of one address
	Handshake  time.Duration // for TLS to be agreed on
	Message    time.Duration // for the first message after connecting, and from the first byte of any other to its last
	Idle       time.Duration // between messages
}

// DefaultConnectionLimits returns the limits that hold where nothing else is
// said. An exporter of a quiet network may well be silent for half an hour.
func DefaultConnectionLimits() ConnectionLimits {
	return ConnectionLimits{
		Total: 1024, PerAddress: 64, Handshake: 10 * time.Second, Message: time.Minute, Idle: 30 * time.Minute,
	}
}

func (l ConnectionLimits) withDefaults() ConnectionLimits {
	def := DefaultConnectionLimits()
	for _, p := range []struct{ have, want *int }{{&l.Total, &def.Total}, {&l.PerAddress, &def.PerAddress}} {
		if *p.have <= 0 {
			*p.have = *p.want
		}
	}
	for _, p := range []struct{ have, want *time.Duration }{
		{&l.Handshake, &def.Handshake}, {&l.Message, &def.Message}, {&l.Idle, &def.Idle},
	} {
		if *p.have <= 0 {
			*p.have = *p.want
		}
	}
	return l
}

// connections are those that are open, of all addresses that are listened on. It
// is safe for use by several goroutines.
type connections struct {
	limits ConnectionLimits

	mu   sync.Mutex
	last uint64 // number of the last connection; they are never used again
	all  int
	of   map[netip.Addr]int
}

func newConnections(limits ConnectionLimits) *connections {
	return &connections{limits: limits.withDefaults(), of: map[netip.Addr]int{}}
}

// enter takes in a connection and returns its number, or says that there are too
// many.
func (c *connections) enter(addr netip.Addr) (uint64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.all >= c.limits.Total:
		return 0, decodeErrorf(ReasonConnection, "refused: %d connections are open", c.all)
	case c.of[addr] >= c.limits.PerAddress:
		return 0, decodeErrorf(ReasonConnection, "refused: %d connections of %s are open", c.of[addr], addr)
	}
	c.all++
	c.of[addr]++
	c.last++
	return c.last, nil
}

// leave lets go of a connection.
func (c *connections) leave(addr netip.Addr) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all--
	if c.of[addr]--; c.of[addr] == 0 {
		delete(c.of, addr)
	}
}

// open returns how many there are.
func (c *connections) open() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.all
}
