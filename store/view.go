package store

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// A View is a range of buckets as they were at one moment. Appends, seals and
// drops that come later do not change it; it keeps what it needs of them on
// disk and in memory, so it must be closed. Its methods, and those of its
// Buckets, may be called by several goroutines.
type View struct {
	store   *Store  // nil: it is one of a Union
	number  uint64  // among those of the store
	views   []*View // of a Union: those that it joins
	buckets []*Bucket
	snaps   []*snapshot
	hidden  []*DamageError

	// life is held to use iterators, and exclusively to close them, so that a
	// store can close under a running query.
	life   sync.RWMutex
	closed bool

	mu     sync.Mutex
	root   *pebble.Iterator // pins the tables; cloned, never moved
	free   []*pebble.Iterator
	index  map[*IndexIter]struct{}
	places []*indexPlace // of those that were closed
}

// View returns the buckets from to to, both inclusive, that have rows.
//
// It holds an iterator, not a snapshot: a snapshot does not protect what it
// sees from an excise.
func (s *Store) View(from, to Hour) (*View, error) {
	if to < from {
		to = from
	}
	start, end := bucketSpan(from, to)
	s.publish.RLock()
	defer s.publish.RUnlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	root, err := s.db.NewIter(&pebble.IterOptions{LowerBound: start, UpperBound: end})
	if err != nil {
		return nil, fmt.Errorf("view buckets: %w", err)
	}
	s.viewed++
	v := &View{store: s, number: s.viewed, root: root, index: map[*IndexIter]struct{}{}}
	hours := s.hours.between(from, to)
	room := make([]Bucket, len(hours)) // as one: there are thousands
	v.buckets = make([]*Bucket, 0, len(hours))
	for i, hs := range hours {
		v.add(&room[i], hs)
	}
	s.views[v] = struct{}{}
	return v, nil
}

// add takes in a bucket, for which b is the room. Store.mu is held.
func (v *View) add(b *Bucket, hs *hourState) {
	if hs.hidden && len(hs.damage) > 0 {
		var d *DamageError
		if errors.As(hs.damage[0], &d) {
			v.hidden = append(v.hidden, d)
		}
	}
	info := hs.info()
	if info.Rows == 0 && info.Blocks == 0 {
		return
	}
	*b = Bucket{view: v, info: info, incarnation: hs.incarnation, damage: hs.damage, sketches: hs.sketches, note: hs.noteOfIndex()}
	for _, p := range hs.parts() {
		if p.bounds.rows > 0 {
			b.snaps = append(b.snaps, v.store.snap(p))
		}
	}
	v.snaps = append(v.snaps, b.snaps...)
	v.buckets = append(v.buckets, b)
}

// Buckets returns the buckets of the view, ascending.
func (v *View) Buckets() []*Bucket { return v.buckets }

// Hidden returns the buckets of the view of which it is not known what they hold,
// because their small values are damaged: one error for each. They may be among
// Buckets with what is left, or not.
func (v *View) Hidden() []*DamageError { return v.hidden }

// Close lets go of what the view holds. Blocks and iterators of the view return
// ErrClosed from then on; values they returned stay good.
func (v *View) Close() error {
	s := v.store
	if s == nil {
		return v.closeJoined()
	}
	s.mu.Lock()
	_, open := s.views[v]
	delete(s.views, v)
	s.mu.Unlock()
	if !open {
		return nil
	}
	return v.shut()
}

// shut closes the view, which Store.views no longer holds.
func (v *View) shut() error {
	v.life.Lock()
	defer v.life.Unlock()
	v.closed = true
	for _, snap := range v.snaps {
		snap.shut()
	}
	v.store.mu.Lock()
	for _, snap := range v.snaps {
		snap.release()
	}
	v.store.mu.Unlock()

	var err error
	for it := range v.index {
		err = errors.Join(err, it.it.Close())
	}
	for _, place := range v.places {
		err = errors.Join(err, place.it.Close())
	}
	for _, it := range append(v.free, v.root) {
		err = errors.Join(err, it.Close())
	}
	if err != nil {
		return fmt.Errorf("close view: %w", err)
	}
	return nil
}

// VerifyCopy reads the copy of the bucket's small values that lies beside its
// columns. It is needed when they are lost, and never else.
func (b *Bucket) VerifyCopy() error {
	_, end := bucketSpan(b.info.Hour, b.info.Hour)
	err := b.view.scan(bucketKey(b.info.Hour, kindCopy), end, func(_, _ []byte) error { return nil })
	if err != nil {
		return damaged(b.info.Hour, "copy of its headers", err)
	}
	return nil
}

// get returns a copy of the value under key, in dst's memory if that is large
// enough. The key must be of the view's range.
func (v *View) get(key, dst []byte) ([]byte, error) {
	v.life.RLock()
	defer v.life.RUnlock()
	it, err := v.borrow()
	if err != nil {
		return nil, err
	}
	defer v.giveBack(it)
	// With other bounds than last time, a seek is a seek. A key that stands after
	// the last one is else first looked for in steps, each of which reads a value
	// that nobody asked for: a column.
	it.SetBounds(key, append(slices.Clip(key), 0))
	if !it.SeekPrefixGE(key) || !bytes.Equal(it.Key(), key) {
		if err := it.Error(); err != nil {
			return nil, err
		}
		return nil, errMissing
	}
	value, err := it.ValueAndErr()
	if err != nil {
		return nil, err
	}
	return append(dst[:0], value...), nil
}

// borrow returns an iterator for one goroutine. life is held.
func (v *View) borrow() (*pebble.Iterator, error) {
	if v.closed {
		return nil, ErrClosed
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if n := len(v.free); n > 0 {
		it := v.free[n-1]
		v.free = v.free[:n-1]
		return it, nil
	}
	return v.root.Clone(pebble.CloneOptions{})
}

func (v *View) giveBack(it *pebble.Iterator) {
	if it.Error() != nil {
		_ = it.Close() // with the same error, which the reader has
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.free = append(v.free, it)
}
