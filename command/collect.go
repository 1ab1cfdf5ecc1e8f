package command

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/urfave/cli/v2"

	"weir/backup"
	"weir/collector"
	"weir/command/metrics"
	"weir/command/systemd"
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
to do with records that are not ours (scope), which file knows countries and names of AS (mmdb), which information
elements are kept beside the fields of a flow (keep), and which other collectors get what comes in (forward);
docs/operations.md has an example of every key. The signal SIGHUP, or weir reload, takes a changed file in without losing a
datagram. Under systemd (Type=notify) it says when it is ready, and that it is alive while receiving and storing go on.`,
		flags: append([]cli.Flag{
			dataFlag(),
			&cli.StringSliceFlag{Name: "listen", Usage: "listen on `URL`: netflow://HOST:PORT, sflow://HOST:PORT, ipfix+tcp://HOST:PORT or ipfix+tls://HOST:PORT (default " + strings.Join(defaultListen(), ", ") + ")"},
			&cli.StringFlag{Name: "retention", Usage: "keep records for `SPAN`, or forever", DefaultText: defaultRetention},
			&cli.StringFlag{Name: "max-disk", Usage: "drop the oldest hours before their time when the directory takes more than `SIZE`, or a share of the disk", DefaultText: "no limit"},
			&cli.StringFlag{Name: "metrics", Usage: "tell the counters in Prometheus' format on `ADDR:PORT`", DefaultText: "not at all"},
			configFlag("read the configuration from `FILE` (YAML)"),
		}, logFlags()...),
		examples: []example{
			{"weir collect", "into ./weir-data, on the usual ports"},
			{"weir collect --data /srv/weir --retention 30d", "elsewhere, and for a month"},
			{"weir collect --max-disk 200G", "never more than that: the oldest hours go first, and it is announced; 80% is a share of the disk"},
			{"weir collect --listen netflow://127.0.0.1:9995 --listen 'sflow://[::1]:6343'", "on chosen addresses and ports"},
			{"weir collect --listen netflow://:2055 --listen ipfix+tcp://:4739", "IPFIX over TCP as well"},
			{"weir collect --metrics 127.0.0.1:9110", "to be watched by Prometheus; see docs/metrics.md"},
			{"weir collect --config /etc/weir/weir.yaml --log-format json", "as a service; weir reload reads the file again"},
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
	log     logOptions

	file    string                         // of --config; "": none
	digest  string                         // SHA-256 of what was read of it again, in hexadecimal
	reread  func() (collectOptions, error) // what file says now, and flags; nil: there is no file
	hangups <-chan os.Signal               // when to reread; nil: never

	ready func(addrs []net.Addr) // called when everything listens; may be nil
}

// collectFlags returns what the flags and the file of --config say.
func collectFlags(c *cli.Context, std *Std) (o collectOptions, err error) {
	n, err := namingOf(c)
	if err != nil {
		return o, err
	}
	if o, err = collectBy(c, std, n); err != nil || !c.IsSet("config") {
		return o, err
	}
	o.file = c.String("config")
	o.reread = func() (collectOptions, error) {
		text, err := os.ReadFile(o.file)
		if err != nil {
			return o, usagef("read the configuration: %v", err)
		}
		file, err := parseConfig(o.file, text)
		if err != nil {
			return o, err
		}
		again, err := newNaming(file, file.MMDB)
		if err != nil {
			return o, err
		}
		next, err := collectBy(c, std, again)
		next.file, next.reread, next.digest = o.file, o.reread, fmt.Sprintf("%x", sha256.Sum256(text))
		return next, err
	}
	return o, nil
}

// collectBy returns what the flags and a configuration say.
func collectBy(c *cli.Context, std *Std, n *naming) (o collectOptions, err error) {
	file := n.config
	o.names, o.config = n.names, *file
	o.audit, o.socket = file.Audit, file.Socket
	if o.log, err = logOptionsOf(c, file.Log); err != nil {
		return o, err
	}
	if o.dir, err = dataDirOf(c, std, file); err != nil {
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
	log, level := newLogger(std.Err, o.log)
	limitMemory(std.Getenv, systemMemory())
	dir, err := collectDir(o.dir, std)
	if err != nil {
		return err
	}
	o.dir = dir
	if std.Hangups != nil {
		var stop func()
		o.hangups, stop = std.Hangups()
		defer stop()
	}
	manager := systemd.New(std.Getenv)
	defer manager.Close()
	manager.Status("opens the archive")
	opened := extend(manager)
	if err := checkFree(ctx, o); err != nil {
		opened()
		return err
	}
	s, err := store.Open(o.dir, store.Options{Logger: log})
	opened()
	if err != nil {
		return err
	}
	ending := context.AfterFunc(ctx, func() { manager.Stopping("stores what was received"); extend(manager) })
	err = collectInto(ctx, std, o, s, log, level, manager)
	ending()
	if closeErr := s.Close(); err == nil && closeErr != nil {
		err = fmt.Errorf("close the archive: %w", closeErr)
	}
	if err == nil {
		log.Info("stopped", "data", o.dir)
	}
	return err
}

func collectInto(ctx context.Context, std *Std, o collectOptions, s *store.Store, log *slog.Logger, level *slog.LevelVar, manager *systemd.Notifier) (err error) {
	ctx, end := context.WithCancel(ctx)
	defer end()
	if err := o.writeDown(s); err != nil {
		return err
	}
	journal := newJournal(s, std)
	held, err := newHolds(ctx, s, nil, std.Now, log, journal)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, held.close()) }()
	aside, err := openQuarantine(o, std, log, s, journal)
	if err != nil {
		return err
	}
	r := &reloader{std: std, log: log, level: level, manager: manager, store: s, journal: journal, o: o, aside: aside}
	defer func() { err = errors.Join(err, r.close()) }()
	kept, err := o.keepElements(std, s, held, aside)
	if err != nil {
		return err
	}
	if aside != nil {
		aside.local.elements = kept
	}
	policy, err := policyOf(&o.config, aside, log)
	if err != nil {
		return err
	}
	keeper, err := retention.New(retention.Options{Store: s, State: s, Keep: o.keep, Now: std.Now, Logger: log, BeforeDrop: journal.drop(s, func() time.Duration { keep, _, _ := readPolicy(s); return keep }),
		Holds: held, Pressure: o.maxDisk.pressure(s, journal), Doubt: doubtOf(s)})
	if err != nil {
		return err
	}
	sealer := index.NewSealer(s, index.Options{Now: std.Now, Logger: log})
	shown := newTails(s)
	relay, err := openForward(o.listen, o.config.Forward, log)
	if err != nil {
		return err
	}
	c, err := collector.New(collector.Options{Listen: o.listen, TLS: o.tls.tls(log), Forward: relay.Send, Sink: shown, State: s, Ledger: s, Known: o.config.Known, Kept: kept.Active(), Policy: policy, Now: std.Now, Logger: log})
	if err != nil {
		relay.Close()
		return listenError(err)
	}
	doors, err := o.open(log)
	if err != nil {
		relay.Close()
		c.Close()
		return err
	}
	l := &local{store: s, sealer: sealer, keeper: keeper, now: std.Now, names: o.names, known: o.config.Known, elements: kept, scope: o.config.scope(nil), networks: networkPrefixes(&o.config), holds: held, aside: aside, tails: shown}
	answers := newServer(newAudited(l), log)
	l.fixed = &backup.Fixed{Source: l.source(), Log: log}
	l.daemon = &daemon{started: std.Now(), collector: c, rates: newMeter(c.Stats), counts: answers.counts, metrics: doors.metrics, reload: r.reload, forward: relay}
	r.keeper, r.policy, r.relay, r.collector, r.metrics, r.answers = keeper, policy, relay, c, doors.metrics, answers
	r.local.Store(l)
	r.watched = newSupervisor(manager, log, c, l.daemon.rates)
	if err := journal.began(ctx, "collect", fmt.Sprintf("started by weir %s, keeps %s%s", version, keepText(o.keep), keptText(kept))); err != nil {
		doors.close()
		relay.Close()
		c.Close()
		return err
	}
	if err := l.fixed.RemoveUnfinished(); err != nil {
		log.Warn("what an earlier backup left stays", "err", err)
	}
	if err := newAudited(l).catchUp(withCaller(ctx, caller{who: thisUser(std), command: "collect"}), std); err != nil {
		doors.close()
		relay.Close()
		c.Close()
		return err
	}
	announce(std, log, o, c.Addrs(), l.daemon.metrics.url())
	manager.Ready(r.watched.line())
	if o.ready != nil {
		o.ready(c.Addrs())
	}
	err = runAll(ctx, log, c.Run, append(aside.parts(), []background{
		{"sealing", func(ctx context.Context) error { sealer.Run(ctx); return nil }},
		{"retention", func(ctx context.Context) error { keeper.Run(ctx); return nil }},
		{"checkpoints", func(ctx context.Context) error { l.fixed.Run(ctx); return nil }},
		{"questions", func(ctx context.Context) error { return answers.run(ctx, doors.socket) }},
		{"forwarding", relay.Run},
		{"rates", l.daemon.rates.run},
		{"metrics", func(ctx context.Context) error {
			return doors.metrics.run(ctx, func(ctx context.Context) *metrics.Snapshot { return r.local.Load().snapshot(ctx) })
		}},
		{"reload", func(ctx context.Context) error { return r.run(ctx, o.hangups, end) }},
		{"service manager", r.watched.run},
		{"ledgers", l.readLedgers},
		{"purge", func(ctx context.Context) error { return resumePurge(ctx, std, l, log) }},
		{"report", func(ctx context.Context) error { return reportEvery(ctx, log, c, time.Minute) }},
		{"audit", func(ctx context.Context) error {
			return journal.trimDaily(ctx, func() time.Duration { p, _ := readAuditPolicy(s); return p.Keep }, log)
		}},
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
	metrics *metricsDoor
}

// open opens the doors.
func (o *collectOptions) open(log *slog.Logger) (d doors, err error) {
	if d.metrics, err = openMetrics(o.metrics, log); err != nil {
		return d, err
	}
	if d.socket, err = listenSocket(o.dir, o.socket); err != nil {
		d.close()
	}
	return d, err
}

// close closes doors at which nobody stands yet.
func (d *doors) close() {
	d.metrics.close()
	if d.socket != nil {
		d.socket.Close()
	}
}

// A background is a part of the daemon that runs beside the collecting.
type background struct {
	name string
	run  func(context.Context) error
}

// work runs the part until ctx is done.
func (b *background) work(ctx context.Context, log *slog.Logger) {
	if err := b.run(ctx); err != nil {
		log.Error("a part of the collector stopped", "part", b.name, "err", err)
	}
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
			part.work(rest, log)
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

// announce says where the collector listens and how to ask it; in a log that a
// program reads, as lines of it.
func announce(std *Std, log *slog.Logger, o collectOptions, addrs []net.Addr, metrics string) {
	dir, err := filepath.Abs(o.dir)
	if err != nil {
		dir = o.dir
	}
	if o.log.Format == logJSON {
		log.Info("collecting", "version", version, "data", dir, "keep", keepText(o.keep))
		for i, addr := range addrs {
			log.Info("listening", "on", o.listen[i].Scheme+"://"+addr.String())
		}
		if metrics != "" {
			log.Info("metrics", "on", metrics)
		}
		return
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
