package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestMain tells which tests are left out on this machine. go test hides the
// output of packages that pass, t.Skip's reasons with it, and a user of go test
// ./... should not take silence for proof.
func TestMain(m *testing.M) {
	if missing := leftOut(); len(missing) > 0 {
		tell("left out of weir's tests: " + strings.Join(missing, "; "))
	}
	os.Exit(m.Run())
}

// leftOut lists what tests of this package need and this machine has not.
func leftOut() []string {
	var missing []string
	var tools []string
	for _, tool := range peerTools {
		if _, err := exec.LookPath(tool); err != nil {
			tools = append(tools, tool)
		}
	}
	if len(tools) > 0 {
		missing = append(missing, fmt.Sprintf("comparisons with %s (not installed)", strings.Join(tools, ", ")))
	}
	if cases, _ := filepath.Glob(filepath.Join(corpus(), "*", "case.json")); len(cases) == 0 {
		missing = append(missing, fmt.Sprintf("datagrams of real exporters (no corpus at %s)", corpus()))
	}
	return missing
}

// tell prints a line to the standard error of go test, if that is a terminal or
// a pipe, because go test swallows what a package that passes prints. (A file
// would be overwritten: its offset is go test's own.) Else, and under go test
// -v, which swallows nothing, it prints to this process's own.
func tell(line string) {
	if !verbose() {
		out, err := os.OpenFile(fmt.Sprintf("/proc/%d/fd/2", os.Getppid()), os.O_WRONLY, 0)
		if err == nil {
			defer out.Close()
			if info, err := out.Stat(); err == nil && !info.Mode().IsRegular() {
				fmt.Fprintln(out, line)
				return
			}
		}
	}
	fmt.Fprintln(os.Stderr, line)
}

// verbose reports whether this test runs under go test -v, which shows all.
func verbose() bool {
	for _, arg := range os.Args[1:] {
		if arg == "-test.v=true" || arg == "-test.v=test2json" {
			return true
		}
	}
	return false
}
