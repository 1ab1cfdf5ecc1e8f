package command

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"weir/bench"
)

// Bounds of what weir generate makes by itself.
const (
	defaultGenerated = 100_000
	maxGenerateRate  = 2_000_000 // records a second
)

func generateCommand() *command {
	return &command{
		name:  "generate",
		usage: "make realistic traffic, to try weir or to test it",
		about: `
Makes the flows of a research network, hosts and services by popularity, scans, IPv6 and all, as six routers would
export them in NetFlow v5, v9, IPFIX and sFlow. The same --seed makes the same flows. They go to a capture file, which
weir import reads, or by UDP to a collector. Traffic is only sent to this host unless --remote allows it.`,
		flags: []cli.Flag{
			&cli.StringFlag{Name: "write", Aliases: []string{"w"}, Usage: "write a capture to `FILE`"},
			&cli.StringFlag{Name: "send", Usage: "send to the collector at `HOST:PORT`"},
			&cli.StringFlag{Name: "records", Usage: "make about `N` flow records", DefaultText: strconv.Itoa(defaultGenerated)},
			&cli.StringFlag{Name: "rate", Usage: "`N` records per second", DefaultText: strconv.Itoa(bench.DefaultRate)},
			&cli.StringFlag{Name: "seed", Usage: "a `NUMBER`; another one makes other flows", DefaultText: "1"},
			&cli.StringFlag{Name: "start", Usage: "`TIME` of the first record (default an hour ago with --write, now with --send)"},
			&cli.BoolFlag{Name: "remote", Usage: "allow --send to another host"},
		},
		examples: []example{
			{"weir generate --send 127.0.0.1:2055 --rate 1000", "to a collector on this host, for a hundred seconds"},
			{"weir generate -w sample.pcap --records 1000000", "a capture for weir import"},
		},
		prepare: func(c *cli.Context, std *Std) (runner, error) {
			o, err := generateFlags(c, std)
			if err != nil {
				return nil, err
			}
			return func(ctx context.Context, std *Std) error { return runGenerate(ctx, std, o) }, noArgs(c)
		},
	}
}

// generateOptions are the options of weir generate; one of file and to is set.
type generateOptions struct {
	file    string
	to      netip.AddrPort
	traffic bench.Options
}

func generateFlags(c *cli.Context, std *Std) (o generateOptions, err error) {
	o.file = c.String("write")
	if (o.file == "") == (c.String("send") == "") {
		return o, usagef("say where the traffic goes: --write FILE or --send HOST:PORT")
	}
	if c.IsSet("send") {
		if o.to, err = destination(c.String("send"), c.Bool("remote")); err != nil {
			return o, err
		}
	}
	records, err := count(c, "records", defaultGenerated)
	if err != nil {
		return o, err
	}
	rate, err := count(c, "rate", bench.DefaultRate)
	if err != nil {
		return o, err
	}
	seed, err := count(c, "seed", 1)
	if err != nil {
		return o, err
	}
	if records == 0 || rate == 0 || rate > maxGenerateRate {
		return o, usagef("--records is at least 1, --rate 1 to %d", maxGenerateRate)
	}
	o.traffic = bench.Options{Seed: uint64(seed), Records: int64(records), Rate: rate}
	if o.file != "" {
		o.traffic.Start = std.Now().Add(-time.Hour).UTC()
	}
	if c.IsSet("start") {
		if o.traffic.Start, err = parseTime(c.String("start"), std.Now(), false); err != nil {
			return o, prefixUsage("--start", err)
		}
	}
	return o, nil
}

// destination resolves the collector's address and refuses other hosts unless
// they are allowed: nobody should flood a network by a slip of the finger.
func destination(text string, remote bool) (netip.AddrPort, error) {
	udp, err := net.ResolveUDPAddr("udp", text)
	if err != nil || udp.Port == 0 {
		return netip.AddrPort{}, usagef("--send: %q is not HOST:PORT", text).withHint("try: --send 127.0.0.1:2055")
	}
	to := udp.AddrPort()
	to = netip.AddrPortFrom(to.Addr().Unmap(), to.Port())
	if !to.Addr().IsValid() || to.Addr().IsUnspecified() {
		to = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), to.Port())
	}
	if !to.Addr().IsLoopback() && !remote {
		return netip.AddrPort{}, usagef("--send: %s is not this host", to.Addr()).withHint("add --remote if it is meant")
	}
	return to, nil
}

// runGenerate makes the traffic.
func runGenerate(ctx context.Context, std *Std, o generateOptions) error {
	var stats bench.Stats
	var err error
	if o.file != "" {
		stats, err = writeTraffic(o)
	} else {
		stats, err = bench.Send(ctx, o.to, o.traffic)
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("nothing listens on %s; start weir collect first", o.to)
	}
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(std.Out, "%d records in %d datagrams, %s bytes, %s to %s\n", stats.Records, stats.Datagrams,
		humanCount(uint64(stats.Bytes)), showMS(stats.First), showMS(stats.Last)); err != nil {
		return err
	}
	if got := float64(stats.Records) / stats.Elapsed.Seconds(); o.file == "" && ctx.Err() == nil &&
		stats.Elapsed > time.Second && got < 0.95*float64(o.traffic.Rate) {
		fmt.Fprintf(std.Err, "weir: sent %.0f records a second, not %d: this machine is not fast enough, or busy\n", got, o.traffic.Rate)
	}
	return ctx.Err()
}

func writeTraffic(o generateOptions) (bench.Stats, error) {
	f, err := os.OpenFile(o.file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return bench.Stats{}, err // an existing file is not overwritten
	}
	stats, err := bench.WriteCapture(f, o.traffic)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return stats, err
}
