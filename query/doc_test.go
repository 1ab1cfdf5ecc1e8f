package query

import (
	"io"
	"os"
	"regexp"
	"strings"
	"testing"
)

// quoted finds the filters in a line of shell: quoted text after a command that
// is not the value of a flag.
var quoted = regexp.MustCompile(`(--?[a-z-]+ )?'([^']*)'`)

// TestDocumentedFiltersParse parses every filter in docs/query.md.
func TestDocumentedFiltersParse(t *testing.T) {
	page, err := os.ReadFile("../docs/query.md")
	if err != nil {
		t.Fatal(err)
	}
	o := ParseOptions{Include: func(string) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader("192.0.2.1\n203.0.113.0/24\n")), nil
	}}
	parsed, fence := 0, ""
	for number, line := range strings.Split(string(page), "\n") {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "```"); ok {
			fence = name
			continue
		}
		var filters []string
		switch fence {
		case "filter":
			filters = []string{line}
		case "sh":
			for _, m := range quoted.FindAllStringSubmatch(line, -1) {
				if m[1] == "" {
					filters = append(filters, m[2])
				}
			}
		}
		for _, filter := range filters {
			parsed++
			if _, err := Parse(filter, o); err != nil {
				t.Errorf("docs/query.md, line %d: %v", number+1, err)
			}
		}
	}
	if parsed < 75 {
		t.Errorf("only %d filters found on the page", parsed)
	}
}
