package store

import (
	"errors"
	"fmt"

	"weir/flow"
)

// A Bucket is one hour in a View.
type Bucket struct {
	view        *View
	info        BucketInfo
	incarnation uint64
	snaps       []*snapshot // rows not yet in blocks, in order
	damage      []error     // of its tables, known since the store was opened
	sketches    []addrSketch
	note        *IndexNote
}

// Info returns what is known of the bucket without reading it.
func (b *Bucket) Info() BucketInfo { return b.info }

// Hour returns which bucket it is.
func (b *Bucket) Hour() Hour { return b.info.Hour }

// Blocks returns how many blocks there are: those on disk, then rows that were
// in memory when the view was taken.
func (b *Bucket) Blocks() int { return b.info.Blocks + len(b.snaps) }

// Indexed returns how many blocks the index covers: 0 to Indexed()-1.
func (b *Bucket) Indexed() int { return b.info.Indexed }

// Block returns block i. The result belongs to one goroutine.
func (b *Bucket) Block(i int) (*Block, error) {
	if i < 0 || i >= b.Blocks() {
		return nil, fmt.Errorf("bucket %v has no block %d", b.info.Hour, i)
	}
	if i >= b.info.Blocks {
		snap := b.snaps[i-b.info.Blocks]
		return &Block{hour: b.info.Hour, number: i, bounds: snap.bounds, columns: snap.columns, src: snap}, nil
	}
	value, err := b.get(headerKey(b.info.Hour, i), nil)
	if err != nil {
		return nil, damaged(b.info.Hour, headerName(i), err)
	}
	head, err := parseHeader(value)
	if err != nil {
		return nil, damaged(b.info.Hour, headerName(i), err)
	}
	src := &storedBlock{head: head, codecs: b.view.store.codecs, read: func(f flow.Field, dst []byte) ([]byte, error) {
		return b.get(columnKey(b.info.Hour, f, i), dst)
	}}
	if b.incarnation != 0 { // 0: it is read once, to be written anew
		src.cache, src.incarnation, src.number, src.view = b.view.store.columns, b.incarnation, i, b.view.number
	}
	return &Block{hour: b.info.Hour, number: i, bounds: head.bounds, columns: head.columns, src: src}, nil
}

// get is View.get. What a table took with it that is known to be lost has one
// name, and not one for each value.
func (b *Bucket) get(key, dst []byte) ([]byte, error) {
	value, err := b.view.get(key, dst)
	if err != nil && !errors.Is(err, ErrClosed) && len(b.damage) > 0 {
		return nil, b.damage[0]
	}
	return value, err
}
