package index

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math/bits"

	"weir/flow"
)

// A pageWriter cuts an ascending run of terms of one field into pages.
type pageWriter struct {
	emit   func(key, value []byte) error
	field  flow.Field
	n      int  // blocks of the bucket
	sets   bool // pages of a bucket with one block have sets, too, as they had before kind alone
	target int  // where a page is closed; 0: at pageTarget

	first, last flow.Addr
	terms       int
	entries     []byte   // what follows the page's head
	key, page   []byte   // scratch
	scratch     []byte   // scratch
	members     []uint32 // scratch

	totalTerms, totalPages int
	totalBytes             int64
}

// add appends the term v with its blocks, which ascend and are not empty.
func (w *pageWriter) add(v flow.Addr, blocks []uint32) error {
	if w.terms > 0 {
		delta := sub(v, w.last)
		delta = sub(delta, flow.Addr{Lo: 1})
		w.entries = appendWide(w.entries, delta)
	} else {
		w.first = v
	}
	w.last = v
	w.terms++
	if w.kind() == pageSparse {
		w.entries = appendBlockSet(w.entries, blocks, w.n)
	}
	if len(w.entries) >= cmp.Or(w.target, pageTarget) {
		return w.flush()
	}
	return nil
}

// kind returns the kind of the pages that are not dense.
func (w *pageWriter) kind() byte {
	if w.n == 1 && !w.sets {
		return pageAlone
	}
	return pageSparse
}

// flush writes the open page, if there is one.
func (w *pageWriter) flush() error {
	if w.terms == 0 {
		return nil
	}
	err := w.write(w.kind(), w.terms)
	w.totalTerms += w.terms
	w.terms, w.entries = 0, w.entries[:0]
	return err
}

// write emits a page of what is in first, last and entries.
func (w *pageWriter) write(kind byte, terms int) error {
	w.key = appendKey(w.key[:0], w.field, w.first)
	p := append(w.page[:0], 0, 0, 0, 0, kind)
	p = binary.AppendUvarint(p, uint64(w.n))
	p = binary.AppendUvarint(p, uint64(terms))
	p = appendWide(p, sub(w.last, w.first))
	p = append(p, w.entries...)
	binary.LittleEndian.PutUint32(p, pageChecksum(w.key, p[4:]))
	w.page = p
	w.totalPages++
	w.totalBytes += int64(len(w.key) + len(p))
	if err := w.emit(w.key, p); err != nil {
		return fmt.Errorf("write index page: %w", err)
	}
	return nil
}

// addTable appends the terms of a table: for the values from 0 on, a bit set of
// (n+7)/8 bytes each, all zero where the value does not occur. It writes each
// stretch as a dense page where that is shorter.
func (w *pageWriter) addTable(sets []byte) error {
	width := (w.n + 7) / 8
	per := max(1, pageTarget/width)
	for at := 0; at < len(sets)/width; at += per {
		stretch := sets[at*width : min(len(sets), (at+per)*width)]
		if w.sparseLen(stretch) >= len(stretch) {
			if err := w.flush(); err != nil {
				return err
			}
			if err := w.writeDense(uint64(at), stretch, width); err != nil {
				return err
			}
			continue
		}
		for i := 0; i < len(stretch); i += width {
			if zero(stretch[i : i+width]) {
				continue
			}
			w.members = bitMembers(w.members[:0], stretch[i:i+width])
			if err := w.add(flow.Addr{Lo: uint64(at + i/width)}, w.members); err != nil {
				return err
			}
		}
	}
	return nil
}

// sparseLen returns about how many bytes a stretch takes in a page that is not
// dense.
func (w *pageWriter) sparseLen(sets []byte) int {
	width := (w.n + 7) / 8
	total := 0
	for i := 0; i < len(sets); i += width {
		if zero(sets[i : i+width]) {
			continue
		}
		if w.kind() == pageAlone {
			total++
			continue
		}
		w.members = bitMembers(w.members[:0], sets[i:i+width])
		w.scratch = appendBlockSet(w.scratch[:0], w.members, w.n)
		total += 1 + len(w.scratch)
	}
	return total
}

// bitMembers appends the numbers of the set bits.
func bitMembers(dst []uint32, set []byte) []uint32 {
	for i, c := range set {
		for ; c != 0; c &= c - 1 {
			dst = append(dst, uint32(i<<3+bits.TrailingZeros8(c)))
		}
	}
	return dst
}

func (w *pageWriter) writeDense(first uint64, sets []byte, width int) error {
	for len(sets) > 0 && zero(sets[:width]) {
		sets, first = sets[width:], first+1
	}
	for len(sets) > 0 && zero(sets[len(sets)-width:]) {
		sets = sets[:len(sets)-width]
	}
	if len(sets) == 0 {
		return nil
	}
	terms := len(sets) / width
	for at := 0; at < len(sets); at += width {
		if !zero(sets[at : at+width]) {
			w.totalTerms++
		}
	}
	w.first, w.last = flow.Addr{Lo: first}, flow.Addr{Lo: first + uint64(terms) - 1}
	w.entries = append(w.entries[:0], sets...)
	err := w.write(pageDense, terms)
	w.entries = w.entries[:0]
	return err
}

func zero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
