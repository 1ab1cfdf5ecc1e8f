package query

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
)

// maxIncludes bounds how deep files may include files, as in nfdump.
const maxIncludes = 10

// An origin says that a part of an expanded filter is a file's, line by line.
type origin struct {
	file       string
	start, end int // offsets in the expanded text
}

type origins []origin

// find returns the innermost file and the line that an offset came from, or ""
// if it is the filter's own text.
func (o origins) find(text string, pos int) (file string, line int) {
	best := -1
	for i, part := range o {
		if pos >= part.start && pos < part.end && (best < 0 || part.end-part.start < o[best].end-o[best].start) {
			best = i
		}
	}
	if best < 0 {
		return "", 0
	}
	return o[best].file, 1 + strings.Count(text[o[best].start:pos], "\n")
}

// Expand returns a filter's text with the content of files in place of their
// names: "in @FILE" becomes a list of the file's lines and "@include FILE" the
// file's text. It does not check the filter.
func Expand(text string, include func(name string) (io.ReadCloser, error)) (string, error) {
	expanded, _, err := expand(text, include)
	return expanded, err
}

func expand(text string, include func(name string) (io.ReadCloser, error)) (string, origins, error) {
	if !strings.Contains(text, "@") {
		return text, nil, nil
	}
	e := &expander{include: include}
	if err := e.text(text, 0); err != nil {
		return "", nil, err
	}
	return e.out.String(), e.origins, nil
}

// An expander writes a filter out with its files' content.
type expander struct {
	include func(name string) (io.ReadCloser, error)
	out     strings.Builder
	origins origins
}

// text writes one text, the filter's or an included one.
func (e *expander) text(text string, depth int) error {
	if depth > maxIncludes {
		return fmt.Errorf("filter: files include each other more than %d deep", maxIncludes)
	}
	from := 0
	for t := lex(text, 0); t.kind != tokenEnd; t = lex(text, t.end) {
		if t.kind != tokenFile {
			continue
		}
		if before := strings.TrimRightFunc(text[:t.pos], func(r rune) bool { return r < 0x80 && isWordByte(byte(r)) }); before != text[:t.pos] && !strings.EqualFold(text[len(before):t.pos], "in") {
			return &SyntaxError{Text: text, Pos: t.pos, Message: "@ begins the name of a file, and nothing may stand right before it: put a text that has one in quotes"}
		}
		e.out.WriteString(text[from:t.pos])
		from = t.end
		name, isText := t.text, strings.EqualFold(t.text, "include")
		if isText {
			name, from = includeName(text, t.end)
			t.end = from
		}
		if err := e.file(text, t, name, isText, depth); err != nil {
			return err
		}
		if e.out.Len() > maxTextBytes {
			return &SyntaxError{Text: text, Pos: t.pos, Message: fmt.Sprintf("the filter is longer than %d MiB", maxTextBytes>>20)}
		}
	}
	e.out.WriteString(text[from:])
	return nil
}

// includeName returns the file's name after @include, and where it ends.
func includeName(text string, pos int) (string, int) {
	for pos < len(text) && isSpace(text[pos]) {
		pos++
	}
	end := pos
	for end < len(text) && !isSpace(text[end]) {
		end++
	}
	return strings.Trim(text[pos:end], `'"`), end
}

// file writes the content of one file.
func (e *expander) file(text string, at token, name string, isText bool, depth int) error {
	if name == "" {
		return &SyntaxError{Text: text, Pos: at.pos, Message: "expected the name of a file after @"}
	}
	if e.include == nil {
		return &SyntaxError{Text: text, Pos: at.pos, Message: "files cannot be read here: put the list in [ ]"}
	}
	r, err := e.include(name)
	if err != nil {
		return fmt.Errorf("read filter file: %w", err)
	}
	defer r.Close()
	if isText {
		content, err := io.ReadAll(io.LimitReader(r, maxTextBytes+1))
		if err != nil {
			return fmt.Errorf("read filter file %s: %w", name, err)
		}
		return e.within(name, func() error { return e.text(string(content)+"\n", depth+1) })
	}
	e.out.WriteByte('[')
	if err := e.within(name, func() error { return e.list(name, r) }); err != nil {
		return err
	}
	e.out.WriteByte(']')
	return nil
}

// within runs write and notes what it wrote as the file's.
func (e *expander) within(name string, write func() error) error {
	start := e.out.Len()
	err := write()
	e.origins = append(e.origins, origin{name, start, e.out.Len()})
	return err
}

// list writes the lines of a list file without their comments.
func (e *expander) list(name string, r io.Reader) error {
	lines := bufio.NewScanner(r)
	for number := 1; lines.Scan(); number++ {
		line, _, _ := strings.Cut(strings.TrimPrefix(lines.Text(), "\ufeff"), "#")
		if at := strings.IndexFunc(line, notInList); at >= 0 {
			return &SyntaxError{
				Text: line, Pos: at, File: name, Line: number,
				Message: "expected an address, a prefix, a number or a range",
			}
		}
		e.out.WriteString(line)
		e.out.WriteByte('\n')
		if e.out.Len() > maxTextBytes {
			return fmt.Errorf("read filter file %s: the filter is longer than %d MiB", name, maxTextBytes>>20)
		}
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return fmt.Errorf("read filter file %s: a line is too long for a list", name)
	} else if err != nil {
		return fmt.Errorf("read filter file %s: %w", name, err)
	}
	return nil
}

// notInList reports whether r has no place in the line of a list, which could
// otherwise end the list and go on as something else.
func notInList(r rune) bool {
	return r >= 0x80 || !isWordByte(byte(r)) && !isSpace(byte(r)) && r != ',' && r != '/'
}
