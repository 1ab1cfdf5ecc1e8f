package store

import (
	"bytes"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// An IndexIter walks the index entries of a bucket in the order of their keys,
// which are as they were given to Sealing.Add. It belongs to one goroutine.
type IndexIter struct {
	view *View
	hour Hour
	*indexPlace
	err  error
	done bool // Close was called
}

// An indexPlace is what an IndexIter moves. A view hands it from one to the next:
// a question about weeks looks into the index of a hundred buckets, a page each,
// and Pebble's iterators keep the room for a page as long as they live.
type indexPlace struct {
	it    *pebble.Iterator
	seek  []byte // a key, beginning with what all of the bucket's index have in common
	key   []byte
	value []byte
}

// IndexIter returns an iterator over the keys from lower on and before upper;
// nil leaves a side open. It stands nowhere until it is moved. Close it, or its
// view.
func (b *Bucket) IndexIter(lower, upper []byte) (*IndexIter, error) {
	v := b.view
	start := indexKey(b.info.Hour, lower)
	end := bucketKey(b.info.Hour, kindIndex+1)
	if upper != nil {
		end = indexKey(b.info.Hour, upper)
	}
	v.life.RLock()
	defer v.life.RUnlock()
	if v.closed {
		return nil, ErrClosed
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	place, err := v.indexPlace(start, end)
	if err != nil {
		return nil, fmt.Errorf("iterate over index of bucket %v: %w", b.info.Hour, err)
	}
	place.seek = append(place.seek[:0], indexKey(b.info.Hour, nil)...)
	i := &IndexIter{view: v, hour: b.info.Hour, indexPlace: place}
	v.index[i] = struct{}{}
	return i, nil
}

// indexPlace returns one that nobody uses, within bounds. mu is held.
func (v *View) indexPlace(lower, upper []byte) (*indexPlace, error) {
	if n := len(v.places); n > 0 {
		place := v.places[n-1]
		v.places = v.places[:n-1]
		place.it.SetBounds(lower, upper)
		return place, nil
	}
	it, err := v.root.Clone(pebble.CloneOptions{IterOptions: &pebble.IterOptions{LowerBound: lower, UpperBound: upper}})
	return &indexPlace{it: it}, err
}

// SeekGE moves to the first entry at or after key.
func (i *IndexIter) SeekGE(key []byte) bool {
	return i.move(func() bool { return i.it.SeekGE(i.full(key)) })
}

// SeekLT moves to the last entry before key.
func (i *IndexIter) SeekLT(key []byte) bool {
	return i.move(func() bool { return i.it.SeekLT(i.full(key)) })
}

// First moves to the first entry.
func (i *IndexIter) First() bool { return i.move(i.it.First) }

// Last moves to the last entry.
func (i *IndexIter) Last() bool { return i.move(i.it.Last) }

// Next moves to the next entry.
func (i *IndexIter) Next() bool { return i.move(i.it.Next) }

// Prev moves to the entry before.
func (i *IndexIter) Prev() bool { return i.move(i.it.Prev) }

// Key returns the key of the entry, good until the next move.
func (i *IndexIter) Key() []byte { return i.key }

// Value returns the value of the entry, good until the next move.
func (i *IndexIter) Value() []byte { return i.value }

// Err returns what ended the iteration, nil if it was the end of the entries.
func (i *IndexIter) Err() error { return i.err }

// Close ends the iteration and returns Err. Key and Value are not good any more.
func (i *IndexIter) Close() error {
	if i.done {
		return i.err
	}
	i.done = true
	v := i.view
	v.life.RLock()
	defer v.life.RUnlock()
	if v.closed {
		return i.err // the view has closed the iterator
	}
	place := i.indexPlace
	i.indexPlace = &indexPlace{}
	healthy := i.err == nil && place.it.Error() == nil
	v.mu.Lock()
	delete(v.index, i)
	if healthy {
		v.places = append(v.places, place)
	}
	v.mu.Unlock()
	if !healthy {
		i.fail(place.it.Close())
	}
	return i.err
}

func (i *IndexIter) full(key []byte) []byte {
	i.seek = append(i.seek[:bucketPrefixLen+1], key...)
	return i.seek
}

// move moves the iterator and copies the entry: the iterator's own memory may
// be gone once the view is closed.
func (i *IndexIter) move(fn func() bool) bool {
	v := i.view
	v.life.RLock()
	defer v.life.RUnlock()
	i.key, i.value = i.key[:0], i.value[:0]
	if v.closed || i.done {
		i.err = ErrClosed
		return false
	}
	if !fn() {
		i.fail(i.it.Error())
		return false
	}
	value, err := i.it.ValueAndErr()
	if err != nil {
		i.fail(err)
		return false
	}
	if key, ok := bytes.CutPrefix(i.it.Key(), i.seek[:bucketPrefixLen+1]); ok {
		i.key = append(i.key, key...)
		i.value = append(i.value, value...)
		return true
	}
	i.fail(errValue)
	return false
}

func (i *IndexIter) fail(err error) {
	if err != nil && i.err == nil {
		i.err = damaged(i.hour, "index", err)
	}
}
