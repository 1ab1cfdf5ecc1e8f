package command

import (
	"context"
	"fmt"
	"os"

	"github.com/urfave/cli/v2"

	"weir/store"
)

// A caughtUp is a purge of a journal that was done in this archive.
type caughtUp struct {
	Case    string `json:"case"`
	At      string `json:"at"` // of the purge in the archive that it was made for
	Records uint64 `json:"records"`
}

// isAfter reports whether an hour began after a purge of a journal.
func (st *purgeState) isAfter(h store.Hour) bool { return st.Until != 0 && h.StartMS() > st.Until }

// end ends a purge whose records and bytes are gone: it is written down for
// backups, what was kept of it while it went on goes, and so do the checkpoints
// of before.
func (st *purgeState) end(ctx context.Context, l *local, report *purgeReport) error {
	if err := st.writeDown(l, report); err != nil {
		return err
	}
	if err := l.store.DeleteState(purgeKey); err != nil {
		return err
	}
	if _, err := l.store.Scrub(ctx, purgePrefix); err != nil { // the filter goes as well
		return err
	}
	if err := l.renewCheckpoints(); err != nil {
		return fmt.Errorf("the records are deleted, but take them out of the checkpoints: %w", err)
	}
	return nil
}

// purgesToDo returns the purges of the journals in and beside an archive that it
// does not know.
func (l *local) purgesToDo() (list []journalEntry, err error) {
	known, err := l.purgesDone()
	if err != nil {
		return nil, err
	}
	for i, name := range journalFiles(l.store.Dir()) {
		if i > 0 && !isOurs(name) {
			continue // beside the directory anybody may put a file
		}
		j, err := readJournal(name)
		if err != nil {
			return nil, &storeError{fmt.Sprintf("which records were purged cannot be told: %v; put that file right, or take it away if it is not weir's", err)}
		}
		if l.store.ID() == "" && len(j.Purges) > 0 {
			return nil, &storeError{fmt.Sprintf("%s has purges, and whether they are of this archive can only be told where it may be written; copy it to such a place", name)}
		}
		some := unknownTo(known, j.Purges, l.store.ID())
		known, list = append(known, some...), append(list, some...)
	}
	return list, nil
}

// isOurs reports whether a file is of this user or of root.
func isOurs(name string) bool {
	uid, known := ownerOf(name)
	return !known || uid == os.Geteuid() || uid == 0
}

// catchUp does in a copy the purges that came after it was made, before anybody
// asks it, and says so.
func (a *audited) catchUp(ctx context.Context, std *Std) error {
	if err := sayRecovered(a.store, std); err != nil {
		return err
	}
	list, err := a.purgesToDo()
	if len(list) == 0 || err != nil {
		return err
	}
	if a.store.ReadOnly() {
		return &storeError{fmt.Sprintf("%s came after this copy was made (%s), and it cannot be written to: copy it to where you may write, and ask it there",
			plural(len(list), "purge"), journalName)}
	}
	fmt.Fprintf(std.Err, "weir: %s came after this copy was made (%s): deleting their records first\n", plural(len(list), "purge"), journalName)
	c := callerOf(ctx)
	if c.who.User == "" {
		c.who = thisUser(std)
	}
	report, err := a.applyJournal(withCaller(ctx, c), &purgeJournal{Purges: list})
	if report != nil {
		sayCaughtUp(std, report)
	}
	return err
}

func sayCaughtUp(std *Std, r *purgeReport) {
	for _, c := range r.Caught {
		fmt.Fprintf(std.Err, "weir: did the purge of case %s of %s: %s deleted\n", c.Case, c.At, plural(c.Records, "record"))
	}
}

// applyJournal does the purges of a journal that the archive does not know. One
// that was cut short goes on at the next opening.
func (a *audited) applyJournal(ctx context.Context, j *purgeJournal) (*purgeReport, error) {
	a.first().purging.Lock()
	defer a.first().purging.Unlock()
	known, err := a.purgesDone()
	if err != nil {
		return nil, err
	}
	report := &purgeReport{}
	for _, e := range unknownTo(known, j.Purges, a.store.ID()) {
		st, err := e.open(a.store)
		if err != nil {
			return report, err
		}
		under, err := readPurge(a.store)
		switch {
		case err != nil:
			return report, err
		case under != nil && under.ID == e.ID && under.Until != 0:
			st = under // this very one was cut short
		case under != nil && under.ID != e.ID:
			if report.Resumed, err = a.resume(ctx); err != nil {
				return report, err
			}
		}
		if err := a.applyPurge(ctx, st, e, report); err != nil {
			return report, err
		}
	}
	return report, nil
}

func (a *audited) applyPurge(ctx context.Context, st *purgeState, e journalEntry, report *purgeReport) error {
	c := callerOf(ctx)
	c.ticket, c.reason = e.Case, "a purge of which this copy did not know"
	return a.act(withCaller(ctx, c), "does the purge of case "+e.Case+" of "+e.At, func() (uint64, error) {
		if err := st.write(a.store); err != nil {
			return 0, err
		}
		if err := st.run(ctx, a.local, report); err != nil {
			return st.Records, err
		}
		report.Caught = append(report.Caught, caughtUp{e.Case, e.At, st.Records})
		return st.Records, nil
	})
}

// sayJournal says where a purge is written down, and which backups do not know
// of it.
func sayJournal(std *Std, r *purgeReport) {
	if r.Journal == "" {
		return
	}
	fmt.Fprintf(std.Err, "weir: backups made earlier delete theirs when they are opened with %s beside them\n", r.Journal)
	for _, place := range r.Unknown {
		fmt.Fprintf(std.Err, "weir: %s cannot be reached: copy %s beside the backups there\n", place, r.Journal)
	}
}

type applyOptions struct{ dir, format, journal string }

// prepareApply prepares weir purge --apply.
func prepareApply(c *cli.Context, std *Std) (runner, error) {
	var o applyOptions
	var err error
	if o.dir, o.format, err = archiveAndFormat(c, std); err != nil {
		return nil, err
	}
	for _, other := range []string{"exporter", "out-of-scope", "all-time", "last", "from", "to", "file", "yes"} {
		if c.IsSet(other) {
			return nil, usagef("--apply goes with no --%s: the journal says what goes", other)
		}
	}
	if err := noArgs(c); err != nil {
		return nil, err
	}
	o.journal = c.String("apply")
	return func(ctx context.Context, std *Std) error { return runApply(ctx, std, o) }, nil
}

// runApply does the purges of a journal.
func runApply(ctx context.Context, std *Std, o applyOptions) error {
	if _, err := os.Stat(o.journal); err != nil {
		return usagef("--apply: %v", err).withHint("name a file %s, as it lies in a data directory and beside backups", journalName)
	}
	journal, err := readJournal(o.journal)
	if err != nil {
		return usagef("--apply: %v", err)
	}
	opened, err := openBackend(ctx, o.dir, modeWrite, std)
	if err != nil {
		return err
	}
	defer opened.Close()
	b := opened.(purger) // all backends but those of tests are
	gone, err := b.Purge(ctx, purgeRequest{Journal: journal})
	if gone != nil {
		sayCaughtUp(std, gone)
	}
	if err != nil {
		return err
	}
	if rest := len(journal.Purges) - len(gone.Caught); rest > 0 {
		fmt.Fprintf(std.Err, "weir: %s of the journal: done already, or of another archive\n", plural(rest, "purge"))
	}
	if err := writePurge(std, o.format, gone.Rows); err != nil {
		return err
	}
	return purgeDamage(gone)
}
