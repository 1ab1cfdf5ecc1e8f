package flow

import (
	"bytes"
	"fmt"
	"unicode"
	"unicode/utf16"
)

// PrintableJSON returns JSON text that says the same and in which each character
// of a string that cannot be printed is an escape, as encoding/json has it for
// those below U+0020 alone: C1 controls move the cursors of some terminals, and
// formats such as U+202E turn round what comes after them (Unicode UAX 9). Text
// that has none is returned as it is.
func PrintableJSON(text []byte) []byte {
	i := bytes.IndexFunc(text, isEscaped)
	if i < 0 {
		return text
	}
	out := append(make([]byte, 0, len(text)+32), text[:i]...)
	for _, r := range string(text[i:]) {
		if !isEscaped(r) {
			out = append(out, string(r)...)
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			out = fmt.Appendf(out, `\u%04x`, unit)
		}
	}
	return out
}

// isEscaped reports whether a character of JSON text is written as an escape.
// What comes before U+007F stands for itself or is between values.
func isEscaped(r rune) bool { return r >= 0x7f && !unicode.IsPrint(r) }
