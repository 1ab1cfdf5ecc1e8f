package ledger

import (
	"net/netip"
	"testing"

	"weir/flow"
)

func TestDirectory(t *testing.T) {
	d := Directory{
		{Name: "core", Sources: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32")}},
		{Name: "edge", Sources: []netip.Prefix{netip.MustParsePrefix("192.0.2.7/32")}},
	}
	for _, test := range []struct{ addr, want string }{
		{"192.0.2.1", "core"}, {"192.0.2.7", "edge"}, {"2001:db8::7", "core"}, {"198.51.100.1", ""}, {"::", ""},
	} {
		addr, err := flow.ParseAddr(test.addr)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if k := d.Find(addr); k != nil {
			got = k.Name
		}
		if got != test.want {
			t.Errorf("%s: got %q, want %q", test.addr, got, test.want)
		}
	}
}
