package collector

import (
	"errors"
	"fmt"
	"net"
	"strings"
)

// A Listen is an address to receive on. On UDP the scheme only says which port
// is meant by default: every socket takes every version. Over TCP and TLS there
// is IPFIX alone.
type Listen struct {
	Scheme string // one of those that ParseListen takes
	Addr   string // host:port; an empty host is every address of both families
}

// Schemes of addresses that are connected to.
const (
	schemeTCP = "ipfix+tcp"
	schemeTLS = "ipfix+tls"
)

// listenPorts are the schemes with the port of each that is meant by default.
var listenPorts = map[string]string{"netflow": "2055", "sflow": "6343", schemeTCP: "4739", schemeTLS: "4740"}

// DefaultListen returns the addresses of a collector that is not told others.
func DefaultListen() []Listen {
	return []Listen{{"netflow", ":2055"}, {"sflow", ":6343"}}
}

// ParseListen parses an address such as "netflow://:2055",
// "sflow://[::1]:6343", "ipfix+tcp://:4739" or "ipfix+tls://:4740". Without a
// port it takes one of these.
func ParseListen(s string) (Listen, error) {
	scheme, addr, ok := strings.Cut(s, "://")
	port := listenPorts[scheme]
	if !ok || port == "" {
		return Listen{}, fmt.Errorf("address %q is none of netflow://, sflow://, ipfix+tcp:// and ipfix+tls://HOST:PORT", s)
	}
	addr = strings.TrimSuffix(addr, "/")
	host, given, err := net.SplitHostPort(addr)
	if err != nil {
		host, given, err = net.SplitHostPort(addr + ":" + port)
	}
	if err != nil {
		return Listen{}, fmt.Errorf("address %q: %w", s, err)
	}
	l := Listen{scheme, net.JoinHostPort(host, given)}
	if _, err := net.LookupPort(l.Network(), given); err != nil {
		return Listen{}, fmt.Errorf("address %q: port %q", s, given)
	}
	return l, nil
}

// String returns the address in the form that ParseListen takes.
func (l Listen) String() string { return l.Scheme + "://" + l.Addr }

// IsStream reports whether exporters connect to the address.
func (l Listen) IsStream() bool { return l.Scheme == schemeTCP || l.IsTLS() }

// IsTLS reports whether the address needs Options.TLS.
func (l Listen) IsTLS() bool { return l.Scheme == schemeTLS }

// Network returns "udp" or "tcp".
func (l Listen) Network() string {
	if l.IsStream() {
		return "tcp"
	}
	return "udp"
}

// A socketError says that a socket broke.
type socketError struct{ err error }

func (e *socketError) Error() string { return "receive: " + e.err.Error() }
func (e *socketError) Unwrap() error { return e.err }

func asSocketError(err error, target **socketError) bool { return errors.As(err, target) }
