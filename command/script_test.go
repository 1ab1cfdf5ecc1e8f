package command

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// go test ./command -run Script -update writes the scripts again with the
// output of now.
var update = flag.Bool("update", false, "rewrite the expected output in testdata/*.txt")

// The scripts in testdata are command lines after "$ " with what they print:
// standard output as it is, standard error behind "! ", and the exit status
// unless it is 0. $CAPTURES is the directory of captures, $DIR one of the
// script's own; WEIR_DATA is an archive in it. Lines that begin with # are
// comments, those with \# output that begins with #, and ~ is an empty line of it.
//
// Each script runs twice: alone, and beside a collector on the archive. Both
// must print the same.
func TestScripts(t *testing.T) {
	testScripts(t, "testdata/*.txt", func(*testing.T, string) {}, func(t *testing.T, data string) { startCollector(t, data) })
}

// testScripts runs the scripts of a pattern alone and beside a collector. alone
// and beside make ready for each.
func testScripts(t *testing.T, pattern string, alone, beside func(t *testing.T, data string)) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, daemon := range []bool{false, true} {
			name, prepare := strings.TrimSuffix(filepath.Base(file), ".txt"), alone
			if daemon {
				name, prepare = name+" beside a collector", beside
			}
			t.Run(name, func(t *testing.T) {
				got := runScript(t, string(text), prepare)
				switch {
				case got == string(text):
				case *update && !daemon:
					if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
						t.Fatal(err)
					}
					text = []byte(got)
				default:
					t.Errorf("%s differs:\n%s", file, firstDifference(got, string(text)))
				}
			})
		}
	}
}

// firstDifference shows the lines around the first that differs.
func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range max(len(g), len(w)) {
		line := func(list []string) string {
			if i < len(list) {
				return list[i]
			}
			return "(nothing)"
		}
		if line(g) != line(w) {
			from := max(0, i-3)
			return fmt.Sprintf("line %d, after\n%s\ngot\n%s\nwant\n%s", i+1, strings.Join(g[from:min(i, len(g))], "\n"), line(g), line(w))
		}
	}
	return "no difference"
}

// runScript runs the commands of a script and returns the script with what
// they print.
func runScript(t *testing.T, text string, prepare func(t *testing.T, data string)) string {
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	prepare(t, data)
	captures, err := filepath.Abs("../testdata")
	if err != nil {
		t.Fatal(err)
	}
	expand := strings.NewReplacer("$CAPTURES", captures, "$DIR", dir)
	shorten := strings.NewReplacer(captures, "$CAPTURES", dir, "$DIR")
	var out strings.Builder
	for _, line := range strings.SplitAfter(text, "\n") {
		if strings.HasPrefix(line, "#") || strings.TrimSpace(line) == "" {
			out.WriteString(line)
			continue
		}
		command, ok := strings.CutPrefix(line, "$ ")
		if !ok {
			continue // output of an earlier run
		}
		out.WriteString(line)
		out.WriteString(shorten.Replace(runLine(t, expand.Replace(strings.TrimSpace(command)), data)))
	}
	return out.String()
}

// runLine runs one command line and returns what it prints as scripts have it.
func runLine(t *testing.T, line, data string) string {
	std, stdout, stderr := testStd()
	std.Getenv = func(name string) string { return map[string]string{"WEIR_DATA": data}[name] }
	status := Main(t.Context(), shellWords(t, line), std)
	var out strings.Builder
	text := strings.ReplaceAll(stdout.String(), "\r", "")
	for strings.Contains(text, "\n\n") {
		text = strings.ReplaceAll(text, "\n\n", "\n~\n")
	}
	if strings.HasPrefix(text, "#") {
		text = `\` + text
	}
	out.WriteString(strings.ReplaceAll(text, "\n#", "\n\\#"))
	if stdout.Len() > 0 && !bytes.HasSuffix(stdout.Bytes(), []byte("\n")) {
		out.WriteString("(no newline)\n")
	}
	for _, errLine := range strings.SplitAfter(stderr.String(), "\n") {
		if errLine != "" {
			out.WriteString("! " + errLine)
		}
	}
	if status != exitOK {
		fmt.Fprintf(&out, "(exit status %d)\n", status)
	}
	return out.String()
}

// startCollector runs a collector on the archive in data, on free ports, until
// the test ends.
func startCollector(t *testing.T, data string) *testCollector {
	t.Helper()
	c := &testCollector{ended: make(chan error, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	addrs, stop, err := demoCollector(ctx, &Std{Now: func() time.Time { return testNow }, Getenv: func(string) string { return "" }}, data)
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	c.netflow, c.sflow = udpAddr(addrs[0]), udpAddr(addrs[1])
	c.stop = func() {
		t.Helper()
		defer cancel()
		if err := stop(); err != nil {
			t.Errorf("collector: %v", err)
		}
	}
	t.Cleanup(c.stop)
	return c
}
