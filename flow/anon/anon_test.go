package anon

import (
	"math/bits"
	"math/rand/v2"
	"testing"

	"weir/flow"
)

// sampleKey is that of the reference implementation's sample trace.
var sampleKey = []byte{
	21, 34, 23, 141, 51, 164, 207, 128, 19, 10, 91, 22, 73, 144, 125, 16,
	216, 152, 143, 131, 121, 121, 101, 39, 98, 87, 76, 45, 42, 132, 34, 2,
}

func addr(t *testing.T, text string) flow.Addr {
	t.Helper()
	a, err := flow.ParseAddr(text)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestVectors has the reference implementation's sample trace, and for IPv6,
// which that does not know, the values that independent implementations agree
// on.
func TestVectors(t *testing.T) {
	c, err := NewCryptoPAn(sampleKey)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range [][2]string{
		{"128.11.68.132", "135.242.180.132"}, {"129.118.74.4", "134.136.186.123"}, {"130.132.252.244", "133.68.164.234"},
		{"141.223.7.43", "141.167.8.160"}, {"141.233.145.108", "141.129.237.235"}, {"152.163.225.39", "151.140.114.167"},
		{"156.29.3.236", "147.225.12.42"}, {"165.247.96.84", "162.9.99.234"}, {"166.107.77.190", "160.132.178.185"},
		{"192.102.249.13", "252.138.62.131"}, {"192.215.32.125", "252.43.47.189"}, {"192.233.80.103", "252.25.108.8"},
		{"192.41.57.43", "252.222.221.184"}, {"193.150.244.223", "253.169.52.216"}, {"195.205.63.100", "255.186.223.5"},
		{"198.200.171.101", "249.199.68.213"}, {"216.35.217.178", "235.195.157.81"}, {"24.0.250.221", "100.15.198.226"},
		{"24.14.213.138", "100.1.42.141"}, {"38.15.67.68", "64.3.66.187"}, {"4.3.88.225", "124.60.155.63"},
		{"63.14.55.111", "95.9.215.7"}, {"64.14.118.196", "0.255.183.58"}, {"64.39.15.238", "0.219.7.41"},
		{"10.185.25.118", "117.161.29.118"},
		{"::1", "78ff:f001:9fc0:20df:8380:b1f1:704:ed"}, {"::2", "78ff:f001:9fc0:20df:8380:b1f1:704:ef"},
		{"::ffff", "78ff:f001:9fc0:20df:8380:b1f1:704:f838"},
		{"2001:db8::1", "4401:2bc:603f:d91d:27f:ff8e:e6f1:dc1e"}, {"2001:db8::2", "4401:2bc:603f:d91d:27f:ff8e:e6f1:dc1c"},
	} {
		for range 2 { // the second from memory
			if got := c.Addr(addr(t, v[0])); got != addr(t, v[1]) {
				t.Errorf("%s: got %v, want %s", v[0], got, v[1])
			}
		}
	}
}

// common returns how many first bits two addresses share.
func common(a, b flow.Addr) int {
	if n := bits.LeadingZeros64(a.Hi ^ b.Hi); n < 64 {
		return n
	}
	return 64 + bits.LeadingZeros64(a.Lo^b.Lo)
}

func TestPrefixesAreKept(t *testing.T) {
	c, err := NewCryptoPAn(sampleKey)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		a := flow.AddrFrom4(r.Uint32())
		b := flow.AddrFrom4(a.As4() ^ r.Uint32()>>r.IntN(32))
		if r.IntN(2) == 0 {
			a = flow.Addr{Hi: 1<<61 | r.Uint64()>>3, Lo: r.Uint64()}
			b = flow.Addr{Hi: a.Hi, Lo: a.Lo ^ r.Uint64()>>r.IntN(64)}
		}
		x, y := c.Addr(a), c.Addr(b)
		if common(x, y) != common(a, b) || x.Is4() != a.Is4() {
			t.Fatalf("%v and %v became %v and %v", a, b, x, y)
		}
	}
}

func TestTruncate(t *testing.T) {
	for _, test := range []struct {
		cut      Truncate
		in, want string
	}{
		{Truncate{24, 56}, "192.0.2.77", "192.0.2.0"}, {Truncate{24, 56}, "2001:db8:1:2ff::7", "2001:db8:1:200::"},
		{Truncate{0, 0}, "192.0.2.77", "0.0.0.0"}, {Truncate{0, 0}, "2001:db8::1", "::"},
		{Truncate{32, 128}, "192.0.2.77", "192.0.2.77"}, {Truncate{32, 128}, "2001:db8::1", "2001:db8::1"},
		{Truncate{32, 64}, "2001:db8::1:0:0:1", "2001:db8::"},
	} {
		if got := test.cut.Addr(addr(t, test.in)); got != addr(t, test.want) {
			t.Errorf("%v of %s: got %v, want %s", test.cut, test.in, got, test.want)
		}
	}
}

func TestKeySize(t *testing.T) {
	for _, n := range []int{0, 16, 31, 33} {
		if _, err := NewCryptoPAn(make([]byte, n)); err == nil {
			t.Errorf("a key of %d bytes was taken", n)
		}
	}
}

// go test ./flow/anon -run '^$' -bench .
func BenchmarkCryptoPAn(b *testing.B) {
	c, err := NewCryptoPAn(sampleKey)
	if err != nil {
		b.Fatal(err)
	}
	for i := range b.N {
		c.Addr(flow.AddrFrom4(uint32(i) * 2654435761))
	}
}
