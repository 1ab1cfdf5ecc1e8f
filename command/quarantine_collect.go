package command

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"weir/collector"
	"weir/index"
	"weir/retention"
	"weir/store"
)

// quarantineName is the directory in the data directory of what was set aside.
// It is an archive of its own, so that no question about the other one can see
// it, and no backup has it: these records should never have come.
const quarantineName = "quarantine"

func quarantineDir(data string) string { return filepath.Join(data, quarantineName) }

// What the quarantine's store takes of memory: little comes into it, and
// nobody asks it often.
const (
	quarantineCache    = 8 << 20
	quarantineMemTable = 8 << 20
)

// A quarantine is the archive of what a collector sets aside, with all that
// keeps an archive: its hours are sealed and dropped, and questions about it are
// answered. Its audit log is that of the archive around it.
type quarantine struct {
	*local
	dir     string
	log     *slog.Logger
	main    *store.Store
	journal *journal
	socket  socketPolicy
	answers *server
}

// openQuarantine opens the quarantine of a collector, if its configuration asks
// for one or there is one from before, whose days must end. It returns nil if
// there is none.
func openQuarantine(o collectOptions, std *Std, log *slog.Logger, main *store.Store, journal *journal) (*quarantine, error) {
	q := &quarantine{dir: quarantineDir(o.dir), log: log.With("archive", quarantineName), main: main, journal: journal, socket: o.socket}
	if !o.config.setsAside() {
		if _, err := os.Stat(q.dir); errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
	}
	s, err := store.Open(q.dir, store.Options{Logger: q.log, CacheSize: quarantineCache, MemTableSize: quarantineMemTable, MaxOpenHours: 1})
	if err != nil {
		return nil, fmt.Errorf("open the quarantine: %w", err)
	}
	q.local = &local{store: s, now: std.Now, names: o.names, known: o.config.Known}
	if err := q.prepare(&o); err != nil {
		return nil, errors.Join(err, q.Close())
	}
	return q, nil
}

// prepare makes what keeps the archive. Without a scope the days that were last
// said go on.
func (q *quarantine) prepare(o *collectOptions) error {
	keep, err := q.writeDown(o)
	if err != nil {
		return err
	}
	held := auditedIn(q.main, q.local)
	q.answers = newServer(held, q.log)
	q.answers.held = held
	q.sealer = index.NewSealer(q.store, index.Options{Now: q.now, Logger: q.log})
	q.keeper, err = retention.New(retention.Options{Store: q.store, State: q.store, Keep: keep, Now: q.now, Logger: q.log,
		BeforeDrop: func(h store.Hour) error {
			keep, _, err := q.policy()
			if err != nil {
				return err
			}
			return q.journal.note(quarantineName, fmt.Sprintf("drops hour %s, older than %s", h, keepText(keep)))
		}})
	return err
}

// writeDown writes down what commands without collector must know, and returns
// how long what is set aside is kept.
func (q *quarantine) writeDown(o *collectOptions) (keep time.Duration, err error) {
	keep, said, err := q.policy()
	switch {
	case err != nil:
		return 0, err
	case o.config.Scope != nil:
		keep = o.config.Scope.Keep
	case !said:
		keep = defaultQuarantine
	}
	if err := q.store.PutState(policyKey, []byte(keepText(keep))); err != nil {
		return 0, fmt.Errorf("write down the days of the quarantine: %w", err)
	}
	if err := q.store.PutState(auditPolicyKey, marshal(o.audit)); err != nil {
		return 0, fmt.Errorf("write down the audit policy: %w", err)
	}
	return keep, writeKnown(q.store, o.config.Known)
}

// change takes another configuration in, of a quarantine that is not nil.
func (q *quarantine) change(o *collectOptions) error {
	if q == nil {
		return nil
	}
	keep, err := q.writeDown(o)
	if err == nil {
		err = o.socket.apply(q.dir, socketPath(q.dir))
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // it may not listen yet
		return err
	}
	q.keeper.SetKeep(keep)
	held := auditedIn(q.main, q.local.reconfigured(o, nil))
	q.answers.replace(held, held)
	return nil
}

// parts returns what runs beside the collecting, none of a nil quarantine.
func (q *quarantine) parts() []background {
	if q == nil {
		return nil
	}
	return []background{
		{"sealing of the quarantine", func(ctx context.Context) error { q.sealer.Run(ctx); return nil }},
		{"retention of the quarantine", func(ctx context.Context) error { q.keeper.Run(ctx); return nil }},
		{"questions about the quarantine", func(ctx context.Context) error {
			socket, err := listenSocket(q.dir, q.socket)
			if err != nil {
				return err
			}
			return q.answers.run(ctx, socket)
		}},
	}
}

// close closes the archive of a quarantine that is not nil.
func (q *quarantine) close() error {
	if q == nil {
		return nil
	}
	if err := q.Close(); err != nil {
		return fmt.Errorf("close the quarantine: %w", err)
	}
	return nil
}

// sink returns where records are set aside, nil if there is no quarantine.
func (q *quarantine) sink() collector.Sink {
	if q == nil {
		return nil
	}
	return q.store
}

// policyOf returns what the collector does with exporters and their records.
func policyOf(c *config, q *quarantine, log *slog.Logger) (*collector.Policy, error) {
	if c.Only && len(c.Known) == 0 {
		log.Warn("exporters: only known, and none is known: EVERY datagram is refused; give the exporters under list:")
	}
	return collector.NewPolicy(policyOptions(c, q, log))
}

// policyOptions say the same, for a policy that there is already.
func policyOptions(c *config, q *quarantine, log *slog.Logger) collector.PolicyOptions {
	return collector.PolicyOptions{Known: c.Known, Only: c.Only, Scope: c.scope(q.sink()), Logger: log}
}

// confirmQuarantine says the same of the clock to the quarantine in a data
// directory, of which no collector runs. Without a quarantine it does nothing.
func confirmQuarantine(data string, now func() time.Time) error {
	dir := quarantineDir(data)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	s, err := store.Open(dir, store.Options{})
	if err != nil {
		return fmt.Errorf("open the quarantine: %w", err)
	}
	keeper, _, err := (&local{store: s, now: now}).keeperOf()
	if err == nil {
		err = keeper.Confirm()
	}
	return errors.Join(err, s.Close())
}
