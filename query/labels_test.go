package query

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"

	"weir/flow"
)

// randomPrefixes returns n prefixes that often nest, of both families.
func randomPrefixes(rng *rand.Rand, n int) []LabelledPrefix {
	list := make([]LabelledPrefix, n)
	for i := range list {
		a, width := randomNear(rng), 128
		if a.Is4() {
			width = 32
		}
		length := rng.IntN(width + 1)
		if rng.IntN(2) == 0 {
			length = width - rng.IntN(12)
		}
		p, err := flow.PrefixFrom(a, length)
		if err != nil {
			panic(err)
		}
		list[i] = LabelledPrefix{p, fmt.Sprintf("org-%d", rng.IntN(1+n/3))}
	}
	return list
}

// randomNear returns an address out of few that are close to each other, or out
// of all.
func randomNear(rng *rand.Rand) flow.Addr {
	switch rng.IntN(6) {
	case 0:
		return flow.AddrFrom4(rng.Uint32())
	case 1:
		return flow.Addr{Hi: rng.Uint64(), Lo: rng.Uint64()}
	case 2:
		return flow.Addr{Hi: 0x2001_0db8_0000_0000, Lo: uint64(rng.IntN(1 << 12))}
	case 3: // around the place of the IPv4 addresses among the others
		return flow.Addr{Lo: 0xffff_0000_0000 - 20 + uint64(rng.IntN(40))}
	case 4:
		return flow.Addr{Lo: 0xffff_ffff_ffff - 20 + uint64(rng.IntN(40))}
	}
	return flow.AddrFrom4(0x0a00_0000 | uint32(rng.IntN(1<<12)))
}

// naiveName returns the name of the longest prefix that an address lies in, of
// equal ones the last.
func naiveName(prefixes []LabelledPrefix, a flow.Addr) string {
	name, best := "", flow.Prefix{}
	for _, p := range prefixes {
		if !p.Contains(a) || p.First.Is4() != a.Is4() {
			continue
		}
		if name == "" || !p.First.Less(best.First) && !best.Last.Less(p.Last) {
			name, best = p.Name, p.Prefix
		}
	}
	return name
}

func TestLabelsAreTheLongestMatch(t *testing.T) {
	for _, seed := range seeds(12) {
		rng := rand.New(rand.NewPCG(seed, 1))
		prefixes := randomPrefixes(rng, 1+rng.IntN(2500))
		l := NewLabels(prefixes)
		if err := l.check(); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		probe := func(a flow.Addr) {
			if got, want := l.NameOf(a), naiveName(prefixes, a); got != want {
				t.Fatalf("seed %d: name of %v: got %q, want %q", seed, a, got, want)
			}
		}
		for range 1500 {
			probe(randomNear(rng))
		}
		for _, p := range prefixes[:min(len(prefixes), 300)] {
			for _, a := range []flow.Addr{p.First, p.Last, before(p.First), p.Last.Next()} {
				probe(a)
			}
		}
		if seed%4 == 0 {
			checkLabelRanges(t, rng, l)
		}
	}
}

// checkLabelRanges checks that the ranges of a name hold exactly the addresses
// that have it, each range of one family, and that JSON gives the table back.
func checkLabelRanges(t *testing.T, rng *rand.Rand, l *Labels) {
	t.Helper()
	for _, name := range l.Names()[:min(len(l.names), 20)] {
		ranges, ok := l.named(name)
		if !ok {
			t.Fatalf("no addresses of %q", name)
		}
		for range 200 {
			a := randomNear(rng)
			if got, want := inAddrs(ranges, a), l.NameOf(a) == name; got != want {
				t.Fatalf("ranges of %q hold %v: %v, want %v", name, a, got, want)
			}
		}
		for _, r := range ranges {
			if r.lo.Is4() != r.hi.Is4() {
				t.Fatalf("range %v to %v is of two families", r.lo, r.hi)
			}
		}
	}
	data, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	var back Labels
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	for range 500 {
		if a := randomNear(rng); back.NameOf(a) != l.NameOf(a) {
			t.Fatalf("after JSON the name of %v is %q, want %q", a, back.NameOf(a), l.NameOf(a))
		}
	}
}

func TestLabelsOfNothing(t *testing.T) {
	l := NewLabels(nil)
	if got := l.NameOf(flow.AddrFrom4(1)); got != "" {
		t.Errorf("got name %q", got)
	}
	if f, err := Parse(l.Filter(), ParseOptions{}); err != nil || f.Match(new(flow.Record)) {
		t.Errorf("the filter of no names: %q, %v", l.Filter(), err)
	}
}

func TestLabelsRefuseBadJSON(t *testing.T) {
	for _, text := range []string{`{"names":["b","a"]}`, `{"names":["a"],"ranges":"AAAA"}`, `{"ranges":5}`, `[]`} {
		if err := json.Unmarshal([]byte(text), new(Labels)); err == nil {
			t.Errorf("%s is taken", text)
		}
	}
}
