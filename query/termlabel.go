package query

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"weir/flow"
)

// The methods here read conditions on names: of organisations, countries and AS,
// which become ranges of addresses and so use the index, and of exporters.

// A namedNode is a condition on names that are not known where the filter was
// parsed (ParseOptions.Unresolved). It only stands for its text.
type namedNode struct {
	subject string
	names   []string
}

func (n *namedNode) match(*flow.Record) bool { return false }
func (n *namedNode) fields(*flow.FieldSet)   {}

func (n *namedNode) appendText(dst []byte) []byte {
	dst = append(append(dst, n.subject...), " in ["...)
	for i, name := range n.names {
		if i > 0 {
			dst = append(dst, ' ')
		}
		dst = append(dst, quoteName(name)...)
	}
	return append(dst, ']')
}

// quoteName returns a name as a filter takes it.
func quoteName(name string) string {
	if strings.Contains(name, `"`) {
		return "'" + name + "'"
	}
	return `"` + name + `"`
}

// labelled reads a condition on the names of a flow's ends: [src|dst] org NAME,
// and country (also geo), asname and asn alike.
func (p *parser) labelled(q qualifier, word string) (node, error) {
	if err := p.only(q, word, "side"); err != nil {
		return nil, err
	}
	kind := LabelKind(word)
	if word == "geo" {
		kind = KindCountry
	}
	p.advance()
	return p.labelCondition(kind, word, q)
}

// labelCondition reads the rest of a condition on names of a kind.
func (p *parser) labelCondition(kind LabelKind, subject string, q qualifier) (node, error) {
	table, err := p.options.Names.Table(kind)
	if err != nil {
		return nil, err
	}
	p.named = p.named || table != nil
	if table == nil && !p.options.Unresolved {
		return nil, p.reject(q.start, fmt.Sprintf("there are no names for %s here: it needs %s", subject, kind.what()))
	}
	unresolved := &namedNode{}
	var ranges []addrRange
	negated, err := p.nameList(func(t token) error {
		if table == nil {
			unresolved.names = append(unresolved.names, t.text)
			return nil
		}
		found, ok := table.named(t.text)
		if !ok {
			return p.unknownName(t, kind, table)
		}
		ranges = append(ranges, found...)
		return nil
	})
	if err != nil {
		return nil, err
	}
	leaf := func(f flow.Field, side string) node {
		if table == nil {
			return &namedNode{side + "_" + string(kind), unresolved.names}
		}
		return &addrNode{f, ranges}
	}
	ranges = normalAddrs(ranges)
	n := q.ends(leaf(flow.SrcAddr, "src"), leaf(flow.DstAddr, "dst"))
	if negated {
		return not(n), nil
	}
	return n, nil
}

// unknownName is the error for a name that no address has.
func (p *parser) unknownName(t token, kind LabelKind, table *Labels) error {
	what := "the name of an organisation"
	switch kind {
	case KindCountry:
		what = "a country's two letters"
	case KindASName:
		what = "the name of an AS"
	case KindASN:
		what = "the number of an AS"
	}
	e := &SyntaxError{Text: p.text, Pos: t.pos, Message: fmt.Sprintf("expected %s, found %q", what, t.text)}
	lowered := make([]string, len(table.names))
	for i, name := range table.names {
		lowered[i] = lower(name)
	}
	if i := slices.Index(lowered, nearest(t.text, lowered)); i >= 0 {
		e.Suggestion = table.names[i]
	}
	return e
}

// labelField reads a condition on a field that is a name: src_org = NAME.
func (p *parser) labelField(f LabelField) (node, error) {
	q := qualifier{start: p.tok, side: sideSrc, given: true}
	if f.Field == flow.DstAddr {
		q.side = sideDst
	}
	subject := p.tok.text
	p.advance()
	return p.labelCondition(f.Kind, subject, q)
}

// nameList reads an operator and a name, or a list of names, and reports
// whether the condition is negated.
func (p *parser) nameList(item func(t token) error) (negated bool, err error) {
	read := func() error {
		t := p.tok
		if t.kind != tokenWord && t.kind != tokenQuoted {
			return p.expected("a name, in quotes if it has blanks", nil)
		}
		p.advance()
		return item(t)
	}
	if p.listAhead() {
		return false, p.list(read)
	}
	at := p.tok
	op := p.operator()
	if op != "=" && op != "!=" {
		return false, p.reject(at, "names have no order: use =, != or a list")
	}
	return op == "!=", read()
}

// An exporterList is the exporters that a condition is about: addresses, and
// names that are not known here.
type exporterList struct {
	ranges []addrRange
	names  []string
}

// node returns the condition on a field; subject is what a name stands behind
// in the text of a filter.
func (l *exporterList) node(f flow.Field, subject string) node {
	switch {
	case len(l.names) == 0:
		return &addrNode{f, l.ranges}
	case len(l.ranges) == 0:
		return &namedNode{subject, l.names}
	}
	return or(&addrNode{f, l.ranges}, &namedNode{subject, l.names})
}

// exporters reads the rest of a condition on exporters, of which each may be an
// address, a prefix, a range or a name.
func (p *parser) exporters() (list exporterList, negated bool, err error) {
	if p.listAhead() {
		err = p.list(func() error { return p.exporterItem(&list) })
	} else {
		at := p.tok
		op := p.operator()
		if op != "=" && op != "!=" {
			return list, false, p.reject(at, "addresses have no order here: use =, != or a list")
		}
		negated = op == "!="
		err = p.exporterItem(&list)
	}
	list.ranges = normalAddrs(list.ranges)
	return list, negated, err
}

func (p *parser) exporterItem(list *exporterList) (err error) {
	t, known := p.tok, p.options.Names.exporters()
	if t.kind == tokenWord || t.kind == tokenQuoted {
		if ranges, ok := known.named(t.text); ok {
			p.advance()
			p.named = true
			list.ranges = append(list.ranges, ranges...)
			return nil
		}
		if len(known.names) == 0 && p.options.Unresolved && !isAddrText(t) {
			p.advance()
			list.names = append(list.names, t.text)
			return nil
		}
	}
	list.ranges, err = p.addrItem(list.ranges, true)
	if e, ok := err.(*SyntaxError); ok && e.Pos == t.pos {
		e.Suggestion = nearest(t.text, known.names)
	}
	return err
}

// isAddrText reports whether a token can only be meant as an address or a
// prefix.
func isAddrText(t token) bool {
	return t.kind == tokenWord && (strings.Contains(t.text, ":") || strings.IndexFunc(t.text, unicode.IsLetter) < 0)
}
