// Package peer finds the programs of others that tests compare weir with, and
// says how their releases differ. Only tests import it.
package peer

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Need leaves the test out unless all the tools are installed. Where
// WEIR_PEERS=require says that they must be, a missing one is a failure.
func Need(t testing.TB, tools ...string) {
	t.Helper()
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err == nil {
			continue
		}
		if os.Getenv("WEIR_PEERS") == "require" {
			t.Fatalf("%s is not installed, and WEIR_PEERS=require", tool)
		}
		t.Skipf("left out: %s is not installed", tool)
	}
}

// A Difference from nfdump 1.7.1 is named by the first release that has it.
type Difference string

// What tests compare is that of nfdump 1.7.1, but for these.
const (
	// WideTOS: the column %tos is four wide, not three.
	WideTOS Difference = "1.7.4"
	// NewFilters: the filter engine was written anew. It has no "src or dst", "src
	// and dst", &&, ||, inet, inet6 and "flags AS"; a prefix with bits of the host
	// set matches nothing, nor does "ip in [0.0.0.0/0]"; "not flags AF" means that
	// one of the two is not set, where 1.7.1 means that neither is.
	NewFilters Difference = "1.7.5"
	// CountsFromTwo: %cnt of the first flow is 2.
	CountsFromTwo Difference = "1.7.5"
	// PlainFlags: -N prints TCP flags as a number.
	PlainFlags Difference = "1.7.7"
)

var releaseNumber = regexp.MustCompile(`\d+(\.\d+)+`)

// NfdumpHas reports whether the nfdump on the PATH has a difference.
func NfdumpHas(t testing.TB, d Difference) bool {
	t.Helper()
	text, err := exec.Command("nfdump", "-V").CombinedOutput()
	if err != nil {
		t.Fatalf("nfdump -V: %v", err)
	}
	release := releaseNumber.Find(text) // of "NSEL-NEL1.7.1", "1.7.8-e198c8b3"
	if release == nil {
		t.Fatalf("nfdump -V names no release: %s", text)
	}
	return slices.Compare(numbers(t, string(release)), numbers(t, string(d))) >= 0
}

func numbers(t testing.TB, release string) (list []int) {
	t.Helper()
	for part := range strings.SplitSeq(release, ".") {
		n, err := strconv.Atoi(part)
		if err != nil {
			t.Fatalf("release %s: %v", release, err)
		}
		list = append(list, n)
	}
	return list
}
