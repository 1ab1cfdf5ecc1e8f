package command

import (
	"encoding/binary"
	"slices"
	"unicode/utf8"
)

// cells are the texts of one row, one after the other in one buffer, so that a
// row takes no memory of its own.
type cells struct {
	text []byte // append a cell here, then call end
	ends []int  // of each cell in text
}

// reset makes a row without cells.
func (c *cells) reset() { c.text, c.ends = c.text[:0], c.ends[:0] }

// end ends the cell that was appended to text since the last.
func (c *cells) end() { c.ends = append(c.ends, len(c.text)) }

// set makes a row of the given cells.
func (c *cells) set(list []string) {
	c.reset()
	for _, text := range list {
		c.text = append(c.text, text...)
		c.end()
	}
}

// cell returns cell number i.
func (c *cells) cell(i int) []byte {
	if i == 0 {
		return c.text[:c.ends[0]]
	}
	return c.text[c.ends[i-1]:c.ends[i]]
}

// clone returns a copy.
func (c *cells) clone() *cells { return &cells{slices.Clone(c.text), slices.Clone(c.ends)} }

// isASCII reports whether each byte of text is a character. It looks at eight of
// them at a time.
func isASCII(text []byte) bool {
	for ; len(text) >= 8; text = text[8:] {
		if binary.NativeEndian.Uint64(text)&0x8080808080808080 != 0 {
			return false
		}
	}
	for _, b := range text {
		if b >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// Runs of what is appended many times, as long as most that are needed.
const (
	blanks = "                                "
	commas = ",,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,"
)

// appendRun appends the first n bytes of a run, which are all the same and may be
// fewer than n; none if n is negative.
func appendRun(dst []byte, run string, n int) []byte {
	for ; n > len(run); n -= len(run) {
		dst = append(dst, run...)
	}
	return append(dst, run[:max(n, 0)]...)
}
