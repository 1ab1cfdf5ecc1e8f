package store

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"

	"weir/flow"
)

// A Stat is what a block's header knows of one column without reading it. The
// minimum and maximum are over the rows in which the field is present, and
// zero if there is none.
type Stat struct {
	Present          int       // rows that have the field
	MinNum, MaxNum   uint64    // numeric fields
	MinAddr, MaxAddr flow.Addr // address fields
	Size             int       // bytes of the encoded column; 0 for rows in memory
}

// bounds is the extent of a run of rows in time, in ms since the Unix epoch.
type bounds struct {
	rows          int64
	firstReceived uint64
	lastReceived  uint64
	minStart      uint64 // by flow.Span
	maxEnd        uint64 // by flow.Span
}

// add widens b to include o.
func (b *bounds) add(o bounds) {
	if o.rows == 0 {
		return
	}
	if b.rows == 0 {
		*b = o
		return
	}
	b.rows += o.rows
	b.firstReceived = min(b.firstReceived, o.firstReceived)
	b.lastReceived = max(b.lastReceived, o.lastReceived)
	b.minStart = min(b.minStart, o.minStart)
	b.maxEnd = max(b.maxEnd, o.maxEnd)
}

// boundsOf returns the extent of the rows lo to hi-1 of b.
func boundsOf(b *flow.Batch, lo, hi int) bounds {
	if lo == hi {
		return bounds{}
	}
	var at valueRange
	if b.Columns().Has(flow.Received) {
		at = rangeOf(b.Num(flow.Received)[lo:hi])
	}
	span := spanOf(b, lo, hi)
	return bounds{rows: int64(hi - lo), firstReceived: at.lo, lastReceived: at.hi, minStart: span.lo, maxEnd: span.hi}
}

// spanOf returns the earliest start and the latest end of the rows lo to hi-1, by
// flow.Span.
func spanOf(b *flow.Batch, lo, hi int) valueRange {
	start, hasStart := timesOf(b, flow.Start)
	end, hasEnd := timesOf(b, flow.End)
	if n := b.Len(); b.PresentCount(flow.Start) == n && b.PresentCount(flow.End) == n {
		// A pair that is the wrong way round is swapped: which is which does not matter.
		s, e := rangeOf(start[lo:hi]), rangeOf(end[lo:hi])
		return valueRange{min(s.lo, e.lo), max(s.hi, e.hi)}
	}
	received, hasReceived := timesOf(b, flow.Received)
	has := func(words []uint64, row int) bool { return words != nil && words[row>>6]>>(row&63)&1 != 0 }
	out := valueRange{lo: ^uint64(0)}
	for row := lo; row < hi; row++ {
		var at, s, e uint64
		if hasReceived != nil {
			at = received[row]
		}
		withStart, withEnd := has(hasStart, row), has(hasEnd, row)
		if withStart {
			s = start[row]
		}
		if withEnd {
			e = end[row]
		}
		from, to := flow.Span(at, s, e, withStart, withEnd)
		out.lo, out.hi = min(out.lo, from), max(out.hi, to)
	}
	return out
}

// timesOf returns a column and its presence bits, nil if b has none.
func timesOf(b *flow.Batch, f flow.Field) (values, present []uint64) {
	if !b.Columns().Has(f) {
		return nil, nil
	}
	return b.Num(f), b.Present(f)
}

// A block's header is the value under its header key:
//
//	+----------------+------------+---------------+-----------------------------+
//	| xxhash64 (8)   | format (1) | rows (uvarint)| first received, last        |
//	| of all after it|            |               | received, min start,        |
//	|                |            |               | max end (4 x 8)             |
//	+----------------+------------+---------------+-----------------------------+
//	| columns (uvarint), then for each, by ascending field number:              |
//	|   field (1) | present (uvarint) | size (uvarint)                          |
//	|   numeric: min (uvarint) | max (uvarint)    address: min (16) | max (16)  |
//	|   text: nothing                                                           |
//	+---------------------------------------------------------------------------+
type header struct {
	bounds
	columns flow.FieldSet
	stats   [flow.FieldCount]Stat
}

const headerFormat = 1

func (h *header) append(dst []byte) []byte {
	base := len(dst)
	dst = append(dst, make([]byte, 8)...)
	dst = binary.AppendUvarint(append(dst, headerFormat), uint64(h.rows))
	for _, v := range []uint64{h.firstReceived, h.lastReceived, h.minStart, h.maxEnd} {
		dst = binary.BigEndian.AppendUint64(dst, v)
	}
	dst = binary.AppendUvarint(dst, uint64(h.columns.Len()))
	for f := range h.columns.All {
		dst = h.stats[f].append(append(dst, byte(f)), f)
	}
	binary.BigEndian.PutUint64(dst[base:], xxhash.Sum64(dst[base+8:]))
	return dst
}

func (s *Stat) append(dst []byte, f flow.Field) []byte {
	dst = binary.AppendUvarint(dst, uint64(s.Present))
	dst = binary.AppendUvarint(dst, uint64(s.Size))
	switch {
	case f.IsAddr():
		return appendAddr(appendAddr(dst, s.MinAddr), s.MaxAddr)
	case f.IsText():
		return dst
	}
	return binary.AppendUvarint(binary.AppendUvarint(dst, s.MinNum), s.MaxNum)
}

func appendAddr(dst []byte, a flow.Addr) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(dst, a.Hi), a.Lo)
}

func takeAddr(src []byte) (flow.Addr, []byte, error) {
	if len(src) < 16 {
		return flow.Addr{}, nil, errShort
	}
	return flow.Addr{Hi: binary.BigEndian.Uint64(src), Lo: binary.BigEndian.Uint64(src[8:])}, src[16:], nil
}

// checked takes the checksum off a value and returns what it covers.
func checked(value []byte) ([]byte, error) {
	if len(value) < 8 {
		return nil, errShort
	}
	if xxhash.Sum64(value[8:]) != binary.BigEndian.Uint64(value) {
		return nil, errChecksum
	}
	return value[8:], nil
}

func parseHeader(value []byte) (*header, error) {
	src, err := checked(value)
	if err != nil {
		return nil, err
	}
	if len(src) == 0 {
		return nil, errShort
	}
	if src[0] != headerFormat {
		return nil, errCodec
	}
	h := new(header)
	rows, src, err := takeCount(src[1:], BlockRows)
	if err != nil {
		return nil, err
	}
	h.rows = int64(rows)
	if src, err = h.takeTimes(src); err != nil {
		return nil, err
	}
	count, src, err := takeCount(src, flow.FieldCount)
	if err != nil {
		return nil, err
	}
	for range count {
		if src, err = h.takeStat(src); err != nil {
			return nil, err
		}
	}
	if len(src) != 0 {
		return nil, errTrailing
	}
	return h, nil
}

func (h *header) takeTimes(src []byte) ([]byte, error) {
	if len(src) < 32 {
		return nil, errShort
	}
	h.firstReceived = binary.BigEndian.Uint64(src)
	h.lastReceived = binary.BigEndian.Uint64(src[8:])
	h.minStart = binary.BigEndian.Uint64(src[16:])
	h.maxEnd = binary.BigEndian.Uint64(src[24:])
	return src[32:], nil
}

func (h *header) takeStat(src []byte) ([]byte, error) {
	if len(src) == 0 {
		return nil, errShort
	}
	f := flow.Field(src[0])
	if !f.Valid() || h.columns.Has(f) {
		return nil, errValue
	}
	h.columns.Add(f)
	s := &h.stats[f]
	var err error
	if s.Present, src, err = takeCount(src[1:], int(h.rows)); err != nil {
		return nil, err
	}
	largest := maxColumn
	if f.IsText() {
		largest = maxTextColumn
	}
	if s.Size, src, err = takeCount(src, largest); err != nil || f.IsText() {
		return src, err
	}
	if f.IsAddr() {
		if s.MinAddr, src, err = takeAddr(src); err != nil {
			return nil, err
		}
		s.MaxAddr, src, err = takeAddr(src)
		return src, err
	}
	if s.MinNum, src, err = takeUvarint(src); err != nil {
		return nil, err
	}
	s.MaxNum, src, err = takeUvarint(src)
	return src, err
}

// maxColumn bounds the bytes of a column: 65,536 addresses of 16 bytes, a
// dictionary of as many, codes and presence, all raw, with room to spare.
const maxColumn = 4 << 20

// maxTextColumn is maxColumn for texts: 65,536 of flow.MaxText bytes.
const maxTextColumn = 20 << 20
