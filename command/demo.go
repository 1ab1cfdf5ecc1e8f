package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"weir/bench"
	"weir/collector"
	"weir/flow"
	"weir/testdata"
)

func demoCommand() *command {
	return &command{
		name:  "demo",
		usage: "show it working, with nothing else, in ten seconds",
		about: `
Starts a collector on free ports of this host, with an archive in a temporary directory, sends it what six recorded
exporters sent (NetFlow v9, IPFIX, sFlow), asks what an analyst would ask, and prints each command with its answer.
Nothing of it stays, unless --keep says where.`,
		flags: []cli.Flag{
			&cli.StringFlag{Name: "keep", Usage: "keep the archive in `DIR`, which must not exist or be empty"},
		},
		examples: []example{
			{"weir demo", "look"},
			{"weir demo --keep ./demo-data", "look, and go on asking: weir query --data ./demo-data"},
		},
		prepare: func(c *cli.Context, _ *Std) (runner, error) {
			o := demoOptions{keep: c.String("keep")}
			if o.keep != "" {
				if err := checkEmpty(o.keep); err != nil {
					return nil, err
				}
			}
			return func(ctx context.Context, std *Std) error { return runDemo(ctx, std, o) }, noArgs(c)
		},
	}
}

// demoOptions are the options of weir demo.
type demoOptions struct {
	keep string // where the archive stays; "" for nowhere
}

// demoQuestions are what an analyst asks in an incident, with the command that
// answers it.
var demoQuestions = []struct {
	question string
	args     []string
}{
	{"203.0.113.66 is a known command-and-control server. Who of us talked to it?",
		[]string{"top", "src_addr,dst_addr,dst_port", "dst ip 203.0.113.66", "--by", "flows"}},
	{"So 10.20.3.45 did. What else did it do around that time? The largest flows first.",
		[]string{"query", "ip 10.20.3.45", "--from", "2026-11-22 14:02", "--to", "2026-11-22 14:05", "--order", "-bytes", "-n", "6"}},
	{"4.3 GB to 203.0.113.200. Who else is up to no good: who scans, that is, calls many hosts without an answer?",
		[]string{"top", "src_addr", "proto tcp and flags S and not flags AFRPU", "--distinct", "dst_addr", "--by", "distinct", "-n", "3"}},
	{"198.51.100.77 does. Did any of our hosts answer it with more than a refusal?",
		[]string{"query", "src net 10.20.0.0/16 and src port 22 and dst ip 198.51.100.77 and packets > 5"}},
	{"A complaint names our public address 203.0.113.5, port 40000, at 14:00:45. Who was behind it?",
		[]string{"query", "nat ip 203.0.113.5 and nat port 40000", "--fields", "start,end,src_addr,nat_src_addr,nat_src_port,dst_addr,dst_port", "-o", "json"}},
}

// runDemo shows weir at work.
func runDemo(ctx context.Context, std *Std, o demoOptions) error {
	dir, cleanUp, err := demoDir(o.keep)
	if err != nil {
		return err
	}
	defer cleanUp()
	began := time.Now()
	addrs, stop, err := demoCollector(ctx, std, dir)
	if err != nil {
		return err
	}
	defer stop()
	d := demo{std: std, dir: dir}
	d.say("A collector listens on %s and %s of this host. Six exporters send to it:\n", addrs[0], addrs[1])
	if err := d.send(ctx, addrs); err != nil {
		return err
	}
	if err := d.arrived(ctx); err != nil {
		return err
	}
	for i, q := range demoQuestions {
		d.say("\n%d. %s\n", i+1, q.question)
		if err := d.ask(ctx, q.args); err != nil {
			return err
		}
	}
	if err := stop(); err != nil {
		return err
	}
	d.goOn(o.keep, time.Since(began))
	return nil
}

// demoDir returns the directory of the demonstration's archive.
func demoDir(keep string) (dir string, cleanUp func(), err error) {
	if keep != "" {
		return keep, func() {}, nil
	}
	temp, err := os.MkdirTemp("", "weir-demo-")
	if err != nil {
		return "", nil, err
	}
	return filepath.Join(temp, "data"), func() { os.RemoveAll(temp) }, nil
}

// demoCollector starts a collector on free ports of the loopback interface.
// stop ends it and may be called twice.
func demoCollector(ctx context.Context, std *Std, dir string) (addrs []net.Addr, stop func() error, err error) {
	ctx, cancel := context.WithCancel(ctx)
	ready := make(chan []net.Addr, 1)
	ended := make(chan error, 1)
	o := collectOptions{
		dir:    dir,
		listen: []collector.Listen{{Scheme: "netflow", Addr: "127.0.0.1:0"}, {Scheme: "sflow", Addr: "127.0.0.1:0"}},
		ready:  func(addrs []net.Addr) { ready <- addrs },
	}
	quiet := &Std{In: strings.NewReader(""), Out: io.Discard, Err: io.Discard, Now: std.Now, Getenv: std.Getenv}
	go func() {
		ended <- runCollect(ctx, quiet, o)
		close(ended)
	}()
	stop = func() error {
		cancel()
		return <-ended
	}
	select {
	case addrs = <-ready:
		return addrs, stop, nil
	case err := <-ended:
		cancel()
		return nil, nil, err
	}
}

// A demo is a demonstration under way.
type demo struct {
	std     *Std
	dir     string
	records uint64 // that the exporters sent
}

func (d *demo) say(format string, args ...any) { fmt.Fprintf(d.std.Out, format, args...) }

// send plays the captures to the collector, each exporter from its own address
// where the system has it, as Linux does for all of 127.0.0.0/8.
func (d *demo) send(ctx context.Context, addrs []net.Addr) error {
	for _, capture := range testdata.Captures() {
		before := d.records
		datagrams, err := d.play(ctx, capture.Data, addrs)
		if err != nil {
			return fmt.Errorf("play %s: %w", capture.Name, err)
		}
		d.say("  %4d records in %3d datagrams: %s\n", d.records-before, datagrams, capture.About)
	}
	return nil
}

// demoBurst is how many datagrams are sent before the collector gets a moment:
// the kernel's default buffer holds a few hundred.
const demoBurst = 16

func (d *demo) play(ctx context.Context, data []byte, addrs []net.Addr) (datagrams int, err error) {
	netflow, sflow := bench.NewSender(udpAddr(addrs[0])), bench.NewSender(udpAddr(addrs[1]))
	defer netflow.Close()
	defer sflow.Close()
	decoder := collector.NewDecoder(collector.DecoderOptions{}) // counts what is to arrive
	batch := flow.NewBatch(0)
	err = collector.ReadCapture(bytes.NewReader(data), func(g collector.Datagram) error {
		to := netflow
		if g.Dst.Port() == bench.PortSFlow {
			to = sflow
		}
		if err := to.Send(g.Src.Addr().Unmap(), g.Payload); err != nil {
			return err
		}
		_ = decoder.Decode(batch, uint64(g.Time.UnixMilli()), g.Src, g.Payload)
		if datagrams++; datagrams%demoBurst == 0 {
			time.Sleep(time.Millisecond)
		}
		return ctx.Err()
	})
	d.records += uint64(batch.Len())
	return datagrams, err
}

func udpAddr(a net.Addr) netip.AddrPort {
	udp, ok := a.(*net.UDPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(udp.AddrPort().Addr().Unmap(), udp.AddrPort().Port())
}

// demoPatience is how long the records may take to arrive, on a host that is busy.
const demoPatience = 20 * time.Second

// arrived waits until the collector has all records.
func (d *demo) arrived(ctx context.Context) error {
	b, err := openBackend(ctx, d.dir, modeRead, d.std)
	if err != nil {
		return err
	}
	defer b.Close()
	deadline := time.Now().Add(demoPatience)
	for {
		buckets, err := b.Buckets(ctx)
		if err != nil {
			return err
		}
		var rows uint64
		for _, bucket := range buckets {
			rows += uint64(bucket.Rows)
		}
		if rows >= d.records || time.Now().After(deadline) {
			d.say("%d of %d records have arrived and can be asked for.\n", rows, d.records)
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// ask prints a command as a user types it and runs it as if they had.
func (d *demo) ask(ctx context.Context, args []string) error {
	words := []string{"weir"}
	for _, arg := range args {
		words = append(words, quoteArg(arg))
	}
	line := "   $ " + strings.Join(words, " ")
	if d.std.color() {
		line = "\x1b[1m" + line + "\x1b[0m"
	}
	d.say("%s\n", line)
	std := *d.std
	std.Out = &indent{out: d.std.Out, prefix: "   ", start: true}
	std.Err, std.ErrTerminal = std.Out, false
	std.Getenv = func(name string) string {
		if name == "WEIR_DATA" {
			return d.dir
		}
		return d.std.Getenv(name)
	}
	err := dispatch(ctx, commands(), append([]string{"weir"}, args...), &std)
	if errors.Is(err, errQuiet) {
		return err
	}
	if err != nil {
		return fmt.Errorf("%s: %w", strings.Join(words, " "), err)
	}
	return nil
}

// goOn says what to do next.
func (d *demo) goOn(keep string, took time.Duration) {
	d.say("\nThat took %.1f s. Go on:\n", took.Seconds())
	if keep != "" {
		d.say("  weir query 'ip 10.20.3.45' --data %-11s ask the archive of this demonstration\n", quoteArg(keep))
	} else {
		d.say("  weir demo --keep ./demo-data            again, and keep the archive to ask it more\n")
	}
	d.say(`  weir collect                            collect from your own routers (README.md: how to configure them)
  weir generate --send 127.0.0.1:2055     or from simulated ones
  weir query --help                       everything to ask
`)
}

// An indent puts a prefix before each line.
type indent struct {
	out    io.Writer
	prefix string
	start  bool // the next byte begins a line
}

func (w *indent) Write(p []byte) (int, error) {
	var b []byte
	for _, c := range p {
		if w.start {
			b = append(b, w.prefix...)
		}
		w.start = c == '\n'
		b = append(b, c)
	}
	if _, err := w.out.Write(b); err != nil {
		return 0, err
	}
	return len(p), nil
}

// checkEmpty refuses a directory that has something in it.
func checkEmpty(dir string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return usagef("%v", err)
	case len(entries) > 0:
		return usagef("%s is not empty", dir).withHint("name a directory that does not exist yet")
	}
	return nil
}
