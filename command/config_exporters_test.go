package command

import (
	"context"
	"net/netip"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/urfave/cli/v2"

	"weir/collector"
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
	if err := writeKnown(s, exampleKnown[:1]); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	std, _, errs := testStd()
	app := &cli.App{Metadata: map[string]any{namingKey: &naming{config: &config{Known: exampleKnown}}}}
	for name, wrap := range map[string]func(runner) runner{
		"of the collector": func(run runner) runner { return run },
		"of --config":      func(run runner) runner { return withKnown(cli.NewContext(app, nil, nil), run) },
	} {
		want := exampleKnown[:1]
		if name == "of --config" {
			want = exampleKnown
		}
		err := wrap(func(ctx context.Context, std *Std) error {
			b, err := openBackend(ctx, dir, modeRead, std)
			if err != nil {
				return err
			}
			if got := b.(*audited).known; !reflect.DeepEqual(got, want) {
				t.Errorf("%s: got %+v, want %+v", name, got, want)
			}
			return b.Close()
		})(t.Context(), std)
		if err != nil || errs.Len() > 0 {
			t.Errorf("%s: %v, %s", name, err, errs)
		}
	}
}

func TestConfigScope(t *testing.T) {
	const before = "networks: [{name: a, prefix: 192.0.2.0/24}]\nexporters:\n  - {name: x, address: 192.0.2.1, group: core}\n  - {name: y, address: 192.0.2.2, group: organisation}\n"
	for _, tt := range []struct {
		text string
		want scopeConfig
		sets bool
	}{
		{before + "scope: {}\n", scopeConfig{Keep: 7 * 24 * time.Hour}, false},
		{before + "scope: {default: refuse, quarantine: 12h}\n", scopeConfig{Default: collector.Refuse, Keep: 12 * time.Hour}, false},
		{"scope: {groups: {core: keep, organisation: quarantine}}\n" + before,
			scopeConfig{Groups: map[string]collector.Treatment{"core": collector.Keep, "organisation": collector.SetAside}, Keep: 7 * 24 * time.Hour}, true},
		{before + "scope: {default: quarantine}\n", scopeConfig{Default: collector.SetAside, Keep: 7 * 24 * time.Hour}, true},
	} {
		c, err := parseConfig("weir.yaml", []byte(tt.text))
		if err != nil {
			t.Errorf("%s: %v", tt.text, err)
			continue
		}
		got := c.Scope
		if got.Default != tt.want.Default || got.Keep != tt.want.Keep || len(got.Groups) != len(tt.want.Groups) || c.setsAside() != tt.sets {
			t.Errorf("%s: got %+v, want %+v", tt.text, got, tt.want)
		}
		for group, want := range tt.want.Groups {
			if got.Groups[group] != want {
				t.Errorf("%s: %s is %v, want %v", tt.text, group, got.Groups[group], want)
			}
		}
	}
	c, err := parseConfig("weir.yaml", []byte(before))
	if err != nil || c.Scope != nil || c.setsAside() {
		t.Errorf("without scope: got %+v, %v", c, err)
	}
	if s := c.scope(nil); s == nil || !s.Implied || s.Default != collector.Keep || s.Usual("core") {
		t.Errorf("networks alone: got %+v, want what is not theirs counted and kept", s)
	}
	if c, err := parseConfig("weir.yaml", []byte("data: x\n")); err != nil || c.scope(nil) != nil {
		t.Errorf("without networks: got %+v, %v", c.scope(nil), err)
	}
}

// A scope may say what becomes of the usual groups before an exporter is of them.
func TestConfigScopeOfUsualGroups(t *testing.T) {
	const text = "networks: [{name: a, prefix: 192.0.2.0/24}]\nscope: {groups: {core: keep, regional: keep, external: refuse, organisation: quarantine}}\n"
	if c, err := parseConfig("weir.yaml", []byte(text)); err != nil || len(c.Scope.Groups) != 4 {
		t.Errorf("parseConfig: %+v, %v", c, err)
	}
}

func TestConfigScopeRefuses(t *testing.T) {
	const before = "networks: [{name: a, prefix: 192.0.2.0/24}]\nexporters: [{name: x, address: 192.0.2.1, group: organisation}]\nscope:\n"
	tests := []struct{ text, want string }{
		{"scope:\n  default: keep\n", "weir.yaml:2: scope: there are no networks: to compare records with"},
		{"scope: keep\n", "weir.yaml:1: scope: not keys and values; the keys are default, groups, quarantine"},
		{before + "  defualt: keep\n", `weir.yaml:4: scope: unknown key "defualt"; did you mean "default"?`},
		{before + "  default: drop\n", `weir.yaml:4: scope: default: no treatment "drop"; it is one of keep, quarantine, refuse`},
		{before + "  groups:\n    organisation: refused\n", `weir.yaml:5: scope: groups: organisation: no treatment "refused"; did you mean "refuse"?`},
		{before + "  groups:\n    organization: refuse\n", `weir.yaml:5: scope: groups: no exporter is of group "organization"; did you mean "organisation"?`},
		{before + "  groups:\n    organisation: refuse\n    organisation: keep\n", "weir.yaml:6: scope: groups: organisation is given twice"},
		{before + "  groups:\n    '': refuse\n", "weir.yaml:5: scope: groups: a group is one word"},
		{before + "  groups: refuse\n", "weir.yaml:4: scope: groups: not keys and values"},
		{before + "  quarantine: 30m\n", "weir.yaml:4: scope: quarantine: 30m is less than an hour"},
		{before + "  quarantine: 7\n", `weir.yaml:4: scope: quarantine: "7" is not a span of time`},
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
