package store

import "sync/atomic"

// An IndexNote is where package index keeps in memory what it has read of a bucket's
// index. It is of one state of the index: when that changes, views that are taken
// from then on have another, so that nothing which is noted has to be taken back.
type IndexNote struct{ atomic.Value }

// IndexNote returns the note of the bucket's index, nil where nothing is to be
// noted: the bucket is about to be written anew.
func (b *Bucket) IndexNote() *IndexNote { return b.note }

// noteOfIndex returns the note of the index as it is. Store.mu is held.
func (h *hourState) noteOfIndex() *IndexNote {
	if h.note == nil {
		h.note = new(IndexNote)
	}
	return h.note
}

// indexIs says that the index is another one, of so many blocks and bytes. Store.mu
// is held, and Store.publish where the store is in use.
func (h *hourState) indexIs(blocks int, bytes int64) {
	h.indexed, h.indexBytes, h.note = blocks, bytes, nil
}
