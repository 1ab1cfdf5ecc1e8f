package mmdb

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weir/command/mmdb/mmdbtest"
	"weir/flow"
)

func open(t testing.TB, name string) *File {
	t.Helper()
	f, err := Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func addr(t testing.TB, text string) flow.Addr {
	t.Helper()
	a, err := flow.ParseAddr(text)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestFind(t *testing.T) {
	countries := open(t, mmdbtest.Write(t, "192.0.2.0/24", mmdbtest.Country("CH"), "192.0.2.128/25", mmdbtest.Country("DE"), "2001:db8::/32", mmdbtest.Country("FR"),
		"198.51.100.0/24", map[string]any{"registered_country": map[string]any{"iso_code": "US"}}))
	names := open(t, mmdbtest.Write(t, "192.0.2.0/24", mmdbtest.AS(64496, "Example Network, north"), "2001:db8::/33", mmdbtest.AS(64497, "Ex")))
	other := open(t, mmdbtest.Write(t, "192.0.2.0/24", map[string]any{"country": "AT", "as_name": "Other"}))
	tests := []struct {
		file *File
		kind Kind
		addr string
		want string
	}{
		{countries, Country, "192.0.2.1", "CH"}, {countries, Country, "192.0.2.129", "DE"}, {countries, Country, "192.0.3.1", ""},
		{countries, Country, "2001:db8:ffff::1", "FR"}, {countries, Country, "2001:db9::1", ""}, {countries, Country, "198.51.100.9", "US"},
		{countries, ASName, "192.0.2.1", ""}, {names, ASName, "192.0.2.200", "Example Network, north"},
		{names, ASName, "2001:db8:8000::1", ""}, {names, ASName, "2001:db8::1", "Ex"}, {names, Country, "192.0.2.1", ""},
		{other, Country, "192.0.2.1", "AT"}, {other, ASName, "192.0.2.1", "Other"},
		{names, ASN, "192.0.2.200", "64496"}, {names, ASN, "2001:db8::1", "64497"}, {names, ASN, "192.0.3.1", ""}, {countries, ASN, "192.0.2.1", ""},
	}
	for _, tt := range tests {
		if got, err := tt.file.Find(tt.kind, addr(t, tt.addr)); got != tt.want || err != nil {
			t.Errorf("Find(%d, %s) = %q, %v, want %q", tt.kind, tt.addr, got, err, tt.want)
		}
	}
	for _, tt := range []struct {
		file        *File
		country, as bool
	}{{countries, true, false}, {names, false, true}, {other, true, true}} {
		if tt.file.Knows(Country) != tt.country || tt.file.Knows(ASName) != tt.as {
			t.Errorf("%+v: knows countries %v, names of AS %v", tt, tt.file.Knows(Country), tt.file.Knows(ASName))
		}
	}
}

func TestAllIsFind(t *testing.T) {
	f := open(t, mmdbtest.Write(t, "10.0.0.0/8", mmdbtest.Country("CH"), "10.1.0.0/16", mmdbtest.Country("DE"), "10.1.2.3/32", mmdbtest.Country("FR"), "2001:db8::/32", mmdbtest.Country("FR"),
		"2001:db8:1::/48", mmdbtest.Country("CH")))
	var all []flow.Prefix
	err := f.All(Country, func(p flow.Prefix, text string) {
		for _, a := range []flow.Addr{p.First, p.Last} {
			if got, err := f.Find(Country, a); got != text || err != nil {
				t.Errorf("%v is in %q by All, in %q by Find, %v", a, text, got, err)
			}
		}
		for _, other := range all {
			if other.Contains(p.First) || p.Contains(other.First) {
				t.Errorf("%v overlaps %v", p, other)
			}
		}
		all = append(all, p)
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"10.0.0.0", "10.1.2.2", "10.1.2.3", "10.255.255.255", "2001:db8::", "2001:db8:1::7"} {
		found := false
		for _, p := range all {
			found = found || p.Contains(addr(t, text))
		}
		if !found {
			t.Errorf("no network of All holds %s", text)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte("no database\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{text, filepath.Join(dir, "missing"), dir} {
		if _, err := Open(name); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("Open(%s): %v", name, err)
		}
	}
	if _, err := Open(mmdbtest.Write(t, "192.0.2.0/24", map[string]any{"city": "Bern"})); !errors.Is(err, ErrKnowsNothing) {
		t.Errorf("a file of cities: %v", err)
	}
}

// TestDamage checks that bytes that are wrong or missing are an error or another
// answer, and no more than that.
func TestDamage(t *testing.T) {
	whole := mmdbtest.Bytes("192.0.2.0/24", mmdbtest.Country("CH"), "2001:db8::/32", mmdbtest.AS(1, "a"))
	rng := rand.New(rand.NewPCG(1, 2))
	name := filepath.Join(t.TempDir(), "damaged.mmdb")
	for range 1500 {
		data := bytes.Clone(whole)
		for range 1 + rng.IntN(3) {
			data[rng.IntN(len(data))] = byte(rng.Uint32())
		}
		if rng.IntN(4) == 0 {
			data = data[:rng.IntN(len(data))]
		}
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := Open(name)
		if err != nil {
			continue
		}
		_, _ = f.Find(Country, flow.AddrFrom4(0xc0000201)) // an error is fine
		_ = f.All(ASName, func(flow.Prefix, string) {})
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}
