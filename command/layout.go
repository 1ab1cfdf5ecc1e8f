package command

import (
	"slices"
	"strings"

	"weir/flow"
)

// A layout writes a flow as a line in nfdump's manner: -o line, long, extended,
// or tokens of the user's choice after "fmt:". Where nfdump would mislead, a
// layout differs: times are UTC and say so, addresses are never cut, and a
// field that the exporter did not send is "-", not 0. Docs/query.md lists the
// differences.
type layout struct {
	parts []layoutPart
	names []string   // of the tokens they are of, but of kept elements
	plain bool       // numbers in full and protocols by number, as nfdump -N
	kept  *flow.Kept // whose columns are tokens too

	tokens map[string][]layoutPart
}

// A layoutPart is a run of text, or a column. A token is one column or, where
// two values stand together such as an address and its port, several.
type layoutPart struct {
	text string // copied to every line; blanks in the head
	head string // the column's head, as wide as the column is at first
	left bool   // values stand at the left edge
	// value appends the value, or nothing where the record has none; nil for a
	// run of text.
	value func(dst []byte, r *layoutRow) []byte
}

// A layoutRow is what the value of a column is made of.
type layoutRow struct {
	*flow.Record
	number uint64 // of the line, from 1
	plain  bool
}

// layoutPrefix begins the name of a layout that follows in tokens.
const layoutPrefix = "fmt:"

// layoutFormats are nfdump's names of layouts and what they stand for.
var layoutFormats = map[string]string{
	"line":     "%ts %td %pr %sap -> %dap %pkt %byt %fl",
	"long":     "%ts %td %pr %sap -> %dap %flg %tos %pkt %byt %fl",
	"extended": "%ts %td %pr %sap -> %dap %flg %tos %pkt %byt %pps %bps %bpp %fl",
	"biline":   "%ts %td %pr %sap <-> %dap %opkt %ipkt %obyt %ibyt %fl",
	"bilong":   "%ts %td %pr %sap <-> %dap %flg %tos %opkt %ipkt %obyt %ibyt %fl",
	"nsel":     "%ts %evt %xevt %pr %sap -> %dap %xsap -> %xdap %ibyt %obyt",
	"nat":      "%ts %nevt %pr %sap -> %dap %nsap -> %ndap",
	"nel":      "%ts %nevt %pr %sap -> %dap %nsap -> %ndap",
}

// layoutNames returns the names of layouts in the order that help gives them.
func layoutNames() []string {
	return []string{"line", "long", "extended", "biline", "bilong", "nsel", "nat", "nel"}
}

// isLayout reports whether an output format is a layout.
func isLayout(format string) bool {
	return strings.HasPrefix(format, layoutPrefix) || layoutFormats[format] != ""
}

// parseLayout parses an output format that isLayout: a name, or "fmt:" with
// tokens. The columns of kept elements are tokens by their names.
func parseLayout(format string, plain bool, kept *flow.Kept) (*layout, error) {
	text, ok := strings.CutPrefix(format, layoutPrefix)
	if !ok {
		text = layoutFormats[format]
	}
	if strings.TrimSpace(text) == "" {
		return nil, usagef("-o %s names no token", layoutPrefix).withHint("for example %q", layoutPrefix+layoutFormats["line"])
	}
	l := &layout{plain: plain, kept: kept, tokens: layoutTokens()}
	return l, l.add(text)
}

// add appends the parts of text: tokens, names of layouts after a %, and what
// stands between them.
func (l *layout) add(text string) error {
	for text != "" {
		before, rest, found := strings.Cut(text, "%")
		l.addText(before)
		if !found {
			return nil
		}
		if text, found = strings.CutPrefix(rest, "%"); found {
			l.addText("%")
			continue
		}
		if e := l.keptToken(rest); e != nil {
			l.parts = append(l.parts, layoutPart{head: e.Name, left: !e.IsNumber(), value: layoutKept(e)})
			text = rest[len(e.Name):]
			continue
		}
		name := rest[:len(rest)-len(strings.TrimLeft(rest, layoutLetters))]
		text = rest[len(name):]
		if err := l.addToken(name); err != nil {
			return err
		}
	}
	return nil
}

// keptToken returns the kept element whose name text begins with, nil if there is
// none. Unlike those of other tokens, such names have underscores.
func (l *layout) keptToken(text string) *flow.KeptElement {
	name := text[:len(text)-len(strings.TrimLeft(text, layoutLetters+"_"))]
	for name != "" {
		if e := l.kept.Find(name); e != nil && e.Name == name {
			return e
		}
		name = name[:max(0, strings.LastIndexByte(name, '_'))] // %application_id_%sa
	}
	return nil
}

// layoutLetters are the characters of a token's name.
const layoutLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

func (l *layout) addText(text string) {
	if text != "" {
		l.parts = append(l.parts, layoutPart{text: text})
	}
}

func (l *layout) addToken(name string) error {
	if format, ok := layoutFormats[name]; ok {
		return l.add(format)
	}
	if parts, ok := l.tokens[name]; ok {
		l.parts, l.names = append(l.parts, parts...), append(l.names, name)
		return nil
	}
	if reason, ok := layoutRefused[name]; ok {
		return usagef("-o %s: weir does not have %%%s: %s", layoutPrefix, name, reason)
	}
	names := layoutTokenNames()
	e := usagef("-o %s: there is no token %%%s", layoutPrefix, name)
	if near := nearest(name, names); near != "" {
		return e.withHint("did you mean %%%s? The tokens are %%%s", near, strings.Join(names, " %"))
	}
	return e.withHint("the tokens are %%%s", strings.Join(names, " %"))
}

// layoutTokenNames returns the names of all tokens and layouts in order.
func layoutTokenNames() []string {
	var names []string
	for name := range layoutTokens() {
		names = append(names, name)
	}
	slices.Sort(names)
	return append(names, layoutNames()...)
}

// appendCells makes dst the values of a record, one for each part, nothing for
// text.
func (l *layout) appendCells(dst *cells, row *layoutRow) {
	dst.reset()
	for i := range l.parts {
		if value := l.parts[i].value; value != nil {
			begin := len(dst.text)
			if dst.text = value(dst.text, row); len(dst.text) == begin {
				dst.text = append(dst.text, layoutAbsent...)
			}
		}
		dst.end()
	}
}

// layoutAbsent stands for a value that the record does not have. It keeps the
// number of words in a line what scripts count on.
const layoutAbsent = "-"

// widths returns how wide the columns are at first.
func (l *layout) widths() []int {
	widths := make([]int, len(l.parts))
	for i, p := range l.parts {
		widths[i] = len(p.head)
	}
	return widths
}

// appendHead appends the head line in columns of the given widths.
func (l *layout) appendHead(dst []byte, widths []int) []byte {
	for i, p := range l.parts {
		if p.value != nil {
			dst = appendPadded(dst, []byte(p.head), widths[i], p.left)
			continue
		}
		for _, c := range p.text {
			if c != '\n' {
				c = ' '
			}
			dst = append(dst, byte(c))
		}
	}
	return append(trimBlanks(dst), '\n')
}

// appendLine appends a line of cells in columns of the given widths.
func (l *layout) appendLine(dst []byte, row *cells, widths []int) []byte {
	for i := range l.parts {
		if p := &l.parts[i]; p.value != nil {
			dst = appendPadded(dst, row.cell(i), widths[i], p.left)
		} else {
			dst = append(dst, p.text...)
		}
	}
	return append(trimBlanks(dst), '\n')
}

func trimBlanks(line []byte) []byte {
	for len(line) > 0 && line[len(line)-1] == ' ' {
		line = line[:len(line)-1]
	}
	return line
}

// appendPadded appends cell with blanks up to the width.
func appendPadded(dst, cell []byte, width int, left bool) []byte {
	pad := width - len(cell)
	if left {
		return appendRun(append(dst, cell...), blanks, pad)
	}
	return append(appendRun(dst, blanks, pad), cell...)
}
