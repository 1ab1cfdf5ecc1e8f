package flow

import (
	"cmp"
	"slices"
	"sort"
)

// A PrefixSet is the addresses of some prefixes, to be asked many times a
// second. It is made once and then only read, by several goroutines.
//
// IPv4 addresses are a list of ranges apart from IPv6's, so that ::/0 does not
// take in the IPv4 addresses that Addr holds in its midst.
type PrefixSet struct {
	v4 []range4
	v6 []Prefix

	// top says which of v4 may hold an address: those from top[a>>16] to
	// top[a>>16+1], both included. It is nil where a search through all of v4 is as
	// quick.
	top []uint32
}

// A range4 is IPv4 addresses, both ends included.
type range4 struct{ first, last uint32 }

// fewRanges is up to how many ranges a PrefixSet goes without top, which takes
// a quarter of a megabyte.
const fewRanges = 2

// NewPrefixSet returns the set of all addresses of the prefixes, which may be in
// any order, nested, equal and next to each other.
func NewPrefixSet(prefixes []Prefix) *PrefixSet {
	s := &PrefixSet{}
	for _, p := range prefixes {
		if p.First.Is4() && p.Last.Is4() {
			s.v4 = append(s.v4, range4{p.First.As4(), p.Last.As4()})
		} else {
			s.v6 = append(s.v6, p)
		}
	}
	slices.SortFunc(s.v4, func(a, b range4) int { return cmp.Compare(a.first, b.first) })
	s.v4 = join(s.v4, func(a *range4, b range4) bool {
		if b.first > a.last && b.first-a.last > 1 {
			return false
		}
		a.last = max(a.last, b.last)
		return true
	})
	slices.SortFunc(s.v6, func(a, b Prefix) int { return a.First.Compare(b.First) })
	s.v6 = join(s.v6, func(a *Prefix, b Prefix) bool {
		if a.Last.Less(b.First) {
			return false
		}
		if a.Last.Less(b.Last) {
			a.Last = b.Last
		}
		return true
	})
	s.index()
	return s
}

// join merges neighbours of a sorted list as far as into does it.
func join[R any](list []R, into func(a *R, b R) bool) []R {
	out := list[:0]
	for _, r := range list {
		if n := len(out); n > 0 && into(&out[n-1], r) {
			continue
		}
		out = append(out, r)
	}
	return slices.Clip(out)
}

// index fills top: for each upper half of an address the first range that does
// not end before it.
func (s *PrefixSet) index() {
	if len(s.v4) <= fewRanges {
		return
	}
	s.top = make([]uint32, 1<<16+1)
	at := 0
	for upper := range uint32(1 << 16) {
		for at < len(s.v4) && s.v4[at].last < upper<<16 {
			at++
		}
		s.top[upper] = uint32(at)
	}
	s.top[1<<16] = uint32(len(s.v4) - 1)
}

// Contains reports whether a lies in one of the prefixes.
func (s *PrefixSet) Contains(a Addr) bool {
	if a.Is4() {
		return s.contains4(a.As4())
	}
	i := sort.Search(len(s.v6), func(i int) bool { return !s.v6[i].Last.Less(a) })
	return i < len(s.v6) && !a.Less(s.v6[i].First)
}

func (s *PrefixSet) contains4(a uint32) bool {
	lo, hi := 0, len(s.v4) // the range is in lo to hi-1, if it is anywhere
	if s.top != nil {
		lo, hi = int(s.top[a>>16]), min(hi, int(s.top[a>>16+1])+1)
	}
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if s.v4[mid].last < a {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo < len(s.v4) && s.v4[lo].first <= a
}

// Empty reports whether no address is in the set.
func (s *PrefixSet) Empty() bool { return len(s.v4) == 0 && len(s.v6) == 0 }
