package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"weir/command"
)

// TestCustodyNamesWhatExists checks that every duty of docs/custody.md has a
// command, and flags, that weir knows and a test that there is.
func TestCustodyNamesWhatExists(t *testing.T) {
	text, err := os.ReadFile("docs/custody.md")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`([a-z./]+) (Test[A-Za-z0-9]+)`")
	asked := regexp.MustCompile("^`weir ([a-z -]+)`$")
	rows := 0
	for n, line := range strings.Split(string(text), "\n") {
		cells := strings.Split(strings.Trim(line, "| "), " | ")
		if !strings.HasPrefix(line, "| ") || len(cells) != 3 || cells[0] == "duty" {
			continue
		}
		rows++
		if m := asked.FindStringSubmatch(cells[1]); m == nil {
			t.Errorf("line %d: %q is no command of weir", n+1, cells[1])
		} else if !command.Exists(strings.Fields(m[1])...) {
			t.Errorf("line %d: there is no weir %s", n+1, m[1])
		}
		tests := named.FindAllStringSubmatch(cells[2], -1)
		if len(tests) == 0 {
			t.Errorf("line %d: no test shows %q", n+1, cells[0])
		}
		for _, m := range tests {
			if !hasTest(t, m[1], m[2]) {
				t.Errorf("line %d: %s has no test %s", n+1, m[1], m[2])
			}
		}
	}
	if rows < 25 {
		t.Errorf("only %d duties were found", rows)
	}
}

// hasTest reports whether a folder has a test of that name.
func hasTest(t *testing.T, folder, name string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(filepath.FromSlash(folder), "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "func "+name+"(") {
			return true
		}
	}
	return false
}
