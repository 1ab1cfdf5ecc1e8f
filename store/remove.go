package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"weir/flow"
	"weir/flow/ledger"
)

// removeTries is how often a removal begins anew because blocks of late rows
// came in its way: one of 65,536 rows each time.
const removeTries = 5

// Remove deletes rows of bucket h: of each block those that gone names, row i at
// bit i%64 of word i/64; nil is none of them. It returns how many. The bucket's
// tables are written anew without these rows and take the place of all that it
// had in one atomic step, so that a crash leaves all of them or none. It is
// durable when it returns; the old tables go from the disk once no View needs
// them. The bucket is without an index until it is sealed again.
//
// Rows that are appended after the call began are not looked at. A block that
// is damaged where it would have to be rewritten makes it fail, and nothing
// changes. See also ErrSealing.
func (s *Store) Remove(h Hour, gone func(b *Block) ([]uint64, error)) (removed int64, err error) {
	return s.RemoveNoted(h, gone, nil)
}

// RemoveNoted is Remove that adds rows to the ledger of the bucket in the same
// atomic step, over those with the same keys: what is gone is on record, or
// nothing is gone. note is called once it is known which rows go, if any do.
func (s *Store) RemoveNoted(h Hour, gone func(b *Block) ([]uint64, error), note func() []ledger.Row) (removed int64, err error) {
	if s.opts.ReadOnly {
		return 0, errReadOnly
	}
	for range removeTries {
		removed, err = s.removeOnce(h, gone, note)
		if !errors.Is(err, ErrMoved) {
			break
		}
	}
	if err != nil {
		return 0, fmt.Errorf("remove rows of bucket %v: %w", h, err)
	}
	return removed, nil
}

// A removal is a Sealing that writes other blocks than it found, and no index.
type removal struct {
	*Sealing
	blocks  []keptBlock
	removed int64
	notes   []ledger.Row // to be added to the ledger
	spare   bool         // what does not read is left out, and not an error
}

// A keptBlock is a block that stays: as it is, or what is left of it.
type keptBlock struct {
	number int           // it had before
	bounds bounds        //
	fields flow.FieldSet // its columns
	left   *encodedBlock // nil: as it is
}

func (s *Store) removeOnce(h Hour, gone func(b *Block) ([]uint64, error), note func() []ledger.Row) (int64, error) {
	r := &removal{Sealing: &Sealing{store: s}}
	err := r.begin(h)
	if errors.Is(err, ErrNoBucket) {
		return 0, r.done(nil)
	}
	if err == nil {
		err = r.pick(gone)
	}
	if err == nil && r.removed > 0 {
		if note != nil {
			r.notes = note()
		}
		err = r.replace()
	}
	return r.removed, r.done(err)
}

// done ends the Sealing, which may have none.
func (r *removal) done(err error) error {
	if r.hour == nil {
		return err
	}
	return errors.Join(err, r.Abort())
}

// pick reads the blocks and encodes what is left of them.
func (r *removal) pick(gone func(b *Block) ([]uint64, error)) error {
	for i := range r.bucket.Blocks() {
		b, err := r.bucket.Block(i)
		if err != nil {
			return err
		}
		bits, err := gone(b)
		if err != nil {
			return err
		}
		kept := keptBlock{number: i, bounds: b.bounds, fields: b.columns}
		left, err := remaining(b, bits)
		if err != nil {
			return err
		}
		if left == nil {
			r.blocks = append(r.blocks, kept)
			continue
		}
		r.removed += int64(b.Rows() - left.Len())
		if left.Len() == 0 {
			continue
		}
		e := r.store.codecs.encoder()
		kept.left = e.encode(left)
		r.store.codecs.putEncoder(e)
		kept.bounds, kept.fields = kept.left.bounds, flow.SetOf(kept.left.fields...)
		r.blocks = append(r.blocks, kept)
	}
	return nil
}

// remaining returns the rows of a block that are not gone, nil if all stay.
func remaining(b *Block, gone []uint64) (*flow.Batch, error) {
	isGone := func(row int) bool { return row>>6 < len(gone) && gone[row>>6]>>(row&63)&1 != 0 }
	n := 0
	for row := range b.Rows() {
		if isGone(row) {
			n++
		}
	}
	if n == 0 {
		return nil, nil
	}
	all, err := b.Batch()
	if err != nil {
		return nil, err
	}
	left := flow.NewBatch(b.Rows() - n)
	for lo := 0; lo < b.Rows(); {
		hi := lo + 1
		for hi < b.Rows() && isGone(hi) == isGone(lo) {
			hi++
		}
		if !isGone(lo) {
			left.AppendRows(all, lo, hi)
		}
		lo = hi
	}
	return left, nil
}

// Batch returns a copy of all rows of the block, with all of their fields.
func (b *Block) Batch() (*flow.Batch, error) {
	all := flow.NewBatch(b.Rows())
	all.Grow(b.Rows())
	var words []uint64
	for f := range b.Columns().All {
		var err error
		switch {
		case f.IsAddr():
			_, err = b.Addr(f, all.Addr(f))
		case f.IsText():
			_, err = b.Text(f, all.Text(f))
		default:
			_, err = b.Num(f, all.Num(f))
		}
		if err == nil {
			words, err = b.Present(f, words)
		}
		if err != nil {
			return nil, err
		}
		markRuns(all, f, words)
	}
	return all, nil
}

// markRuns marks a field as present where the bits say so.
func markRuns(b *flow.Batch, f flow.Field, words []uint64) {
	has := func(row int) bool { return words[row>>6]>>(row&63)&1 != 0 }
	for lo := 0; lo < b.Len(); {
		hi := lo + 1
		for hi < b.Len() && has(hi) == has(lo) {
			hi++
		}
		if has(lo) {
			b.Mark(f, lo, hi)
		}
		lo = hi
	}
}

// replace puts the blocks in place of what the bucket had.
func (r *removal) replace() error {
	columns, err := r.writeColumns()
	if err != nil {
		return err
	}
	defer columns.remove()

	s := r.store
	s.publish.Lock()
	defer s.publish.Unlock()
	s.mu.Lock()
	closed, dropped, blocks := s.closed, r.hour.dropped, r.hour.blocks
	s.mu.Unlock()
	switch {
	case closed:
		return ErrClosed
	case dropped:
		r.removed = 0 // it is gone, but not by this
		return nil
	case blocks != r.bucket.info.Blocks:
		return ErrMoved
	}
	is := hourState{hour: r.hour.hour, blocks: len(r.blocks), bytes: columns.values}
	for _, b := range r.blocks {
		is.bounds.add(b.bounds)
	}
	heads, err := r.writeRest(&is)
	if err != nil {
		return err
	}
	defer heads.remove()
	if err := columns.closeWith(r.hour.hour, heads); err != nil {
		return err
	}
	if err := r.swap(heads, columns); err != nil {
		return err
	}
	s.noteTurn(&s.turns.gone)
	s.mu.Lock()
	defer s.mu.Unlock()
	r.hour.blocks, r.hour.bounds, r.hour.bytes = is.blocks, is.bounds, is.bytes
	r.hour.indexIs(0, 0)
	s.columns.forget(r.hour.incarnation)
	s.forgetSketches(r.hour, len(r.hour.sketches)) // blocks have other numbers
	r.hour.incarnation = s.nextIncarnation()
	if r.spare { // all that is damaged is gone
		r.hour.damage, r.hour.hidden = nil, false
		s.damage.forget(r.hour.hour)
	}
	if len(r.notes) > 0 {
		s.changes++
		r.hour.ledger, r.hour.change = true, s.changes
	}
	return nil
}

// swap is ingest for tables that may all be empty.
func (r *removal) swap(heads, columns *tableWriter) error {
	if heads.entries+columns.entries > 0 {
		return r.ingest(heads, columns)
	}
	start, end := bucketSpan(r.hour.hour, r.hour.hour)
	return r.store.db.Excise(context.Background(), pebble.KeyRange{Start: start, End: end})
}

// writeColumns writes the table of the columns of all blocks, and leaves it open.
func (r *removal) writeColumns() (*tableWriter, error) {
	h := r.hour.hour
	t, err := r.store.newTable(h, "columns", false)
	if err != nil {
		return nil, err
	}
	for f := flow.Field(0); err == nil && f < flow.FieldCount; f++ {
		for n := range r.blocks {
			b := &r.blocks[n]
			if err != nil || !b.fields.Has(f) {
				continue
			}
			var value []byte
			if value, err = r.column(b, f); err == nil {
				err = t.set(columnKey(h, f, n), value)
			}
		}
	}
	if err == nil {
		err = t.syncBeforehand()
	}
	if err != nil {
		t.remove()
		return nil, fmt.Errorf("write columns: %w", err)
	}
	return t, nil
}

// column returns a column of a block as it is written.
func (r *removal) column(b *keptBlock, f flow.Field) ([]byte, error) {
	if b.left == nil {
		value, err := r.view.get(columnKey(r.hour.hour, f, b.number), nil)
		if err != nil {
			return nil, damaged(r.hour.hour, fmt.Sprintf("column %v of block %d", f, b.number), err)
		}
		return value, nil
	}
	for i, field := range b.left.fields {
		if field == f {
			return b.left.columns[i], nil
		}
	}
	return nil, errMissing
}

// writeRest writes the table of the bucket's small values: its ledger, the
// totals and headers of its blocks, if there are any, and the tail segments of
// rows that are not in a block. publish is held.
func (r *removal) writeRest(is *hourState) (*tableWriter, error) {
	s, h := r.store, r.hour.hour
	t, err := s.newTable(h, "heads", false)
	if err != nil {
		return nil, err
	}
	t.keep = true
	err = r.writeLedger(t)
	heads := make([][]byte, len(r.blocks))
	for n := range r.blocks {
		if err == nil {
			heads[n], err = r.header(&r.blocks[n])
			is.bytes += int64(len(heads[n]))
		}
	}
	if err == nil && len(heads) > 0 {
		err = t.set(metaKey(h), is.appendMeta(nil))
	}
	for n, head := range heads {
		if err == nil {
			err = t.set(headerKey(h, n), head)
		}
	}
	if err == nil {
		err = s.scan(bucketKey(h, kindTail), endKey(h), func(key, value []byte) error {
			if _, _, rest, _ := splitBucketKey(key); !s.hasTail(r.hour, rest) {
				return nil
			}
			return t.set(bytes.Clone(key), bytes.Clone(value))
		})
		if r.spare && !t.failed {
			err = nil
		}
	}
	if err == nil && t.entries > 0 {
		err = t.set(endKey(h), nil)
	}
	if err := errors.Join(err, t.close()); err != nil {
		t.remove()
		return nil, fmt.Errorf("write headers: %w", err)
	}
	return t, nil
}

// writeLedger writes the bucket's ledger with the notes in their places.
func (r *removal) writeLedger(t *tableWriter) error {
	h := r.hour.hour
	notes := map[string][]byte{}
	for i := range r.notes {
		value, err := r.notes[i].AppendValue(nil)
		if err != nil {
			return err
		}
		notes[string(ledgerKey(h, r.notes[i].AppendKey(nil)))] = value
	}
	keys := slices.Sorted(maps.Keys(notes))
	// before writes the notes whose keys come before key, and passes over that of key.
	before := func(key []byte) error {
		for len(keys) > 0 && (key == nil || keys[0] < string(key)) {
			if err := t.set([]byte(keys[0]), notes[keys[0]]); err != nil {
				return err
			}
			keys = keys[1:]
		}
		return nil
	}
	err := r.store.scan(ledgerKey(h, nil), metaKey(h), func(key, value []byte) error {
		if err := before(key); err != nil {
			return err
		}
		if len(keys) > 0 && keys[0] == string(key) {
			return nil // the note follows in its place
		}
		return t.set(key, value)
	})
	if err != nil && (!r.spare || t.failed) {
		return err
	}
	return before(nil)
}

// header returns the header of a block as it is written.
func (r *removal) header(b *keptBlock) ([]byte, error) {
	if b.left != nil {
		return b.left.head, nil
	}
	value, err := r.view.get(headerKey(r.hour.hour, b.number), nil)
	if err != nil {
		return nil, damaged(r.hour.hour, headerName(b.number), err)
	}
	return value, nil
}
