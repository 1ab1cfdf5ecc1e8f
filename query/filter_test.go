package query

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write testdata/filters.txt anew from what Parse does")

const corpusFile = "testdata/filters.txt"

// corpusResult is what stands, indented, under a filter in the corpus: its
// canonical form after "=", or the offset and message of its error after "!".
func corpusResult(text string) string {
	f, err := Parse(text, ParseOptions{})
	if err == nil {
		return "  = " + f.String()
	}
	var syntax *SyntaxError
	if !errors.As(err, &syntax) {
		return "  ! " + err.Error()
	}
	message := syntax.Message
	if syntax.Suggestion != "" {
		message += " -> " + syntax.Suggestion
	}
	return fmt.Sprintf("  ! %d: %s", syntax.Pos, message)
}

// corpusFilters returns the filters of the corpus, in which lines that begin
// with # are headings, indented lines results, and others filters.
func corpusFilters(t testing.TB) (filters []string, results map[string]string) {
	t.Helper()
	data, err := os.Open(corpusFile)
	if err != nil {
		t.Fatal(err)
	}
	defer data.Close()
	results = map[string]string{}
	lines := bufio.NewScanner(data)
	for last := ""; lines.Scan(); {
		switch line := lines.Text(); {
		case line == "" || line[0] == '#':
		case strings.HasPrefix(line, "  "):
			results[last] = line
		default:
			last = line
			filters = append(filters, last)
		}
	}
	return filters, results
}

// TestCorpus checks the canonical form, or the error, of every filter in
// testdata/filters.txt. Run with -rewrite to record a change, then read the
// difference.
func TestCorpus(t *testing.T) {
	filters, results := corpusFilters(t)
	if *rewrite {
		rewriteCorpus(t)
		return
	}
	if len(filters) < 300 {
		t.Errorf("the corpus has %d filters, want at least 300", len(filters))
	}
	for _, text := range filters {
		if got := corpusResult(text); got != results[text] {
			t.Errorf("%s\n got %s\nwant %s", text, got, results[text])
		}
	}
}

func rewriteCorpus(t *testing.T) {
	old, err := os.ReadFile(corpusFile)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, line := range strings.Split(strings.TrimSuffix(string(old), "\n"), "\n") {
		if strings.HasPrefix(line, "  ") {
			continue
		}
		b.WriteString(line + "\n")
		if line != "" && line[0] != '#' {
			b.WriteString(corpusResult(line) + "\n")
		}
	}
	if err := os.WriteFile(corpusFile, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestCanonicalFormIsStable parses the canonical form of every filter of the
// corpus again and expects the same form.
func TestCanonicalFormIsStable(t *testing.T) {
	filters, _ := corpusFilters(t)
	for _, text := range filters {
		f, err := Parse(text, ParseOptions{})
		if err != nil {
			continue
		}
		again, err := Parse(f.String(), ParseOptions{})
		if err != nil {
			t.Errorf("%s: canonical form %s: %v", text, f, err)
		} else if again.String() != f.String() {
			t.Errorf("%s: canonical form %s becomes %s", text, f, again)
		}
	}
}

// FuzzParse looks for text that Parse does not survive, or whose canonical form
// does not parse to the same.
//
//	go test ./query -run '^$' -fuzz FuzzParse -fuzztime 30s
func FuzzParse(f *testing.F) {
	filters, _ := corpusFilters(f)
	for _, text := range filters {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		filter, err := Parse(text, ParseOptions{})
		if err != nil {
			_ = err.Error()
			return
		}
		canonical := filter.String()
		again, err := Parse(canonical, ParseOptions{})
		if err != nil {
			t.Fatalf("%q: canonical form %q: %v", text, canonical, err)
		}
		if again.String() != canonical {
			t.Fatalf("%q: canonical form %q becomes %q", text, canonical, again)
		}
	})
}
