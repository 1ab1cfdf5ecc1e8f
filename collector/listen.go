package collector

import (
	"errors"
	"fmt"
	"net"
	"strings"
)

// A Listen is an address to receive on. The scheme only says which port is
// meant by default: every socket takes every version.
type Listen struct {
	Scheme string // "netflow" or "sflow"
	Addr   string // host:port; an empty host is every address of both families
}

// DefaultListen returns the addresses of a collector that is not told others.
func DefaultListen() []Listen {
	return []Listen{{"netflow", ":2055"}, {"sflow", ":6343"}}
}

// ParseListen parses an address such as "netflow://:2055" or
// "sflow://[::1]:6343". Without a port it takes 2055 or 6343.
func ParseListen(s string) (Listen, error) {
	scheme, addr, ok := strings.Cut(s, "://")
	port := map[string]string{"netflow": "2055", "sflow": "6343"}[scheme]
	if !ok || port == "" {
		return Listen{}, fmt.Errorf("address %q is neither netflow://HOST:PORT nor sflow://HOST:PORT", s)
	}
	addr = strings.TrimSuffix(addr, "/")
	host, given, err := net.SplitHostPort(addr)
	if err != nil {
		host, given, err = net.SplitHostPort(addr + ":" + port)
	}
	if err != nil {
		return Listen{}, fmt.Errorf("address %q: %w", s, err)
	}
	if _, err := net.LookupPort("udp", given); err != nil {
		return Listen{}, fmt.Errorf("address %q: port %q", s, given)
	}
	return Listen{scheme, net.JoinHostPort(host, given)}, nil
}

// String returns the address in the form that ParseListen takes.
func (l Listen) String() string { return l.Scheme + "://" + l.Addr }

// A socketError says that a socket broke.
type socketError struct{ err error }

func (e *socketError) Error() string { return "receive: " + e.err.Error() }
func (e *socketError) Unwrap() error { return e.err }

func asSocketError(err error, target **socketError) bool { return errors.As(err, target) }
