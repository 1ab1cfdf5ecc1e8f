package query

import "math/bits"

// An addrKey is an address as an addrSet keeps it. Its hash has its good bits on
// top: the factor is odd, and nobody's to know.
type addrKey interface {
	comparable
	hash(factor uint64) uint64
}

func (a addr4) hash(factor uint64) uint64 { return (uint64(a) + 1) * factor }

func (a addr6) hash(factor uint64) uint64 {
	hi, lo := bits.Mul64(a.Hi^factor, factor)
	return (hi ^ lo ^ a.Lo) * factor
}

// An addrSet is a set of addresses of one kind, by open addressing: an IPv4
// address takes 4 bytes a slot.
type addrSet[K addrKey] struct {
	slots []K // as many as a power of two; the zero K is a free one
	n     int // slots in use
	zero  bool
}

// len returns how many addresses are in the set.
func (s *addrSet[K]) len() int {
	if s.zero {
		return s.n + 1
	}
	return s.n
}

// add puts an address in the set. factor is the same for all of its addresses.
func (s *addrSet[K]) add(a K, factor uint64) {
	var free K
	if a == free {
		s.zero = true
		return
	}
	if 4*s.n >= 3*len(s.slots) {
		s.grow(factor)
	}
	if s.insert(a, factor) {
		s.n++
	}
}

// insert puts an address in its slot, and reports whether it was not there.
func (s *addrSet[K]) insert(a K, factor uint64) bool {
	var free K
	slots := s.slots
	mask := uint64(len(slots) - 1)
	for at := a.hash(factor) >> 32; ; at++ {
		switch slot := &slots[at&mask]; *slot {
		case free:
			*slot = a
			return true
		case a:
			return false
		}
	}
}

func (s *addrSet[K]) grow(factor uint64) {
	var free K
	old := s.slots
	s.slots = make([]K, max(4, 2*len(old)))
	for _, a := range old {
		if a != free {
			s.insert(a, factor)
		}
	}
}

// all calls yield for every address of the set, in no order.
func (s *addrSet[K]) all(yield func(K) bool) {
	var free K
	if s.zero && !yield(free) {
		return
	}
	for _, a := range s.slots {
		if a != free && !yield(a) {
			return
		}
	}
}
