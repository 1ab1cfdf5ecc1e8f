package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/urfave/cli/v2"

	"weir/collector"
	"weir/command/systemd"
	"weir/retention"
	"weir/retention/audit"
	"weir/store"
)

// pathReload is where the daemon reads its configuration again.
const pathReload = "/reload"

func reloadCommand() *command {
	return &command{
		name:  "reload",
		usage: "let the collector read its configuration again",
		about: `
The running collector reads the file of its --config again and takes it in without losing a datagram: addresses that stay
are not closed. What changed is printed. A file with a mistake changes nothing: the mistake is named with its line, and the
old configuration stays in force. The signal SIGHUP does the same, and logs what this command prints. data, log.format and
what the answer names need a restart. Flags of the collector go before the file, as at its start.`,
		flags: []cli.Flag{dataFlag(), configFlag("take the directory from `FILE` (YAML)"), outputFlag()},
		examples: []example{
			{"weir reload", "after a change of the collector's configuration"},
			{"weir reload --config /etc/weir/weir.yaml", "of the collector whose directory that file names"},
		},
		prepare: func(c *cli.Context, std *Std) (runner, error) {
			dir, format, err := archiveAndFormat(c, std)
			if err != nil {
				return nil, err
			}
			return func(ctx context.Context, std *Std) error { return runReload(ctx, std, dir, format) }, noArgs(c)
		},
	}
}

func runReload(ctx context.Context, std *Std, dir, format string) error {
	if err := checkDir(dir, modeRead); err != nil {
		return err
	}
	r, err := connect(ctx, dir)
	if err != nil && noDaemon(err) {
		return fmt.Errorf("no collector runs on %s, so there is nothing to reload; it reads its configuration when it starts", dir)
	}
	if err != nil {
		return err
	}
	defer r.Close()
	report := new(reloadReport)
	if err := r.ask(ctx, pathReload, struct{}{}, report, nil); err != nil {
		return err
	}
	return forms{
		value: report,
		csv: func(w io.Writer) error {
			return newCSV(w).WriteAll([][]string{{"file", "changed", "needs_restart"},
				{report.File, strings.Join(report.Changed, " "), strings.Join(report.Restart, " ")}})
		},
		text: func(w io.Writer) error { _, err := fmt.Fprintln(w, report.line()); return err },
	}.write(std.Out, format)
}

// A reloadReport says what came of a configuration that was read again.
type reloadReport struct {
	File    string   `json:"file"`
	Changed []string `json:"changed"`       // keys that are in force from now on
	Restart []string `json:"needs_restart"` // keys that changed and are not
}

// line says it in words.
func (r *reloadReport) line() string {
	text := r.File + " is in force; " + r.changes()
	if len(r.Restart) > 0 {
		text += "; needs a restart: " + strings.Join(r.Restart, ", ")
	}
	return text
}

func (r *reloadReport) changes() string {
	if len(r.Changed) == 0 {
		return "nothing changed"
	}
	return "changed: " + strings.Join(r.Changed, ", ")
}

// errNoConfig says that there is nothing to read again.
var errNoConfig = errors.New("the collector runs without a configuration file (--config), so there is nothing to reload")

// A reloader changes the configuration of a collector that runs.
type reloader struct {
	std       *Std
	log       *slog.Logger
	level     *slog.LevelVar
	manager   *systemd.Notifier
	watched   *supervisor
	store     *store.Store
	journal   *journal
	keeper    *retention.Keeper
	policy    *collector.Policy
	relay     *collector.Relay
	collector *collector.Collector
	metrics   *metricsDoor
	answers   *server

	parts sync.WaitGroup // that were begun later

	local atomic.Pointer[local] // the archive under the configuration that is in force

	mu    sync.Mutex // one reload at a time; guards what follows
	o     collectOptions
	aside *quarantine     // nil: none
	ctx   context.Context // of run; nil: it does not work
}

// run reads the configuration again at every signal until ctx is done. end ends
// the collector: that is what a terminal means by the signal that is closed.
func (r *reloader) run(ctx context.Context, hangups <-chan os.Signal, end func()) error {
	defer r.parts.Wait()
	r.mu.Lock()
	r.ctx = ctx
	r.mu.Unlock()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-hangups:
		}
		if r.std.Gone != nil && r.std.Gone() {
			r.log.Info("the terminal is closed: the collector stops")
			end()
			continue
		}
		r.bySignal(ctx)
	}
}

// bySignal reloads for who sent SIGHUP, whom the kernel does not name.
func (r *reloader) bySignal(ctx context.Context) {
	r.mu.Lock()
	file := r.o.file
	r.mu.Unlock()
	if file == "" {
		r.log.Warn("SIGHUP: " + errNoConfig.Error())
		return
	}
	var failed error
	err := r.journal.act("reload", "SIGHUP: "+file, func() error { _, failed = r.reload(ctx); return failed })
	if err != nil && failed == nil { // reload logs its own
		r.log.Error("reload the configuration", "err", err)
	}
}

// reload reads the configuration and takes it in. After an error the one before
// is in force.
func (r *reloader) reload(ctx context.Context) (report *reloadReport, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.o.reread == nil {
		return nil, errNoConfig
	}
	r.manager.Reloading()
	defer func() { r.manager.Ready(r.watched.line()) }()
	defer func() {
		if err != nil {
			r.log.Error("the configuration is not taken in, and the old one stays in force", "err", err)
		}
	}()
	next, err := r.o.reread()
	if err != nil {
		return nil, err
	}
	report = &reloadReport{File: r.o.file, Changed: []string{}, Restart: []string{}}
	r.o.compare(&next, report)
	if err := r.journal.note("reload", fmt.Sprintf("takes %s in; %s; SHA-256 %s", report.File, report.changes(), next.digest)); err != nil {
		return nil, fmt.Errorf("nothing was changed, because it cannot be noted: %w", err)
	}
	if err := r.takeIn(ctx, &next); err != nil {
		return nil, err
	}
	r.log.Info("configuration read again", "file", report.File, "result", report.changes())
	for _, key := range report.Restart {
		r.log.Warn(key+" needs a restart: what the configuration says now is not in force", "file", report.File)
	}
	return report, nil
}

// A change is a part of taking a configuration in. undo is called if a later one
// fails.
type change struct{ do, undo func() error }

// takeIn puts a configuration in force. The caller holds mu.
func (r *reloader) takeIn(ctx context.Context, next *collectOptions) error {
	if err := r.openAside(next); err != nil {
		return err
	}
	old := &r.o
	both := func(of func(*collectOptions) error) change {
		return change{func() error { return of(next) }, func() error { return of(old) }}
	}
	changes := []change{
		both(func(o *collectOptions) error {
			if err := o.socket.apply(r.store.Dir(), socketPath(r.store.Dir())); err != nil {
				return fmt.Errorf("socket: %w", err)
			}
			return nil
		}),
		both(func(o *collectOptions) error { return r.metrics.move(o.metrics) }),
		both(func(o *collectOptions) error { return r.relay.Retarget(o.config.Forward, o.listen) }),
		both(func(o *collectOptions) error { return r.policy.Change(policyOptions(&o.config, r.aside, r.log)) }),
		both(func(o *collectOptions) error { return o.writeDown(r.store) }),
		both(func(o *collectOptions) error { return r.aside.change(o) }),
		{do: func() error { return listenError(r.collector.Relisten(ctx, next.listen, next.tls.tls(r.log))) }},
	}
	for i, c := range changes {
		err := c.do()
		if err == nil {
			continue
		}
		for j := i; j >= 0; j-- { // the one that failed may have done half
			if changes[j].undo != nil {
				err = errors.Join(err, changes[j].undo())
			}
		}
		return err
	}
	r.keeper.SetKeep(next.keep)
	r.collector.Decoder().SetKnown(next.config.Known)
	r.level.Set(next.log.Level)
	l := r.local.Load().reconfigured(next, r.aside)
	r.local.Store(l)
	r.answers.replace(newAudited(l), nil)
	r.o = *next
	return nil
}

// openAside opens the quarantine if the configuration begins to set records
// aside.
func (r *reloader) openAside(next *collectOptions) error {
	if r.aside != nil || !next.config.setsAside() || r.ctx == nil {
		return nil
	}
	aside, err := openQuarantine(*next, r.std, r.log, r.store, r.journal)
	if err != nil {
		return err
	}
	r.aside = aside
	for _, part := range aside.parts() {
		r.parts.Go(func() { part.work(r.ctx, r.log) })
	}
	return nil
}

// close closes the quarantine that there is now.
func (r *reloader) close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.aside.close()
}

// Reload reads the configuration of the collector again. It does not ask for a
// case: who may stop the collector may reload it.
func (a *audited) Reload(ctx context.Context) (r *reloadReport, err error) {
	if a.daemon == nil || a.daemon.reload == nil {
		return nil, errNoConfig
	}
	c := callerOf(ctx)
	if err := mayChange(c); err != nil {
		return nil, err
	}
	e := audit.Entry{Kind: audit.KindAct, Who: c.who, Command: c.command, Case: c.ticket, Reason: c.reason}
	err = a.noted(ctx, e, func() (uint64, error) {
		r, err = a.daemon.reload(ctx)
		return 0, err
	})
	return r, err
}
