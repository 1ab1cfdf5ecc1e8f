package command

import (
	"reflect"
	"strings"
	"testing"
)

func TestParseConfig(t *testing.T) {
	tests := []struct {
		text string
		want config
	}{
		{"", config{}},
		{"# nothing\n", config{}},
		{"---\n", config{}},
		{"data: /srv/weir\nretention: 30d\nlisten:\n  - netflow://:2055\n  - sflow://:6343\n",
			config{Data: "/srv/weir", Retention: "30d", Listen: []string{"netflow://:2055", "sflow://:6343"}}},
		{"listen: netflow://:2055\n", config{Listen: []string{"netflow://:2055"}}},
		{"listen: [netflow://:2055]\n", config{Listen: []string{"netflow://:2055"}}},
	}
	for _, tt := range tests {
		tt.want.Audit, tt.want.Socket = newConfig().Audit, newConfig().Socket
		got, err := parseConfig("weir.yaml", []byte(tt.text))
		if err != nil || !reflect.DeepEqual(*got, tt.want) {
			t.Errorf("parseConfig(%q) = %+v, %v, want %+v", tt.text, got, err, tt.want)
		}
	}
}

func TestParseConfigRefuses(t *testing.T) {
	tests := []struct{ text, want string }{
		{"data: x\nretension: 30d\n", `weir.yaml:2: unknown key "retension"; did you mean "retention"?`},
		{"data: x\n\nwhatever: 1\n", `weir.yaml:3: unknown key "whatever"; the keys are data, listen, forward, retention, max_disk, metrics, networks, exporters, scope, audit, holds, socket, tls, log, keep, mmdb`},
		{"data: x\ndata: y\n", "weir.yaml:2: data is given twice, first in line 1"},
		{"- data\n", "weir.yaml:1: not a list of keys and values"},
		{"data: [x]\n", "weir.yaml:1: data: line 1: cannot unmarshal !!seq into string"},
		{"listen: {a: b}\n", "weir.yaml:1: listen: "},
		{"data: x\n---\ndata: y\n", "weir.yaml: more than one document"},
		{"data: x\nlisten: 'x\n", "weir.yaml:2: "},
		{"data: x\n\tlisten: x\n", "weir.yaml:2: "},
		{"audit: {require: cse}\n", `weir.yaml:1: audit: require: no "cse"; it is case, reason or both`},
		{"audit:\n  keep: soon\n", `weir.yaml:2: audit: keep: "soon" is not a span of time`},
		{"audit: 90d\n", "weir.yaml:1: audit: not keys and values; the keys are require, keep"},
		{"socket: {mode: 0777}\n", `weir.yaml:1: socket: mode: "0777" is no mode of a socket`},
		{"socket:\n  owner: ana\n", `weir.yaml:2: socket: unknown key "owner"`},
	}
	for _, tt := range tests {
		_, err := parseConfig("weir.yaml", []byte(tt.text))
		if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("parseConfig(%q): got %v, want %s…", tt.text, err, tt.want)
			continue
		}
		if exitStatus(err) != exitUsage || strings.Contains(err.Error(), "\n") {
			t.Errorf("parseConfig(%q): error %q has status %d", tt.text, err, exitStatus(err))
		}
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add("data: x\nlisten: [a, b]\nretention: 3d\n")
	f.Add("a: &a [*a]\n")
	f.Add(exampleNames)
	f.Add(exampleExporters)
	f.Add(scopeExample)
	f.Add("networks: [{name: a, prefixes: [192.0.2.0/24, 192.0.2.0/24]}]\n")
	f.Add("networks: &n\n  - {name: a, prefixes: [192.0.2.0/24, 2001:db8::/32]}\n  - *n\n")
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := parseConfig("weir.yaml", []byte(text)); err != nil && exitStatus(err) != exitUsage {
			t.Errorf("%q: %v", text, err)
		}
	})
}

// TestConfigNamesTheLine: a value that flags take as well is refused with its line.
func TestConfigNamesTheLine(t *testing.T) {
	for _, key := range []string{"retention: soon", "max_disk: lots", "metrics: here", "listen: [ftp://:21]", "listen: []"} {
		name, _, _ := strings.Cut(key, ":")
		_, err := parseConfig("weir.yaml", []byte("# first\n\n"+key+"\n"))
		if err == nil || !strings.HasPrefix(err.Error(), "weir.yaml:3: "+name+": ") || strings.Count(err.Error(), name+":") > 1 {
			t.Errorf("%s: %v", key, err)
		}
	}
}
