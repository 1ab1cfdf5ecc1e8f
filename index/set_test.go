package index

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func randSet(rng *rand.Rand) (*Set, map[uint32]bool) {
	s, want := NewSet(), map[uint32]bool{}
	for range rng.IntN(3) {
		lo := rng.Uint32N(300_000)
		hi := lo + rng.Uint32N(10_000)
		s.AddRange(uint64(lo), uint64(hi))
		for v := lo; v < hi; v++ {
			want[v] = true
		}
	}
	for range rng.IntN(2000) {
		v := rng.Uint32N(300_000)
		s.Add(v)
		want[v] = true
	}
	return s, want
}

func TestSetAlgebra(t *testing.T) {
	rng := newRand(t)
	for range 15 {
		a, inA := randSet(rng)
		b, inB := randSet(rng)
		kept := a.Clone()
		for name, c := range map[string]struct {
			got  *Set
			want func(v uint32) bool
		}{
			"and":    {a.Clone().And(b), func(v uint32) bool { return inA[v] && inB[v] }},
			"or":     {a.Clone().Or(b), func(v uint32) bool { return inA[v] || inB[v] }},
			"andnot": {a.Clone().AndNot(b), func(v uint32) bool { return inA[v] && !inB[v] }},
		} {
			var want []uint32
			for v := range uint32(320_000) {
				if c.want(v) {
					want = append(want, v)
				}
				if c.got.Contains(v) != c.want(v) {
					t.Fatalf("%s: contains %d: got %v, want %v", name, v, c.got.Contains(v), c.want(v))
				}
			}
			if got := slices.Collect(c.got.All); !slices.Equal(got, want) || c.got.Len() != len(want) || c.got.Empty() != (len(want) == 0) {
				t.Fatalf("%s: got %d members, len %d, want %d", name, len(got), c.got.Len(), len(want))
			}
		}
		if !a.Equal(kept) {
			t.Fatal("an operation on a clone changed the set")
		}
	}
}

func TestSetAllStops(t *testing.T) {
	n := 0
	for range Full(1000).All {
		if n++; n == 7 {
			break
		}
	}
	if n != 7 {
		t.Errorf("loop ran %d times, want 7", n)
	}
	if got := Full(100_000).Len(); got != 100_000 {
		t.Errorf("full set of 100000 has %d members", got)
	}
}
