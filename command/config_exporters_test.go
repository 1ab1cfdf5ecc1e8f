package command

import (
	"net/netip"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"weir/flow"
	"weir/flow/ledger"
	"weir/query"
	"weir/store"
)

const exampleExporters = `
exporters:
  only: known
  list:
    - name: border-1
      address: 198.51.100.1
      addresses: ["2001:db8::1", 198.51.100.1]
      group: core
      owner: Backbone
      contact: noc@example.net
      permission: none needed
      expected: true
      sampling: 1:1000
      active_timeout: 1m
    - {name: uni-a, sources: [192.0.2.0/28, 203.0.113.9], group: organisation, permission: DPA 2026-17}
    - {name: uni-a, address: "::ffff:203.0.113.10", sampling: 100}
    - {name: inside, address: 192.0.2.3}
`

func prefixes(texts ...string) []netip.Prefix {
	var list []netip.Prefix
	for _, one := range texts {
		list = append(list, netip.MustParsePrefix(one))
	}
	return list
}

var exampleKnown = ledger.Directory{
	{Name: "border-1", Sources: prefixes("198.51.100.1/32", "2001:db8::1/128"), Group: "core", Owner: "Backbone", Contact: "noc@example.net",
		Permission: "none needed", Expected: true, Sampling: 1000, ActiveTimeout: time.Minute},
	{Name: "uni-a", Sources: prefixes("192.0.2.0/28", "203.0.113.9/32", "203.0.113.10/32"), Group: "organisation", Permission: "DPA 2026-17", Sampling: 100},
	{Name: "inside", Sources: prefixes("192.0.2.3/32")},
}

func TestConfigExporters(t *testing.T) {
	const one = "{name: a, address: 192.0.2.1}"
	a := ledger.Directory{{Name: "a", Sources: prefixes("192.0.2.1/32")}}
	tests := []struct {
		text  string
		known ledger.Directory
		only  bool
	}{
		{exampleExporters, exampleKnown, true},
		{"exporters:\n  - " + one + "\n", a, false},
		{"exporters:\n  - only known\n  - " + one + "\n", a, true},
		{"exporters:\n  - " + one + "\n  - only known\n", a, true},
		{"exporters: {list: [" + one + "]}\n", a, false},
		{"exporters: only known\n", nil, true},
		{"exporters: {only: known}\n", nil, true},
		{"exporters: {list: [only known, " + one + "]}\n", a, true},
		{"exporters: [{name: a, sources: 192.0.2.1, expected: no, sampling: 1}]\n",
			ledger.Directory{{Name: "a", Sources: prefixes("192.0.2.1/32"), Sampling: 1}}, false},
	}
	for _, tt := range tests {
		c, err := parseConfig("weir.yaml", []byte(tt.text))
		if err != nil || !reflect.DeepEqual(c.Known, tt.known) || c.Only != tt.only {
			t.Errorf("%s:\n got %+v, %+v\nwant %+v, %v", tt.text, c, err, tt.known, tt.only)
		}
	}
}

func TestConfigExportersRefuses(t *testing.T) {
	const at = "exporters:\n  - {name: a, address: 192.0.2.1, sampling: 10}\n  - "
	tests := []struct{ text, want string }{
		{"exporters: known\n", "weir.yaml:1: exporters: neither a list of entries nor only: known with a list:"},
		{"exporters:\n  only: knwon\n", `weir.yaml:2: exporters: only: "knwon": exporters are refused that are not known; write only: known`},
		{"exporters:\n  ony: known\n", `weir.yaml:2: exporters: unknown key "ony"; did you mean "only"?`},
		{"exporters:\n  list: {}\n", "weir.yaml:2: exporters: list: not a list of entries"},
		{"exporters:\n  list:\n    - {name: b}\n", "weir.yaml:3: exporters: list: an exporter has an address and a name"},
		{"exporters:\n  - only unknown\n", "weir.yaml:2: exporters: an entry is keys and values"},
		{at + "{name: b, address: 192.0.2.0/24}\n", `weir.yaml:3: exporters: address: "192.0.2.0/24" is no address; sources: takes prefixes`},
		{at + "{name: b, address: fe80::1%eth0}\n", `weir.yaml:3: exporters: address: "fe80::1%eth0" is no address`},
		{at + "name: b\n    sources:\n      - 192.0.2.9\n      - 192.0.2.1/24\n", "weir.yaml:6: exporters: sources: 192.0.2.1/24 has bits beyond its length"},
		{at + "{name: b, sources: 192.0.2.1}\n", "weir.yaml:3: exporters: 192.0.2.1 is both a and b"},
		{at + "{name: A, address: 192.0.2.2}\n", "weir.yaml:3: exporters: A is also written a"},
		{at + "{name: a, address: 192.0.2.2, sampling: 20}\n", "weir.yaml:3: exporters: a: sampling was said otherwise in an earlier entry of this name"},
		{at + "{name: b, address: 192.0.2.2, sampling: 0}\n", `weir.yaml:3: exporters: sampling: "0" is no sampling interval`},
		{at + "{name: b, address: 192.0.2.2, sampling: 1:-1}\n", `weir.yaml:3: exporters: sampling: "1:-1" is no sampling interval`},
		{at + "{name: b, address: 192.0.2.2, active_timeout: 60}\n", `weir.yaml:3: exporters: active_timeout: "60" is not a span of time`},
		{at + "{name: b, address: 192.0.2.2, expected: maybe}\n", "weir.yaml:3: exporters: expected: neither true nor false"},
		{at + "{name: b, address: 192.0.2.2, group: the core}\n", `weir.yaml:3: exporters: group: "the core": a group is one word`},
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

// TestNamesOfSources checks that a name in a filter means every address that the
// exporter may send from, but not what belongs to another one.
func TestNamesOfSources(t *testing.T) {
	c, err := parseConfig("weir.yaml", []byte(exampleExporters))
	if err != nil {
		t.Fatal(err)
	}
	f, err := query.Parse("exporter uni-a", query.ParseOptions{Names: c.names()})
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{"192.0.2.0": true, "192.0.2.15": true, "192.0.2.3": false, "192.0.2.16": false,
		"203.0.113.10": true, "198.51.100.1": false} {
		a, err := flow.ParseAddr(text)
		if err != nil {
			t.Fatal(err)
		}
		var r flow.Record
		r.SetAddr(flow.Exporter, a)
		if got := f.Match(&r); got != want {
			t.Errorf("%v matches a record of %s: %v, want %v", f, text, got, want)
		}
		if got := c.Known.Find(a) != nil && c.Known.Find(a).Name == "uni-a"; got != want {
			t.Errorf("%s is uni-a: %v, want %v", text, got, want)
		}
	}
}

// TestKnownIsWrittenDown checks that a command without collector and
// configuration knows the exporters of the last collector.
func TestKnownIsWrittenDown(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	s, err := store.Open(dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []ledger.Directory{exampleKnown, exampleKnown[1:], nil} {
		if err := writeKnown(s, want); err != nil {
			t.Fatal(err)
		}
		if got, err := readKnown(s); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, %v, want %+v", got, err, want)
		}
	}
	if err := s.PutState(exportersKey, []byte("{")); err != nil {
		t.Fatal(err)
	}
	if got, err := readKnown(s); err == nil || got != nil {
		t.Errorf("what cannot be read gives %+v, %v", got, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
