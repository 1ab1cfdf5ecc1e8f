package index

import (
	"github.com/RoaringBitmap/roaring/v2"
)

// A Set is a set of block numbers, or of ordinals: a row of a bucket, its block
// in the upper and its place in the block in the lower 16 bits. It is a roaring
// bitmap: one container per 65,536 members' range, so one per block where the
// members are ordinals.
//
// Costs below are in containers and in the members of both sets: combining two
// ordinal sets takes at most 8 KiB of work per block that both have, and
// nothing for a block that only one has when intersecting.
//
// A Set may be read by many goroutines as long as none changes it.
type Set struct {
	bm *roaring.Bitmap
}

// NewSet returns a set of the given members.
func NewSet(members ...uint32) *Set { return &Set{roaring.BitmapOf(members...)} }

// Full returns the set of 0 to n-1. It takes O(n/65536).
func Full(n int) *Set {
	s := NewSet()
	s.bm.AddRange(0, uint64(n))
	return s
}

// fromWords returns the members of a bit set, which it does not keep.
func fromWords(words []uint64) *Set {
	return &Set{roaring.FromDense(words, true)}
}

// And keeps the members that are in t too. O(containers + members of the
// smaller) where either is sparse, O(containers × 8 KiB) where both are dense.
func (s *Set) And(t *Set) *Set {
	s.bm.And(t.bm)
	return s
}

// Or adds the members of t. O(containers + members), at most 8 KiB a container.
func (s *Set) Or(t *Set) *Set {
	s.bm.Or(t.bm)
	return s
}

// AndNot removes the members of t. O(containers of s + members), at most 8 KiB a
// container.
func (s *Set) AndNot(t *Set) *Set {
	s.bm.AndNot(t.bm)
	return s
}

// Add puts v in the set. O(log containers + members of its container).
func (s *Set) Add(v uint32) { s.bm.Add(v) }

// AddRange puts lo to hi-1 in the set. O(containers touched).
func (s *Set) AddRange(lo, hi uint64) { s.bm.AddRange(lo, hi) }

// Contains reports whether v is in the set. O(log containers + log members).
func (s *Set) Contains(v uint32) bool { return s.bm.Contains(v) }

// Len returns the number of members. O(containers).
func (s *Set) Len() int { return int(s.bm.GetCardinality()) }

// Empty reports whether the set has no member. O(1).
func (s *Set) Empty() bool { return s.bm.IsEmpty() }

// Equal reports whether both sets have the same members. O(members).
func (s *Set) Equal(t *Set) bool { return s.bm.Equals(t.bm) }

// Clone returns a copy that shares nothing. O(members).
func (s *Set) Clone() *Set { return &Set{s.bm.Clone()} }

// All calls yield for every member in ascending order until it returns false.
// About a nanosecond a member.
func (s *Set) All(yield func(uint32) bool) {
	var buf [256]uint32
	it := s.bm.ManyIterator()
	for n := it.NextMany(buf[:]); n > 0; n = it.NextMany(buf[:]) {
		for _, v := range buf[:n] {
			if !yield(v) {
				return
			}
		}
	}
}

// Slice returns all members in ascending order.
func (s *Set) Slice() []uint32 { return s.bm.ToArray() }
