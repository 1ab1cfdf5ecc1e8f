package command

import (
	"context"
	"fmt"
	"strings"
	"time"

	"weir/query"
	"weir/store"
)

// An asked is the archive as one question sees it: without the hours past their
// day that only holds of other cases keep, and with what is held for its own
// case. No record is in it twice.
type asked struct {
	query.LedgerArchive
	hold  *hold    // of the question's case; nil: it has none
	notes []string // what its reader must know
	keep  uint64   // ms since the Unix epoch from which on the archive is whole; 0: nothing goes
	lack  []string // what is damaged of what is held, in the window
	end   func() error
}

// archive returns the archive as a question sees it, which ends it.
func (l *local) archive(ctx context.Context, w query.Window) (*asked, error) {
	a := &asked{LedgerArchive: l.store, end: func() error { return nil }}
	all := l.holds.all()
	if len(all) == 0 {
		return a, nil
	}
	a.hold = l.holds.of(callerOf(ctx).ticket)
	u := &caseArchive{holds: l.holds, hold: a.hold, others: map[store.Hour]store.BucketInfo{}}
	if err := l.hide(a, u, all); err != nil {
		return nil, err
	}
	a.note(all, w)
	if a.hold != nil {
		var err error
		if u.held, err = l.holds.use(a.hold.Case, false); err != nil {
			return nil, err
		}
		a.end = func() error { return l.holds.done(u.held) }
	}
	u.Union = store.Union{{Store: l.store, Hidden: u.hidesMain}}
	if u.held != nil {
		u.Union = append(u.Union, store.Member{Store: u.held.Store, Hidden: u.hidesHeld})
		lack, err := u.held.damage(w)
		if err != nil {
			return nil, err
		}
		a.lack = lack
	}
	a.LedgerArchive = u
	return a, nil
}

// hide finds the hours that only holds of other cases keep.
func (l *local) hide(a *asked, u *caseArchive, all []*hold) error {
	keeper, known, err := l.keeperOf()
	if err != nil || !known {
		return err // no collector ever ran: nothing is past its day
	}
	st := keeper.Status()
	if st.Keep == 0 || st.Held {
		return nil
	}
	if now := epochMS(l.now()); now > uint64(st.Keep.Milliseconds()) {
		a.keep = now - uint64(st.Keep.Milliseconds())
	}
	for _, b := range keeper.Due() {
		kept, ours := false, false
		for _, one := range all {
			if one.whole(b) {
				kept, ours = true, ours || a.hold != nil && one.Case == a.hold.Case
			}
		}
		if kept && !ours {
			u.others[b.Hour] = b
		}
	}
	return nil
}

// note says what of the holds has a part in the answer about a window, or has
// none.
func (a *asked) note(all []*hold, w query.Window) {
	if a.keep == 0 {
		return
	}
	var others []string
	for _, one := range all {
		held, some := heldWindow(w, one.window())
		if one.Ended != "" || !some || held.From >= a.keep {
			continue
		}
		if a.hold != nil && one.Case == a.hold.Case {
			a.notes = append(a.notes, fmt.Sprintf("of what is past retention (before %s) only what case %s holds is in the answer", showMS(a.keep), one.Case))
			continue
		}
		others = append(others, one.Case)
	}
	switch len(others) {
	case 0:
	case 1:
		a.notes = append(a.notes, fmt.Sprintf("records past retention that are kept only under case %s are left out; --case %s asks them", others[0], quoteArg(others[0])))
	default:
		a.notes = append(a.notes, fmt.Sprintf("records past retention that are kept only under cases %s are left out; --case REF asks those of one", casesText(others)))
	}
}

// A caseArchive is the archive and what is held for a case, seen together.
type caseArchive struct {
	store.Union
	*holds
	hold   *hold
	held   *heldStore
	others map[store.Hour]store.BucketInfo // past their day, kept by other cases
}

// View implements query.Archive: no hour passes from one store to the other
// while both are looked at.
func (u *caseArchive) View(from, to store.Hour) (*store.View, error) {
	u.moving.RLock()
	defer u.moving.RUnlock()
	return u.Union.View(from, to)
}

// hidesMain reports whether an hour of the archive has no part in the answer: it
// is past its day, and what this case holds of it has been taken out.
func (u *caseArchive) hidesMain(h store.Hour) bool {
	b, other := u.others[h]
	if !other {
		return false
	}
	if u.hold == nil || !u.hold.partly(b) {
		return true
	}
	m, is := u.mark(u.hold.Case, h)
	return is && m.Done
}

// hidesHeld reports whether the hour is still in the archive and seen there.
func (u *caseArchive) hidesHeld(h store.Hour) bool {
	_, is := u.mark(u.hold.Case, h)
	return is && !u.hidesMain(h)
}

// judged puts a question to the archive as its case may see it, and adds what
// its answer lacks.
func judged[Result any](ctx context.Context, l *local, w query.Window, exporter, filter string, ask func(a query.Archive) (Result, query.Summary, error)) (result Result, summary query.Summary, err error) {
	left, err := l.afterPurge(ctx)
	if err != nil {
		return result, summary, err
	}
	a, err := l.archive(ctx, w)
	if err != nil {
		return result, summary, err
	}
	if result, summary, err = ask(a); err == nil {
		summary.Notes = append(summary.Notes, a.notes...)
		if left != nil {
			summary.Notes = append(summary.Notes, fmt.Sprintf("a purge of case %s was stopped: what it has not deleted yet may be in the answer; weir purge, or the start of the collector, ends it", left.Case))
		}
		summary.Damaged = append(summary.Damaged, a.lack...)
		if summary.RowsMatched == 0 {
			summary.Looked = query.ExtentOf(a.Buckets(), w)
		}
		err = l.judge(ctx, a, &summary, w, exporter, filter)
	}
	if endErr := a.end(); err == nil {
		err = endErr
	}
	return result, summary, err
}

// ledgersOf returns the ledgers of the archive as a question sees it. Those of
// the archive itself are kept; what is held is read anew.
func (l *local) ledgersOf(a *asked) *query.Ledgers {
	if a.hold == nil {
		return l.kept()
	}
	return query.NewLedgers(a.LedgerArchive)
}

// keptFor returns for how long the archive counts as whole for a question: one
// about the window of its hold is judged by the ledgers that were carried along.
func (a *asked) keptFor(keep time.Duration, w query.Window, now uint64) time.Duration {
	if a.hold == nil || keep == 0 {
		return keep
	}
	of := a.hold.window()
	if w.From < of.From || w.To == 0 || w.To > of.To || of.From > now {
		return keep
	}
	return max(keep, time.Duration(now-of.From+uint64(time.Hour.Milliseconds()))*time.Millisecond)
}

// narrow makes a question for a case that has a hold, and that says neither which
// records nor when, one about the records of the hold. One for a case whose hold
// is over is about none.
func (l *local) narrow(ctx context.Context, filter *string, exporter string, w *query.Window) (notes []string, err error) {
	ref := callerOf(ctx).ticket
	if ref == "" || strings.TrimSpace(*filter) != "" || exporter != "" || *w != (query.Window{}) {
		return nil, nil
	}
	one := l.holds.of(ref)
	if one == nil {
		return l.unheld(ref, filter)
	}
	*filter, *w = one.filter(), one.window()
	return []string{fmt.Sprintf("these are the records of the hold of case %s (%s, %s to %s); with a filter or a window, the archive is asked as well",
		one.Case, shortText(one.filterText()), showMS(w.From), showMS(w.To))}, nil
}

// unheld is narrow for a case that has no hold. It says so where what is held
// could be meant.
func (l *local) unheld(ref string, filter *string) ([]string, error) {
	ended, err := l.store.GetState(holdOverPrefix + ref)
	switch {
	case err != nil:
		return nil, err
	case ended != nil:
		*filter = "not any"
		return []string{fmt.Sprintf("the hold of case %s is over (%s), and nothing is kept for it; the filter any asks the archive itself", ref, ended)}, nil
	case len(l.holds.all()) == 0:
		return nil, nil
	}
	return []string{fmt.Sprintf("case %s has no hold: this is about the whole archive; weir hold list shows which cases have one", ref)}, nil
}

// shortText cuts text for a line.
func shortText(text string) string {
	const most = 80
	if r := []rune(text); len(r) > most {
		return string(r[:most]) + "…"
	}
	return text
}
