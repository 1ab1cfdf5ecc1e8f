package query

import (
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"

	"weir/flow"
)

// A numSpec is what numbers a condition takes.
type numSpec struct {
	what  string            // what is expected, for errors: "a port"
	max   uint64            // the highest number
	names map[string]uint64 // names that stand for numbers, or nil
	parse func(text string) (uint64, bool)
	times bool // values are times, which may hold a space
	only  bool // parse reads all that there is
}

// Units that a number may end in: powers of 1000, as in nfdump.
var scales = map[byte]uint64{'k': 1e3, 'm': 1e6, 'g': 1e9, 't': 1e12}

// parseNumber reads a decimal or hexadecimal number with an optional unit k, m,
// g or t, which may follow a decimal fraction.
func parseNumber(text string) (uint64, bool) {
	text = lower(text)
	if hex, ok := strings.CutPrefix(text, "0x"); ok {
		v, err := strconv.ParseUint(hex, 16, 64)
		return v, err == nil
	}
	if text == "" || text[0] < '0' || text[0] > '9' {
		return 0, false
	}
	scale := uint64(1)
	if s, ok := scales[text[len(text)-1]]; ok {
		scale, text = s, text[:len(text)-1]
	}
	whole, fraction, dotted := strings.Cut(text, ".")
	v, err := strconv.ParseUint(whole, 10, 64)
	hi, v := bits.Mul64(v, scale)
	if err != nil || hi != 0 {
		return 0, false
	}
	if !dotted {
		return v, true
	}
	if fraction == "" || scale == 1 {
		return 0, false
	}
	for _, c := range []byte(fraction) {
		scale /= 10
		if c < '0' || c > '9' || scale == 0 || v > math.MaxUint64-uint64(c-'0')*scale {
			return 0, false
		}
		v += uint64(c-'0') * scale
	}
	return v, true
}

// value returns the number that text stands for under the spec.
func (s *numSpec) value(text string) (uint64, bool) {
	if v, ok := lookup(s.names, text); ok {
		return v, true
	}
	if s.parse != nil {
		if v, ok := s.parse(text); ok {
			return v, v <= s.max
		}
		if s.times || s.only {
			return 0, false
		}
	}
	v, ok := parseNumber(text)
	return v, ok && v <= s.max
}

// maxRanged is the longest text in bytes that may be a range. Two times of 35 bytes
// are the longest that anybody writes; each hyphen is tried.
const maxRanged = 128

// ranged returns the range that text stands for: one value, or two with a
// hyphen or two full stops between them.
func (s *numSpec) ranged(text string) (numRange, bool) {
	if v, ok := s.value(text); ok {
		return numRange{v, v}, true
	}
	if len(text) > maxRanged {
		return numRange{}, false
	}
	if from, to, ok := strings.Cut(text, ".."); ok {
		lo, okLo := s.value(from)
		hi, okHi := s.value(to)
		return numRange{lo, hi}, okLo && okHi && lo <= hi
	}
	for i := 1; i < len(text)-1; i++ {
		if text[i] != '-' {
			continue
		}
		lo, okLo := s.value(text[:i])
		hi, okHi := s.value(text[i+1:])
		if okLo && okHi {
			return numRange{lo, hi}, lo <= hi
		}
	}
	return numRange{}, false
}

// A comparison is an operator of the language.
type comparison string

// operator reads a comparison; none is "=".
func (p *parser) operator() comparison {
	op := comparison("")
	switch p.tok.kind {
	case tokenPunct:
		switch p.tok.text {
		case "=", "==":
			op = "="
		case ">", "<", ">=", "<=":
			op = comparison(p.tok.text)
		case "!=", "<>":
			op = "!="
		}
	case tokenWord:
		switch lower(p.tok.text) {
		case "eq":
			op = "="
		case "ne":
			op = "!="
		case "gt":
			op = ">"
		case "lt":
			op = "<"
		case "ge":
			op = ">="
		case "le":
			op = "<="
		}
	}
	if op == "" {
		return "="
	}
	p.advance()
	return op
}

// ranges returns the numbers up to top that stand in that relation to those of
// r; the last range has no end if it reaches top.
func (op comparison) ranges(r numRange, top uint64) []numRange {
	switch op {
	case ">":
		if r.hi == top {
			return nil
		}
		return []numRange{{r.hi + 1, math.MaxUint64}}
	case ">=":
		return []numRange{{r.lo, math.MaxUint64}}
	case "<":
		if r.lo == 0 {
			return nil
		}
		return []numRange{{0, r.lo - 1}}
	case "<=":
		return []numRange{{0, r.hi}}
	}
	return []numRange{r}
}

// numbers reads the rest of a condition on a number: an operator and a value, a
// range, or a list. It reports whether the condition is negated.
func (p *parser) numbers(s *numSpec) (ranges []numRange, negated bool, err error) {
	if p.listAhead() {
		ranges, err = p.numList(s)
		return normalNums(ranges), false, err
	}
	op := p.operator()
	at := p.tok
	r, err := p.numItem(s)
	if err != nil {
		return nil, false, err
	}
	if r.lo != r.hi && op != "=" && op != "!=" {
		return nil, false, p.reject(at, "a range cannot be compared; give one value")
	}
	if op == "!=" {
		return op.ranges(r, s.max), true, nil
	}
	return op.ranges(r, s.max), false, nil
}

// listAhead reports whether a list comes next: "in" or an open bracket.
func (p *parser) listAhead() bool {
	return p.tok.is("in") || p.tok.isPunct("[") || p.tok.kind == tokenFile
}

func (p *parser) numList(s *numSpec) ([]numRange, error) {
	var ranges []numRange
	err := p.list(func() error {
		r, err := p.numItem(s)
		ranges = append(ranges, r)
		return err
	})
	return ranges, err
}

// list reads "[", items with or without commas between them, and "]".
func (p *parser) list(item func() error) error {
	p.accept("in")
	if p.tok.kind == tokenFile {
		return p.reject(p.tok, "files are read by the client, not here")
	}
	open := p.tok
	if !p.tok.isPunct("[") {
		return p.expected("\"[\" or @FILE", nil)
	}
	p.advance()
	for !p.tok.isPunct("]") {
		if p.tok.kind == tokenEnd {
			return p.reject(open, "this [ is never closed")
		}
		if err := item(); err != nil {
			return err
		}
		if p.tok.isPunct(",") {
			p.advance()
		}
	}
	p.advance()
	return nil
}

// numItem reads a value or a range.
func (p *parser) numItem(s *numSpec) (numRange, error) {
	at := p.tok
	if s.times {
		at = p.timeToken()
	}
	if at.kind == tokenWord || at.kind == tokenQuoted {
		if r, ok := s.ranged(at.text); ok {
			p.tok = lex(p.text, at.end)
			return r, nil
		}
	}
	return numRange{}, p.expectedAt(at, s.what, names(s.names))
}

// timeToken returns the next token as a time, which may hold slashes and one
// space between date and time of day.
func (p *parser) timeToken() token {
	t := p.tok
	if t.kind != tokenWord {
		return t
	}
	end := timeEnd(p.text, t.pos)
	if space := skipSpace(p.text, end); space > end && space+3 < len(p.text) &&
		!strings.ContainsAny(p.text[t.pos:end], ":Tt") && strings.ContainsAny(p.text[t.pos:end], "-/") &&
		isDigit(p.text[space]) && isDigit(p.text[space+1]) && p.text[space+2] == ':' {
		end = timeEnd(p.text, space)
	}
	return token{tokenWord, p.text[t.pos:end], t.pos, end}
}

func timeEnd(text string, pos int) int {
	for pos < len(text) && (isWordByte(text[pos]) || text[pos] == '/') {
		pos++
	}
	return pos
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// lower is strings.ToLower under a shorter name: the language has one case.
func lower(s string) string { return strings.ToLower(s) }

// addresses reads the rest of a condition on an address: a value or a list.
func (p *parser) addresses(short bool) (ranges []addrRange, negated bool, err error) {
	if p.listAhead() {
		err = p.list(func() error {
			ranges, err = p.addrItem(ranges, short)
			return err
		})
		return normalAddrs(ranges), false, err
	}
	at := p.tok
	op := p.operator()
	if op != "=" && op != "!=" {
		return nil, false, p.reject(at, "addresses have no order here: use =, != or a list")
	}
	ranges, err = p.addrItem(nil, short)
	return normalAddrs(ranges), op == "!=", err
}

// addrItem reads an address, a prefix or a range and appends it. With short,
// IPv4 octets that a prefix leaves out at the end are zero.
func (p *parser) addrItem(dst []addrRange, short bool) ([]addrRange, error) {
	const what = "an IPv4 or IPv6 address or prefix"
	at := p.tok
	if at.kind != tokenWord {
		return nil, p.expected(what, nil)
	}
	p.advance()
	if p.tok.isPunct("/") {
		p.advance()
		return p.prefixItem(dst, at, short)
	}
	a, err := flow.ParseAddr(at.text)
	if err == nil {
		return append(dst, addrRange{a, a}), nil
	}
	if from, to, ok := strings.Cut(at.text, "-"); ok {
		lo, errLo := flow.ParseAddr(from)
		hi, errHi := flow.ParseAddr(to)
		if errLo == nil && errHi == nil {
			if lo.Is4() != hi.Is4() || hi.Less(lo) {
				return nil, p.reject(at, "a range goes from a lower to a higher address of one family")
			}
			return splitFamilies(dst, addrRange{lo, hi}), nil
		}
	}
	if looksLikeName(at.text) {
		return nil, p.reject(at, fmt.Sprintf("expected an address, found %q; host names are not looked up", at.text))
	}
	return nil, p.expectedAt(at, what, nil)
}

// looksLikeName reports whether text may be a host name.
func looksLikeName(text string) bool {
	return !strings.Contains(text, ":") && strings.IndexFunc(text, func(r rune) bool {
		return r >= 'g' && r <= 'z' || r >= 'G' && r <= 'Z'
	}) >= 0
}

// prefixItem reads the length of a prefix and appends it.
func (p *parser) prefixItem(dst []addrRange, at token, short bool) ([]addrRange, error) {
	a, err := flow.ParseAddr(at.text)
	if err != nil && short {
		a, err = parseShort(at.text)
	}
	if err != nil {
		return nil, p.expectedAt(at, "an IPv4 or IPv6 address", nil)
	}
	length, err := strconv.ParseUint(p.tok.text, 10, 8)
	if p.tok.kind != tokenWord || err != nil {
		return nil, p.expected("a prefix length", nil)
	}
	prefix, err := flow.PrefixFrom(a, int(length))
	if err != nil {
		return nil, p.reject(p.tok, err.Error())
	}
	p.advance()
	return splitFamilies(dst, addrRange{prefix.First, prefix.Last}), nil
}

// parseShort reads an address with its end left out: "10", "192.168" or
// "2001:db8", as nfdump's net takes them.
func parseShort(text string) (flow.Addr, error) {
	if strings.Contains(text, ":") {
		return flow.ParseAddr(strings.TrimRight(text, ":") + "::")
	}
	if n := strings.Count(text, "."); n < 3 {
		text += strings.Repeat(".0", 3-n)
	}
	return flow.ParseAddr(text)
}
