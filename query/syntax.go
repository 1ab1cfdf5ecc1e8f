package query

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// A SyntaxError says where a filter goes wrong and what was expected there, or
// why weir cannot answer it.
type SyntaxError struct {
	Text       string // the filter
	Pos        int    // byte offset in Text
	Message    string // what was expected and what was found, or a reason
	Suggestion string // a word that may have been meant, or ""
	File       string // the list file that the place came from, or ""
	Line       int    // the line in File, from 1; 0 without File
}

// errorColumns bounds how much of the line an error shows on each side of the
// place.
const errorColumns = 60

// Error returns the message, the line of the filter and a caret under the
// place.
func (e *SyntaxError) Error() string {
	var b strings.Builder
	b.WriteString("filter: ")
	if e.File != "" {
		fmt.Fprintf(&b, "%s, line %d: ", e.File, e.Line)
	}
	b.WriteString(e.Message)
	if e.Suggestion != "" {
		fmt.Fprintf(&b, " (did you mean %q?)", e.Suggestion)
	}
	line, column := e.excerpt()
	fmt.Fprintf(&b, "\n  %s\n  %s^", line, strings.Repeat(" ", column))
	return b.String()
}

// excerpt returns the part of the line around the place and the number of
// characters in front of it.
func (e *SyntaxError) excerpt() (line string, column int) {
	pos := min(max(e.Pos, 0), len(e.Text))
	start := strings.LastIndexByte(e.Text[:pos], '\n') + 1
	end := len(e.Text)
	if n := strings.IndexByte(e.Text[pos:], '\n'); n >= 0 {
		end = pos + n
	}
	before, after := clean(e.Text[start:pos]), clean(e.Text[pos:end])
	if n := utf8.RuneCountInString(before); n > errorColumns {
		before = "…" + string([]rune(before)[n-errorColumns+1:])
	}
	if n := utf8.RuneCountInString(after); n > errorColumns {
		after = string([]rune(after)[:errorColumns-1]) + "…"
	}
	return before + after, utf8.RuneCountInString(before)
}

// clean returns s with everything that would move a terminal's cursor, or is
// not UTF-8, replaced: a filter may come from a stranger's script.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\r':
			return ' '
		case r < ' ' || r >= 0x7f && r < 0xa0 || r == utf8.RuneError:
			return '?'
		}
		return r
	}, s)
}

// nearest returns the word of the vocabulary that is closest to text, if it is
// close enough to have been meant; of equally close ones the first that begins
// like it.
func nearest(text string, vocabulary []string) string {
	if text == "" || len(text) > 32 {
		return ""
	}
	text = strings.ToLower(text)
	best, bestDistance := "", 1+len(text)/5
	for _, word := range vocabulary {
		if word == text {
			continue
		}
		d := EditDistance(text, word, bestDistance)
		if d < bestDistance || d == bestDistance && (best == "" || best[0] != text[0] && word[0] == text[0]) {
			best, bestDistance = word, d
		}
	}
	return best
}

// EditDistance returns how many single characters must be inserted, removed,
// replaced or swapped with their neighbour to turn a into b, or limit+1 if that
// is more than limit.
func EditDistance(a, b string, limit int) int {
	if len(a)-len(b) > limit || len(b)-len(a) > limit {
		return limit + 1
	}
	prev2, prev, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(prev[j]+1, row[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], prev2[j-2]+1)
			}
		}
		prev2, prev, row = prev, row, prev2
	}
	return min(prev[len(b)], limit+1)
}
