package store

import (
	"encoding/binary"
	"math/bits"

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
// IPv4 or absent.
const tailFormat = 1

// appendTail appends all rows of b as a tail segment.
func appendTail(dst []byte, b *flow.Batch) []byte {
	base := len(dst)
	dst = append(append(dst, make([]byte, 8)...), tailFormat)
	dst = binary.AppendUvarint(dst, uint64(b.Len()))
	dst = binary.AppendUvarint(dst, uint64(b.Columns().Len()))
	for f := range b.Columns().All {
		present := b.Present(f)
		if f.IsAddr() {
			dst = appendTailAddrs(append(dst, byte(f)), b.Addr(f), present)
		} else {
			dst = appendTailNums(append(dst, byte(f)), b.Num(f), present)
		}
	}
	binary.BigEndian.PutUint64(dst[base:], xxhash.Sum64(dst[base+8:]))
	return dst
}

func appendBitmap(dst []byte, words []uint64, rows int) []byte {
	base := len(dst)
	for _, w := range words {
		dst = binary.LittleEndian.AppendUint64(dst, w)
	}
	return dst[:base+(rows+7)/8]
}

func appendTailNums(dst []byte, v []uint64, present []uint64) []byte {
	var all uint64
	for _, x := range v {
		all |= x
	}
	width := (bits.Len64(all) + 7) / 8
	dst = appendBitmap(append(dst, byte(width)), present, len(v))
	for _, x := range v {
		for k := range width {
			dst = append(dst, byte(x>>(8*k)))
		}
	}
	return dst
}

func appendTailAddrs(dst []byte, v []flow.Addr, present []uint64) []byte {
	width := 4
	for row, a := range v {
		if !a.Is4() && present[row>>6]>>(row&63)&1 != 0 {
			width = 16
			break
		}
	}
	dst = appendBitmap(append(dst, byte(width)), present, len(v))
	for _, a := range v {
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
	if f.IsAddr() && width != 4 && width != 16 || !f.IsAddr() && width > 8 {
		return nil, errValue
	}
	src = src[2:]
	bitmap := (rows + 7) / 8
	if len(src) < bitmap+rows*width {
		return nil, errShort
	}
	values := src[bitmap:]
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
