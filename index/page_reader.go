package index

import (
	"encoding/binary"
	"fmt"

	"weir/flow"
)

// A pageReader walks the terms of one page in ascending order. It borrows the
// page's bytes and allocates nothing.
type pageReader struct {
	field       flow.Field
	n           int // blocks of the bucket when it was sealed
	terms       int
	first, last flow.Addr

	kind  byte
	body  []byte // the entries
	at    int    // of the current term's set
	term  int    // number of the current term
	value flow.Addr
}

// openPage checks an entry and stands on its first term.
func openPage(key, page []byte) (pageReader, error) {
	var r pageReader
	var ok bool
	if r.field, r.first, ok = parseKey(key); !ok {
		return r, fmt.Errorf("index key of %d bytes is none of ours", len(key))
	}
	if len(page) < 8 {
		return r, errPageShort
	}
	if binary.LittleEndian.Uint32(page) != pageChecksum(key, page[4:]) {
		return r, errPageChecksum
	}
	r.kind = page[4]
	if r.kind != pageSparse && r.kind != pageDense && r.kind != pageAlone {
		return r, fmt.Errorf("index page of kind %d is not known", r.kind)
	}
	return r, r.parseHead(page[5:])
}

func (r *pageReader) parseHead(b []byte) error {
	n, used := binary.Uvarint(b)
	if used <= 0 || n == 0 || n > maxBlocks {
		return errPageForm
	}
	b = b[used:]
	terms, used := binary.Uvarint(b)
	if used <= 0 || terms == 0 || terms > uint64(len(b)) {
		return errPageForm
	}
	b = b[used:]
	span, used := wide(b)
	if used == 0 {
		return errPageForm
	}
	var ok bool
	if r.last, ok = add(r.first, span); !ok {
		return errPageForm
	}
	r.n, r.terms, r.body, r.value = int(n), int(terms), b[used:], r.first
	if r.kind == pageDense && (span != flow.Addr{Lo: terms - 1} || len(r.body) != r.terms*r.width()) {
		return errPageForm
	}
	if r.kind == pageAlone && r.n != 1 {
		return errPageForm
	}
	return nil
}

func (r *pageReader) width() int { return (r.n + 7) / 8 }

// next goes to the next term, adding the current one's blocks to dst on the way
// unless dst is nil. It returns false at the end of the page.
func (r *pageReader) next(dst []uint64) (bool, error) {
	used, err := r.set(dst)
	if err != nil {
		return false, err
	}
	r.at += used
	r.term++
	if r.term == r.terms {
		return false, r.atEnd()
	}
	if r.kind == pageDense {
		r.value.Lo++
		return true, nil
	}
	delta, used := wide(r.body[r.at:])
	if used == 0 {
		return false, errPageForm
	}
	r.at += used
	v, ok := add(r.value, delta)
	if !ok || v == (flow.Addr{Hi: ^uint64(0), Lo: ^uint64(0)}) {
		return false, errPageOrder
	}
	r.value = v.Next()
	return true, nil
}

// atEnd checks that the page ended where its head said.
func (r *pageReader) atEnd() error {
	if r.at != len(r.body) || r.value != r.last {
		return errPageForm
	}
	return nil
}

// set adds the current term's blocks to dst unless dst is nil and returns how
// many bytes they take.
func (r *pageReader) set(dst []uint64) (int, error) {
	switch {
	case r.kind == pageDense:
		return orDense(r.body[r.at:], 0, r.n, dst)
	case r.kind == pageAlone && dst != nil:
		dst[0] |= 1
		return 0, nil
	case r.kind == pageAlone:
		return 0, nil
	}
	if r.at >= len(r.body) {
		return 0, errPageShort
	}
	return orBlockSet(r.body[r.at:], r.n, dst)
}

// collect adds the blocks of all terms in the range, which does not begin
// before the current term, to dst. It stands on the first term after the range
// afterwards, or returns false at the end of the page. matched counts terms.
func (r *pageReader) collect(rng ValueRange, dst []uint64, matched *int) (bool, error) {
	r.skipDense(rng.Lo)
	r.skipSparse(rng.Lo)
	for {
		if rng.Hi.Less(r.value) {
			return true, nil
		}
		into := dst
		if r.value.Less(rng.Lo) {
			into = nil
		} else {
			*matched++
		}
		more, err := r.next(into)
		if err != nil || !more {
			return false, err
		}
		if into == nil {
			r.skipSparse(rng.Lo)
		}
	}
}

// skipDense goes straight to v where the page's form allows.
func (r *pageReader) skipDense(v flow.Addr) {
	if r.kind != pageDense || !r.value.Less(v) {
		return
	}
	if r.last.Less(v) {
		v = r.last
	}
	skip := int(v.Lo - r.value.Lo)
	r.term, r.at, r.value = r.term+skip, r.at+skip*r.width(), v
}

// skipSparse passes over the terms before v, but for the page's last, as long as
// their sets and distances are of the short forms that nearly all have. It takes
// a fifth of the time of next, which goes on from any other. The page's checksum
// has been verified; a form that no writer makes is left to next, too.
func (r *pageReader) skipSparse(v flow.Addr) {
	if r.kind == pageDense {
		return
	}
	body, at, value, left := r.body, r.at, r.value, r.terms-1-r.term
	for ; left > 0 && value.Less(v); left-- {
		end := at
		if r.kind == pageSparse {
			if end += shortSet(body[at:], r.n); end == at {
				break
			}
		}
		delta, used := binary.Uvarint(body[end:])
		if used <= 0 || delta == ^uint64(0) {
			break
		}
		next, ok := add(value, flow.Addr{Lo: delta + 1})
		if !ok {
			break
		}
		at, value = end+used, next
	}
	r.at, r.value, r.term = at, value, r.terms-1-left
}
