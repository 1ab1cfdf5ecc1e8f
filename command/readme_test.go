package command

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The command lines that the documents show must be ones that weir takes.
func TestDocumentedCommands(t *testing.T) {
	for _, file := range []string{"../README.md", "../docs/operations.md"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		for _, line := range strings.Split(string(text), "\n") {
			command := documentedCommand(line)
			if command == "" {
				continue
			}
			found++
			std, _, _ := testStd()
			if _, err := prepare(commands(), shellWords(t, command), std); err != nil {
				t.Errorf("%s: %s: %v", file, command, err)
			}
		}
		if found < 5 {
			t.Errorf("%s: only %d command lines were found", file, found)
		}
	}
}

// documentedCommand returns the command line of weir in an indented line of a
// document, "" if it has none that can be checked without files.
func documentedCommand(line string) string {
	if !strings.HasPrefix(line, "    ") {
		return ""
	}
	line, _, _ = strings.Cut(strings.TrimSpace(line), "  #")
	line = strings.TrimPrefix(line, "sudo -u weir ")
	line = strings.Replace(line, "go run . ", "weir ", 1)
	if !strings.HasPrefix(line, "weir ") || strings.Contains(line, "--config") {
		return ""
	}
	return strings.TrimSpace(line)
}

func TestDocumentedStatuses(t *testing.T) {
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range exitStatuses {
		if row := fmt.Sprintf("| %d | %s |\n", s.status, s.about); !strings.Contains(string(text), row) {
			t.Errorf("README.md lacks the row %s", row)
		}
	}
	for _, name := range names(commands()) {
		if !strings.Contains(string(text), "`weir "+name) && name != "help" && name != "version" {
			t.Errorf("README.md does not mention weir %s", name)
		}
	}
}

// What the documents refer to must be there.
func TestDocumentedFiles(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)|\b(docs/[a-z-]+\.md)`)
	files, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(files, "../README.md", "../SECURITY.md", "../CHANGELOG.md", "../testdata/README.md") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Error(err)
			continue
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			target := filepath.Join(filepath.Dir(file), m[1])
			if m[3] != "" {
				target = filepath.Join("..", m[3])
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s refers to %s: %v", file, m[1]+m[3], err)
			}
		}
	}
}
