package command

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

// allExamples returns the examples of all commands.
func allExamples() []example {
	var list []example
	var add func(defs []*command)
	add = func(defs []*command) {
		for _, d := range defs {
			list = append(list, d.examples...)
			add(d.commands)
		}
	}
	add(commands())
	return list
}

// shellWords splits a line as a shell does, as far as the examples need it:
// quotes, and a redirection or pipe ends the words.
func shellWords(t *testing.T, line string) []string {
	t.Helper()
	if i := strings.Index(line, "| weir"); i >= 0 {
		line = line[i+2:]
	}
	var words []string
	var word strings.Builder
	quote, started := rune(0), false
	flush := func() {
		if started {
			words = append(words, word.String())
			word.Reset()
			started = false
		}
	}
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			quote, started = r, true
		case r == ' ':
			flush()
		case r == '>' || r == '|':
			flush()
			return words
		default:
			word.WriteRune(r)
			started = true
		}
	}
	flush()
	if quote != 0 {
		t.Fatalf("%s: a quote is open", line)
	}
	return words
}

// The examples in help must be command lines that weir takes.
func TestExamples(t *testing.T) {
	std, _, _ := testStd()
	for _, e := range allExamples() {
		words := shellWords(t, e.line)
		if words[0] != "weir" {
			t.Errorf("%s: does not run weir", e.line)
			continue
		}
		if strings.Contains(e.line, "--config") {
			continue // the file is not here
		}
		if _, err := prepare(commands(), words, std); err != nil {
			t.Errorf("%s: %v", e.line, err)
		}
	}
}

func TestHelp(t *testing.T) {
	std, _, _ := testStd()
	var check func(path []string, defs []*command)
	check = func(path []string, defs []*command) {
		for _, d := range defs {
			args := append(append([]string{"weir"}, path...), d.name, "--help")
			std, out, errs := testStd()
			if status := Main(context.Background(), args, std); status != exitOK || errs.Len() > 0 {
				t.Errorf("%q: status %d, errors %q", args, status, errs)
			}
			for _, want := range []string{"Usage: weir ", d.usage, "Exit status:"} {
				if !strings.Contains(out.String(), want) {
					t.Errorf("%q: %q is missing", args, want)
				}
			}
			for _, f := range d.flags {
				if !strings.Contains(out.String(), "--"+f.Names()[0]) {
					t.Errorf("%q: flag %s is missing", args, f.Names()[0])
				}
				if doc, ok := f.(cli.DocGenerationFlag); !ok || doc.GetUsage() == "" || takesValue(f) && strings.Count(doc.GetUsage(), "`") != 2 {
					t.Errorf("%q: flag %s says too little: %q", args, f.Names()[0], doc.GetUsage())
				}
			}
			if len(d.examples) == 0 && d.name != "help" {
				t.Errorf("%q: no example", args)
			}
			for _, line := range strings.Split(out.String(), "\n") {
				if len(line) > 125 {
					t.Errorf("%q: a line of %d bytes: %s", args, len(line), line)
				}
			}
			check(append(path, d.name), d.commands)
		}
	}
	check(nil, commands())

	if status := Main(context.Background(), []string{"weir", "help", "query"}, std); status != exitOK {
		t.Errorf("weir help query: status %d", status)
	}
	if status := Main(context.Background(), []string{"weir", "help", "nonsense"}, std); status != exitUsage {
		t.Errorf("weir help nonsense: status %d", status)
	}
	if status := Main(context.Background(), []string{"weir"}, std); status != exitUsage {
		t.Errorf("weir: status %d", status)
	}
}

// TestGroupFields groups by every field that help names.
func TestGroupFields(t *testing.T) {
	data := exportArchive(t, "switch-sflow.pcap")
	help, _, _ := weir(t, data, "top", "--help")
	_, list, _ := strings.Cut(help, "Fields: ")
	list, _, _ = strings.Cut(list, "\n\n")
	names := strings.Fields(list)
	if len(names) != len(groupFieldNames()) || !slices.Contains(names, "mpls_label10") {
		t.Fatalf("help names the fields %v", names)
	}
	for _, name := range names {
		for _, args := range [][]string{{"top", name}, {"series", "--group", name, "--step", "1d"}, {"top", "proto", "--distinct", name}} {
			if _, errs, status := weir(t, data, args...); status != exitOK {
				t.Errorf("%q: status %d, %s", args, status, errs)
			}
		}
	}
	for _, args := range [][]string{{"top", "mpls_labels"}, {"series", "--group", "mpls_labels"}, {"top", "proto", "--distinct", "mpls_labels"}} {
		if _, errs, status := weir(t, data, args...); status != exitUsage || !strings.Contains(errs, `"mpls_label1"`) {
			t.Errorf("%q: status %d, %s", args, status, errs)
		}
	}
}
