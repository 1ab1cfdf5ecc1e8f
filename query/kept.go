package query

import (
	"encoding/hex"
	"math"
	"slices"
	"strconv"
	"strings"

	"weir/flow"
)

// Conditions on kept elements. Numbers, times and MAC addresses of them are held
// like those of other fields and make a numNode, addresses an addrNode. Texts and
// octets make a textNode.

// keptSpec returns what numbers a condition on a kept element takes.
func keptSpec(e *flow.KeptElement) *numSpec {
	s := &numSpec{max: math.MaxUint64, what: "a number, such as 1500, 10k or 0x1f"}
	switch e.Type.Form() {
	case flow.FormSigned:
		s.what, s.only = "a number, such as -5", true
		s.parse = func(text string) (uint64, bool) {
			v, err := strconv.ParseInt(text, 0, 64)
			return flow.SignedNum(v), err == nil
		}
	case flow.FormFloat:
		s.what, s.only = "a number, such as 0.25", true
		s.parse = func(text string) (uint64, bool) {
			v, err := strconv.ParseFloat(text, 64)
			return flow.FloatNum(v), err == nil && !math.IsNaN(v)
		}
	case flow.FormBoolean:
		s.what, s.max, s.names = "true or false", 1, map[string]uint64{"true": 1, "false": 0}
	case flow.FormMAC:
		return specOf(flow.SrcMAC)
	case flow.FormTime:
		return specOf(flow.Start)
	}
	return s
}

// keptCondition reads the rest of a condition on a kept element.
func (p *parser) keptCondition(e *flow.KeptElement) (node, error) {
	switch {
	case e.Field.IsAddr():
		return p.fieldCondition(e.Field)
	case e.Field.IsText():
		return p.textCondition(e)
	}
	n := &numNode{field: e.Field, kept: e}
	spec := keptSpec(e)
	if p.tok.isPunct(">>") || p.tok.isPunct("&") {
		if e.Type.Form() != flow.FormUnsigned {
			return nil, p.reject(p.tok, e.Name+" is "+string(e.Type)+": only unsigned numbers have bits to choose from")
		}
		if err := p.bitSelection(n); err != nil {
			return nil, err
		}
		spec = &numSpec{what: "a number", max: math.MaxUint64}
	}
	return p.numCondition(n, spec)
}

// appendNum appends a value of a numNode as it is parsed.
func (n *numNode) appendNum(dst []byte, v uint64) []byte {
	if n.kept == nil || n.shift != 0 || n.mask != 0 {
		return strconv.AppendUint(dst, v, 10)
	}
	switch n.kept.Type.Form() {
	case flow.FormMAC:
		return appendNumValue(dst, flow.SrcMAC, v)
	case flow.FormTime:
		return appendNumValue(dst, flow.Start, v)
	case flow.FormBoolean:
		return strconv.AppendUint(dst, v, 10)
	}
	return n.kept.AppendNum(dst, v)
}

// A textOp is how a text is compared.
type textOp string

const (
	textIs       textOp = "="
	textContains textOp = "contains"
	textBegins   textOp = "begins"
	textEnds     textOp = "ends"
)

// A textNode matches records whose text or octets in a slot compare with one of
// the items, or are a number in one of the ranges. It is false where the field is
// absent. Texts are compared without regard to case, octets byte by byte.
type textNode struct {
	kept  *flow.KeptElement
	op    textOp
	items []textItem
	nums  []numRange // ascending, apart
}

// A textItem is a text to compare with.
type textItem struct {
	text   string // as it is compared
	source string // as it is written in a filter
}

// textCondition reads the rest of a condition on texts or octets:
//
//	FIELD [= | !=] TEXT | FIELD contains|begins|ends TEXT | FIELD OPERATOR NUMBER
//
// with a list in place of TEXT.
func (p *parser) textCondition(e *flow.KeptElement) (node, error) {
	n := &textNode{kept: e, op: textIs}
	for _, op := range []textOp{textContains, textBegins, textEnds} {
		if p.accept(string(op)) {
			n.op = op
			p.accept("with")
			break
		}
	}
	if p.listAhead() {
		err := p.list(func() error { return p.textItem(n) })
		n.nums = normalNums(n.nums)
		return n, err
	}
	at, op := p.tok, comparison("=")
	if n.op == textIs {
		op = p.operator()
	}
	switch op {
	case "=", "!=":
		if err := p.textItem(n); err != nil {
			return nil, err
		}
		if op == "!=" {
			return not(n), nil
		}
		return n, nil
	}
	if e.Type.Form() == flow.FormString {
		return nil, p.reject(at, "texts have no order here: use =, !=, contains, begins, ends or a list")
	}
	r, err := p.numItem(&numSpec{what: "a number, such as 5 or 0x0d000050", max: math.MaxUint64})
	if err != nil {
		return nil, err
	}
	n.nums = op.ranges(r, math.MaxUint64)
	return n, nil
}

// textItem reads a text, octets or a number and adds it.
func (p *parser) textItem(n *textNode) error {
	t := p.tok
	isString := n.kept.Type.Form() == flow.FormString
	if t.kind != tokenQuoted && t.kind != tokenWord {
		what := "a text, in quotes where it is more than letters, digits and - _ . :"
		if !isString {
			what = "a number, octets after 0x, or a text in quotes"
		}
		return p.expected(what, nil)
	}
	p.advance()
	item := textItem{t.text, quoteText(t.text)}
	switch {
	case isString:
		item.text = strings.ToLower(t.text)
	case t.kind == tokenQuoted:
	default:
		if n.op == textIs {
			numbers := &numSpec{max: math.MaxUint64}
			if r, ok := numbers.ranged(t.text); ok {
				n.nums = append(n.nums, r)
				if r.lo != r.hi || !isHex(t.text) {
					return nil
				}
			}
		}
		if isHex(t.text) {
			octets, err := hex.DecodeString(t.text[2:])
			if err != nil {
				if n.op == textIs && len(n.nums) > 0 {
					return nil // an odd number of digits: a number, and no octets
				}
				return p.reject(t, "octets are pairs of hexadecimal digits after 0x")
			}
			item = textItem{string(octets), lower(t.text)}
		}
	}
	n.items = append(n.items, item)
	return nil
}

func isHex(text string) bool {
	return len(text) > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X')
}

// quoteText writes a text as a filter has it. What was read from one never has
// both kinds of quotes.
func quoteText(text string) string {
	if strings.Contains(text, `"`) {
		return "'" + text + "'"
	}
	return `"` + text + `"`
}

// holds reports whether a value matches.
func (n *textNode) holds(value string) bool {
	switch n.kept.Type.Form() {
	case flow.FormString:
		return n.compares(strings.ToLower(value))
	case flow.FormAny:
		v, octets, isNum := flow.SplitAny(value)
		if isNum {
			return inNums(n.nums, v)
		}
		value = octets
	}
	if len(n.nums) > 0 && len(value) <= 8 {
		v := uint64(0)
		for _, b := range []byte(value) {
			v = v<<8 | uint64(b)
		}
		if inNums(n.nums, v) {
			return true
		}
	}
	return n.compares(value)
}

func (n *textNode) compares(value string) bool {
	for _, item := range n.items {
		switch n.op {
		case textIs:
			if value == item.text {
				return true
			}
		case textContains:
			if strings.Contains(value, item.text) {
				return true
			}
		case textBegins:
			if strings.HasPrefix(value, item.text) {
				return true
			}
		case textEnds:
			if strings.HasSuffix(value, item.text) {
				return true
			}
		}
	}
	return false
}

func (n *textNode) match(r *flow.Record) bool {
	return r.Has(n.kept.Field) && n.holds(r.Text(n.kept.Field))
}

func (n *textNode) fields(set *flow.FieldSet) { set.Add(n.kept.Field) }

// appendText writes numbers and octets that are one word of the filter once.
func (n *textNode) appendText(dst []byte) []byte {
	dst = append(dst, n.kept.Name...)
	if n.op != textIs {
		dst = append(append(dst, ' '), n.op...)
	}
	var words []string
	for _, r := range n.nums {
		if !slices.ContainsFunc(n.items, func(i textItem) bool { return r.lo == r.hi && isHex(i.source) && hexIs(i.source, r.lo) }) {
			words = append(words, rangeWord(r))
		}
	}
	for _, item := range n.items {
		words = append(words, item.source)
	}
	if len(n.nums) == 1 && len(words) == 1 && len(n.items) == 0 {
		return appendNumRanges(dst, flow.Bytes, n.nums)
	}
	return append(append(append(dst, " in ["...), strings.Join(words, " ")...), ']')
}

func hexIs(text string, v uint64) bool {
	got, ok := parseNumber(text)
	return ok && got == v
}

func rangeWord(r numRange) string {
	if r.lo == r.hi {
		return strconv.FormatUint(r.lo, 10)
	}
	return strconv.FormatUint(r.lo, 10) + "-" + strconv.FormatUint(r.hi, 10)
}

func (n *textNode) classify(k knowledge) class {
	if k.absent || len(n.nums) == 0 && len(n.items) == 0 {
		return classNone
	}
	return classSome
}

// textLeaf looks at the texts of a block's dictionary, of which there are fewer
// than rows.
func (e *evaluator) textLeaf(n *textNode, set *rowSet) error {
	f := n.kept.Field
	if err := e.having(f, set); err != nil || empty(set) {
		return err
	}
	d, codes, err := e.textDict(f)
	if err != nil {
		return err
	}
	e.keepCodes(d.Len(), func(i int) bool { return n.holds(d.Text(i)) })
	e.restrictCodes(codes, set)
	return nil
}

// joinElement puts the alias of an element in the place of cisco/12235.
func (p *parser) joinElement() {
	if p.options.ElementAlias == nil {
		return
	}
	slash := lex(p.text, p.tok.end)
	which := lex(p.text, slash.end)
	if p.tok.kind != tokenWord || !slash.isPunct("/") || slash.pos != p.tok.end || which.kind != tokenWord || which.pos != slash.end {
		return
	}
	if alias := p.options.ElementAlias(p.text[p.tok.pos:which.end]); alias != "" {
		p.tok = token{tokenWord, alias, p.tok.pos, which.end}
	}
}

// unkept returns the error for a condition on an element that is not kept, nil if
// no element has that name.
func (p *parser) unkept(t token) error {
	if p.options.Elements == nil || t.kind != tokenWord {
		return nil
	}
	hint := p.options.Elements(t.text)
	if hint == "" {
		return nil
	}
	return p.reject(t, hint)
}

// Reserved reports whether a word means something in filters, groups or answers,
// so that no kept element can have it for a name.
func Reserved(word string) bool {
	if _, isGroup := eitherGroups[word]; isGroup || slices.Contains(computedNames[:], word) || slices.Contains(bareProtos, word) {
		return true
	}
	if _, isField := flow.ParseField(word); isField {
		return true
	}
	return slices.Contains(subjectWords, word) || slices.Contains(LabelFieldNames(true), word) || slices.Contains(reservedWords, word) || isSumName(word)
}

// reservedWords are those that stand elsewhere than at the beginning of a
// condition, and the names of columns that are no fields.
var reservedWords = []string{"and", "or", "eq", "ne", "gt", "lt", "ge", "le", "contains", "begins", "ends", "with", "geo", "addr", "nat",
	"mpls_labels", "org", "records", "share", "distinct", "other", "estimated", "step_ms", "step_start"}

// isSumName reports whether a word is the name of a sum in answers, or of what is
// said of one.
func isSumName(word string) bool {
	name := word
	for _, affix := range []string{"exported_", "total_"} {
		name = strings.TrimPrefix(name, affix)
	}
	for _, affix := range []string{"_share", "_margin"} {
		name = strings.TrimSuffix(name, affix)
	}
	return slices.Contains([]string{"bytes", "packets", "flows", "bps", "pps", "bpp"}, name)
}
