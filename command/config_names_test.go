package command

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"weir/flow"
	"weir/query"
)

const exampleNames = `
networks:
  - name: uni-a
    prefixes: [192.0.2.0/24, 2001:db8:a::/48]
    owner: University A, network group
    contact: noc@uni-a.example
  - {prefix: 192.0.2.128/25, name: "Uni B, north"}
  - {prefix: 198.51.100.7, name: uni-a}
exporters:
  - {address: 192.0.2.1, name: border-1}
  - {address: "2001:db8::1", name: border-1}
mmdb: /srv/geo/country.mmdb
`

func TestConfigNames(t *testing.T) {
	c, err := parseConfig("weir.yaml", []byte(exampleNames))
	if err != nil {
		t.Fatal(err)
	}
	n := c.names()
	wantOrgs := []query.Organisation{{Name: "uni-a", Owner: "University A, network group", Contact: "noc@uni-a.example"}, {Name: "Uni B, north"}}
	if !reflect.DeepEqual(n.Organisations, wantOrgs) {
		t.Errorf("organisations %+v, want %+v", n.Organisations, wantOrgs)
	}
	if list, ok := n.Exporters.Addresses("Border-1"); !ok || list != "[192.0.2.1 2001:db8::1]" {
		t.Errorf("border-1 is %s, %v", list, ok)
	}
	if !reflect.DeepEqual(c.MMDB, []string{"/srv/geo/country.mmdb"}) {
		t.Errorf("mmdb %q", c.MMDB)
	}
	for text, want := range map[string]string{"192.0.2.1": "uni-a", "192.0.2.129": "Uni B, north", "198.51.100.7": "uni-a", "198.51.100.8": "",
		"2001:db8:a:1::1": "uni-a", "2001:db8:b::1": ""} {
		a, err := flow.ParseAddr(text)
		if got := n.Labels[query.KindOrg].NameOf(a); got != want || err != nil {
			t.Errorf("%s is of %q, want %q", text, got, want)
		}
	}
}

func TestConfigNamesRefuses(t *testing.T) {
	tests := []struct{ text, want string }{
		{"networks:\n  - name: a\n    prefx: 192.0.2.0/24\n", `weir.yaml:3: networks: unknown key "prefx"; did you mean "prefix"?`},
		{"networks:\n  - name: a\n    colour: red\n", `weir.yaml:3: networks: unknown key "colour"; the keys are name, prefix, prefixes, owner, contact`},
		{"networks:\n  - {name: a, name: b}\n", "weir.yaml:2: networks: name is given twice in one entry"},
		{"networks:\n  - name: a\n", "weir.yaml:2: networks: a has no prefixes"},
		{"networks:\n  - prefix: 192.0.2.0/24\n", "weir.yaml:2: networks: the entry has no name"},
		{"networks:\n  - name: a\n    prefixes:\n      - 192.0.2.0/24\n      - 192.0.2.0/33\n", `weir.yaml:5: networks: prefixes: "192.0.2.0/33" is no prefix`},
		{"networks:\n  - name: a\n    prefix: 192.0.2.1/24\n", "weir.yaml:3: networks: prefix: 192.0.2.1/24 has bits beyond its length; did you mean 192.0.2.0/24?"},
		{"networks:\n  - name: a\n    prefix: ::ffff:192.0.2.0/120\n", `weir.yaml:3: networks: prefix: "::ffff:192.0.2.0/120": write IPv4 prefixes as such`},
		{"networks:\n  - name: a\n    prefix: {x: y}\n", "weir.yaml:3: networks: prefix: not a text"},
		{"networks:\n  - name: 'a\"b'\n", `weir.yaml:2: networks: name: "a\"b": a name has no quotes`},
		{"networks:\n  - name: \"a\\u202eb\"\n", `weir.yaml:2: networks: name: "a\u202eb": a name has no quotes and nothing that cannot be printed`},
		{"networks:\n  - name: ''\n", `weir.yaml:2: networks: name: "" is empty`},
		{"networks:\n  - {name: a, prefix: 192.0.2.0/24}\n  - {name: b, prefix: 192.0.2.0/24}\n", "weir.yaml:3: networks: 192.0.2.0/24 is both a and b"},
		{"networks:\n  - {name: Uni, prefix: 192.0.2.0/24}\n  - {name: uni, prefix: 192.0.3.0/24}\n", "weir.yaml:3: networks: uni is also written Uni"},
		{"networks: {name: a}\n", "weir.yaml:1: networks: not a list of entries"},
		{"networks:\n  - a\n", "weir.yaml:2: networks: an entry is keys and values"},
		{"exporters:\n  - {name: a}\n", "weir.yaml:2: exporters: an exporter has an address and a name"},
		{"exporters:\n  - {name: a, address: b}\n", `weir.yaml:2: exporters: address: "b" is no address`},
		{"exporters:\n  - {name: 192.0.2.1, address: 192.0.2.1}\n", `weir.yaml:2: exporters: "192.0.2.1" is an address, not a name`},
		{"exporters:\n  - {name: a, address: 192.0.2.1}\n  - {name: b, address: 192.0.2.1}\n", "weir.yaml:3: exporters: 192.0.2.1 is both a and b"},
		{"mmdb: {a: b}\n", "weir.yaml:1: mmdb: not a text"},
	}
	for _, tt := range tests {
		_, err := parseConfig("weir.yaml", []byte(tt.text))
		if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("parseConfig(%q):\n got %v\nwant %s…", tt.text, err, tt.want)
			continue
		}
		if exitStatus(err) != exitUsage || strings.Contains(err.Error(), "\n") {
			t.Errorf("parseConfig(%q): error %q has status %d", tt.text, err, exitStatus(err))
		}
	}
}

// TestConfigOfThousands checks that the same prefix may come twice for one
// organisation, and that thousands are no trouble.
func TestConfigOfThousands(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	var b strings.Builder
	b.WriteString("networks:\n")
	for i := range 6000 {
		fmt.Fprintf(&b, "  - {name: org-%d, prefix: 10.%d.%d.0/24}\n", i%700, i/256, i%256)
	}
	b.WriteString("  - {name: org-0, prefix: 10.0.0.0/24}\n")
	c, err := parseConfig("weir.yaml", []byte(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	table := c.names().Labels[query.KindOrg]
	for range 2000 {
		i := rng.IntN(6000)
		a := flow.AddrFrom4(10<<24 | uint32(i/256)<<16 | uint32(i%256)<<8 | uint32(rng.IntN(256)))
		if got, want := table.NameOf(a), fmt.Sprintf("org-%d", i%700); got != want {
			t.Fatalf("%v is of %q, want %q", a, got, want)
		}
	}
}
