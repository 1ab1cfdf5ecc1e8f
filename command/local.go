package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"weir/backup"
	"weir/collector"
	"weir/flow"
	"weir/flow/ledger"
	"weir/index"
	"weir/query"
	"weir/retention"
	"weir/store"
)

// A local is the backend that has the archive open: the daemon's own, or that
// of a command when no daemon runs.
type local struct {
	store    *store.Store
	sealer   *index.Sealer     // nil: one is made when it is needed
	keeper   *retention.Keeper // nil: no collector runs
	daemon   *daemon           // likewise
	now      func() time.Time
	names    *query.Names       // of the collector's configuration; nil: none
	known    ledger.Directory   // exporters of the configuration of the collector, of the last one if none runs
	scope    *collector.Scope   // of the same configuration, perhaps without its networks; nil: the collector does not look whose records are
	elements *flow.Kept         // information elements that it keeps, or has kept; nil: none
	wanted   []flow.KeptElement // those that an import is to keep, without slots; nil: those that are kept
	networks []flow.Prefix      // prefixes of networks: in the collector's configuration
	purging  sync.Mutex         // one purge at a time
	holds    *holds             // what must stay; nil: it has none, as a quarantine
	aside    *quarantine        // of the collector; nil: it has none, or none runs
	tails    *tails             // what comes in; nil: no collector runs
	runs     sync.Mutex         // one import at a time takes a number
	keys     sync.Mutex         // one export at a time makes a key
	backing  sync.Mutex         // one backup at a time
	fixed    *backup.Fixed      // of the collector; nil: one is made when it is needed

	copied uint64 // ms, when the directory was made as a copy of another; 0: it is none

	begin   sync.Once      // makes ledgers
	ledgers *query.Ledgers // what was read of them

	before *local // of the collector's configuration before this one; nil: this is the first
}

// first returns the local whose turns are taken: those of all configurations of
// a collector are taken together.
func (l *local) first() *local {
	for l.before != nil {
		l = l.before
	}
	return l
}

// reconfigured returns the local of another configuration of the same collector.
// Questions that are being answered go on with theirs.
func (l *local) reconfigured(o *collectOptions, aside *quarantine) *local {
	return &local{
		store: l.store, sealer: l.sealer, keeper: l.keeper, daemon: l.daemon, fixed: l.fixed, now: l.now, tails: l.tails,
		names: o.names, known: o.config.Known, scope: o.config.scope(nil), networks: networkPrefixes(&o.config), elements: l.elements, holds: l.holds, aside: aside, before: l.first(),
	}
}

// parse returns what the filters of questions may refer to.
func (l *local) parse() query.ParseOptions {
	return query.ParseOptions{Names: l.names, Kept: l.elements, Elements: elementHint, ElementAlias: elementAlias}
}

// Close closes the archive, and what is open of its holds.
func (l *local) Close() error { return errors.Join(l.holds.close(), l.store.Close()) }

// Flows implements backend.
func (l *local) Flows(ctx context.Context, req query.FlowsRequest, emit func(*flow.Record) error) (query.Summary, error) {
	_, summary, err := judged(ctx, l, req.Window, req.Exporter, req.Filter, func(a query.Archive) (struct{}, query.Summary, error) {
		s, err := query.FlowsWith(ctx, a, req, l.parse(), emit)
		return struct{}{}, s, err
	})
	return summary, err
}

// Top implements backend.
func (l *local) Top(ctx context.Context, req query.TopRequest) (*query.TopResult, query.Summary, error) {
	return judged(ctx, l, req.Window, req.Exporter, req.Filter, func(a query.Archive) (*query.TopResult, query.Summary, error) {
		return query.TopWith(ctx, a, req, l.parse())
	})
}

// Explain implements backend.
func (l *local) Explain(ctx context.Context, req query.ExplainRequest) (*query.Plan, error) {
	a, err := l.archive(ctx, req.Window)
	if err != nil {
		return nil, err
	}
	plan, err := query.ExplainWith(ctx, a, req, l.parse())
	return plan, errors.Join(err, a.end())
}

// Buckets implements backend. It returns those that a question of the caller sees.
func (l *local) Buckets(ctx context.Context) ([]store.BucketInfo, error) {
	a, err := l.archive(ctx, query.Window{})
	if err != nil {
		return nil, err
	}
	return a.Buckets(), a.end()
}

// policyKey is where the collector writes down its retention, for commands that
// open the archive themselves.
const policyKey = "collect/retention"

// policy returns how long records are kept, and whether a collector said so.
func (l *local) policy() (keep time.Duration, known bool, err error) { return readPolicy(l.store) }

// readPolicy returns how long a collector said that the records of an archive are
// kept.
func readPolicy(s *store.Store) (keep time.Duration, known bool, err error) {
	text, err := s.GetState(policyKey)
	if err != nil {
		return 0, false, fmt.Errorf("read the retention: %w", err)
	}
	known = text != nil
	if !known {
		text = []byte(defaultRetention)
	}
	keep, err = parseRetention(string(text))
	return keep, known, err
}

// exportersKey is where the collector writes down the exporters that its
// configuration describes, for commands that open the archive themselves.
const exportersKey = "collect/exporters"

// writeKnown writes down the exporters of a configuration.
func writeKnown(s *store.Store, d ledger.Directory) error {
	if err := s.PutState(exportersKey, marshal(d)); err != nil {
		return fmt.Errorf("write down the exporters: %w", err)
	}
	return nil
}

// readKnown returns the exporters that the last collector wrote down.
func readKnown(s *store.Store) (d ledger.Directory, err error) {
	text, err := s.GetState(exportersKey)
	if err == nil && text != nil {
		err = json.Unmarshal(text, &d)
	}
	if err != nil {
		return nil, fmt.Errorf("read the exporters: %w", err)
	}
	return d, nil
}

// keeperOf returns the keeper, or one to ask while no collector runs.
func (l *local) keeperOf() (keeper *retention.Keeper, known bool, err error) {
	if l.keeper != nil {
		return l.keeper, true, nil
	}
	keep, known, err := l.policy()
	if err != nil {
		return nil, false, err
	}
	keeper, err = retention.New(retention.Options{Store: l.store, State: l.store, Keep: keep, Now: l.now, Holds: l.keptBack(), Logger: slog.New(slog.DiscardHandler)})
	return keeper, known, err
}

// keptBack returns the holds as the keeper takes them.
func (l *local) keptBack() retention.Holds {
	if l.holds == nil {
		return nil
	}
	return l.holds
}

// Retention implements backend.
func (l *local) Retention(context.Context) (*retentionReport, error) {
	keeper, known, err := l.keeperOf()
	if err != nil {
		return nil, err
	}
	return &retentionReport{Status: keeper.Status(), Collecting: l.keeper != nil, Policy: known, Holds: l.keptHolds()}, nil
}

// ConfirmRetention implements backend. In a collector, what was held back goes
// at once.
func (l *local) ConfirmRetention(ctx context.Context) (*retentionReport, error) {
	keeper, known, err := l.keeperOf()
	if err != nil {
		return nil, err
	}
	if err := keeper.Confirm(); err != nil {
		return nil, err
	}
	if l.keeper != nil {
		keeper.Tick(ctx)
	}
	if l.aside != nil {
		_, err = l.aside.ConfirmRetention(ctx)
	} else if l.keeper == nil {
		err = confirmQuarantine(l.store.Dir(), l.now)
	}
	if err != nil {
		return nil, err
	}
	return &retentionReport{Status: keeper.Status(), Collecting: l.keeper != nil, Policy: known, Holds: l.keptHolds()}, nil
}

// Import implements backend. What was decoded is stored when it returns,
// whatever it returns, and hours that are over are sealed unless ctx is
// cancelled.
func (l *local) Import(ctx context.Context, files captures) (*importResult, error) {
	if err := l.keepWanted(); err != nil {
		return nil, err
	}
	l.first().runs.Lock()
	im, err := newImporter(ctx, l)
	l.first().runs.Unlock()
	if err != nil {
		return nil, err
	}
	if err := im.files(files); err != nil {
		return nil, err
	}
	result := im.finish()
	err = l.sealImported(ctx, result)
	// Rows of hours that are sealed are on disk. To write them for the sake of a
	// crash before would be to write most of a small import twice.
	if err := errors.Join(err, l.store.Flush()); err != nil {
		return nil, err
	}
	if err := l.countOld(result); err != nil {
		return nil, err
	}
	return result, nil
}

// sealImported seals the hours that are over, unless the user is in a hurry.
func (l *local) sealImported(ctx context.Context, r *importResult) error {
	if r.Stopped || ctx.Err() != nil {
		return nil
	}
	if err := l.someSealer().SealOver(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("the records are stored, but seal the hours: %w", err)
	}
	return nil
}

// someSealer returns the collector's sealer, or one for this process.
func (l *local) someSealer() *index.Sealer {
	if l.sealer != nil {
		return l.sealer
	}
	return index.NewSealer(l.store, index.Options{Now: l.now, Logger: slog.New(slog.DiscardHandler)})
}

// countOld counts the hours of an import that are past the retention.
func (l *local) countOld(r *importResult) error {
	keep, _, err := l.policy()
	if err != nil {
		return err
	}
	var touched []store.BucketInfo
	for _, name := range r.Hours {
		h, err := store.ParseHour(name)
		if err != nil {
			return err
		}
		touched = append(touched, store.BucketInfo{Hour: h})
	}
	r.Old, r.Keep = len(retention.Expired(touched, l.now(), keep)), keepText(keep)
	return nil
}
