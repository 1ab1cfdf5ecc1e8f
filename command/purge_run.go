package command

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"time"

	"weir/flow"
	"weir/flow/ledger"
	"weir/query"
	"weir/store"
)

// A purger is a backend that deletes for a case, and notes it.
type purger interface {
	backend
	Purge(ctx context.Context, req purgeRequest) (*purgeReport, error)
}

// A purgeRequest says which records are to go.
type purgeRequest struct {
	Filter     string        `json:"filter,omitempty"`
	Exporter   string        `json:"exporter,omitempty"`
	Window     query.Window  `json:"window,omitzero"`
	OutOfScope bool          `json:"out_of_scope,omitempty"`
	Networks   []flow.Prefix `json:"networks,omitempty"` // ours; none: those of the collector's configuration
	Apply      bool          `json:"apply,omitempty"`    // false: only count them
	Journal    *purgeJournal `json:"journal,omitempty"`  // in place of all this: purges of another copy
	Holds      string        `json:"holds,omitempty"`    // which wins where a hold is met: holdsKeep or holdsPurge; "": then it stops
}

// A purgeReport is what goes, or what went.
type purgeReport struct {
	Rows    []purgeRow `json:"rows"`
	Resumed *resumed   `json:"resumed,omitempty"` // an earlier purge that this one ended first
	Left    int        `json:"left,omitempty"`    // files that a question holds
	Damaged []string   `json:"damaged,omitempty"` // hours that stay
	Journal string     `json:"journal,omitempty"` // where the purge is written down for backups
	Unknown []string   `json:"unknown,omitempty"` // directories of backups that could not be told
	Caught  []caughtUp `json:"caught,omitempty"`  // purges of a journal
	Met     []metHold  `json:"met,omitempty"`     // holds that have some of what matches
}

// A resumed says what an earlier purge that was cut short has deleted in all.
type resumed struct {
	Case    string `json:"case"`
	Records uint64 `json:"records"`
}

// A purgeRow is what goes of one exporter in one hour.
type purgeRow struct {
	Archive  string `json:"archive"` // "archive", "quarantine" or "hold CASE"
	Hour     string `json:"hour"`
	Exporter string `json:"exporter"`
	Name     string `json:"name"`
	Records  uint64 `json:"records"`
}

// add adds the rows of an hour.
func (r *purgeReport) add(l *local, archive string, h store.Hour, counts map[flow.Addr]uint64) {
	for _, row := range l.heldRows(h, counts, 0) {
		r.Rows = append(r.Rows, purgeRow{archive, row.Hour, row.Exporter, row.Name, row.Records})
	}
}

func (r *purgeReport) records() uint64 {
	n := uint64(0)
	for i := range r.Rows {
		n += r.Rows[i].Records
	}
	return n
}

// A purged is a store that records go from.
type purged struct {
	name string
	*local
	held *heldStore // it is what is held for a case; nil: it is not
}

// purgedStores returns the archive, the quarantine in it and, unless the holds
// win, what is held. close ends their use.
func (l *local) purgedStores(holds string) (list []purged, close func() error, err error) {
	list, close = []purged{{name: "archive", local: l}}, func() error { return nil }
	if holds != holdsKeep {
		if list, close, err = l.heldPurged(list); err != nil {
			return nil, nil, err
		}
	}
	if l.aside != nil {
		return append(list, purged{name: quarantineName, local: l.aside.local}), close, nil
	}
	dir, closeHeld := quarantineDir(l.store.Dir()), close
	if _, err := os.Stat(dir); l.daemon != nil || errors.Is(err, fs.ErrNotExist) {
		return list, close, nil
	}
	s, err := store.Open(dir, store.Options{Existing: true})
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("open the quarantine: %w", err), closeHeld())
	}
	return append(list, purged{name: quarantineName, local: &local{store: s, now: l.now, known: l.known}}),
		func() error { return errors.Join(s.Close(), closeHeld()) }, nil
}

// count adds to the report what would go.
func (st *purgeState) count(ctx context.Context, l *local, report *purgeReport) error {
	return st.over(l, func(stores []purged, p *picker) error {
		defer func() { report.Met = p.guard.met(report.Rows) }()
		p.guard.showAll(st.Holds == "") // of which nobody has said which wins
		for _, a := range stores {
			p.guard.turnTo(a)
			for _, info := range a.store.Buckets() {
				counts, err := a.countHour(ctx, info.Hour, p)
				if store.IsDamage(err) {
					report.Damaged = append(report.Damaged, err.Error())
				} else if err != nil {
					return err
				}
				report.add(l, a.name, info.Hour, counts)
			}
		}
		return nil
	})
}

// over calls fn with the stores that records go from, and with what picks them.
func (st *purgeState) over(l *local, fn func(stores []purged, p *picker) error) (err error) {
	p, err := st.picker(l.elements)
	if err != nil {
		return err
	}
	if p.guard, err = l.guard(st.Holds); err != nil {
		return err
	}
	defer l.holds.steady()()
	stores, closeStores, err := l.purgedStores(st.Holds)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeStores()) }()
	return fn(stores, p)
}

func (a *purged) countHour(ctx context.Context, h store.Hour, p *picker) (counts map[flow.Addr]uint64, err error) {
	v, err := a.store.View(h, h)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, v.Close()) }()
	counts = map[flow.Addr]uint64{}
	for _, b := range v.Buckets() {
		for i := range b.Blocks() {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			blk, err := b.Block(i)
			if err != nil {
				return counts, err
			}
			_, some, err := p.rows(blk)
			if err != nil {
				return counts, err
			}
			for addr, n := range some {
				counts[addr] += n
			}
		}
	}
	return counts, nil
}

// run deletes hour by hour what is not done yet, then the bytes. When it is cut
// short the next run goes on: an hour that is begun again has nothing left.
func (st *purgeState) run(ctx context.Context, l *local, report *purgeReport) error {
	err := st.over(l, func(stores []purged, p *picker) error {
		for _, a := range stores {
			p.guard.turnTo(a)
			if err := st.runIn(ctx, l, a, p, report); err != nil {
				return err
			}
		}
		for _, a := range stores {
			left, err := a.store.Scrub(ctx, "")
			if err != nil {
				return fmt.Errorf("the records are deleted, but take their bytes out of the files: %w", err)
			}
			report.Left += left
		}
		return nil
	})
	if err != nil {
		return err
	}
	return st.end(ctx, l, report)
}

func (st *purgeState) runIn(ctx context.Context, l *local, a purged, p *picker, report *purgeReport) error {
	if a.held != nil {
		if err := l.holds.takeBack(a.held); err != nil {
			return err
		}
	}
	for _, info := range a.store.Buckets() {
		if err := ctx.Err(); err != nil {
			return err
		}
		place := a.name + " " + info.Hour.String()
		if slices.Contains(st.Done, place) || st.isAfter(info.Hour) {
			continue
		}
		counts, err := st.removeHour(ctx, a.store, info.Hour, p, l.now())
		if store.IsDamage(err) {
			report.Damaged = append(report.Damaged, err.Error())
		} else if err != nil {
			return err
		}
		report.add(l, a.name, info.Hour, counts)
		if err := st.addGone(a.store, info.Hour, counts); err != nil {
			return err
		}
		st.Done = append(st.Done, place)
		if len(counts) > 0 {
			if err := st.write(l.store); err != nil {
				return err
			}
		}
	}
	return a.someSealer().SealOver(ctx)
}

// removeHour deletes the records of one hour and notes in its ledger how many, by
// exporter.
func (st *purgeState) removeHour(ctx context.Context, s *store.Store, h store.Hour, p *picker, now time.Time) (map[flow.Addr]uint64, error) {
	at := uint64(now.UnixMilli())
	run := ledger.Run(at)
	err := s.ScanLedger(h, h, func(_ store.Hour, row ledger.Row) error {
		if row.Kind == ledger.KindPurge {
			run = max(run, row.Run+1) // a purge never takes the place of another's row
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for {
		blocks := map[int]map[flow.Addr]uint64{} // by number, because a removal may begin anew
		total := func() map[flow.Addr]uint64 {
			counts := map[flow.Addr]uint64{}
			for _, some := range blocks {
				for addr, n := range some {
					counts[addr] += n
				}
			}
			return counts
		}
		_, err := s.RemoveNoted(h, func(b *store.Block) (rows []uint64, err error) {
			rows, blocks[b.Number()], err = p.rows(b)
			return rows, err
		}, func() []ledger.Row {
			var rows []ledger.Row
			for addr, n := range total() {
				rows = append(rows, ledger.Row{Kind: ledger.KindPurge, Run: run, Key: ledger.Key{Exporter: addr},
					Purge: &ledger.Purge{At: at, Exporter: addr, Records: n, Case: st.Case, Reason: st.Reason, By: st.By}})
			}
			return rows
		})
		if err == nil {
			return total(), nil
		}
		if !errors.Is(err, store.ErrSealing) {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(lockRetry): // a seal takes moments
		}
	}
}

// Purge implements purger. A purge that was cut short is ended first.
func (a *audited) Purge(ctx context.Context, req purgeRequest) (*purgeReport, error) {
	if req.Journal != nil {
		return a.applyJournal(ctx, req.Journal)
	}
	report := &purgeReport{}
	st, err := a.purgeScope(req)
	if err != nil {
		return nil, err
	}
	a.first().purging.Lock()
	defer a.first().purging.Unlock()
	if report.Resumed, err = a.resume(ctx); err != nil {
		return nil, err
	}
	c := callerOf(ctx)
	if st.Holds = req.Holds; st.Holds != "" && st.Holds != holdsKeep && st.Holds != holdsPurge {
		return nil, usagef("--holds: no %q", st.Holds).withHint("it is %s or %s", holdsKeep, holdsPurge)
	}
	if st.Case, st.Reason, st.By, st.At = c.ticket, c.reason, c.who.User, uint64(a.now().UnixMilli()); st.Case == "" {
		return nil, usagef("a purge is for a case").withHint("add --case REF")
	}
	if !req.Apply {
		err = a.act(ctx, "counts for a purge "+st.about(), func() (uint64, error) { return 0, st.count(ctx, a.local, report) })
		return report, err
	}
	if err := st.decided(ctx, a.local); err != nil {
		return nil, err
	}
	err = a.act(ctx, "deletes "+st.about(), func() (uint64, error) {
		st.ID = newPurgeID()
		if err := st.write(a.store); err != nil {
			return 0, err
		}
		err := st.run(ctx, a.local, report)
		return report.records(), st.noteStopped(ctx, a.store, err)
	})
	return report, err
}

// noteStopped notes that a purge was cut short by who asked for it, who may want to
// give it up: no question goes on with it then.
func (st *purgeState) noteStopped(ctx context.Context, s *store.Store, err error) error {
	if err == nil || ctx.Err() == nil {
		return err
	}
	st.Stopped = true
	return errors.Join(err, st.write(s))
}

// afterPurge waits for a purge that is under way, and ends one that a crash has cut
// short: from its beginning on, what it takes away is in no answer. One that was
// stopped is left alone and returned, and so is one in an archive that cannot be
// written to.
func (l *local) afterPurge(ctx context.Context) (left *purgeState, err error) {
	for {
		st, err := readPurge(l.store)
		if st == nil || err != nil || l.store.ReadOnly() {
			return st, err
		}
		if lock := &l.first().purging; lock.TryLock() {
			defer lock.Unlock()
			if st, err = readPurge(l.store); st == nil || err != nil || st.Stopped {
				return st, err // who had the lock has ended or stopped it
			}
			c := callerOf(ctx)
			c.ticket, c.reason = st.Case, "a purge that was cut short"
			_, err := newAudited(l).resume(withCaller(ctx, c))
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// resume ends the purge that was cut short, if there is one. purging is held.
func (a *audited) resume(ctx context.Context) (*resumed, error) {
	st, err := readPurge(a.store)
	if st == nil || err != nil {
		return nil, err
	}
	err = a.act(ctx, "goes on with the purge of case "+st.Case, func() (uint64, error) {
		st.Stopped = false
		return st.Records, st.noteStopped(ctx, a.store, st.run(ctx, a.local, &purgeReport{}))
	})
	return &resumed{st.Case, st.Records}, err
}

// resumePurge ends, in a collector that starts, the purge that was cut short.
func resumePurge(ctx context.Context, std *Std, l *local, log *slog.Logger) error {
	a := newAudited(l)
	l.first().purging.Lock()
	defer l.first().purging.Unlock()
	st, err := readPurge(l.store)
	if st == nil || err != nil {
		return err
	}
	log.Info("goes on with a purge that was cut short", "case", st.Case)
	ctx = withCaller(ctx, caller{who: thisUser(std), command: "collect", ticket: st.Case, reason: "a purge that was cut short"})
	done, err := a.resume(ctx)
	if err == nil {
		log.Info("purged", "case", done.Case, "records", done.Records)
	}
	return err
}

// Purge implements purger.
func (r *remote) Purge(ctx context.Context, req purgeRequest) (*purgeReport, error) {
	report := new(purgeReport)
	return report, r.ask(ctx, pathPurge, req, report, nil)
}
