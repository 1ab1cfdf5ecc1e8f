package flow

import (
	"math/rand/v2"
	"net/netip"
	"testing"
)

func mustAddr(t *testing.T, s string) Addr {
	t.Helper()
	a, err := ParseAddr(s)
	if err != nil {
		t.Fatalf("ParseAddr(%q): %v", s, err)
	}
	return a
}

func TestAddrText(t *testing.T) {
	for _, s := range []string{"0.0.0.0", "192.0.2.1", "255.255.255.255", "::", "::1", "2001:db8::1", "fe80::1"} {
		if got := mustAddr(t, s).String(); got != s {
			t.Errorf("ParseAddr(%q).String() = %q", s, got)
		}
	}
	for _, s := range []string{"", "192.0.2", "192.0.2.256", "fe80::1%eth0", "host"} {
		if a, err := ParseAddr(s); err == nil {
			t.Errorf("ParseAddr(%q) = %v, want an error", s, a)
		}
	}
}

func TestAddrOrderIsNetips(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 1000 {
		var b, c [16]byte
		for i := range b {
			b[i], c[i] = byte(rng.Uint32()), byte(rng.Uint32())
		}
		if rng.IntN(2) == 0 {
			c = b
			c[rng.IntN(16)]++
		}
		want := netip.AddrFrom16(b).Compare(netip.AddrFrom16(c))
		x, y := AddrFrom16(b), AddrFrom16(c)
		if got := x.Compare(y); got != want || x.Less(y) != (want < 0) {
			t.Fatalf("%v against %v: Compare %d, Less %v, want %d", x, y, got, x.Less(y), want)
		}
	}
}

func TestPrefix(t *testing.T) {
	for _, c := range []struct {
		addr        string
		length      int
		first, last string
	}{
		{"192.0.2.130", 24, "192.0.2.0", "192.0.2.255"},
		{"192.0.2.130", 32, "192.0.2.130", "192.0.2.130"},
		{"192.0.2.130", 0, "0.0.0.0", "255.255.255.255"},
		{"2001:db8:1:2:3::9", 48, "2001:db8:1::", "2001:db8:1:ffff:ffff:ffff:ffff:ffff"},
		{"2001:db8::9", 64, "2001:db8::", "2001:db8::ffff:ffff:ffff:ffff"},
		{"2001:db8::9", 100, "2001:db8::", "2001:db8::fff:ffff"},
		{"2001:db8::9", 128, "2001:db8::9", "2001:db8::9"},
	} {
		p, err := PrefixFrom(mustAddr(t, c.addr), c.length)
		if err != nil {
			t.Fatalf("PrefixFrom(%s, %d): %v", c.addr, c.length, err)
		}
		first, last := mustAddr(t, c.first), mustAddr(t, c.last)
		if p.First != first || p.Last != last {
			t.Errorf("PrefixFrom(%s, %d) = %v-%v, want %v-%v", c.addr, c.length, p.First, p.Last, first, last)
		}
		if !p.Contains(first) || !p.Contains(last) || p.Contains(last.Next()) && c.length > 0 {
			t.Errorf("%s/%d does not contain just %v to %v", c.addr, c.length, first, last)
		}
		if got := mustAddr(t, c.addr).Mask(c.length); got != first {
			t.Errorf("Mask(%s, %d) = %v, want %v", c.addr, c.length, got, first)
		}
	}
	if _, err := PrefixFrom(AddrFrom4(1), 33); err == nil {
		t.Error("PrefixFrom(IPv4, 33): no error")
	}
	if _, err := PrefixFrom(Addr{1, 1}, 129); err == nil {
		t.Error("PrefixFrom(IPv6, 129): no error")
	}
	if _, err := PrefixFrom(Addr{1, 1}, -1); err == nil {
		t.Error("PrefixFrom(IPv6, -1): no error")
	}
}

// TestAppendAddr writes addresses as netip does.
func TestAppendAddr(t *testing.T) {
	for octet := range uint32(256) {
		for shift := 0; shift < 32; shift += 8 {
			a := AddrFrom4(0x0a63640a&^(0xff<<shift) | octet<<shift)
			if got, want := string(AppendAddr([]byte("x"), a)), "x"+a.Netip().String(); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		}
	}
	for _, text := range []string{"::", "::1", "2001:db8::ffff:1", "::fffe:1.2.3.4"} {
		a, err := ParseAddr(text)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := string(AppendAddr(nil, a)), a.Netip().String(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
