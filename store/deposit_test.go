package store

import (
	"math/bits"
	"math/rand/v2"
	"testing"
)

// TestDeposit compares deposit with moving one bit after the other, over masks of
// all densities.
func TestDeposit(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 5))
	for range 20_000 {
		mask, w := uint64(0), rng.Uint64()
		for places := rng.IntN(65); bits.OnesCount64(mask) < places; {
			mask |= 1 << rng.IntN(64)
		}
		want, next := uint64(0), w
		for i := range 64 {
			if mask>>i&1 != 0 {
				want |= next & 1 << i
				next >>= 1
			}
		}
		if got := deposit(w, mask); got != want {
			t.Fatalf("deposit(%#x, %#x) = %#x, want %#x", w, mask, got, want)
		}
	}
}

// TestSpansOf compares runs of bits with the bits.
func TestSpansOf(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 5))
	few := 0
	for range 20_000 {
		words := make([]uint64, 1+rng.IntN(4))
		for range rng.IntN(6) {
			from := rng.IntN(64 * len(words))
			for i := from; i < min(from+1+rng.IntN(100), 64*len(words)); i++ {
				words[i>>6] |= 1 << (i & 63)
			}
		}
		var want []span
		for i := range 64 * len(words) {
			if words[i>>6]>>(i&63)&1 == 0 {
				continue
			}
			if n := len(want); n > 0 && want[n-1].hi == uint64(i)-1 {
				want[n-1].hi++
			} else {
				want = append(want, span{uint64(i), uint64(i)})
			}
		}
		got, ok := spansOf(words)
		if ok != (len(want) <= maxSpans) {
			t.Fatalf("spansOf(%x) is ok: %v, with %d runs", words, ok, len(want))
		}
		if !ok {
			continue
		}
		few++
		if len(got) != len(want) {
			t.Fatalf("spansOf(%x) = %v, want %v", words, got, want)
		}
		for i := range got {
			if got[i] != want[i] {
				t.Fatalf("spansOf(%x) = %v, want %v", words, got, want)
			}
		}
	}
	if few == 0 {
		t.Error("none has few runs")
	}
}

// TestTellSpan compares what planes say of spans with the values, for planes of
// any number, some of them sparse, and spans at and around the values.
func TestTellSpan(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 5))
	scratch := new(room)
	sparse := 0
	for range 600 {
		values := make([]uint64, 1+rng.IntN(500))
		wide := ^uint64(0) >> rng.IntN(64)
		for i := range values {
			if values[i] = rng.Uint64() & wide; rng.IntN(8) != 0 {
				values[i] &= 0xff << (8 * rng.IntN(8))
			}
		}
		p := planesOf(values, 0)
		if p.width == 0 || !p.ascends() {
			continue
		}
		for k := range p.width {
			sparse += boolInt(p.plane[k] == nil)
		}
		told := make([]uint64, (len(values)+63)/64)
		for range 20 {
			near := func() uint64 { return values[rng.IntN(len(values))] + uint64(rng.IntN(3)) - 1 }
			lo, hi := near(), near()
			if lo > hi || rng.IntN(4) == 0 {
				hi = lo
			}
			p.tellSpans(told, []span{{lo, hi}}, scratch)
			for i, v := range values {
				if got := told[i>>6]>>(i&63)&1 != 0; got != (v >= lo && v <= hi) {
					t.Fatalf("%d planes over %d: value %d is from %d to %d: %v", p.width, p.base, v, lo, hi, got)
				}
			}
		}
	}
	if sparse == 0 {
		t.Error("no plane is sparse")
	}
}
