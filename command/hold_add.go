package command

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"weir/query"
	"weir/store"
)

// prepareHold returns the hold that a request asks for, and what is to be said of
// it. Nothing is written yet.
func (l *local) prepareHold(ctx context.Context, req holdRequest) (one *hold, notes []string, err error) {
	c := callerOf(ctx)
	if l.holds == nil || filepath.Base(l.store.Dir()) == quarantineName {
		return nil, nil, errors.New("what is in quarantine is not held: it should never have come")
	}
	if err := checkHoldCase(c.ticket); err != nil {
		return nil, nil, err
	}
	now := l.now()
	scope, err := l.holdScope(req)
	if err != nil {
		return nil, nil, err
	}
	scope.Added, scope.By, scope.Reason = epochMS(now), c.who.User, c.reason
	one, err = l.holds.joined(&hold{Case: c.ticket, Until: req.Until, Added: scope.Added, By: scope.By, Reason: scope.Reason}, req)
	if err != nil {
		return nil, nil, err
	}
	one.Scopes = append(one.Scopes, *scope)
	notes, err = l.checkHold(one, scope, now)
	return one, notes, err
}

// noPurge keeps a purge from beginning until done, and fails while one is under
// way: nobody could tell which of the two wins.
func (l *local) noPurge(ctx context.Context) (done func(), err error) {
	if done, err = l.lockPurges(ctx, errPurgeFirst); err != nil {
		return nil, err
	}
	st, err := readPurge(l.store)
	if err == nil && st != nil {
		err = errPurgeFirst // one that was cut short
	}
	if err != nil {
		done()
		return nil, err
	}
	return done, nil
}

// errPurgeFirst keeps a hold from being made while nobody knows what will be
// there.
var errPurgeFirst = errors.New("a purge is under way or was cut short: nothing is held before it has ended (weir purge, or the start of the collector, ends it)")

// joined returns the hold that a new scope is to be added to: a new one, or the
// one that there is.
func (h *holds) joined(fresh *hold, req holdRequest) (*hold, error) {
	h.mu.Lock()
	have := h.list[fresh.Case]
	h.mu.Unlock()
	switch {
	case have == nil && req.More:
		return nil, usagef("case %s has no hold to add to", fresh.Case).withHint("leave out --add")
	case have == nil && req.Until == 0:
		return nil, usagef("the hold has no end").withHint("add --until DATE")
	case have == nil:
		return fresh, nil
	case have.Ended != "":
		return nil, fmt.Errorf("what was held for case %s is being deleted; try again in a moment", have.Case)
	case !req.More:
		return nil, usagef("case %s has a hold already, until %s", have.Case, showMS(have.Until)).
			withHint("--add adds this scope to it, weir hold extend moves its end")
	case req.Until != 0 && req.Until < have.Until:
		return nil, usagef("--until %s: the hold of case %s lasts until %s", showMS(req.Until), have.Case, showMS(have.Until)).
			withHint("leave out --until; weir hold release ends a hold early")
	}
	joined := *have
	joined.Until = max(have.Until, req.Until)
	joined.Scopes = append([]holdScope(nil), have.Scopes...)
	return &joined, nil
}

// holdScope reads what a request means.
func (l *local) holdScope(req holdRequest) (*holdScope, error) {
	if req.Window.From == 0 || req.Window.To == 0 {
		return nil, usagef("the window is not whole").withHint("give --from and --to")
	}
	if req.Window.From >= req.Window.To {
		return nil, usagef("the window is empty: --from is not before --to")
	}
	s := &holdScope{Window: req.Window, Typed: req.Typed}
	if strings.TrimSpace(req.Filter) == "" && req.Exporter == "" {
		return s, nil
	}
	m, err := query.NewMatcher(req.Filter, req.Exporter, req.Window, l.parse())
	if err != nil {
		return nil, err
	}
	s.Filter = m.String()
	return s, nil
}

// checkHold refuses a hold that would keep nothing, or longer than it may, and
// returns what is to be said of one that is made.
func (l *local) checkHold(one *hold, s *holdScope, now time.Time) (notes []string, err error) {
	if until := one.lapses(); !until.After(now) {
		return nil, usagef("--until %s is over already", showTime(until)).withHint("it is %s", showTime(now))
	}
	limits, err := readHoldPolicy(l.store)
	if err != nil {
		return nil, err
	}
	if err := limits.check(one.lapses(), time.UnixMilli(int64(one.Added))); err != nil {
		return nil, err
	}
	for _, other := range one.Scopes[:len(one.Scopes)-1] {
		if other.Filter == s.Filter && other.Window == s.Window {
			return nil, usagef("case %s holds this already", one.Case).withHint("weir hold extend moves its end")
		}
	}
	keep, _, err := l.policy()
	if err != nil {
		return nil, err
	}
	return l.checkPast(one, s, keep, epochMS(now))
}

// checkPast compares a scope with what retention has left, and will leave.
func (l *local) checkPast(one *hold, s *holdScope, keep time.Duration, now uint64) (notes []string, err error) {
	touched, records := 0, false
	for _, b := range append(l.store.BareBuckets(), l.store.Buckets()...) {
		if s.touches(b) {
			touched++
			records = records || b.Rows > 0
		}
	}
	if !records && s.Window.To <= now {
		notes = append(notes, "the archive has no record in this window")
	}
	if keep == 0 {
		return notes, nil
	}
	due := func(ms uint64) uint64 { return store.HourOf(ms).EndMS() + uint64(keep.Milliseconds()) }
	first, last := due(s.Window.From), due(s.Window.To-1)
	switch {
	case last <= now && touched == 0:
		e := usagef("the window is past retention (%s): nothing of it is left", keepText(keep))
		if others := l.holds.holding(s.Window); len(others) > 0 {
			return nil, e.withHint("what cases %s hold of it is asked with --case", casesText(others))
		}
		return nil, e.withHint("weir buckets shows what there is")
	case one.Until <= first && l.dropsEarly():
		notes = append(notes, fmt.Sprintf("retention keeps these hours until %s, unless max-disk takes them before", showMS(first)))
	case one.Until <= first:
		return nil, usagef("--until %s: retention keeps these hours until %s anyway", showMS(one.Until), showMS(first)).withHint("give a later --until")
	case first <= now:
		notes = append(notes, fmt.Sprintf("the window begins before %s: what is past retention and gone cannot be held", showMS(now-uint64(keep.Milliseconds()))))
	}
	return notes, nil
}

// holding returns the cases that hold something of a window.
func (h *holds) holding(w query.Window) (cases []string) {
	for _, one := range h.all() {
		if _, some := heldWindow(w, one.window()); some {
			cases = append(cases, one.Case)
		}
	}
	return cases
}

// checkHoldCase refuses a reference by which nobody could name a hold again.
func checkHoldCase(ref string) error {
	switch {
	case ref == "":
		return usagef("a hold is for a case").withHint("add --case REF")
	case len(ref) > maxCase || printable(ref) != ref:
		return usagef("the case of a hold has up to %d bytes of printable text", maxCase)
	}
	return nil
}

// about says in the audit log what is held.
func (req *holdRequest) about() string {
	what := "whole hours"
	if req.Filter != "" || req.Exporter != "" {
		what = "records by " + strings.TrimSpace(req.Filter+" "+req.Exporter)
	}
	until := ""
	if req.Until != 0 {
		until = " until " + rfc3339(req.Until)
	}
	return fmt.Sprintf("holds %s from %s to %s%s", what, rfc3339(req.Window.From), rfc3339(req.Window.To), until)
}

// dropsEarly reports whether hours may go before their time, for want of room.
func (l *local) dropsEarly() bool {
	return l.keeper != nil && l.keeper.Status().Room != nil
}
