package store

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"weir/flow/ledger"
)

// A Union is several stores that are asked as one. The stores are its caller's.
type Union []Member

// A Member is one store of a Union.
type Member struct {
	Store  *Store
	Hidden func(Hour) bool // hours that have no part in it; nil: none
}

// Lend is Lend of each store.
func (u Union) Lend(lean bool) (giveBack func()) {
	var back []func()
	for _, m := range u {
		back = append(back, m.Store.Lend(lean))
	}
	return func() {
		for _, f := range slices.Backward(back) { // each brings back what it met
			f()
		}
	}
}

func (m *Member) hides(h Hour) bool { return m.Hidden != nil && m.Hidden(h) }

// View returns the buckets from to to, both inclusive, that have rows, of all
// stores and by hour. Where several have a bucket of an hour, each is in it, in
// the order of the stores. What each store has is seen at one moment, and the
// moments follow each other.
func (u Union) View(from, to Hour) (*View, error) {
	joined := &View{}
	for i := range u {
		v, err := u[i].Store.View(from, to)
		if err != nil {
			return nil, errors.Join(err, joined.Close())
		}
		joined.views = append(joined.views, v)
		for _, d := range v.hidden {
			if !u[i].hides(d.Hour) {
				joined.hidden = append(joined.hidden, d)
			}
		}
		for _, b := range v.buckets {
			if !u[i].hides(b.info.Hour) {
				joined.buckets = append(joined.buckets, b)
			}
		}
	}
	slices.SortStableFunc(joined.buckets, func(a, b *Bucket) int { return cmp.Compare(a.info.Hour, b.info.Hour) })
	return joined, nil
}

// Buckets returns what is known of every bucket, ascending, from memory.
func (u Union) Buckets() []BucketInfo {
	var all []BucketInfo
	for i := range u {
		for _, b := range u[i].Store.Buckets() {
			if !u[i].hides(b.Hour) {
				all = append(all, b)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b BucketInfo) int { return cmp.Compare(a.Hour, b.Hour) })
	return all
}

// LedgerHours returns the hours that have a ledger in any store, ascending, each
// once. Change means nothing: no two stores count the same.
func (u Union) LedgerHours() []LedgerHour {
	var all []LedgerHour
	for i := range u {
		for _, h := range u[i].Store.LedgerHours() {
			if !u[i].hides(h.Hour) {
				all = append(all, LedgerHour{Hour: h.Hour})
			}
		}
	}
	slices.SortFunc(all, func(a, b LedgerHour) int { return cmp.Compare(a.Hour, b.Hour) })
	return slices.Compact(all)
}

// Damage returns the damage that each store met when it was opened.
func (u Union) Damage() []error {
	var all []error
	for i := range u {
		all = append(all, u[i].Store.Damage()...)
	}
	return all
}

// ScanLedger calls fn as [Store.ScanLedger] does, for the ledgers of all stores.
// Of rows with the same key in the ledgers of one hour, the first store's counts:
// a ledger that was carried along is an earlier state of the same row.
func (u Union) ScanLedger(from, to Hour, fn func(h Hour, row ledger.Row) error) error {
	var bad error
	for _, h := range u.LedgerHours() {
		if h.Hour < from || h.Hour > to {
			continue
		}
		err := u.scanLedgerHour(h.Hour, fn)
		if err != nil && !IsDamage(err) {
			return err
		}
		bad = errors.Join(bad, err)
	}
	return bad
}

func (u Union) scanLedgerHour(h Hour, fn func(h Hour, row ledger.Row) error) error {
	var bad error
	seen := map[string]bool{}
	for i := range u {
		if u[i].hides(h) {
			continue
		}
		err := u[i].Store.ScanLedger(h, h, func(h Hour, row ledger.Row) error {
			key := string(row.AppendKey(nil))
			if seen[key] {
				return nil
			}
			seen[key] = true
			return fn(h, row)
		})
		if err != nil && !IsDamage(err) {
			return err
		}
		bad = errors.Join(bad, err)
	}
	return bad
}

// Store returns the store that the bucket is in.
func (b *Bucket) Store() *Store { return b.view.store }

// closeJoined closes a view of several stores.
func (v *View) closeJoined() error {
	var err error
	for _, one := range v.views {
		err = errors.Join(err, one.Close())
	}
	if err != nil {
		return fmt.Errorf("close views: %w", err)
	}
	return nil
}
