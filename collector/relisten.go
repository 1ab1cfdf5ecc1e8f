package collector

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
)

// errNotRunning says that the collector does not run yet, or is about to end.
var errNotRunning = errors.New("the collector does not run")

// Relisten replaces Options.Listen and Options.TLS while Run works. Addresses
// that are listened on already stay open and are read on; new ones are opened
// first; those that are left out are read to their end and closed. No datagram
// is lost, not even where the new address and the old one share a port. New
// connections are shown the new certificates, old ones stay.
//
// After an error it listens where it did, and with the certificates that it had.
// Before Run has begun it waits for that, or for ctx.
func (c *Collector) Relisten(ctx context.Context, listen []Listen, config *tls.Config) error {
	c.relisten.Lock()
	defer c.relisten.Unlock()
	if err := checkListen(listen, config); err != nil {
		return err
	}
	select {
	case <-c.started:
	case <-ctx.Done():
		return errNotRunning
	}
	gone, err := c.rebind(listen, config)
	for _, p := range gone {
		c.retire(p)
	}
	return err
}

// checkListen refuses what cannot be listened on.
func checkListen(listen []Listen, config *tls.Config) error {
	if len(listen) == 0 {
		return errors.New("no address to listen on")
	}
	seen := map[string]bool{}
	for _, l := range listen {
		if seen[l.key()] && !l.anyPort() {
			return fmt.Errorf("listen on %s: it is named twice", l)
		}
		seen[l.key()] = true
		if l.IsTLS() && config == nil {
			return fmt.Errorf("listen on %s: %w", l, errNoTLS)
		}
	}
	return nil
}

// rebind opens what is new and returns the ports that are not wanted any more,
// which are leaving from then on. After an error all is as before.
func (c *Collector) rebind(listen []Listen, config *tls.Config) (gone []*port, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.serve == nil {
		return nil, errNotRunning
	}
	gone = slices.Clone(c.ports)
	ports := make([]*port, len(listen))
	for i, l := range listen {
		at := slices.IndexFunc(gone, func(p *port) bool { return p.listen.key() == l.key() })
		if at >= 0 {
			ports[i] = gone[at]
			gone = slices.Delete(gone, at, at+1)
		}
	}
	before := c.o.TLS
	c.o.TLS = config
	if err := c.openMissing(ports, listen, gone); err != nil {
		c.o.TLS = before
		return nil, err
	}
	for _, p := range ports {
		if p.listen.IsTLS() {
			p.stream.tls.Store(config)
		}
	}
	c.o.Listen, c.ports, c.leaving = listen, ports, slices.Clone(gone)
	return gone, nil
}

// openMissing opens the ports of the addresses that have none, and reads them. If
// one cannot be had, none is.
func (c *Collector) openMissing(ports []*port, listen []Listen, gone []*port) error {
	var opened []*port
	for i, l := range listen {
		if ports[i] != nil {
			continue
		}
		p, err := c.open(l, !sharesPort(l, gone))
		if err != nil {
			for _, o := range opened {
				o.close()
			}
			return fmt.Errorf("listen on %s: %w", l, err)
		}
		ports[i] = p
		opened = append(opened, p)
	}
	for _, p := range opened {
		c.serve(p)
	}
	return nil
}

// key is what makes two addresses the same one: on UDP, the scheme does not, but
// where the system chooses the port.
func (l Listen) key() string {
	if l.IsTLS() || l.anyPort() {
		return l.String()
	}
	return l.Network() + " " + l.Addr
}

// anyPort reports whether the system chooses the port.
func (l Listen) anyPort() bool {
	_, number, _ := net.SplitHostPort(l.Addr)
	return number == "0"
}

// sharesPort reports whether a port for datagrams that is about to be closed has
// the number of a new one: it would be found taken, by ourselves.
func sharesPort(l Listen, gone []*port) bool {
	_, number, _ := net.SplitHostPort(l.Addr)
	for _, p := range gone {
		if _, other, _ := net.SplitHostPort(p.addr.String()); p.stream == nil && other == number {
			return true
		}
	}
	return false
}
