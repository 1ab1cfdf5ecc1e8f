package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"weir/flow"
	"weir/flow/ledger"
)

// An Isolation says what became of a bucket that was damaged.
type Isolation struct {
	Hour   Hour
	Done   bool                 // something was taken out; else nothing was damaged
	Rows   int64                // that are left
	Lost   map[flow.Addr]uint64 // records by exporter, as far as its ledger tells; the zero address: of no exporter in particular
	Blocks int                  // that were given up
	Hidden bool                 // it is not known what there was
	Kept   []string             // files that were set aside, below the data directory
}

// LostRecords returns the records that were lost, as far as that is known.
func (i *Isolation) LostRecords() uint64 { return ledger.Total(i.Lost) }

// Whole reports whether nothing was lost: what was damaged could be left out.
func (i *Isolation) Whole() bool { return i.Blocks == 0 && !i.Hidden && len(i.Lost) == 0 }

// Isolate takes what is damaged out of bucket h. Blocks of which every column
// reads stay as they are; the others go, and the ledger of the bucket then says
// how many records of which exporter that cost. The tables that do not read are
// set aside, not deleted. Like a removal it happens in one step and leaves the
// bucket without an index, to be sealed again.
//
// A bucket in which nothing is damaged stays as it is.
func (s *Store) Isolate(ctx context.Context, h Hour) (*Isolation, error) {
	if s.opts.ReadOnly {
		return nil, errReadOnly
	}
	var done *Isolation
	err := ErrMoved
	for range removeTries {
		if done, err = s.isolateOnce(ctx, h); !errors.Is(err, ErrMoved) {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("isolate the damage in bucket %v: %w", h, err)
	}
	return done, nil
}

func (s *Store) isolateOnce(ctx context.Context, h Hour) (*Isolation, error) {
	r := &removal{Sealing: &Sealing{store: s}, spare: true}
	err := r.begin(h)
	if errors.Is(err, ErrNoBucket) && r.view != nil { // nothing is known of its rows
		r.bucket, err = &Bucket{view: r.view, info: BucketInfo{Hour: h, Blocks: r.hour.blocks}}, nil
	}
	if errors.Is(err, ErrNoBucket) {
		return &Isolation{Hour: h}, r.done(nil)
	}
	done := &Isolation{Hour: h}
	if err == nil {
		err = r.isolate(ctx, done)
	}
	return done, r.done(err)
}

// isolate sorts the whole blocks from the others, and writes the bucket anew.
func (r *removal) isolate(ctx context.Context, done *Isolation) error {
	h := r.hour.hour
	kept := map[flow.Addr]uint64{}
	for i := range r.bucket.Blocks() {
		if err := ctx.Err(); err != nil {
			return err
		}
		b, err := r.bucket.Block(i)
		if err == nil {
			err = b.Verify()
		}
		switch {
		case err == nil:
		case errors.Is(err, ErrClosed):
			return err
		default:
			done.Blocks++
			continue
		}
		r.blocks = append(r.blocks, keptBlock{number: i, bounds: b.bounds, fields: b.columns})
		done.Rows += int64(b.Rows())
		if err := b.CountExporters(kept); err != nil {
			return err
		}
	}
	bad, err := r.badTables(ctx)
	if err != nil || len(bad) == 0 && done.Blocks == 0 && !r.hour.hidden {
		return err
	}
	for i := range bad {
		as, err := r.store.setAside(bad[i].name, h)
		if err != nil {
			return err
		}
		if as != "" {
			done.Kept = append(done.Kept, as)
		}
	}
	done.Done, done.Lost = true, r.lostOf(kept)
	done.Hidden = r.hour.hidden
	if !done.Whole() {
		r.notes = lossRows(done, bad)
	}
	return r.replace()
}

// badTables returns the tables of the bucket that do not read.
func (r *removal) badTables(ctx context.Context) (bad []liveTable, err error) {
	start, end := bucketSpan(r.hour.hour, r.hour.hour)
	tables, err := r.store.tablesIn(start, end)
	if err != nil {
		return nil, err
	}
	for i := range tables {
		// One that was merged into another meanwhile is missing, and not missed.
		if r.store.checkTable(ctx, &tables[i]) != nil && r.store.stillLive(&tables[i]) {
			bad = append(bad, tables[i])
		}
	}
	return bad, ctx.Err()
}

// lostOf returns the records by exporter that should be there by the ledger and
// are not left.
func (r *removal) lostOf(kept map[flow.Addr]uint64) map[flow.Addr]uint64 {
	var balance ledger.Balance
	_ = r.store.ScanLedger(r.hour.hour, r.hour.hour, func(_ Hour, row ledger.Row) error { // what does not read is not known
		balance.Add(row)
		return nil
	})
	return balance.Lost(kept)
}

// lossRows are the rows of the ledger that say what was lost.
func lossRows(done *Isolation, bad []liveTable) []ledger.Row {
	at := uint64(time.Now().UnixMilli())
	what := "records damaged on the disk"
	for i := range bad {
		what += ", table " + bad[i].name
	}
	lost := done.Lost
	if len(lost) == 0 {
		lost = map[flow.Addr]uint64{{}: 0}
	}
	var rows []ledger.Row
	for addr, n := range lost {
		rows = append(rows, ledger.Row{Kind: ledger.KindLoss, Run: ledger.Run(at), Key: ledger.Key{Exporter: addr},
			Loss: &ledger.Loss{At: at, Exporter: addr, Records: n, What: what, Kept: done.Kept}})
	}
	slices.SortFunc(rows, func(a, b ledger.Row) int { return a.Key.Exporter.Compare(b.Key.Exporter) })
	return rows
}
