package flow

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

func mustPrefix(t testing.TB, text string, length int) Prefix {
	t.Helper()
	a, err := ParseAddr(text)
	if err != nil {
		t.Fatal(err)
	}
	p, err := PrefixFrom(a, length)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPrefixSet(t *testing.T) {
	set := NewPrefixSet([]Prefix{
		mustPrefix(t, "192.0.2.0", 25), mustPrefix(t, "192.0.2.128", 25), mustPrefix(t, "10.0.0.0", 8), mustPrefix(t, "10.1.0.0", 16),
		mustPrefix(t, "255.255.255.255", 32), mustPrefix(t, "2001:db8::", 32), mustPrefix(t, "2001:db8:1::", 48), mustPrefix(t, "fe80::", 10),
	})
	for text, want := range map[string]bool{
		"192.0.1.255": false, "192.0.2.0": true, "192.0.2.127": true, "192.0.2.128": true, "192.0.2.255": true, "192.0.3.0": false,
		"9.255.255.255": false, "10.0.0.0": true, "10.1.255.255": true, "10.255.255.255": true, "11.0.0.0": false,
		"0.0.0.0": false, "255.255.255.254": false, "255.255.255.255": true,
		"2001:db7:ffff::": false, "2001:db8::": true, "2001:db8:ffff:ffff::1": true, "2001:db9::": false, "::": false, "febf::1": true, "ff00::": false,
	} {
		a, err := ParseAddr(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := set.Contains(a); got != want {
			t.Errorf("Contains(%s) is %v, want %v", text, got, want)
		}
	}
	all6 := NewPrefixSet([]Prefix{mustPrefix(t, "::", 0)})
	if all6.Contains(AddrFrom4(0x0a000001)) || !all6.Contains(Addr{Hi: 1}) || !all6.Contains(Addr{^uint64(0), ^uint64(0)}) {
		t.Error("::/0 is not all IPv6 addresses and no IPv4 address")
	}
	all4 := NewPrefixSet([]Prefix{mustPrefix(t, "0.0.0.0", 0)})
	if !all4.Contains(AddrFrom4(0)) || !all4.Contains(AddrFrom4(^uint32(0))) || all4.Contains(Addr{}) {
		t.Error("0.0.0.0/0 is not all IPv4 addresses and no IPv6 address")
	}
	if empty := NewPrefixSet(nil); !empty.Empty() || all4.Empty() || all6.Empty() || empty.Contains(AddrFrom4(0)) || empty.Contains(Addr{}) {
		t.Error("the set of no prefix is not empty")
	}
}

// TestPrefixSetIsNaive compares the set with a look at every prefix, near the
// ends of the prefixes above all.
func TestPrefixSetIsNaive(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 1))
	for _, n := range []int{1, 3, 8, 9, 40, 2000} {
		var list []Prefix
		for range n {
			a := AddrFrom4(0x0a000000 | rng.Uint32()>>8)
			length := 10 + rng.IntN(23)
			switch rng.IntN(4) {
			case 0:
				a = AddrFrom4(rng.Uint32())
			case 1:
				a, length = Addr{0x20010db8<<32 | rng.Uint64()>>44, rng.Uint64()}, 33+rng.IntN(96)
			}
			p, err := PrefixFrom(a, length)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, p)
		}
		set := NewPrefixSet(list)
		for range 20000 {
			p := list[rng.IntN(n)]
			a := p.First
			if rng.IntN(2) == 0 {
				a = p.Last
			}
			switch rng.IntN(4) {
			case 0:
				a = a.Next()
			case 1:
				if a.Lo--; a.Lo == ^uint64(0) {
					a.Hi--
				}
			case 2:
				a = AddrFrom4(rng.Uint32())
			}
			want := false
			for _, p := range list {
				want = want || p.Contains(a)
			}
			if got := set.Contains(a); got != want {
				t.Fatalf("seed %d: of %d prefixes: Contains(%v) is %v, want %v", seed, n, a, got, want)
			}
		}
	}
}

// BenchmarkPrefixSet asks for addresses of which half are of the set.
//
//	go test ./flow -run '^$' -bench PrefixSet
func BenchmarkPrefixSet(b *testing.B) {
	for _, n := range []int{8, 1000, 6000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			rng := rand.New(rand.NewPCG(1, 2))
			var list []Prefix
			for i := range n {
				list = append(list, mustPrefix(b, fmt.Sprintf("%d.%d.%d.0", 130+i%8, i/7%256, 2*i%256), 24))
			}
			set := NewPrefixSet(list)
			asked := make([]Addr, 1<<14)
			for i := range asked {
				asked[i] = AddrFrom4(rng.Uint32())
				if i%2 == 0 {
					p := list[rng.IntN(n)]
					asked[i] = AddrFrom4(p.First.As4() | rng.Uint32()&255)
				}
			}
			rng.Shuffle(len(asked), func(i, j int) { asked[i], asked[j] = asked[j], asked[i] })
			in := 0
			for i := 0; b.Loop(); i++ {
				if set.Contains(asked[i&(1<<14-1)]) {
					in++
				}
			}
		})
	}
}
