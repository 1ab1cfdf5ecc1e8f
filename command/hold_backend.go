package command

import (
	"context"
	"net/http"
	"time"

	"weir/flow"
	"weir/query"
	"weir/retention"
	"weir/store"
)

// A holding is a backend that knows of holds.
type holding interface {
	backend
	Holds(ctx context.Context, lists bool) ([]holdReport, error)
	Hold(ctx context.Context, count bool) (*holdReport, error)
	AddHold(ctx context.Context, req holdRequest) (*holdReport, error)
	ExtendHold(ctx context.Context, until uint64) (*holdReport, error)
	ReleaseHold(ctx context.Context) (*holdReport, error)
}

// The paths of what the daemon answers about holds (protocol.go). The case is in
// the headers.
const (
	pathHolds       = "/holds"
	pathHold        = "/hold"
	pathHoldAdd     = "/hold/add"
	pathHoldExtend  = "/hold/extend"
	pathHoldRelease = "/hold/release"
)

// A holdRequest says what is to be held for the case that the caller names.
type holdRequest struct {
	Filter   string       `json:"filter,omitempty"`
	Typed    string       `json:"typed,omitempty"` // the filter as it was given
	Exporter string       `json:"exporter,omitempty"`
	Window   query.Window `json:"window"`
	Until    uint64       `json:"until,omitempty"` // ms; 0: with More, as long as the hold lasts
	More     bool         `json:"more,omitempty"`  // another scope of a hold that there is
}

// A holdReport is what is known of one hold.
type holdReport struct {
	hold
	Hours        int      `json:"hours"`   // that records were taken out of
	Records      int64    `json:"records"` // of them
	Bytes        int64    `json:"bytes"`   // that they take
	WholeHours   int      `json:"whole_hours"`
	WholeRecords int64    `json:"whole_records"`
	Waiting      uint64   `json:"waiting"`           // records in the archive that will be taken out; if they were counted
	Notes        []string `json:"notes,omitempty"`   // what who asked must know
	Damaged      []string `json:"damaged,omitempty"` // what could not be taken out, or not be read

	Buckets []store.BucketInfo `json:"buckets,omitempty"` // that were taken out; if they were asked for
	Whole   []store.BucketInfo `json:"whole,omitempty"`   // of the archive, that stay whole; likewise
	Rows    []heldRow          `json:"rows,omitempty"`    // what was taken out, by hour and exporter; if it was counted
}

// handleHolds adds the routes of holds.
func handleHolds(mux *http.ServeMux, s *server) {
	b, ok := s.backend.(holding)
	if !ok {
		return
	}
	handle(mux, s, pathHolds, func(ctx context.Context, lists bool) (any, error) { return b.Holds(ctx, lists) })
	handle(mux, s, pathHold, func(ctx context.Context, count bool) (any, error) { return b.Hold(ctx, count) })
	handle(mux, s, pathHoldAdd, func(ctx context.Context, req holdRequest) (any, error) { return b.AddHold(ctx, req) })
	handle(mux, s, pathHoldExtend, func(ctx context.Context, until uint64) (any, error) { return b.ExtendHold(ctx, until) })
	handle(mux, s, pathHoldRelease, func(ctx context.Context, _ struct{}) (any, error) { return b.ReleaseHold(ctx) })
}

// Holds implements holding.
func (l *local) Holds(_ context.Context, lists bool) ([]holdReport, error) {
	list := []holdReport{}
	for _, one := range l.holds.all() {
		list = append(list, *l.holdReport(one, lists))
	}
	return list, nil
}

// holdReport returns what is known of a hold without reading records. A store
// that does not open is damage of this hold alone.
func (l *local) holdReport(one *hold, lists bool) *holdReport {
	r := &holdReport{hold: *one}
	taken, err := l.holds.buckets(one.Case)
	if err != nil {
		r.Damaged = append(r.Damaged, err.Error())
	}
	for _, b := range taken {
		r.Hours, r.Records, r.Bytes = r.Hours+1, r.Records+b.Rows, r.Bytes+b.Bytes
	}
	var whole []store.BucketInfo
	for _, b := range l.store.Buckets() {
		if one.whole(b) {
			r.WholeHours, r.WholeRecords = r.WholeHours+1, r.WholeRecords+b.Rows
			whole = append(whole, b)
		}
	}
	if lists {
		r.Buckets, r.Whole = taken, whole
	}
	return r
}

// callersHold returns the hold of the case that the caller names.
func (l *local) callersHold(ctx context.Context) (*hold, error) {
	ref := callerOf(ctx).ticket
	if err := checkHoldCase(ref); err != nil {
		return nil, err
	}
	if one := l.holds.of(ref); one != nil {
		return one, nil
	}
	return nil, l.unknownCase(ref)
}

func (l *local) unknownCase(ref string) error {
	var cases []string
	for _, one := range l.holds.all() {
		cases = append(cases, one.Case)
	}
	e := usagef("case %s has no hold", ref)
	if near := nearest(ref, cases); near != "" {
		return e.withHint("did you mean %q?", near)
	}
	return e.withHint("weir hold list shows which have one")
}

// Hold implements holding. It reads records only to count them.
func (l *local) Hold(ctx context.Context, count bool) (*holdReport, error) {
	one, err := l.callersHold(ctx)
	if err != nil {
		return nil, err
	}
	r := l.holdReport(one, false)
	if !count || len(r.Damaged) > 0 {
		return r, nil
	}
	err = l.holds.with(one.Case, func(s *heldStore) error {
		if s == nil {
			return nil
		}
		held := &local{store: s.Store, now: l.now, known: l.known}
		in, err := heldIn(ctx, held)
		if err != nil {
			return err
		}
		r.Rows = in.Rows
		lack, err := s.damage(query.Window{})
		r.Damaged = append(in.Damaged, lack...)
		return err
	})
	if err == nil {
		err = l.countWaiting(ctx, one, r)
	}
	return r, err
}

// heldIn returns what is in a held store, by hour and exporter.
func heldIn(ctx context.Context, l *local) (*heldReport, error) {
	report := &heldReport{}
	err := l.eachHeld(ctx, 0, ^store.Hour(0), func(b *store.Bucket, counts map[flow.Addr]uint64, damage error) error {
		report.Rows = append(report.Rows, l.heldRows(b.Hour(), counts, 0)...)
		if damage != nil {
			report.Damaged = append(report.Damaged, damage.Error())
		}
		return nil
	})
	return report, err
}

// countWaiting counts the records in the archive that will be taken out. The
// store of the hold was opened before, if there is one.
func (l *local) countWaiting(ctx context.Context, one *hold, r *holdReport) error {
	rest := store.Union{{Store: l.store, Hidden: func(h store.Hour) bool { // it stays for another case
		m, is := l.holds.mark(one.Case, h)
		return is && m.Done
	}}}
	for _, s := range one.Scopes {
		if s.Filter == "" {
			continue
		}
		_, summary, err := query.TopWith(ctx, rest, query.TopRequest{Filter: s.Filter, Window: s.Window, By: "flows", CountOnly: true}, l.parse())
		if err != nil {
			return err
		}
		r.Waiting += summary.RowsMatched
		r.Damaged = append(r.Damaged, summary.Damaged...)
	}
	return nil
}

// ExtendHold implements holding.
func (l *local) ExtendHold(ctx context.Context, until uint64) (*holdReport, error) {
	one, err := l.callersHold(ctx)
	if err != nil {
		return nil, err
	}
	longer := *one
	longer.Until = until
	if until <= one.Until {
		return nil, usagef("the hold of case %s lasts until %s already", one.Case, showMS(one.Until)).withHint("weir hold release ends it early")
	}
	limits, err := readHoldPolicy(l.store)
	if err != nil {
		return nil, err
	}
	if err := limits.check(longer.lapses(), time.UnixMilli(int64(one.Added))); err != nil {
		return nil, err
	}
	if err := l.holds.write(&longer); err != nil {
		return nil, err
	}
	return l.holdReport(&longer, false), nil
}

// ReleaseHold implements holding. Hours that stayed whole go with the keeper's
// next look, which a collector takes at once.
func (l *local) ReleaseHold(ctx context.Context) (*holdReport, error) {
	one, err := l.callersHold(ctx)
	if err != nil {
		return nil, err
	}
	r := l.holdReport(one, false)
	if err := l.holds.finish(context.WithoutCancel(ctx), one, holdReleased); err != nil {
		return nil, err
	}
	if l.keeper != nil {
		l.keeper.Tick(ctx)
	}
	return r, nil
}

var _ retention.Holds = (*holds)(nil)

// Hold implements holding.
func (a *audited) Hold(ctx context.Context, count bool) (r *holdReport, err error) {
	if !count {
		return a.local.Hold(ctx, false)
	}
	err = a.look(ctx, subject{detail: "counts what is held"}, func() (uint64, error) {
		r, err = a.local.Hold(ctx, true)
		return 0, err
	})
	return r, err
}

// AddHold implements holding.
func (a *audited) AddHold(ctx context.Context, req holdRequest) (r *holdReport, err error) {
	done, err := a.noPurge(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	one, notes, err := a.prepareHold(ctx, req)
	if err != nil {
		return nil, err
	}
	err = a.act(ctx, req.about(), func() (uint64, error) {
		if err := a.holds.write(one); err != nil {
			return 0, err
		}
		r = a.holdReport(one, false)
		r.Notes = notes
		return 0, nil
	})
	return r, err
}

// ExtendHold implements holding.
func (a *audited) ExtendHold(ctx context.Context, until uint64) (r *holdReport, err error) {
	err = a.act(ctx, "holds until "+rfc3339(until), func() (uint64, error) {
		r, err = a.local.ExtendHold(ctx, until)
		return 0, err
	})
	return r, err
}

// ReleaseHold implements holding.
func (a *audited) ReleaseHold(ctx context.Context) (r *holdReport, err error) {
	if _, err := a.callersHold(ctx); err != nil {
		return nil, err
	}
	err = a.act(ctx, "releases the hold, and deletes what it keeps", func() (uint64, error) {
		if r, err = a.local.ReleaseHold(ctx); err != nil {
			return 0, err
		}
		return uint64(r.Records), nil
	})
	return r, err
}

// askHold asks the daemon a question about one hold.
func (r *remote) askHold(ctx context.Context, path string, question any) (*holdReport, error) {
	report := new(holdReport)
	return report, r.ask(ctx, path, question, report, nil)
}

// Holds implements holding.
func (r *remote) Holds(ctx context.Context, lists bool) (list []holdReport, err error) {
	err = r.ask(ctx, pathHolds, lists, &list, nil)
	return list, err
}

// Hold implements holding.
func (r *remote) Hold(ctx context.Context, count bool) (*holdReport, error) {
	return r.askHold(ctx, pathHold, count)
}

// AddHold implements holding.
func (r *remote) AddHold(ctx context.Context, req holdRequest) (*holdReport, error) {
	return r.askHold(ctx, pathHoldAdd, req)
}

// ExtendHold implements holding.
func (r *remote) ExtendHold(ctx context.Context, until uint64) (*holdReport, error) {
	return r.askHold(ctx, pathHoldExtend, until)
}

// ReleaseHold implements holding.
func (r *remote) ReleaseHold(ctx context.Context) (*holdReport, error) {
	return r.askHold(ctx, pathHoldRelease, struct{}{})
}
