package store

import (
	"encoding/binary"
	"math/bits"
	"slices"

	"github.com/cespare/xxhash/v2"

	"weir/flow"
)

// A tail segment is the value under a tail key: rows of an open part, plainly
// coded because it is read back only after a crash or a restart:
//
//	+-----------------------------+------------+----------------+
//	| xxhash64 of all after it (8)| format (1) | rows (uvarint) |
//	+-----------------------------+------------+----------------+
//	| columns (uvarint), then for each, by ascending field:     |
//	|   field (1) | width (1) | presence | values               |
//	+-----------------------------------------------------------+
//
// Presence is (rows+7)/8 bytes, row i at bit i%8 of byte i/8. Values are one
// for each row, absent ones zero: of numbers the low width bytes, little-endian;
// of addresses 16 bytes, or the last 4 where width is 4, big-endian, all being
// IPv4 or absent. Of texts there are only those that are present, each behind its
// length (uvarint); width is 0.
const tailFormat = 1

// A segment is rows of a part on their way to a tail key. The values are the
// part's own memory: rows that were appended do not change. A word of presence
// may have rows to come in it, so presence is a copy.
type segment struct {
	part    *part
	from    int // first row
	rows    int
	columns []segmentColumn
	value   []byte // once it is encoded
}

type segmentColumn struct {
	field   flow.Field
	nums    []uint64
	addrs   []flow.Addr
	texts   []string
	present []byte
}

// segmentOf returns the rows lo to hi-1 of b.
func segmentOf(b *flow.Batch, lo, hi int) segment {
	g := segment{from: lo, rows: hi - lo}
	for f := range b.Columns().All {
		c := segmentColumn{field: f, present: bitmapOf(b.Present(f), lo, hi)}
		switch {
		case c.present == nil:
			continue
		case f.IsAddr():
			c.addrs = b.Addr(f)[lo:hi]
		case f.IsText():
			c.texts = b.Text(f)[lo:hi]
		default:
			c.nums = b.Num(f)[lo:hi]
		}
		g.columns = append(g.columns, c)
	}
	return g
}

// bitmapOf returns the bits lo to hi-1 of words, nil if none is set.
func bitmapOf(words []uint64, lo, hi int) []byte {
	out := make([]byte, 0, (hi-lo+63)/64*8)
	var all uint64
	for i := lo; i < hi; i += 64 {
		w := words[i>>6] >> (i & 63)
		if i&63 != 0 && i>>6+1 < len(words) {
			w |= words[i>>6+1] << (64 - i&63)
		}
		if n := hi - i; n < 64 {
			w &= 1<<n - 1
		}
		all |= w
		out = binary.LittleEndian.AppendUint64(out, w)
	}
	if all == 0 {
		return nil
	}
	return out[:(hi-lo+7)/8]
}

// appendTail appends g as the value of its key.
func appendTail(dst []byte, g *segment) []byte {
	base := len(dst)
	dst = append(append(dst, make([]byte, 8)...), tailFormat)
	dst = binary.AppendUvarint(dst, uint64(g.rows))
	dst = binary.AppendUvarint(dst, uint64(len(g.columns)))
	for i := range g.columns {
		c := &g.columns[i]
		dst = append(dst, byte(c.field))
		switch {
		case c.field.IsAddr():
			dst = appendTailAddrs(dst, c)
		case c.field.IsText():
			dst = appendTailTexts(dst, c)
		default:
			dst = appendTailNums(dst, c)
		}
	}
	binary.BigEndian.PutUint64(dst[base:], xxhash.Sum64(dst[base+8:]))
	return dst
}

func appendTailNums(dst []byte, c *segmentColumn) []byte {
	var all uint64
	for _, x := range c.nums {
		all |= x
	}
	width := (bits.Len64(all) + 7) / 8
	dst = append(append(dst, byte(width)), c.present...)
	// Eight bytes are written for each; what is over, the next one overwrites.
	at := len(dst)
	dst = slices.Grow(dst, len(c.nums)*width+8)[:at+len(c.nums)*width+8]
	if width > 0 {
		for _, x := range c.nums {
			binary.LittleEndian.PutUint64(dst[at:], x)
			at += width
		}
	}
	return dst[:at]
}

func appendTailAddrs(dst []byte, c *segmentColumn) []byte {
	width := 4
	for row, a := range c.addrs {
		if !a.Is4() && c.present[row>>3]>>(row&7)&1 != 0 {
			width = 16
			break
		}
	}
	dst = append(append(dst, byte(width)), c.present...)
	dst = slices.Grow(dst, len(c.addrs)*width)
	for _, a := range c.addrs {
		if width == 4 {
			dst = binary.BigEndian.AppendUint32(dst, a.As4())
		} else {
			dst = appendAddr(dst, a)
		}
	}
	return dst
}

// parseTail returns the rows of a tail segment.
func parseTail(value []byte) (*flow.Batch, error) {
	src, err := checked(value)
	if err != nil {
		return nil, err
	}
	if len(src) == 0 {
		return nil, errShort
	}
	if src[0] != tailFormat {
		return nil, errCodec
	}
	rows, src, err := takeCount(src[1:], BlockRows)
	if err != nil {
		return nil, err
	}
	columns, src, err := takeCount(src, flow.FieldCount)
	if err != nil {
		return nil, err
	}
	b := flow.NewBatch(min(rows, len(src)))
	b.Grow(rows)
	for range columns {
		if src, err = parseTailColumn(b, src); err != nil {
			return nil, err
		}
	}
	if len(src) != 0 {
		return nil, errTrailing
	}
	return b, nil
}

func parseTailColumn(b *flow.Batch, src []byte) ([]byte, error) {
	if len(src) < 2 {
		return nil, errShort
	}
	f, width, rows := flow.Field(src[0]), int(src[1]), b.Len()
	if !f.Valid() || b.Columns().Has(f) {
		return nil, errValue
	}
	if f.IsAddr() && width != 4 && width != 16 || !f.IsAddr() && width > 8 || f.IsText() && width != 0 {
		return nil, errValue
	}
	src = src[2:]
	bitmap := (rows + 7) / 8
	if len(src) < bitmap+rows*width {
		return nil, errShort
	}
	values := src[bitmap:]
	if f.IsText() {
		return parseTailTexts(b, f, src[:bitmap], values)
	}
	for row := range rows {
		if src[row>>3]>>(row&7)&1 == 0 {
			continue
		}
		value := values[row*width:][:width]
		switch {
		case !f.IsAddr():
			b.SetNum(f, row, littleEndian(value))
		case width == 4:
			b.SetAddr(f, row, flow.AddrFrom4(binary.BigEndian.Uint32(value)))
		default:
			a, _, _ := takeAddr(value)
			b.SetAddr(f, row, a)
		}
	}
	return values[rows*width:], nil
}

func littleEndian(b []byte) (v uint64) {
	for k := len(b) - 1; k >= 0; k-- {
		v = v<<8 | uint64(b[k])
	}
	return v
}
