package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"weir/collector"
	"weir/flow/ledger"
	"weir/index"
	"weir/query"
	"weir/retention"
	"weir/store"
)

// defaultListen returns where weir collect listens when nothing else is said,
// each for IPv4 and IPv6.
func defaultListen() []string {
	var urls []string
	for _, l := range collector.DefaultListen() {
		urls = append(urls, l.String())
	}
	return urls
}

func collectCommand() *command {
	return &command{
		name:  "collect",
		usage: "receive flows, keep them and answer questions about them",
		about: `
Listens for NetFlow v5 and v9, IPFIX and sFlow v5 on UDP, each port takes any of them, and for IPFIX over TCP (ipfix+tcp://,
port 4739) and TLS (ipfix+tls://, 4740; the configuration names the certificate) if told to. Every record is on its way to
disk within a second and can be asked for at once: weir query and the other commands find this collector by its data
directory. Hours older than --retention are dropped whole. SIGTERM or Ctrl-C stops it: it stores what it has received
and exits 0.

A configuration file has the same keys as the flags, and flags go before it:

    data: /srv/weir
    listen: [netflow://:2055, sflow://:6343]
    retention: 90d

It may also say whose networks are (networks), what exporters there are and whether others are refused (exporters), what
to do with records that are not ours (scope), which file knows countries and names of AS (mmdb), and which other
collectors get what comes in (forward); docs/operations.md has an example of every key.`,
		flags: []cli.Flag{
			dataFlag(),
			&cli.StringSliceFlag{Name: "listen", Usage: "listen on `URL`: netflow://HOST:PORT, sflow://HOST:PORT, ipfix+tcp://HOST:PORT or ipfix+tls://HOST:PORT (default " + strings.Join(defaultListen(), ", ") + ")"},
			&cli.StringFlag{Name: "retention", Usage: "keep records for `SPAN`, or forever", DefaultText: defaultRetention},
			&cli.StringFlag{Name: "max-disk", Usage: "drop the oldest hours before their time when the directory takes more than `SIZE`, or a share of the disk", DefaultText: "no limit"},
			&cli.StringFlag{Name: "metrics", Usage: "tell the counters in Prometheus' format on `ADDR:PORT`", DefaultText: "not at all"},
			&cli.StringFlag{Name: "config", Usage: "read the configuration from `FILE` (YAML)"},
		},
		examples: []example{
			{"weir collect", "into ./weir-data, on the usual ports"},
			{"weir collect --data /srv/weir --retention 30d", "elsewhere, and for a month"},
			{"weir collect --max-disk 200G", "never more than that: the oldest hours go first, and it is announced; 80% is a share of the disk"},
			{"weir collect --listen netflow://127.0.0.1:9995 --listen 'sflow://[::1]:6343'", "on chosen addresses and ports"},
			{"weir collect --listen netflow://:2055 --listen ipfix+tcp://:4739", "IPFIX over TCP as well"},
			{"weir collect --metrics 127.0.0.1:9110", "to be watched by Prometheus; see docs/metrics.md"},
			{"weir collect --config /etc/weir.yaml", "as a service"},
		},
		prepare: func(c *cli.Context, std *Std) (runner, error) {
			o, err := collectFlags(c, std)
			if err != nil {
				return nil, err
			}
			return func(ctx context.Context, std *Std) error { return runCollect(ctx, std, o) }, noArgs(c)
		},
	}
}

// collectOptions are the options of weir collect.
type collectOptions struct {
	dir     string
	listen  []collector.Listen
	tls     *certificates // of addresses for TLS; nil: there are none
	keep    time.Duration // 0: for ever
	maxDisk diskLimit
	names   *query.Names // of the configuration; nil: none
	config  config       // what the file says that is no flag
	audit   auditPolicy
	socket  socketPolicy
	metrics string // where they are scraped from; "": nowhere

	ready func(addrs []net.Addr) // called when everything listens; may be nil
}

func collectFlags(c *cli.Context, std *Std) (o collectOptions, err error) {
	n, err := namingOf(c)
	if err != nil {
		return o, err
	}
	file := n.config
	o.names, o.config = n.names, *file
	o.audit, o.socket = file.Audit, file.Socket
	if o.dir, err = dataDir(c, std); err != nil {
		return o, err
	}
	urls := defaultListen()
	if c.IsSet("listen") {
		urls = c.StringSlice("listen")
	} else if file.Listen != nil {
		urls = file.Listen
	}
	if o.listen, err = parseListen(urls); err != nil {
		return o, err
	}
	if o.tls, err = file.TLS.config(o.listen); err != nil {
		return o, err
	}
	keep := defaultRetention
	if c.IsSet("retention") {
		keep = c.String("retention")
	} else if file.Retention != "" {
		keep = file.Retention
	}
	if o.keep, err = parseRetention(keep); err != nil {
		return o, err
	}
	if o.maxDisk, err = parseMaxDisk(cmp.Or(c.String("max-disk"), file.MaxDisk)); err != nil {
		return o, err
	}
	o.metrics, err = parseMetricsAddr(cmp.Or(c.String("metrics"), file.Metrics))
	return o, err
}

func parseListen(urls []string) ([]collector.Listen, error) {
	var list []collector.Listen
	for _, url := range urls {
		l, err := collector.ParseListen(url)
		if err != nil {
			return nil, usagef("listen: %v", err).withHint("write netflow://:2055 or sflow://[::]:6343")
		}
		list = append(list, l)
	}
	if len(list) == 0 {
		return nil, usagef("nothing to listen on").withHint("write netflow://:2055")
	}
	return list, nil
}

// runCollect collects until ctx is done, and returns when everything received
// is stored.
func runCollect(ctx context.Context, std *Std, o collectOptions) error {
	log := slog.New(slog.NewTextHandler(std.Err, nil))
	limitMemory(std.Getenv, systemMemory())
	if err := checkFree(ctx, o); err != nil {
		return err
	}
	s, err := store.Open(o.dir, store.Options{Logger: log})
	if err != nil {
		return err
	}
	err = collectInto(ctx, std, o, s, log)
	if closeErr := s.Close(); err == nil && closeErr != nil {
		err = fmt.Errorf("close the archive: %w", closeErr)
	}
	if err == nil {
		log.Info("stopped", "data", o.dir)
	}
	return err
}

func collectInto(ctx context.Context, std *Std, o collectOptions, s *store.Store, log *slog.Logger) (err error) {
	if err := s.PutState(policyKey, []byte(keepText(o.keep))); err != nil {
		return fmt.Errorf("write down the retention: %w", err)
	}
	if err := s.PutState(auditPolicyKey, marshal(o.audit)); err != nil {
		return fmt.Errorf("write down the audit policy: %w", err)
	}
	if err := writeKnown(s, o.config.Known); err != nil {
		return err
	}
	if err := writeScope(s, o.config.scope(nil)); err != nil {
		return err
	}
	journal := newJournal(s, std)
	aside, err := openQuarantine(o, std, log, s, journal)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, aside.close()) }()
	policy, err := policyOf(&o.config, aside, log)
	if err != nil {
		return err
	}
	keeper, err := retention.New(retention.Options{Store: s, State: s, Keep: o.keep, Now: std.Now, Logger: log, BeforeDrop: journal.drop(s, o.keep),
		Pressure: o.maxDisk.pressure(s, journal), Doubt: doubtOf(s)})
	if err != nil {
		return err
	}
	sealer := index.NewSealer(s, index.Options{Now: std.Now, Logger: log})
	shown := newTails(s)
	relay, err := openForward(o.listen, o.config.Forward, log)
	if err != nil {
		return err
	}
	c, err := collector.New(collector.Options{Listen: o.listen, TLS: o.tls.tls(log), Forward: relay.callback(), Sink: shown, State: s, Ledger: s, Known: o.config.Known, Policy: policy, Now: std.Now, Logger: log})
	if err != nil {
		relay.close()
		return listenError(err)
	}
	doors, err := o.open(log)
	if err != nil {
		relay.close()
		c.Close()
		return err
	}
	l := &local{store: s, sealer: sealer, keeper: keeper, now: std.Now, names: o.names, known: o.config.Known, scope: o.config.scope(nil), networks: networkPrefixes(&o.config), aside: aside, tails: shown}
	answers := newServer(newAudited(l), log)
	l.daemon = &daemon{started: std.Now(), collector: c, rates: newMeter(c.Stats), counts: answers.counts, metrics: metricsURL(doors.metrics), forward: relay}
	if err := journal.note("collect", fmt.Sprintf("started by weir %s, keeps %s", version, keepText(o.keep))); err != nil {
		doors.close()
		relay.close()
		c.Close()
		return err
	}
	announce(std, o, c.Addrs(), l.daemon.metrics)
	if o.ready != nil {
		o.ready(c.Addrs())
	}
	err = runAll(ctx, log, c.Run, append(aside.parts(), []background{
		{"sealing", func(ctx context.Context) error { sealer.Run(ctx); return nil }},
		{"retention", func(ctx context.Context) error { keeper.Run(ctx); return nil }},
		{"questions", func(ctx context.Context) error { return answers.run(ctx, doors.socket) }},
		{"forwarding", relay.run},
		{"rates", l.daemon.rates.run},
		{"metrics", func(ctx context.Context) error { return serveMetrics(ctx, doors.metrics, l, log) }},
		{"ledgers", l.readLedgers},
		{"purge", func(ctx context.Context) error { return resumePurge(ctx, std, l, log) }},
		{"report", func(ctx context.Context) error { return reportEvery(ctx, log, c, time.Minute) }},
		{"audit", func(ctx context.Context) error { return journal.trimDaily(ctx, o.audit.Keep, log) }},
	}...))
	return errors.Join(err, journal.note("collect", "stopped"))
}

// doubtOf says why nothing may be dropped until somebody has looked: what must
// stay is kept in the state.
func doubtOf(s *store.Store) string {
	if !s.LostState() {
		return ""
	}
	return "a part of the collector's state was damaged and is lost: what must stay, and the clock's record, may have been in it"
}

// doors are where others reach the collector, beside the sockets for datagrams.
type doors struct {
	socket  net.Listener // questions
	metrics net.Listener // scrapes; nil: none are answered
}

// open opens the doors.
func (o *collectOptions) open(log *slog.Logger) (d doors, err error) {
	if d.metrics, err = listenMetrics(o.metrics, log); err != nil {
		return d, err
	}
	if d.socket, err = listenSocket(o.dir, o.socket); err != nil {
		d.close()
	}
	return d, err
}

// close closes doors at which nobody stands yet.
func (d *doors) close() {
	for _, l := range []net.Listener{d.socket, d.metrics} {
		if l != nil {
			l.Close()
		}
	}
}

// A background is a part of the daemon that runs beside the collecting.
type background struct {
	name string
	run  func(context.Context) error
}

// runAll collects until ctx is done. The other parts end after it, so that they
// see everything that was received; one that fails is logged, and does not stop
// the collecting.
func runAll(ctx context.Context, log *slog.Logger, collect func(context.Context) error, parts []background) error {
	rest, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var running sync.WaitGroup
	for _, part := range parts {
		running.Go(func() {
			if err := part.run(rest); err != nil {
				log.Error("a part of the collector stopped", "part", part.name, "err", err)
			}
		})
	}
	err := collect(ctx)
	stop()
	running.Wait()
	if err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("collect: %w", err)
	}
	return nil
}

// checkFree refuses a directory that is collected into already, and ports that
// are taken, before anything is made.
func checkFree(ctx context.Context, o collectOptions) error {
	if other, err := connect(ctx, o.dir); err == nil {
		defer other.Close()
		return &storeError{fmt.Sprintf("a collector runs on %s already (process %d); stop it, or choose another directory with --data", o.dir, other.pid)}
	}
	return checkPorts(o.listen)
}

// checkPorts tries whether every port is free. The collector's own sockets share
// their port with each other, so the system would let two collectors of one
// user share it too, and each would get some of the exporters.
func checkPorts(listen []collector.Listen) error {
	for _, l := range listen {
		if err := tryPort(l); err != nil {
			return listenError(fmt.Errorf("listen on %s: %w", l, err))
		}
	}
	return nil
}

// tryPort binds an address and lets it go; nothing is sent through it.
func tryPort(l collector.Listen) error {
	if l.IsStream() {
		c, err := net.Listen("tcp", l.Addr)
		if err != nil {
			return err
		}
		return c.Close()
	}
	c, err := net.ListenPacket("udp", l.Addr)
	if err != nil {
		return err
	}
	return c.Close()
}

// listenError says what to do about a port that cannot be had.
func listenError(err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%w: another program listens there, maybe another weir collect; stop it, or choose a port with --listen netflow://:PORT", err)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("%w: ports below 1024 need a privilege; choose another with --listen netflow://:PORT", err)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("%w: this host has no such address; leave it out to listen on all, as in --listen netflow://:2055", err)
	}
	return err
}

// announce says where the collector listens and how to ask it.
func announce(std *Std, o collectOptions, addrs []net.Addr, metrics string) {
	dir, err := filepath.Abs(o.dir)
	if err != nil {
		dir = o.dir
	}
	fmt.Fprintf(std.Err, "weir %s collects into %s and keeps it %s\n", version, dir, keptFor(o.keep))
	for i, addr := range addrs {
		fmt.Fprintf(std.Err, "listening on %s\n", listenText(o.listen[i].Scheme, addr))
	}
	if metrics != "" {
		fmt.Fprintf(std.Err, "metrics on %s\n", metrics)
	}
	data := ""
	if o.dir != defaultData {
		data = " --data " + quoteArg(o.dir)
	}
	fmt.Fprintf(std.Err, "ask in another terminal: weir query --last 10m%s\n", data)
	fmt.Fprintf(std.Err, "                         weir top src_addr --last 10m%s\n", data)
	fmt.Fprintf(std.Err, "Ctrl-C stops\n")
}

func keptFor(keep time.Duration) string {
	if keep == 0 {
		return "for ever"
	}
	return "for " + formatDuration(keep)
}

// listenText describes a socket for people.
func listenText(scheme string, addr net.Addr) string {
	text, network := scheme+"://"+addr.String(), strings.ToUpper(collector.Listen{Scheme: scheme}.Network())
	if strings.HasPrefix(addr.String(), "[::]:") {
		return text + " (" + network + ", IPv4 and IPv6)"
	}
	return text + " (" + network + ")"
}

// reportEvery logs one line of what arrived in each period, and of what came
// after the last.
func reportEvery(ctx context.Context, log *slog.Logger, c *collector.Collector, period time.Duration) error {
	ticker := time.NewTicker(period)
	defer ticker.Stop()
	before, since := c.Stats(), time.Now()
	for ended := false; !ended; {
		select {
		case <-ctx.Done():
			ended = true
		case <-ticker.C:
		}
		now := c.Stats()
		if !ended || now.Total.Datagrams > before.Total.Datagrams || now.KernelDrops > before.KernelDrops {
			report(log, before, now, time.Since(since))
		}
		before, since = now, time.Now()
	}
	return nil
}

// report logs what arrived between two readings of the counters.
func report(log *slog.Logger, before, now collector.Stats, period time.Duration) {
	active := 0
	for _, e := range now.Exporters {
		if e.Datagrams > datagramsOf(before, e) {
			active++
		}
	}
	records := now.Total.Records - before.Total.Records
	attrs := []any{
		"records", records,
		"records_per_s", fmt.Sprintf("%.1f", float64(records)/period.Seconds()),
		"datagrams", now.Total.Datagrams - before.Total.Datagrams,
		"exporters", active,
		"bad_datagrams", now.Total.BadDatagrams - before.Total.BadDatagrams,
		"kernel_drops", now.KernelDrops - before.KernelDrops,
	}
	if out := now.Total.Count(ledger.OutOfScope) - before.Total.Count(ledger.OutOfScope); out > 0 {
		attrs = append(attrs, "out_of_scope", out)
	}
	if refused := now.Refused - before.Refused; refused > 0 {
		attrs = append(attrs, "refused_datagrams", refused)
	}
	if waiting := now.Total.SetsWaiting; waiting > 0 {
		attrs = append(attrs, "sets_waiting_for_template", waiting)
	}
	if full := now.QueueFull - before.QueueFull; full > 0 {
		attrs = append(attrs, "queue_full", full)
	}
	if lost := now.LostRecords - before.LostRecords; lost > 0 {
		attrs = append(attrs, "records_not_stored", lost)
	}
	if errs := newErrors(before, now); errs != "" {
		attrs = append(attrs, "errors", errs)
	}
	log.Info("received", attrs...)
}

// newErrors lists the errors between two readings by reason.
func newErrors(before, now collector.Stats) string {
	counts := make(map[string]uint64)
	for _, r := range collector.Reasons() {
		if n := now.Total.Error(r) - before.Total.Error(r); n > 0 {
			counts[r.String()] = n
		}
	}
	return countList(counts)
}

func datagramsOf(st collector.Stats, e collector.ExporterStats) uint64 {
	for _, b := range st.Exporters {
		if b.Exporter == e.Exporter {
			return b.Datagrams
		}
	}
	return 0
}
