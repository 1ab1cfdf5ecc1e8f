package command

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"weir/flow"
	"weir/flow/ledger"
	"weir/store"
)

// The paths of what the daemon answers about a purge that was begun.
const (
	pathPurgeBegun  = "/purge/begun"
	pathPurgeGiveUp = "/purge/give-up"
)

// purgePatience is how long an interrupted command waits for the hour under way
// to be over, so that it can say how much is gone.
const purgePatience = 10 * time.Second

// A begunPurge is a purge that was begun and has not ended. Its zero value says
// that there is none.
type begunPurge struct {
	Case    string `json:"case,omitempty"`
	By      string `json:"by,omitempty"`
	Hours   int    `json:"hours,omitempty"`   // that are over, of archive and quarantine
	Records uint64 `json:"records,omitempty"` // that are gone
}

func (p *begunPurge) gone() string {
	return fmt.Sprintf("%s gone so far, %s done", plural(p.Records, "record"), plural(p.Hours, "hour"))
}

// A purgeEnder is a backend that knows of the purge that was begun.
type purgeEnder interface {
	BegunPurge(ctx context.Context) (*begunPurge, error)
	GiveUpPurge(ctx context.Context, ticket string) (*begunPurge, error)
}

// BegunPurge implements purgeEnder. One that is at work is waited for.
func (a *audited) BegunPurge(ctx context.Context) (*begunPurge, error) {
	unlock, err := a.lockPurges(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer unlock()
	st, err := readPurge(a.store)
	if st == nil || err != nil {
		return &begunPurge{}, err
	}
	return st.begun(), nil
}

func (st *purgeState) begun() *begunPurge {
	return &begunPurge{Case: st.Case, By: st.By, Hours: len(st.Done), Records: st.Records}
}

// addGone adds what went of an hour. The ledger of a copy that catches up may have
// other purges of the same case, done at the same time.
func (st *purgeState) addGone(s *store.Store, h store.Hour, counts map[flow.Addr]uint64) error {
	if st.Until == 0 {
		return st.addNoted(s, h)
	}
	for _, n := range counts {
		st.Records += n
	}
	return nil
}

// addNoted adds what the ledger of an hour says that this purge deleted there: also
// in a run before that was killed and could not count it any more.
func (st *purgeState) addNoted(s *store.Store, h store.Hour) error {
	return s.ScanLedger(h, h, func(_ store.Hour, row ledger.Row) error {
		if p := row.Purge; row.Kind == ledger.KindPurge && p.Case == st.Case && p.By == st.By && p.At >= st.At {
			st.Records += p.Records
		}
		return nil
	})
}

// GiveUpPurge implements purgeEnder. What is gone stays gone, its bytes and the
// filter go from the files as after a purge that ended, and the rest stays.
func (a *audited) GiveUpPurge(ctx context.Context, ticket string) (*begunPurge, error) {
	busy := usagef("a purge is at work at this moment").withHint("interrupt it first: Ctrl-C where it runs, or stop the collector that goes on with it")
	unlock, err := a.lockPurges(ctx, busy)
	if err != nil {
		return nil, err
	}
	defer unlock()
	st, err := readPurge(a.store)
	switch {
	case err != nil:
		return nil, err
	case st == nil:
		return nil, usagef("no purge was cut short")
	case st.Case != ticket:
		return nil, usagef("the purge that was cut short is for the case %s", printable(st.Case)).withHint("give it up with --case %s", printable(st.Case))
	}
	p := st.begun()
	detail := fmt.Sprintf("gives up the purge of case %s: %s, the rest stays", st.Case, p.gone())
	return p, a.act(ctx, detail, func() (uint64, error) { return p.Records, st.forget(ctx, a.local) })
}

// forget seals the hours that rows went from, takes the bytes of what is gone out
// of the files, and then the purge. When it is cut short, the purge is still there.
func (st *purgeState) forget(ctx context.Context, l *local) error {
	err := st.over(l, func(stores []purged, _ *picker) error {
		for _, s := range stores {
			if err := s.someSealer().SealOver(ctx); err != nil {
				return err
			}
			if _, err := s.store.Scrub(ctx, ""); err != nil {
				return err
			}
		}
		if err := l.store.DeleteState(purgeKey); err != nil {
			return err
		}
		_, err := l.store.Scrub(ctx, purgePrefix)
		return err
	})
	if err != nil {
		return err
	}
	return l.renewCheckpoints()
}

// BegunPurge implements purgeEnder.
func (r *remote) BegunPurge(ctx context.Context) (*begunPurge, error) {
	p := new(begunPurge)
	return p, r.ask(ctx, pathPurgeBegun, struct{}{}, p, nil)
}

// GiveUpPurge implements purgeEnder.
func (r *remote) GiveUpPurge(ctx context.Context, ticket string) (*begunPurge, error) {
	p := new(begunPurge)
	return p, r.ask(ctx, pathPurgeGiveUp, ticket, p, nil)
}

// handlePurgeEnder adds the routes of a purge that was begun.
func handlePurgeEnder(mux *http.ServeMux, s *server) {
	b, ok := s.backend.(purgeEnder)
	if !ok {
		return
	}
	handle(mux, s, pathPurgeBegun, func(ctx context.Context, _ struct{}) (any, error) { return b.BegunPurge(ctx) })
	handle(mux, s, pathPurgeGiveUp, func(ctx context.Context, ticket string) (any, error) { return b.GiveUpPurge(ctx, ticket) })
}

// giveUpFlags returns what gives up the purge that was cut short.
func giveUpFlags(c *cli.Context, std *Std) (runner, error) {
	dir, err := dataDir(c, std)
	if err != nil {
		return nil, err
	}
	for _, flag := range []string{"exporter", "out-of-scope", "all-time", "last", "from", "to", "file"} {
		if c.IsSet(flag) {
			return nil, usagef("--give-up ends the purge that was cut short: it does not go with --%s", flag)
		}
	}
	if c.NArg() > 0 {
		return nil, usagef("--give-up ends the purge that was cut short: it takes no filter")
	}
	ticket := strings.TrimSpace(c.String("case"))
	if ticket == "" {
		return nil, usagef("a purge is for a case").withHint("add --case REF, that of the purge that was cut short")
	}
	return func(ctx context.Context, std *Std) error { return runGiveUp(ctx, std, dir, ticket) }, nil
}

// runGiveUp gives up the purge that was cut short.
func runGiveUp(ctx context.Context, std *Std, dir, ticket string) error {
	b, err := openBackend(ctx, dir, modeWrite, std)
	if err != nil {
		return err
	}
	defer b.Close()
	p, err := b.(purgeEnder).GiveUpPurge(ctx, ticket)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(std.Out, "the purge of case %s is given up: %s; the rest stays\n", printable(p.Case), p.gone())
	return err
}

// notePurgeStopped says after an interruption how far the purge is.
func notePurgeStopped(ctx context.Context, std *Std, b backend) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), purgePatience)
	defer cancel()
	p, err := b.(purgeEnder).BegunPurge(ctx)
	switch {
	case err != nil:
		fmt.Fprintf(std.Err, "weir: stopping; what is gone is in weir audit and weir coverage (%v)\n", err)
	case p.Case == "":
		fmt.Fprintln(std.Err, "weir: no purge is under way: weir audit says whether it had begun or ended")
	default:
		fmt.Fprintf(std.Err, "weir: stopped between two hours: %s; the next weir purge or start of the collector ends it, weir purge --give-up --case %s gives it up\n",
			p.gone(), printable(p.Case))
	}
}
