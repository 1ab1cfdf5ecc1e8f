package command

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// parseMetricsAddr reads where metrics are to be scraped: an address and a port,
// or a port alone, which is one of the loopback interface. "" is nowhere.
func parseMetricsAddr(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	const hint = "write 127.0.0.1:9110; 0.0.0.0:9110 or [::]:9110 lets everybody read it"
	host, port, err := net.SplitHostPort(text)
	if err != nil && !strings.Contains(text, ":") {
		host, port, err = "", text, nil
	}
	if err != nil {
		return "", usagef("metrics: %q is no address and port", text).withHint(hint)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || port != strconv.FormatUint(n, 10) {
		return "", usagef("metrics: %q is no port", port).withHint(hint)
	}
	if host == "" || host == "localhost" {
		host = "127.0.0.1"
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return "", usagef("metrics: %q is no address", host).withHint(hint)
	}
	return net.JoinHostPort(addr.String(), port), nil
}

// listenMetrics opens the port that metrics are scraped from, nil if none is
// asked for, and warns of one that others can reach.
func listenMetrics(addr string, log *slog.Logger) (net.Listener, error) {
	if addr == "" {
		return nil, nil
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen for scrapes of the metrics: %w", err)
	}
	if tcp, ok := l.Addr().(*net.TCPAddr); ok && !tcp.IP.IsLoopback() {
		log.Warn("whoever reaches this address can read the metrics: names and addresses of exporters, and how much they send; there is no password and no encryption",
			"metrics", l.Addr().String())
	}
	return l, nil
}
