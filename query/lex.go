package query

import "strings"

// A tokenKind tells words, quoted text, punctuation and the end apart.
type tokenKind uint8

const (
	tokenEnd    tokenKind = iota
	tokenWord             // letters, digits and _ : . - + : keywords, numbers, addresses, times
	tokenQuoted           // text between ' or "
	tokenPunct            // ( ) [ ] , / and operators
	tokenFile             // @ and the name of a file
	tokenBad              // a character that has no place in a filter
)

// A token is one piece of a filter's text.
type token struct {
	kind tokenKind
	text string // without quotes and without the @ of a file
	pos  int    // byte offset in the filter's text
	end  int    // offset of the byte after it
}

// is reports whether t is that keyword, whatever its case.
func (t token) is(word string) bool {
	return t.kind == tokenWord && strings.EqualFold(t.text, word)
}

// isPunct reports whether t is that punctuation.
func (t token) isPunct(text string) bool { return t.kind == tokenPunct && t.text == text }

func isWordByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
		c == '_' || c == ':' || c == '.' || c == '-' || c == '+'
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// skipSpace returns the offset of the first byte at or after pos that is
// neither white space nor part of a comment, which runs from # to the end of
// its line.
func skipSpace(text string, pos int) int {
	for pos < len(text) {
		switch c := text[pos]; {
		case isSpace(c):
			pos++
		case c == '#':
			for pos < len(text) && text[pos] != '\n' {
				pos++
			}
		default:
			return pos
		}
	}
	return pos
}

// operators in the order in which they are tried: longer ones first.
var operators = [...]string{
	"==", ">=", "<=", "!=", "<>", ">>", "&&", "||",
	"=", ">", "<", "!", "&", "(", ")", "[", "]", ",", "/", "%",
}

// lex returns the token at or after pos.
func lex(text string, pos int) token {
	pos = skipSpace(text, pos)
	if pos == len(text) {
		return token{tokenEnd, "", pos, pos}
	}
	switch c := text[pos]; {
	case isWordByte(c):
		end := pos
		for end < len(text) && isWordByte(text[end]) {
			end++
		}
		return token{tokenWord, text[pos:end], pos, end}
	case c == '\'' || c == '"':
		n := strings.IndexByte(text[pos+1:], c)
		if n < 0 {
			return token{tokenBad, text[pos:], pos, len(text)}
		}
		return token{tokenQuoted, text[pos+1 : pos+1+n], pos, pos + n + 2}
	case c == '@':
		end := pos + 1
		for end < len(text) && !isSpace(text[end]) && !strings.ContainsRune("()[],", rune(text[end])) {
			end++
		}
		return token{tokenFile, text[pos+1 : end], pos, end}
	}
	for _, op := range operators {
		if strings.HasPrefix(text[pos:], op) {
			return token{tokenPunct, op, pos, pos + len(op)}
		}
	}
	end := pos + 1
	for end < len(text) && text[end]&0xc0 == 0x80 {
		end++ // the rest of a UTF-8 sequence
	}
	return token{tokenBad, text[pos:end], pos, end}
}
