package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/urfave/cli/v2"
)

// testNow is the time of all tests that ask for one.
var testNow = time.Date(2026, 11, 22, 14, 3, 5, 0, time.UTC)

// testStd returns standard files in memory.
func testStd() (std *Std, out, errs *bytes.Buffer) {
	out, errs = new(bytes.Buffer), new(bytes.Buffer)
	return &Std{
		In: strings.NewReader(""), Out: out, Err: errs,
		Now: func() time.Time { return testNow }, Getenv: func(string) string { return "" },
	}, out, errs
}

func TestParseArgs(t *testing.T) {
	tests := []struct {
		args string
		want string
	}{
		{"query", "weir query --"},
		{"query|port 53", "weir query -- port 53"},
		{"query|port 53|--last|2h", "weir query --last=2h -- port 53"},
		{"query|--last|2h|port 53", "weir query --last=2h -- port 53"},
		{"query|--last=2h|port|53", "weir query --last=2h -- port|53"},
		{"query|port|--last|2h|53", "weir query --last=2h -- port|53"},
		{"--data|X|query|port 53", "weir query --data=X -- port 53"},
		{"--data=X|query|port 53", "weir query --data=X -- port 53"},
		{"query|port 53|--data|X", "weir query --data=X -- port 53"},
		{"--last|2h|query|any", "weir query --last=2h -- any"},
		{"query|-last|2h", "weir query --last=2h --"},
		{"query|-o|json|-n|5", "weir query --output=json|--limit=5 --"},
		{"query|-ojson|-n5", "weir query --output=json|--limit=5 --"},
		{"query|-o=json|-n=5", "weir query --output=json|--limit=5 --"},
		{"query|--count|any", "weir query --count=true -- any"},
		{"query|--count=false|any", "weir query --count=false -- any"},
		{"query|bytes|>|-5", "weir query -- bytes|>|-5"},
		{"query|--from|-2h", "weir query --from=-2h --"},
		{"query|--order|-bytes|any", "weir query --order=-bytes -- any"},
		{"query|--|--last|2h", "weir query -- --last|2h"},
		{"query|--|-x", "weir query -- -x"},
		{"--|query|any", "weir query -- any"},
		{"query|-n|5|--|--|a", "weir query --limit=5 -- --|a"},
		{"import|-", "weir import -- -"},
		{"import|-|--data|X", "weir import --data=X -- -"},
		{"query|-f|-", "weir query --file=- --"},
		{"query|--data=", "weir query --data= --"},
		{"query|--fields=a=b", "weir query --fields=a=b --"},
		{"query|", "weir query -- "},
		{"collect|--listen|netflow://:1|--listen|sflow://:2", "weir collect --listen=netflow://:1|--listen=sflow://:2 --"},
		{"collect|--listen|netflow://127.0.0.1:1,2", "weir collect --listen=netflow://127.0.0.1:1,2 --"},
		{"retention", "weir retention --"},
		{"retention|confirm", "weir retention confirm --"},
		{"retention|--data|X|confirm", "weir retention confirm --data=X --"},
		{"--data|X|retention|confirm|-o|json", "weir retention confirm --data=X|--output=json --"},
		{"query|--help", "help query"},
		{"--help|query", "help query"},
		{"query|any|-h", "help query"},
		{"--help", "help "},
		{"-h", "help "},
		{"--version", "version"},
		{"query|--version", "version"},
		{"", "none"},
	}
	for _, tt := range tests {
		in, err := parseArgs(commands(), splitArgs(tt.args))
		if err != nil {
			t.Errorf("parseArgs(%q): %v", tt.args, err)
			continue
		}
		if got := showInvocation(in); got != tt.want {
			t.Errorf("parseArgs(%q)\n got %s\nwant %s", tt.args, got, tt.want)
		}
	}
}

func splitArgs(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, "|")
}

// showInvocation writes flags and arguments with bars between them.
func showInvocation(in *invocation) string {
	switch {
	case in.help:
		return "help " + in.name()
	case in.version:
		return "version"
	case len(in.path) == 0:
		return "none"
	}
	argv := in.argv()
	words := argv[1+len(in.path):]
	end := slices.Index(words, "--")
	text := "weir " + in.name()
	if end > 0 {
		text += " " + strings.Join(words[:end], "|")
	}
	text += " --"
	if len(words) > end+1 {
		text += " " + strings.Join(words[end+1:], "|")
	}
	return text
}

func TestParseArgsRefuses(t *testing.T) {
	tests := []struct {
		args string
		want string
	}{
		{"qurey|port 53", `weir has no command "qurey"; did you mean "query"?`},
		{"frobnicate", `weir has no command "frobnicate"; its commands are collect, query`},
		{"query|port 53|--lats|2h", "weir query has no flag --lats; did you mean --last?"},
		{"query|port|53|-x", "weir query has no flag -x; "},
		{"query|--retention|90d", "weir query has no flag --retention; "},
		{"--retention|90d|query", "weir query has no flag --retention; "},
		{"--dta|X|query", "weir has no flag --dta; did you mean --data?"},
		{"query|--last", "flag --last needs a value"},
		{"query|--last|--count", "flag --last needs a value; write --last=--count if --count is the value"},
		{"query|--data|--last|2h", "flag --data needs a value"},
		{"query|-n|-h", "flag -n needs a value"},
		{"query|--count=maybe", `flag --count is true or false, not "maybe"`},
		{"query|-nx", "weir query has no flag -nx"},
		{"retention|confrim", `weir retention has no command "confrim"; did you mean "confirm"?`},
		{"query|--=x", "weir query has no flag --"},
		{"query|---|x", "weir query has no flag ---"},
	}
	for _, tt := range tests {
		_, err := parseArgs(commands(), splitArgs(tt.args))
		var usage *usageError
		if !errors.As(err, &usage) {
			t.Errorf("parseArgs(%q): got %v, want a usage error", tt.args, err)
			continue
		}
		if !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("parseArgs(%q)\n got %s\nwant %s…", tt.args, err, tt.want)
		}
	}
}

// The flag library must read what parseArgs made the way it was meant.
func TestOrderedArgs(t *testing.T) {
	tests := []string{
		"query|port 53|--last|2h|--data|X|-n|7|--count",
		"query|--count|--data|X|-n|7|--last|2h|port 53",
		"--data|X|--last|2h|query|-n7|--count|--|port 53",
	}
	for _, text := range tests {
		o := queryOf(t, splitArgs(text))
		if o.dir != "X" || o.request.Limit != 7 || !o.count || o.request.Filter != "port 53" {
			t.Errorf("%q: got %+v", text, o)
		}
		if want := uint64(testNow.Add(-2 * time.Hour).UnixMilli()); o.request.From != want {
			t.Errorf("%q: window from %d, want %d", text, o.request.From, want)
		}
	}
}

// queryOf returns the options that weir query would run with.
func queryOf(t *testing.T, args []string) queryOptions {
	t.Helper()
	var o queryOptions
	defs := commands()
	find(defs, "query").prepare = func(c *cli.Context, std *Std) (_ runner, err error) {
		o, err = queryFlags(c, std)
		return func(context.Context, *Std) error { return nil }, err
	}
	std, _, _ := testStd()
	if _, err := prepare(defs, append([]string{"weir"}, args...), std); err != nil {
		t.Fatalf("prepare %q: %v", args, err)
	}
	return o
}

// A flag must mean the same everywhere: before the command is known, only its
// name tells whether a value follows.
func TestFlagsAgree(t *testing.T) {
	kinds := make(map[string]bool)
	for _, f := range allFlags(commands()) {
		for _, name := range f.Names() {
			if takes, known := kinds[name]; known && takes != takesValue(f) {
				t.Errorf("flag %s takes a value in one command and none in another", name)
			}
			kinds[name] = takesValue(f)
			if name == "help" || name == "h" || name == "version" {
				t.Errorf("flag %s is taken", name)
			}
		}
	}
}

// A flag that is not given must read as if it were not defined: the flag library
// is told only of those that are.
func TestFlagsHaveNoDefault(t *testing.T) {
	for _, f := range allFlags(commands()) {
		unset := false
		switch f := f.(type) {
		case *cli.StringFlag:
			unset = f.Value == "" && !f.Required && len(f.EnvVars) == 0
		case *cli.BoolFlag:
			unset = !f.Value && !f.Required && len(f.EnvVars) == 0
		case *cli.StringSliceFlag:
			unset = f.Value == nil && !f.Required && len(f.EnvVars) == 0
		}
		if got, want := flagNames(f), f.Names(); !unset || !slices.Equal(got, want) {
			t.Errorf("flag %q, to the library %q: unset until it is given: %t", got, want, unset)
		}
	}
}

// A command is found by the name it is defined under, and made alone.
func TestCommandsFor(t *testing.T) {
	for _, d := range definitions() {
		if defs := commandsFor([]string{d.name, "x"}); len(defs) != 1 || defs[0].name != d.name {
			t.Errorf("%s: got %q", d.name, names(defs))
		}
	}
	for _, args := range [][]string{nil, {"--data", "x", "query"}, {"quer"}, {"--help"}} {
		if got, want := len(commandsFor(args)), len(definitions()); got != want {
			t.Errorf("%q: got %d commands, want all %d", args, got, want)
		}
	}
}

func FuzzParseArgs(f *testing.F) {
	f.Add("query|port 53|--last|2h")
	f.Add("--data|X|retention|confirm|--|x")
	f.Add("-|--|-n5|--=")
	f.Add("hold|list|--nonsense")
	f.Add("query|--step|5m")
	f.Fuzz(func(t *testing.T, text string) {
		args := splitArgs(text)
		in, err := parseArgs(commands(), args)
		if alone, aloneErr := parseArgs(commandsFor(args), args); fmt.Sprint(aloneErr) != fmt.Sprint(err) {
			t.Fatalf("%q: %v by all commands, %v by those it can be about", text, err, aloneErr)
		} else if err == nil && !slices.Equal(alone.argv(), in.argv()) {
			t.Fatalf("%q: %q by all commands, %q by those it can be about", text, in.argv(), alone.argv())
		}
		if err != nil {
			if !errors.As(err, new(*usageError)) {
				t.Fatalf("%q: %v is no usage error", text, err)
			}
			return
		}
		if in.help || in.version || len(in.path) == 0 {
			return
		}
		again, err := parseArgs(commands(), in.argv()[1:])
		if err != nil {
			t.Fatalf("%q: ordered as %q, then: %v", text, in.argv(), err)
		}
		if got, want := again.argv(), in.argv(); !slices.Equal(got, want) {
			t.Fatalf("%q: ordered as %q, then as %q", text, want, got)
		}
	})
}
