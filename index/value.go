package index

import (
	"encoding/binary"
	"math/bits"
	"slices"

	"weir/flow"
	"weir/store"
)

// A ValueRange is the values from Lo to Hi, both included. Addresses stand for
// themselves; a number is held in the low word with a high word of zero, so
// that both kinds order, and are encoded, alike.
type ValueRange struct {
	Lo, Hi flow.Addr
}

// NumRange returns the numbers from lo to hi, both included.
func NumRange(lo, hi uint64) ValueRange {
	return ValueRange{flow.Addr{Lo: lo}, flow.Addr{Lo: hi}}
}

// AddrRange returns the addresses from lo to hi, both included.
func AddrRange(lo, hi flow.Addr) ValueRange { return ValueRange{lo, hi} }

// PrefixRange returns the addresses of p.
func PrefixRange(p flow.Prefix) ValueRange { return ValueRange{p.First, p.Last} }

// Normalize returns the same values as ranges that ascend and neither overlap
// nor touch. It returns its argument if that is so already, else a sorted and
// merged copy; ranges whose Hi stands before their Lo hold nothing and go.
func Normalize(ranges []ValueRange) []ValueRange {
	if normal(ranges) {
		return ranges
	}
	sorted := slices.Clone(ranges)
	slices.SortFunc(sorted, func(a, b ValueRange) int { return a.Lo.Compare(b.Lo) })
	out := sorted[:0]
	for _, r := range sorted {
		if r.Hi.Less(r.Lo) {
			continue
		}
		if n := len(out); n > 0 && !after(r.Lo, out[n-1].Hi) {
			if out[n-1].Hi.Less(r.Hi) {
				out[n-1].Hi = r.Hi
			}
			continue
		}
		out = append(out, r)
	}
	return out
}

func normal(ranges []ValueRange) bool {
	for i, r := range ranges {
		if r.Hi.Less(r.Lo) || i > 0 && !after(r.Lo, ranges[i-1].Hi) {
			return false
		}
	}
	return true
}

// after reports whether v stands after last with at least one value between
// them.
func after(v, last flow.Addr) bool {
	next := last.Next()
	return last.Less(next) && next.Less(v)
}

// Indexed reports whether field f is covered by the index.
func Indexed(f flow.Field) bool { return slices.Contains(store.PostingFields[:], f) }

// keyLen is the length of a page's key: field (1), value (16, big endian).
const keyLen = 17

// appendKey appends the key of a page of field f whose first value is v.
func appendKey(dst []byte, f flow.Field, v flow.Addr) []byte {
	dst = append(dst, byte(f))
	dst = binary.BigEndian.AppendUint64(dst, v.Hi)
	return binary.BigEndian.AppendUint64(dst, v.Lo)
}

// parseKey is the inverse of appendKey; it returns false for any other key.
func parseKey(key []byte) (flow.Field, flow.Addr, bool) {
	if len(key) != keyLen {
		return 0, flow.Addr{}, false
	}
	v := flow.Addr{Hi: binary.BigEndian.Uint64(key[1:]), Lo: binary.BigEndian.Uint64(key[9:])}
	return flow.Field(key[0]), v, true
}

// sub returns a - b, for b not after a.
func sub(a, b flow.Addr) flow.Addr {
	lo, borrow := bits.Sub64(a.Lo, b.Lo, 0)
	hi, _ := bits.Sub64(a.Hi, b.Hi, borrow)
	return flow.Addr{Hi: hi, Lo: lo}
}

// add returns a + b, and false if that is more than 128 bits.
func add(a, b flow.Addr) (flow.Addr, bool) {
	lo, carry := bits.Add64(a.Lo, b.Lo, 0)
	hi, over := bits.Add64(a.Hi, b.Hi, carry)
	return flow.Addr{Hi: hi, Lo: lo}, over == 0
}

// appendWide appends a 128-bit number, seven bits a byte, lowest first, the top
// bit set in all but the last: encoding/binary's uvarint made wider.
func appendWide(dst []byte, v flow.Addr) []byte {
	for v.Hi != 0 {
		dst = append(dst, byte(v.Lo)|0x80)
		v.Lo = v.Lo>>7 | v.Hi<<57
		v.Hi >>= 7
	}
	return binary.AppendUvarint(dst, v.Lo)
}

// wide reads what appendWide wrote and returns the length read, 0 if b ends too
// early or holds more than 128 bits.
func wide(b []byte) (v flow.Addr, n int) {
	for i, c := range b {
		shift := 7 * uint(i)
		part := uint64(c & 0x7f)
		switch {
		case shift < 57:
			v.Lo |= part << shift
		case shift < 64: // 63: one bit below, six above
			v.Lo |= part << shift
			v.Hi |= part >> (64 - shift)
		case shift == 126 && part > 3 || shift > 126:
			return flow.Addr{}, 0
		default:
			v.Hi |= part << (shift - 64)
		}
		if c < 0x80 {
			return v, i + 1
		}
	}
	return flow.Addr{}, 0
}
