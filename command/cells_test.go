package command

import (
	"bytes"
	"strings"
	"testing"
)

// TestTableAligns writes rows that are held back and rows that come after the
// head, with characters of several bytes and more blanks than one run has.
func TestTableAligns(t *testing.T) {
	var out bytes.Buffer
	table := newTable(&out, []tableColumn{{name: "name"}, {name: "n", right: true}, {name: "last"}}, false)
	long := strings.Repeat("é", 70)
	var want strings.Builder
	want.WriteString("name" + strings.Repeat(" ", 66) + "     n  last\n")
	for i := range 2 * tableSample {
		list := []string{"ab", "1", "x"}
		line := "ab" + strings.Repeat(" ", 68) + "     1  x\n"
		if i%2 == 1 {
			list, line = []string{long, "ü234", ""}, long+"  ü234  \n"
		}
		if err := table.row(list); err != nil {
			t.Fatal(err)
		}
		want.WriteString(line)
	}
	if err := table.finish(); err != nil {
		t.Fatal(err)
	}
	if out.String() != want.String() {
		t.Error(firstDifference(out.String(), want.String()))
	}
}

func TestAppendMillis(t *testing.T) {
	for ms, want := range map[uint64]string{0: "0.000", 7: "0.007", 12345: "12.345", 1<<64 - 1: "18446744073709551.615"} {
		if got := humanMillis(ms); got != want {
			t.Errorf("humanMillis(%d) = %s, want %s", ms, got, want)
		}
	}
}

func TestAppendJSONText(t *testing.T) {
	for _, text := range []string{"", "uni-a", `a "b" \c`, "<&>", "Universität", "a\x01\x7f", "a\u009b", "\u202eb", "a\xff"} {
		if got, want := string(appendJSONText(nil, text)), string(marshal(text)); got != want {
			t.Errorf("appendJSONText(%q) = %s, want %s", text, got, want)
		}
	}
}
