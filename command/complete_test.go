package command

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

func TestComplete(t *testing.T) {
	tests := []struct {
		words string // what was typed so far, the last word unfinished
		want  string // candidates that must be there
		not   string // and that must not
	}{
		{"", "collect query top buckets import backup demo completion", "confirm"},
		{"q", "query", "collect"},
		{"query|--l", "--last --limit", "--listen --data"},
		{"query|-", "-n -o -f --last --help", "--retention"},
		{"--da", "--data", ""},
		{"--data|", ":files", ""},
		{"--data|X|que", "query", ""},
		{"query|-o|", "table json csv", ""},
		{"query|--output=", "--output=table --output=json", ""},
		{"query|--output|=|c", "--output=csv", "--output=json"},
		{"query|--output|=", "--output=csv --output=json", ""},
		{"query|--fields|src_", "src_addr src_port src_as", "dst_addr"},
		{"query|--fields|src_addr,dst_p", "src_addr,dst_port", "src_port"},
		{"query|--order|", "bytes received -bytes", ""},
		{"top|", "src_addr dst_port", "and"},
		{"top|src_addr,dst_", "src_addr,dst_addr src_addr,dst_port", "src_port"},
		{"top|src_addr|po", "port", ""},
		{"top|--by|", "bytes packets flows", ""},
		{"top|src_addr --by|", "", ""},
		{"query|src", "src src_addr", "dst"},
		{"query|src ip 1.2.3.4 and (ds", "src ip 1.2.3.4 and (dst", ""},
		{"query|--last|2h|po", "port", ""},
		{"query|src_o", "src_org", ""},
		{"query|--fields|src_addr,dst_c", "src_addr,dst_country", "dst_org"},
		{"query|--split-by|", "org", ""},
		{"query|--mmdb|", ":files", ""},
		{"top|or", "org", "src_org"},
		{"top|proto,dst_as", "proto,dst_as proto,dst_asname", ""},
		{"series|--group|dst_o", "dst_org", "org"},
		{"query|--|--la", "", "--last"},
		{"status|-o|", "table json", "csv"},
		{"coverage|-o|", "table csv svg", "plot"},
		{"coverage|--step|", "1h 1d", "1m"},
		{"retention|", "confirm", ""},
		{"retention|--data|X|con", "confirm", ""},
		{"import|", ":files", ""},
		{"backup|/tm", ":files", ""},
		{"completion|z", "zsh", "bash"},
		{"help|qu", "query", ""},
		{"nonsense|--l", "--last --listen", ""},
		{"nonsense|", "query", ""},
		{"query|--bogus|--la", "--last", ""},
	}
	for _, tt := range tests {
		got := complete(commands(), splitArgs(tt.words))
		for _, want := range strings.Fields(tt.want) {
			if !slices.Contains(got, want) && !slices.Contains(got, tt.want) {
				t.Errorf("complete(%q): %q is missing from %q", tt.words, want, got)
			}
		}
		for _, not := range strings.Fields(tt.not) {
			if slices.Contains(got, not) {
				t.Errorf("complete(%q): %q is in %q", tt.words, not, got)
			}
		}
	}
}

// What is typed so far may be anything; completing it must never fail, and every
// candidate must begin with the word it completes.
func FuzzComplete(f *testing.F) {
	f.Add("query|--la")
	f.Add("query|-|-|=|--|=")
	f.Add("--output|=|=|x")
	f.Add("top|a,b,|--by=|")
	f.Fuzz(func(t *testing.T, text string) {
		words := splitArgs(text)
		for _, c := range complete(commands(), words) {
			if c == completeFiles {
				continue
			}
			joined := joinAssignments(words)
			last := ""
			if len(joined) > 0 {
				last = joined[len(joined)-1]
			}
			if !strings.HasPrefix(c, last) {
				t.Fatalf("complete(%q): %q does not begin with %q", text, c, last)
			}
		}
	})
}

// Every prefix of every example must complete without a fault.
func TestCompleteExamples(t *testing.T) {
	for _, e := range allExamples() {
		for i := range e.line {
			words := strings.Split(e.line[:i], " ")
			complete(commands(), words[min(1, len(words)):])
		}
	}
}

func TestCompletionScripts(t *testing.T) {
	for _, shell := range shells {
		script := completionScript(shell)
		if !strings.Contains(script, completeWord) || !strings.Contains(script, completeFiles) {
			t.Errorf("the script for %s does not ask weir", shell)
		}
		path, err := exec.LookPath(shell)
		if err != nil {
			t.Logf("%s is not here: its script's syntax was not checked", shell)
			continue
		}
		cmd := exec.Command(path, "-n")
		cmd.Stdin = strings.NewReader(script)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s -n: %v\n%s", shell, err, out)
		}
	}
}
