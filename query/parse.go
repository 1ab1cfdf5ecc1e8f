package query

import (
	"fmt"
	"io"
	"strings"

	"weir/flow"
)

// Bounds that keep a hostile filter from costing more than its length: they
// are far above what a person or a script writes.
const (
	maxTextBytes = 32 << 20 // length of the text, lists included
	maxDepth     = 200      // nesting of parentheses and not
	maxLeaves    = 4096     // conditions, a list counting as one
)

// ParseOptions are what a filter may refer to outside its text.
type ParseOptions struct {
	// Include opens a file named by @FILE or @include FILE. Nil refuses such
	// names: text that came over a socket must not open files here, so the
	// client expands them (Filter.Source, Expand).
	Include func(name string) (io.ReadCloser, error)

	// Names are what organisations, countries, AS and exporters are called; nil:
	// nothing has a name.
	Names *Names

	// Kept are the elements that the archive keeps beside the fields of the record;
	// nil: none.
	Kept *flow.Kept

	// Elements returns what to say of a name that is no field's: a hint if it is
	// that of an information element, "" if it is none. It may be nil.
	Elements func(name string) string

	// ElementAlias returns the alias of an element that is written as
	// enterprise/number, such as cisco_12235 for ciscoPEN/12235, "" if that is none.
	// It may be nil.
	ElementAlias func(text string) string

	// Unresolved leaves names of a kind that Names does not have to whoever
	// parses Filter.Resolved later. The filter then matches nothing by them.
	Unresolved bool
}

// A Filter is a parsed filter. It may be used by several goroutines.
type Filter struct {
	root   node
	source string
	named  bool // a name was resolved
}

// Parse parses a filter. Empty text matches every record. An error is a
// *SyntaxError, or says why a file could not be read.
func Parse(text string, o ParseOptions) (*Filter, error) {
	expanded, origins, err := expand(text, o.Include)
	if err != nil {
		return nil, err
	}
	p := &parser{text: expanded, options: o}
	root, err := p.filter()
	if err != nil {
		if e, ok := err.(*SyntaxError); ok {
			e.File, e.Line = origins.find(expanded, e.Pos)
		}
		return nil, err
	}
	return &Filter{root, expanded, p.named}, nil
}

// Match reports whether the filter matches r.
func (f *Filter) Match(r *flow.Record) bool { return f.root.match(r) }

// String returns the filter in its canonical form, which spells out what each
// primitive stands for and parses to a filter that is equal.
func (f *Filter) String() string { return string(f.root.appendText(nil)) }

// Source returns the filter's text with its files put in place of their names,
// so that it parses without ParseOptions.Include.
func (f *Filter) Source() string { return f.source }

// Resolved returns the filter's text with its files put in place of their names
// and with the addresses of what ParseOptions.Names knows, so that it parses
// where neither is known.
func (f *Filter) Resolved() string {
	if f.named {
		return f.String()
	}
	return f.source
}

// Fields returns the fields that the filter looks at.
func (f *Filter) Fields() flow.FieldSet {
	var set flow.FieldSet
	f.root.fields(&set)
	return set
}

// A parser reads one filter by recursive descent. Precedence is nfdump's: not
// binds tightest, then and, then or.
type parser struct {
	text    string
	tok     token // the next one to be consumed
	options ParseOptions
	depth   int
	leaves  int
	negated bool // what is read stands behind an odd number of nots
	named   bool // a condition is about a name that is known
}

func (p *parser) filter() (node, error) {
	if len(p.text) > maxTextBytes {
		return nil, &SyntaxError{Text: p.text[:80], Message: fmt.Sprintf("the filter is longer than %d MiB", maxTextBytes>>20)}
	}
	p.tok = lex(p.text, 0)
	if p.tok.kind == tokenEnd {
		return constNode(true), nil
	}
	n, err := p.or()
	if err != nil {
		return nil, err
	}
	if p.tok.kind != tokenEnd {
		return nil, p.unexpectedAfterTerm()
	}
	return n, nil
}

// unexpectedAfterTerm is the error for what follows a complete condition and
// cannot join it to another.
func (p *parser) unexpectedAfterTerm() error {
	if p.tok.isPunct("%") {
		return p.reject(p.tok, "weir does not label flows: nfdump's %label has no meaning here")
	}
	if p.tok.isPunct(")") {
		return p.reject(p.tok, "this ) has no ( before it")
	}
	return p.expected("\"and\", \"or\" or the end", []string{"and", "or"})
}

func (p *parser) or() (node, error) {
	n, err := p.and()
	for err == nil && (p.tok.is("or") || p.tok.isPunct("||")) {
		p.advance()
		var right node
		if right, err = p.and(); err == nil {
			n = or(n, right)
		}
	}
	return n, err
}

func (p *parser) and() (node, error) {
	n, err := p.unary()
	for err == nil && (p.tok.is("and") || p.tok.isPunct("&&")) {
		p.advance()
		var right node
		if right, err = p.unary(); err == nil {
			n = and(n, right)
		}
	}
	return n, err
}

func (p *parser) unary() (node, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, p.reject(p.tok, fmt.Sprintf("parentheses and \"not\" are nested more than %d deep", maxDepth))
	}
	defer func() { p.depth-- }()
	switch {
	case p.tok.is("not") || p.tok.isPunct("!"):
		p.advance()
		p.negated = !p.negated
		n, err := p.unary()
		p.negated = !p.negated
		if err != nil {
			return nil, err
		}
		return not(n), nil
	case p.tok.isPunct("("):
		open := p.tok
		p.advance()
		n, err := p.or()
		if err != nil {
			return nil, err
		}
		if !p.tok.isPunct(")") {
			if p.tok.kind == tokenEnd {
				return nil, p.reject(open, "this ( is never closed")
			}
			return nil, p.expected("\"and\", \"or\" or \")\"", []string{"and", "or"})
		}
		p.advance()
		return n, nil
	}
	if p.leaves++; p.leaves > maxLeaves {
		return nil, p.reject(p.tok, fmt.Sprintf("the filter has more than %d conditions; use a list", maxLeaves))
	}
	return p.term()
}

// advance consumes the next token.
func (p *parser) advance() { p.tok = lex(p.text, p.tok.end) }

// peek returns the token after the next.
func (p *parser) peek() token { return lex(p.text, p.tok.end) }

// accept consumes the next token if it is that keyword.
func (p *parser) accept(word string) bool {
	if !p.tok.is(word) {
		return false
	}
	p.advance()
	return true
}

// reject returns an error at t.
func (p *parser) reject(t token, message string) error {
	return &SyntaxError{Text: p.text, Pos: t.pos, Message: message}
}

// expected returns the error that something else stands at the next token, with
// the nearest of the words that could.
func (p *parser) expected(what string, words []string) error {
	return p.expectedAt(p.tok, what, words)
}

func (p *parser) expectedAt(t token, what string, words []string) error {
	message := "expected " + what
	switch t.kind {
	case tokenEnd:
		message += ", found the end"
	case tokenFile:
		message += fmt.Sprintf(", found %q", "@"+t.text)
	case tokenBad:
		if strings.HasPrefix(t.text, "'") || strings.HasPrefix(t.text, "\"") {
			message = "this quote is never closed"
			break
		}
		fallthrough
	default:
		text := t.text
		if len(text) > 60 {
			text = text[:60] + "…"
		}
		message += fmt.Sprintf(", found %q", text)
	}
	e := &SyntaxError{Text: p.text, Pos: t.pos, Message: message}
	if t.kind == tokenWord {
		e.Suggestion = nearest(t.text, words)
	}
	return e
}
