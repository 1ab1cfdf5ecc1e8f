package index

import (
	"math/rand/v2"
	"slices"
	"testing"

	"weir/flow"
)

// randValue returns values of all magnitudes, often close to each other.
func randValue(rng *rand.Rand) flow.Addr {
	switch rng.IntN(5) {
	case 0:
		return flow.AddrFrom4(rng.Uint32() >> rng.IntN(32))
	case 1:
		return flow.Addr{Lo: rng.Uint64() >> rng.IntN(64)}
	case 2:
		return flow.Addr{Hi: ^uint64(0), Lo: ^uint64(rng.IntN(10))}
	case 3:
		return flow.Addr{Hi: 0x20010db8 << 32, Lo: rng.Uint64N(1000)}
	}
	return flow.Addr{Hi: rng.Uint64() >> rng.IntN(64), Lo: rng.Uint64()}
}

func newRand(t testing.TB) *rand.Rand {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

func TestWide(t *testing.T) {
	rng := newRand(t)
	for range 10000 {
		want := randValue(rng)
		data := appendWide([]byte{9}, want)[1:]
		got, n := wide(append(slices.Clone(data), 0x55))
		if got != want || n != len(data) {
			t.Fatalf("wide(%x) = %v, %d, want %v, %d", data, got, n, want, len(data))
		}
		if _, n := wide(data[:len(data)-1]); n != 0 {
			t.Fatalf("wide of %x cut short read %d bytes", data, n)
		}
	}
	tooLong := append(slices.Repeat([]byte{0xff}, 18), 4)
	if _, n := wide(tooLong); n != 0 {
		t.Errorf("wide of 129 bits read %d bytes", n)
	}
}

func TestKeyOrder(t *testing.T) {
	rng := newRand(t)
	for range 1000 {
		a, b := randValue(rng), randValue(rng)
		ka, kb := appendKey(nil, flow.SrcAddr, a), appendKey(nil, flow.SrcAddr, b)
		if got, want := slices.Compare(ka, kb), a.Compare(b); got != want {
			t.Fatalf("keys of %v and %v compare %d, want %d", a, b, got, want)
		}
		if f, v, ok := parseKey(ka); f != flow.SrcAddr || v != a || !ok {
			t.Fatalf("parseKey(%x) = %v, %v, %v", ka, f, v, ok)
		}
	}
}

func TestNormalize(t *testing.T) {
	n := NumRange
	cases := []struct{ in, want []ValueRange }{
		{nil, nil},
		{[]ValueRange{n(5, 9)}, []ValueRange{n(5, 9)}},
		{[]ValueRange{n(5, 9), n(1, 3)}, []ValueRange{n(1, 3), n(5, 9)}},
		{[]ValueRange{n(1, 4), n(5, 9)}, []ValueRange{n(1, 9)}},
		{[]ValueRange{n(1, 4), n(3, 3), n(4, 6)}, []ValueRange{n(1, 6)}},
		{[]ValueRange{n(1, 9), n(3, 4), n(11, 12)}, []ValueRange{n(1, 9), n(11, 12)}},
		{[]ValueRange{n(9, 1), n(3, 4)}, []ValueRange{n(3, 4)}},
		{[]ValueRange{{Lo: flow.Addr{}, Hi: flow.Addr{Hi: ^uint64(0), Lo: ^uint64(0)}}, n(3, 4)},
			[]ValueRange{{Lo: flow.Addr{}, Hi: flow.Addr{Hi: ^uint64(0), Lo: ^uint64(0)}}}},
	}
	for _, c := range cases {
		if got := Normalize(c.in); !slices.Equal(got, c.want) {
			t.Errorf("Normalize(%v) = %v, want %v", c.in, got, c.want)
		}
	}
}
