package store

import (
	"encoding/binary"
	"math/bits"

	"github.com/cespare/xxhash/v2"

	"weir/flow"
)

// A column is the value under its column key:
//
//	+-----------------------------+------------+----------+------+
//	| xxhash64 of all after it (8)| layout (1) | presence | body |
//	+-----------------------------+------------+----------+------+
//
// Presence is 0 (every row has the field), or 1 and a stream of (rows+7)/8
// bytes, row i at bit i%8 of byte i/8. The body holds the values of the rows
// that have the field, in row order; its form is the layout:
//
//	layoutNumbers  numbers
//	layoutDict     length (uvarint) | dictionary | codes (numbers)
//	layoutAgainst  field (1) | differences (numbers)
//
// Against another field of times, which it follows closely: the other field's
// value in the same row less the value, zigzag.
const (
	layoutNumbers = 0
	layoutDict    = 1
	layoutAgainst = 2

	presentAll  = 0
	presentBits = 1
)

// sealColumn puts the checksum over what follows base+8.
func sealColumn(dst []byte, base int) {
	binary.BigEndian.PutUint64(dst[base:], xxhash.Sum64(dst[base+8:]))
}

// presence appends the presence of the gathered column.
func (e *encoder) presence(dst []byte, rows int) []byte {
	if e.count == rows {
		return append(dst, presentAll)
	}
	buf := grow(&e.bitmap, (rows+63)/64*8)
	for i, w := range e.present {
		binary.LittleEndian.PutUint64(buf[8*i:], w)
	}
	return e.stream(append(dst, presentBits), buf[:(rows+7)/8])
}

// A column taken apart, but for its body.
type column struct {
	layout  byte
	rows    int
	count   int      // rows that have the field
	present []uint64 // nil when all have
	body    []byte
}

func (d *decoder) column(value []byte, rows int) (c column, err error) {
	src, err := checked(value)
	if err != nil {
		return c, err
	}
	if len(src) < 2 {
		return c, errShort
	}
	c = column{layout: src[0], rows: rows, count: rows}
	mode, src := src[1], src[2:]
	switch mode {
	case presentAll:
	case presentBits:
		bitmap, rest, err := d.stream(src, (rows+7)/8, &d.bitmap)
		if err != nil {
			return c, err
		}
		if err := c.setPresent(bitmap); err != nil {
			return c, err
		}
		src = rest
	default:
		return c, errCodec
	}
	c.body = src
	return c, nil
}

// setPresent reads the bitmap; bits past the last row are damage.
func (c *column) setPresent(bitmap []byte) error {
	c.present = make([]uint64, (c.rows+63)/64)
	c.count = 0
	var word [8]byte
	for i := range c.present {
		word = [8]byte{}
		copy(word[:], bitmap[8*i:])
		c.present[i] = binary.LittleEndian.Uint64(word[:])
		c.count += bits.OnesCount64(c.present[i])
	}
	if c.rows&63 != 0 && c.present[len(c.present)-1]>>(c.rows&63) != 0 {
		return errValue
	}
	return nil
}

// words fills dst with the presence bits.
func (c *column) words(dst []uint64) []uint64 {
	dst = sized(dst, (c.rows+63)/64)
	if c.present != nil {
		copy(dst, c.present)
		return dst
	}
	fillBits(dst, c.rows)
	return dst
}

// fillBits sets the first n bits and clears the rest.
func fillBits(dst []uint64, n int) {
	for i := range dst {
		dst[i] = ^uint64(0)
	}
	if n&63 != 0 {
		dst[len(dst)-1] = 1<<(n&63) - 1
	}
}

// spread moves the values of the rows that have the field, which stand at the
// front of dst, to their rows and puts absent into the others. It works from
// the end, so that nothing is overwritten before it has moved.
func spread[T any](dst []T, c *column, absent T) {
	if c.present == nil {
		return
	}
	from := c.count
	for i := len(c.present) - 1; i >= 0; i-- {
		first, end := i<<6, min(i<<6+64, c.rows)
		if n := end - first; bits.OnesCount64(c.present[i]) == n { // most often
			from -= n
			copy(dst[first:end], dst[from:from+n])
			continue
		}
		for row := end - 1; row >= first; row-- {
			if c.present[i]>>(row&63)&1 != 0 {
				from--
				dst[row] = dst[from]
			} else {
				dst[row] = absent
			}
		}
	}
}

// sized returns a slice of n elements that reuses dst; the content is undefined.
func sized[T any](dst []T, n int) []T {
	if cap(dst) < n {
		return make([]T, n)
	}
	return dst[:n]
}

// nums decodes the column of numeric field f into dst, one value a row.
func (d *decoder) nums(f flow.Field, c *column, dst []uint64, parents parentSource) error {
	switch c.layout {
	case layoutNumbers:
		if err := d.whole(dst[:c.count], c.body, parents); err != nil {
			return err
		}
		spread(dst, c, 0)
		return nil
	case layoutDict:
		if err := d.dict(&d.own, c, f, parents); err != nil {
			return err
		}
		d.own.fillNums(dst)
		return nil
	case layoutAgainst:
		return d.against(f, c, dst, parents)
	}
	return errCodec
}

// whole reads numbers that are all of src.
func (d *decoder) whole(dst []uint64, src []byte, parents parentSource) error {
	rest, err := d.numbers(dst, src, parents, 0)
	if err != nil {
		return err
	}
	if len(rest) != 0 {
		return errTrailing
	}
	return nil
}

// againstField returns the field that the times of f may be written against; 0
// if there is none. It never leads back to f.
func againstField(f flow.Field, has flow.FieldSet) flow.Field {
	switch {
	case f == flow.Start && has.Has(flow.End):
		return flow.End
	case (f == flow.Start || f == flow.End) && has.Has(flow.Received):
		return flow.Received
	}
	return 0
}

func (d *decoder) against(f flow.Field, c *column, dst []uint64, parents parentSource) error {
	if len(c.body) == 0 || parents == nil {
		return errShort
	}
	other := flow.Field(c.body[0])
	if !other.Valid() || other != againstField(f, flow.SetOf(other)) {
		return errValue
	}
	times, err := parents.times(other)
	if err != nil {
		return err
	}
	if err := d.whole(dst[:c.count], c.body[1:], nil); err != nil {
		return err
	}
	if c.present == nil {
		for row, z := range dst {
			dst[row] = times[row] - unzigzag(z)
		}
		return nil
	}
	spread(dst, c, 0)
	for row := range dst {
		if c.present[row>>6]>>(row&63)&1 != 0 {
			z := dst[row]
			dst[row] = times[row] - unzigzag(z)
		}
	}
	return nil
}

// addrs decodes the column of an address field into dst, one value a row.
func (d *decoder) addrs(f flow.Field, c *column, dst []flow.Addr, parents parentSource) error {
	if err := d.dict(&d.own, c, f, parents); err != nil {
		return err
	}
	d.own.fillAddrs(dst)
	return nil
}
