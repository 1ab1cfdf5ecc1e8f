package flow

import (
	"encoding/json"
	"testing"
	"unicode/utf8"
)

func TestPrintableJSON(t *testing.T) {
	for text, want := range map[string]string{
		`{"a": "b\n"}` + "\n":       `{"a": "b\n"}` + "\n",
		`"Universität 東京 😀 \uFFFD"`: `"Universität 東京 😀 \uFFFD"`,
		"\"\x7f\u009b2J\u0085\"":    `"\u007f\u009b2J\u0085"`,
		"\"ü\u202e\u200f\u2066\"":   `"ü\u202e\u200f\u2066"`,
		"[\"\U000e0001\"]":          `["\udb40\udc01"]`,
		"":                          "",
	} {
		if got := string(PrintableJSON([]byte(text))); got != want {
			t.Errorf("PrintableJSON(%q) = %q, want %q", text, got, want)
		}
	}
}

// TestPrintableJSONSaysTheSame escapes every character there is.
func TestPrintableJSONSaysTheSame(t *testing.T) {
	for r := range rune(utf8.MaxRune + 1) {
		if !utf8.ValidRune(r) {
			continue
		}
		text, err := json.Marshal(string(r))
		if err != nil {
			t.Fatal(err)
		}
		var back string
		if err := json.Unmarshal(PrintableJSON(text), &back); err != nil || back != string(r) {
			t.Fatalf("%U: got %q, %v", r, back, err)
		}
	}
}
