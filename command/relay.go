package command

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"weir/collector"
)

func relayCommand() *command {
	return &command{
		name:  "relay",
		usage: "repeat datagrams to other collectors and keep nothing",
		about: `
Listens as weir collect does and sends each datagram on, unchanged, until Ctrl-C. On Linux with the capability
CAP_NET_RAW it carries the exporter's address as its source; else it comes from this host, and so it does where exporter
and target are of different families. What it does is said at the start. A target that is slow loses what its queue has
no room for, which is counted and logged. To collect and forward at once, say forward: in the configuration of weir collect.`,
		flags: append([]cli.Flag{
			&cli.StringSliceFlag{Name: "listen", Usage: "listen on `URL`: netflow://HOST:PORT or sflow://HOST:PORT (default " + strings.Join(defaultListen(), ", ") + ")"},
			&cli.StringSliceFlag{Name: "to", Usage: "send to the collector at `HOST:PORT`"},
		}, logFlags()...),
		examples: []example{
			{"weir relay --to 192.0.2.20:2055 --to 192.0.2.21:2055", "what comes to the usual ports, to two collectors"},
			{"weir relay --listen netflow://:9995 --to 127.0.0.1:2055", "one port more for a collector"},
		},
		prepare: func(c *cli.Context, _ *Std) (runner, error) {
			urls := defaultListen()
			if c.IsSet("listen") {
				urls = c.StringSlice("listen")
			}
			listen, err := parseListen(urls)
			if err != nil {
				return nil, err
			}
			to, err := parseTargets(c.StringSlice("to"))
			if err != nil {
				return nil, prefixUsage("--to", err)
			}
			if len(to) == 0 {
				return nil, usagef("say where the datagrams go: --to HOST:PORT")
			}
			logs, err := logOptionsOf(c, logOptions{})
			if err != nil {
				return nil, err
			}
			return func(ctx context.Context, std *Std) error { return runRelay(ctx, std, listen, to, logs) }, noArgs(c)
		},
	}
}

// parseTargets resolves the addresses of other collectors.
func parseTargets(texts []string) ([]netip.AddrPort, error) {
	var list []netip.AddrPort
	for _, text := range texts {
		udp, err := net.ResolveUDPAddr("udp", text)
		if err != nil || udp.Port == 0 || udp.IP == nil || udp.IP.IsUnspecified() {
			return nil, usagef("%q is not HOST:PORT of a collector", text).withHint("write 192.0.2.20:2055 or [2001:db8::20]:2055")
		}
		to := netip.AddrPortFrom(udp.AddrPort().Addr().Unmap(), udp.AddrPort().Port())
		if slices.Contains(list, to) {
			return nil, usagef("%s is given twice", text).withHint("it would get each datagram twice")
		}
		list = append(list, to)
	}
	return list, nil
}

// openForward opens the sockets of who repeats datagrams to other collectors, or
// to nobody. A target that is listened on is refused.
func openForward(listen []collector.Listen, to []netip.AddrPort, log *slog.Logger) (*collector.Relay, error) {
	return collector.NewRelay(collector.RelayOptions{To: to, Listen: listen, Logger: log})
}

// runRelay forwards until ctx is done.
func runRelay(ctx context.Context, std *Std, listen []collector.Listen, to []netip.AddrPort, logs logOptions) error {
	log, _ := newLogger(std.Err, logs)
	if err := checkPorts(listen); err != nil {
		return err
	}
	f, err := openForward(listen, to, log)
	if err != nil {
		return err
	}
	r, err := collector.NewReceiver(collector.ReceiverOptions{Listen: listen, Logger: log})
	if err != nil {
		f.Close()
		return listenError(err)
	}
	for i, addr := range r.Addrs() {
		fmt.Fprintf(std.Err, "listening on %s\n", listenText(listen[i].Scheme, addr))
	}
	fmt.Fprintln(std.Err, "Ctrl-C stops")
	err = runAll(ctx, log, func(ctx context.Context) error {
		return r.Run(ctx, func(_ time.Time, src netip.AddrPort, payload []byte) { f.Send(src, payload) })
	}, []background{{"forwarding", f.Run}})
	for _, s := range f.Stats() {
		log.Info("forwarded", "to", s.To, "sent", s.Sent, "queue_full", s.Full, "failed", s.Failed)
	}
	for _, d := range r.KernelDrops() {
		if d.Count > 0 {
			log.Warn("the kernel dropped datagrams before they were read", "listen", d.Where, "datagrams", d.Count)
		}
	}
	return err
}
