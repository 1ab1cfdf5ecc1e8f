package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"weir/flow"
	"weir/index"
	"weir/query"
	"weir/retention/audit"
	"weir/store"
)

// An audited archive leaves an entry in the audit log before anybody sees its
// records or changes it, and another that says what came of it. Without the
// first, nothing is given out and nothing done.
type audited struct {
	*local
	log *audit.Log
}

func newAudited(l *local) *audited {
	return &audited{l, audit.New(l.store, l.now)}
}

// An auditPolicy is what the configuration demands. The collector writes it
// down, for commands that open the archive themselves.
type auditPolicy struct {
	Require []string      `json:"require,omitempty"` // "case", "reason": what a question must come with
	Keep    time.Duration `json:"keep"`              // how long entries are kept; 0: for ever
}

const (
	auditPolicyKey   = "collect/audit"
	defaultAuditKeep = 1096 * 24 * time.Hour // three years, a leap day among them
)

// requirements are what a policy can demand.
var requirements = []string{"case", "reason"}

// readAuditPolicy returns the policy that a collector wrote down, or the default.
func readAuditPolicy(s *store.Store) (auditPolicy, error) {
	p := auditPolicy{Keep: defaultAuditKeep}
	text, err := s.GetState(auditPolicyKey)
	if err != nil || text == nil {
		return p, err
	}
	if err := json.Unmarshal(text, &p); err != nil {
		return p, fmt.Errorf("read the audit policy: %w", err)
	}
	return p, nil
}

// check refuses what comes without what the policy demands.
func (p auditPolicy) check(c caller) error {
	var missing []string
	for _, need := range p.Require {
		if need == "case" && c.ticket == "" || need == "reason" && c.reason == "" {
			missing = append(missing, need)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return usagef("this archive is only asked with a %s, for the audit log", strings.Join(missing, " and a ")).
		withHint("add --%s", strings.Join(missing, " … --")+" …")
}

// entry begins an entry with what the context says.
func (a *audited) entry(ctx context.Context, kind string) (audit.Entry, error) {
	policy, err := readAuditPolicy(a.store)
	if err != nil {
		return audit.Entry{}, err
	}
	c := callerOf(ctx)
	return audit.Entry{Kind: kind, Who: c.who, Command: c.command, Case: c.ticket, Reason: c.reason}, policy.check(c)
}

// A subject is what a question is about.
type subject struct {
	filter   string
	window   query.Window
	exporter string
	detail   string
}

// look notes a question, asks it, and notes how many rows it gave out. The answer
// is worked on while the disk takes the note.
func (a *audited) look(ctx context.Context, s subject, ask func() (rows uint64, err error)) error {
	l, err := a.begin(ctx, s)
	if err != nil {
		return err
	}
	rows, err := ask()
	return l.end(rows, err)
}

// A looking is a question that is being answered. One goroutine uses it.
type looking struct {
	log     *audit.Log
	number  uint64 // of the question's entry
	who     audit.Who
	durable func() error // returns when the entry is on disk
	waited  bool         // it was called, and said:
	failed  error
}

// begin notes a question.
func (a *audited) begin(ctx context.Context, s subject) (*looking, error) {
	e, err := a.entry(ctx, audit.KindAsk)
	if err != nil {
		return nil, err
	}
	about(ctx, &e, s)
	number, durable, err := a.log.Begin(e)
	if err != nil {
		return nil, cannotNote(err)
	}
	return &looking{log: a.log, number: number, who: e.Who, durable: durable}, nil
}

func cannotNote(err error) error {
	return fmt.Errorf("nothing was read or changed, because it cannot be noted: %w", err)
}

// noted returns when the question's entry is on disk; before, nothing is given out.
func (l *looking) noted() error {
	if l.waited {
		return l.failed
	}
	l.waited = true
	if err := l.durable(); err != nil {
		l.failed = cannotNote(err)
	}
	return l.failed
}

// emitting returns emit, which gives nothing out before the entry is on disk, and
// counts what it gave.
func (l *looking) emitting(emit func(*flow.Record) error, given *uint64) func(*flow.Record) error {
	return func(r *flow.Record) error {
		if err := l.noted(); err != nil {
			return err
		}
		*given++
		return emit(r)
	}
}

// end notes what came of the question. Nobody waits for the disk to take that: it
// follows the entry of the question there, and is lost only if the process is
// killed, or the machine stops, within moments.
func (l *looking) end(rows uint64, err error) error {
	if noteErr := l.noted(); noteErr != nil {
		return noteErr
	}
	_, _, logErr := l.log.Begin(answerTo(l.number, l.who, rows, err))
	if logErr != nil && !errors.Is(logErr, store.ErrClosed) {
		return errors.Join(err, logErr)
	}
	return err
}

// answerTo returns the entry that says what came of another.
func answerTo(number uint64, who audit.Who, rows uint64, err error) audit.Entry {
	e := audit.Entry{Kind: audit.KindAnswer, Of: number, Who: who, Rows: rows}
	if err != nil {
		e.Failed = firstLine(err.Error())
	}
	return e
}

// about writes into an entry what a question is about.
func about(ctx context.Context, e *audit.Entry, s subject) {
	e.Filter, e.Detail = s.filter, s.detail
	if s.exporter != "" {
		e.Detail = strings.TrimSpace(e.Detail + " exporter " + s.exporter)
	}
	if c := callerOf(ctx); c.detail != "" {
		e.Detail = strings.TrimSpace(e.Detail + " " + printable(c.detail))
	}
	if s.window.From != 0 {
		e.From = rfc3339(s.window.From)
	}
	if s.window.To != 0 {
		e.To = rfc3339(s.window.To)
	}
}

// act notes what is about to be changed, does it, and notes how that ended. A
// group that may ask changes nothing.
func (a *audited) act(ctx context.Context, detail string, do func() (rows uint64, err error)) error {
	e, err := a.entry(ctx, audit.KindAct)
	if err != nil {
		return err
	}
	if err := mayChange(callerOf(ctx)); err != nil {
		return err
	}
	e.Detail = detail
	return a.noted(ctx, e, do)
}

// mayChange refuses whoever is neither the archive's owner nor root.
func mayChange(c caller) error {
	if c.who.UID == os.Geteuid() || c.who.UID == 0 {
		return nil
	}
	return fmt.Errorf("user %s may ask and not change: %s is for the archive's owner, %s", c.who.User, c.command, userName(os.Geteuid()))
}

func (a *audited) noted(ctx context.Context, e audit.Entry, do func() (rows uint64, err error)) error {
	number, err := a.log.Add(e)
	if err != nil {
		return cannotNote(err)
	}
	rows, err := do()
	if _, logErr := a.log.Add(answerTo(number, e.Who, rows, err)); logErr != nil && !errors.Is(logErr, store.ErrClosed) {
		return errors.Join(err, logErr)
	}
	return err
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// Flows implements backend.
func (a *audited) Flows(ctx context.Context, req query.FlowsRequest, emit func(*flow.Record) error) (s query.Summary, err error) {
	notes, err := a.narrow(ctx, &req.Filter, req.Exporter, &req.Window)
	if err != nil {
		return s, err
	}
	l, err := a.begin(ctx, subject{filter: req.Filter, window: req.Window, exporter: req.Exporter})
	if err != nil {
		return s, err
	}
	given := uint64(0)
	s, err = a.local.Flows(ctx, req, l.emitting(emit, &given))
	err = l.end(given, err)
	s.Notes = append(notes, s.Notes...)
	return s, err
}

// Tail implements backend. That the reader goes away is how a tail ends, not a
// failure.
func (a *audited) Tail(ctx context.Context, req query.TailRequest, emit func(*flow.Record) error, missed func(n uint64)) error {
	l, err := a.begin(ctx, subject{filter: req.Filter, exporter: req.Exporter, detail: "as they arrive"})
	if err != nil {
		return err
	}
	given := uint64(0)
	ended := a.local.Tail(ctx, req, l.emitting(emit, &given), missed)
	failure := ended
	if ctx.Err() != nil {
		failure = nil
	}
	if err := l.end(given, failure); err != nil {
		return err
	}
	return ended
}

// Top implements backend.
func (a *audited) Top(ctx context.Context, req query.TopRequest) (r *query.TopResult, s query.Summary, err error) {
	notes, err := a.narrow(ctx, &req.Filter, req.Exporter, &req.Window)
	if err != nil {
		return r, s, err
	}
	about := subject{filter: req.Filter, window: req.Window, exporter: req.Exporter, detail: "sums"}
	if len(req.Fields) > 0 {
		about.detail = "by " + strings.Join(req.Fields, ",")
	}
	err = a.look(ctx, about, func() (uint64, error) {
		var err error
		if r, s, err = a.local.Top(ctx, req); err != nil {
			return 0, err
		}
		return uint64(len(r.Rows)), nil
	})
	s.Notes = append(notes, s.Notes...)
	return r, s, err
}

// Series implements backend.
func (a *audited) Series(ctx context.Context, req query.SeriesRequest) (r *query.SeriesResult, s query.Summary, err error) {
	notes, err := a.narrow(ctx, &req.Filter, req.Exporter, &req.Window)
	if err != nil {
		return r, s, err
	}
	err = a.look(ctx, subject{filter: req.Filter, window: req.Window, exporter: req.Exporter}, func() (uint64, error) {
		r, s, err = a.local.Series(ctx, req)
		return s.Emitted, err
	})
	s.Notes = append(notes, s.Notes...)
	return r, s, err
}

// Seen implements backend.
func (a *audited) Seen(ctx context.Context, req query.SeenRequest) (r *query.SeenResult, s query.Summary, err error) {
	err = a.look(ctx, subject{window: req.Window, detail: seenDetail(req)}, func() (uint64, error) {
		r, s, err = a.local.Seen(ctx, req)
		return s.Emitted, err
	})
	return r, s, err
}

// seenDetail names the addresses of a question, the first of many.
func seenDetail(req query.SeenRequest) string {
	const most = 20
	list := req.Addrs
	var words []string
	for _, addr := range list[:min(len(list), most)] {
		words = append(words, fmt.Sprint(addr))
	}
	if more := len(list) - most; more > 0 {
		words = append(words, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(words, " ")
}

// Peers implements backend.
func (a *audited) Peers(ctx context.Context, req query.PeersRequest) (r *query.PeersResult, s query.Summary, err error) {
	about := subject{filter: req.Filter, window: req.Window, exporter: req.Exporter, detail: fmt.Sprint("of ", req.Addr)}
	err = a.look(ctx, about, func() (uint64, error) {
		r, s, err = a.local.Peers(ctx, req)
		return s.Emitted, err
	})
	return r, s, err
}

// Stats implements backend.
func (a *audited) Stats(ctx context.Context, req query.StatsRequest) (r *query.StatsResult, s query.Summary, err error) {
	notes, err := a.narrow(ctx, &req.Filter, req.Exporter, &req.Window)
	if err != nil {
		return r, s, err
	}
	err = a.look(ctx, subject{filter: req.Filter, window: req.Window, exporter: req.Exporter}, func() (uint64, error) {
		r, s, err = a.local.Stats(ctx, req)
		return s.Emitted, err
	})
	s.Notes = append(notes, s.Notes...)
	return r, s, err
}

// Explain implements backend: its figures tell whether an address is there.
func (a *audited) Explain(ctx context.Context, req query.ExplainRequest) (p *query.Plan, err error) {
	err = a.look(ctx, subject{filter: req.Filter, window: req.Window, exporter: req.Exporter}, func() (uint64, error) {
		p, err = a.local.Explain(ctx, req)
		return 0, err
	})
	return p, err
}

// Import implements backend.
func (a *audited) Import(ctx context.Context, files captures) (r *importResult, err error) {
	err = a.act(ctx, "", func() (uint64, error) {
		if r, err = a.local.Import(ctx, files); r == nil {
			return 0, err
		}
		return uint64(r.Records), err
	})
	return r, err
}

// Backup implements backend.
func (a *audited) Backup(ctx context.Context, req backupRequest) (r *backupReport, err error) {
	err = a.act(ctx, req.about(), func() (uint64, error) {
		r, err = a.local.Backup(ctx, req)
		return 0, err
	})
	return r, err
}

// ConfirmRetention implements backend.
func (a *audited) ConfirmRetention(ctx context.Context) (r *retentionReport, err error) {
	err = a.act(ctx, "the clock is right", func() (uint64, error) {
		r, err = a.local.ConfirmRetention(ctx)
		return 0, err
	})
	return r, err
}

// Check implements backend. Only a repair changes anything, and nobody sees
// records.
func (a *audited) Check(ctx context.Context, repair bool) (r *index.Report, err error) {
	if !repair {
		return a.local.Check(ctx, repair)
	}
	err = a.act(ctx, "repair", func() (uint64, error) {
		r, err = a.local.Check(ctx, repair)
		return 0, err
	})
	return r, err
}

// checkRequirements refuses a demand that there is none of.
func checkRequirements(list []string) error {
	for _, need := range list {
		if !slices.Contains(requirements, need) {
			return usagef("no %q", need).withHint("it is case, reason or both")
		}
	}
	return nil
}
