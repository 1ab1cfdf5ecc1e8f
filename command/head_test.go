package command

import (
	"bytes"
	"testing"
)

// A head is left out however it comes: in pieces, with rows behind it, or not
// at all.
func TestStreamSkipsLines(t *testing.T) {
	for _, c := range []struct {
		skip   int
		writes []string
		want   string
	}{
		{0, []string{"a\nb\n"}, "a\nb\n"},
		{1, []string{"a\nb\n"}, "b\n"},
		{1, []string{"a", "a", "\n", "b\n"}, "b\n"},
		{1, []string{"a", "a\nb", "\n"}, "b\n"},
		{2, []string{"a\n", "b\nc\n", "d\n"}, "c\nd\n"},
		{1, nil, ""},
		{1, []string{"a\n"}, ""},
	} {
		var out bytes.Buffer
		w := newStream(&out, nil)
		w.skip = c.skip
		for _, text := range c.writes {
			if n, err := w.Write([]byte(text)); n != len(text) || err != nil {
				t.Errorf("write %q: %d, %v", text, n, err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if got := out.String(); got != c.want {
			t.Errorf("%q without %d lines: got %q, want %q", c.writes, c.skip, got, c.want)
		}
	}
}
