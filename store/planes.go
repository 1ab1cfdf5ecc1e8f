package store

import (
	"encoding/binary"
	"math/bits"
)

// Numbers are 64-bit values whose count the reader knows:
//
//	+----------+----------------+-----------+------------------------+
//	| mode (1) | base (uvarint) | width (1) | width streams of bytes |
//	+----------+----------------+-----------+------------------------+
//
// Mode 0 is a frame of reference cut into byte planes: stream k holds bits 8k
// to 8k+7 of value-base for every value. The high planes are mostly constant,
// and each plane is compressed by what suits it.
const modePlanes = 0

// numbers appends v.
func (e *encoder) numbers(dst []byte, v []uint64) []byte {
	lo, hi := minMax(v)
	width := (bits.Len64(hi-lo) + 7) / 8
	dst = binary.AppendUvarint(append(dst, modePlanes), lo)
	dst = append(dst, byte(width))
	plane := grow(&e.plane, len(v))
	for k := range width {
		shift := 8 * k
		for i, x := range v {
			plane[i] = byte((x - lo) >> shift)
		}
		dst = e.stream(dst, plane)
	}
	return dst
}

func minMax(v []uint64) (lo, hi uint64) {
	if len(v) == 0 {
		return 0, 0
	}
	lo, hi = v[0], v[0]
	for _, x := range v[1:] {
		lo, hi = min(lo, x), max(hi, x)
	}
	return lo, hi
}

// numbers reads len(dst) values into dst and returns what follows.
func (d *decoder) numbers(dst []uint64, src []byte) (rest []byte, err error) {
	if len(src) == 0 {
		return nil, errShort
	}
	if src[0] != modePlanes {
		return nil, errCodec
	}
	base, src, err := takeUvarint(src[1:])
	if err != nil {
		return nil, err
	}
	if len(src) == 0 {
		return nil, errShort
	}
	width := int(src[0])
	if width > 8 {
		return nil, errValue
	}
	return d.planes(dst, base, width, src[1:])
}

func (d *decoder) planes(dst []uint64, base uint64, width int, src []byte) (rest []byte, err error) {
	var p [8][]byte
	for k := range width {
		if p[k], src, err = d.stream(src, len(dst), &d.plane[k]); err != nil {
			return nil, err
		}
	}
	joinPlanes(dst, base, p, width)
	return src, nil
}

// joinPlanes puts the planes together. Values wrap around, as they did when the
// base was taken off.
func joinPlanes(dst []uint64, base uint64, p [8][]byte, width int) {
	n := len(dst)
	switch width {
	case 0:
		for i := range dst {
			dst[i] = base
		}
	case 1:
		a := p[0][:n]
		for i := range dst {
			dst[i] = base + uint64(a[i])
		}
	case 2:
		a, b := p[0][:n], p[1][:n]
		for i := range dst {
			dst[i] = base + (uint64(a[i]) | uint64(b[i])<<8)
		}
	case 3:
		a, b, c := p[0][:n], p[1][:n], p[2][:n]
		for i := range dst {
			dst[i] = base + (uint64(a[i]) | uint64(b[i])<<8 | uint64(c[i])<<16)
		}
	default:
		for i := range dst {
			v := uint64(0)
			for k := width - 1; k >= 0; k-- {
				v = v<<8 | uint64(p[k][i])
			}
			dst[i] = base + v
		}
	}
}
