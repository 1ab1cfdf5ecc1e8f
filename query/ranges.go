package query

import (
	"math"
	"slices"
	"sort"

	"weir/flow"
)

// A numRange is the numbers from lo to hi, both included.
type numRange struct{ lo, hi uint64 }

// normalNums sorts ranges and joins those that overlap or touch; ranges whose
// hi is below their lo hold nothing and go.
func normalNums(ranges []numRange) []numRange {
	slices.SortFunc(ranges, func(a, b numRange) int {
		if a.lo != b.lo {
			if a.lo < b.lo {
				return -1
			}
			return 1
		}
		return 0
	})
	out := ranges[:0]
	for _, r := range ranges {
		if r.hi < r.lo {
			continue
		}
		if n := len(out); n > 0 && (out[n-1].hi == math.MaxUint64 || r.lo <= out[n-1].hi+1) {
			out[n-1].hi = max(out[n-1].hi, r.hi)
			continue
		}
		out = append(out, r)
	}
	return out
}

// inNums reports whether v lies in one of the normal ranges.
func inNums(ranges []numRange, v uint64) bool {
	if len(ranges) <= 8 {
		for _, r := range ranges {
			if v <= r.hi {
				return v >= r.lo
			}
		}
		return false
	}
	i := sort.Search(len(ranges), func(i int) bool { return v <= ranges[i].hi })
	return i < len(ranges) && v >= ranges[i].lo
}

// An addrRange is the addresses from lo to hi, both included and of one family.
type addrRange struct{ lo, hi flow.Addr }

// The IPv4 addresses, as flow.Addr holds them, and the IPv6 addresses on either
// side of them.
var (
	allV4   = addrRange{flow.AddrFrom4(0), flow.AddrFrom4(math.MaxUint32)}
	lowV6   = addrRange{flow.Addr{}, flow.Addr{Lo: 0xfffe_ffff_ffff}}
	highV6  = addrRange{flow.Addr{Lo: 0x1_0000_0000_0000}, flow.Addr{Hi: math.MaxUint64, Lo: math.MaxUint64}}
	allV6   = []addrRange{lowV6, highV6}
	lastOne = highV6.hi
)

// splitFamilies appends the addresses of r that are of its lo's family: an IPv6
// range does not take in the IPv4 addresses that are held in its midst.
func splitFamilies(dst []addrRange, r addrRange) []addrRange {
	if r.lo.Is4() || !r.lo.Less(allV4.lo) || r.hi.Less(allV4.lo) {
		return append(dst, r)
	}
	dst = append(dst, addrRange{r.lo, lowV6.hi})
	if allV4.hi.Less(r.hi) {
		dst = append(dst, addrRange{highV6.lo, r.hi})
	}
	return dst
}

// normalAddrs sorts ranges and joins those of one family that overlap or touch.
func normalAddrs(ranges []addrRange) []addrRange {
	slices.SortFunc(ranges, func(a, b addrRange) int { return a.lo.Compare(b.lo) })
	out := ranges[:0]
	for _, r := range ranges {
		if r.hi.Less(r.lo) {
			continue
		}
		if n := len(out); n > 0 && touches(out[n-1], r) {
			if out[n-1].hi.Less(r.hi) {
				out[n-1].hi = r.hi
			}
			continue
		}
		out = append(out, r)
	}
	return out
}

// touches reports whether b, which does not begin before a, overlaps a or
// begins right after it in the same family.
func touches(a, b addrRange) bool {
	if !a.hi.Less(b.lo) {
		return true
	}
	return a.hi != lastOne && a.hi.Next() == b.lo && a.hi.Is4() == b.lo.Is4()
}

// inAddrs reports whether a lies in one of the normal ranges.
func inAddrs(ranges []addrRange, a flow.Addr) bool {
	i := firstNotBefore(ranges, a)
	return i < len(ranges) && !a.Less(ranges[i].lo)
}

// prefixLength returns the length of the prefix that r is, counted in its own
// family, and false if r is none.
func prefixLength(r addrRange) (int, bool) {
	width := 128
	if r.lo.Is4() {
		width = 32
	}
	for length := width; length >= 0; length-- {
		p, err := flow.PrefixFrom(r.lo, length)
		if err != nil || p.First != r.lo {
			return 0, false
		}
		if p.Last == r.hi {
			return length, true
		}
	}
	return 0, false
}

// firstNotBefore returns the index of the first range that does not end before
// a, or the number of ranges.
func firstNotBefore(ranges []addrRange, a flow.Addr) int {
	return sort.Search(len(ranges), func(i int) bool { return !ranges[i].hi.Less(a) })
}
