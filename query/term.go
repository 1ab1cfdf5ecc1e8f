package query

import (
	"math"

	"weir/flow"
)

// subjectWords are the words that a condition may begin with, for suggestions:
// nfdump's and weir's own. Field names come on top of them.
var subjectWords = append([]string{
	"any", "inet", "inet6", "ipv4", "ipv6", "ip", "host", "net", "port", "proto", "as", "mask", "vlan", "mac",
	"if", "flags", "tos", "bytes", "packets", "flows", "duration", "pps", "bps", "bpp", "router", "exporter",
	"engine-type", "engine-id", "engine", "icmp-type", "icmp-code", "icmp", "mpls", "vrf", "observation",
	"nip", "xip", "xnet", "nport", "xport", "tunip", "event", "asa", "pblock", "ttl", "ethertype", "flowdir",
	"dir", "fwdstat", "flow", "first", "last", "nfversion", "sampled", "not",
	"tcp", "udp", "icmp6", "gre", "esp", "ah", "sctp", "ospf",
}, qualifierWords...)

// bareProtos are the protocols that, like icmp, stand as a condition without
// "proto".
var bareProtos = []string{"tcp", "udp", "icmp6", "icmpv6", "gre", "esp", "ah", "sctp", "ospf", "igmp", "pim"}

// vocabulary returns every word that a condition may begin with.
func (p *parser) vocabulary() []string {
	words := subjectWords[:len(subjectWords):len(subjectWords)]
	for _, f := range flow.Fields() {
		words = append(words, f.String())
	}
	return append(append(words, LabelFieldNames(true)...), p.options.Kept.Names()...)
}

// term reads one condition.
func (p *parser) term() (node, error) {
	if p.tok.kind != tokenWord {
		if p.tok.isPunct("%") {
			return nil, p.reject(p.tok, "weir does not label flows: nfdump's %label has no meaning here")
		}
		return nil, p.expected("a condition, such as \"src ip 192.0.2.1\" or \"port 53\"", nil)
	}
	start := p.tok
	if err := p.unknowable(); err != nil {
		return nil, err
	}
	q, err := p.qualifier()
	if err != nil {
		return nil, err
	}
	if err := p.unknowable(); err != nil {
		return nil, err
	}
	n, known, err := p.subject(q)
	if known || err != nil {
		return n, err
	}
	if q.start != p.tok { // something was read, so this word should be a subject
		return nil, p.expected("what the condition is about, such as \"ip\" or \"port\"", p.vocabulary())
	}
	p.joinElement()
	if p.tok.kind == tokenWord {
		if f, ok := termField(lower(p.tok.text)); ok {
			p.advance()
			return p.fieldCondition(f)
		}
		if e := p.options.Kept.Find(p.tok.text); e != nil {
			p.advance()
			return p.keptCondition(e)
		}
		if err := p.unkept(p.tok); err != nil {
			return nil, err
		}
	}
	return nil, p.expectedAt(start, "a condition, such as \"src ip 192.0.2.1\" or \"port 53\"", p.vocabulary())
}

// subject reads a condition by what it is about, in nfdump's words. It returns
// false, having read nothing, if the next word is none of them.
func (p *parser) subject(q qualifier) (node, bool, error) {
	if p.tok.kind != tokenWord {
		return nil, false, nil
	}
	read := func(n node, err error) (node, bool, error) { return n, true, err }
	switch word := lower(p.tok.text); word {
	case "any":
		return read(p.constant(q, constNode(true)))
	case "inet", "ipv4":
		return read(p.constant(q, q.ends(family(pairAddr.src, 4), family(pairAddr.dst, 4))))
	case "inet6", "ipv6":
		return read(p.constant(q, q.ends(family(pairAddr.src, 6), family(pairAddr.dst, 6))))
	case "ip", "host", "addr", "net", "nip", "xip", "xnet", "tunip":
		return read(p.address(q, word))
	case "port", "nport", "xport":
		return read(p.port(q, word))
	case "proto":
		return read(p.proto(q))
	case "as":
		return read(p.as(q))
	case "mask", "vlan":
		return read(p.maskOrVLAN(q, word))
	case "if":
		return read(p.inOut(q, "if", flow.InIf, flow.OutIf))
	case "mac":
		return read(p.mac(q))
	case "flags":
		return read(p.flags(q))
	case "tos":
		return read(p.tos(q))
	case "packets", "bytes":
		return read(p.counter(q, word))
	case "flows", "duration", "pps", "bps", "bpp", "ttl_spread":
		return read(p.computed(q, word))
	case "ttl":
		return read(p.ttl(q))
	case "vrf":
		return read(p.vrf(q))
	case "org", "country", "asname", "asn", "geo":
		return read(p.labelled(q, word))
	case "pblock", "nat", "event", "asa":
		return read(p.event(q, word))
	case "src_port", "dst_port":
		if f, _ := flow.ParseField(word); p.portInBlock() {
			p.advance()
			return read(p.inBlock(&blockNode{f}))
		}
		return nil, false, nil
	}
	if q.given || q.way != "" || q.layer != "" {
		return nil, false, nil
	}
	return p.plainSubject()
}

// plainSubject reads a condition whose subject takes no qualifier.
func (p *parser) plainSubject() (node, bool, error) {
	read := func(n node, err error) (node, bool, error) { return n, true, err }
	word := lower(p.tok.text)
	switch word {
	case "icmp-type", "icmp-code", "icmp":
		return read(p.icmp(word))
	case "engine-type", "engine-id", "engine":
		return read(p.engine(word))
	case "mpls":
		return read(p.mpls())
	case "observation":
		return read(p.observation())
	case "exporter":
		return read(p.exporter())
	case "nfversion":
		return read(p.nfversion())
	case "ethertype":
		return read(p.numeric(flow.EtherType))
	case "flowdir", "dir":
		return read(p.numeric(flow.Direction))
	case "fwdstat":
		return read(p.fwdstat())
	case "flow":
		return read(p.flowEnd())
	case "first", "last":
		return read(p.seen(word))
	case "sampled":
		p.advance()
		return &numNode{field: flow.SamplingInterval, ranges: []numRange{{2, math.MaxUint64}}}, true, nil
	case "mpls_labels":
		p.advance()
		return read(p.anyLabel())
	}
	if f, ok := ParseLabelField(word); ok {
		return read(p.labelField(f))
	}
	for _, name := range bareProtos {
		if word == name {
			p.advance()
			v := protoNames[name]
			return &numNode{field: flow.Proto, ranges: []numRange{{v, v}}}, true, nil
		}
	}
	return nil, false, nil
}

// constant reads a subject that stands alone.
func (p *parser) constant(q qualifier, n node) (node, error) {
	allowed := "side"
	if _, ok := n.(constNode); ok {
		allowed = ""
	}
	if err := p.only(q, p.tok.text, allowed); err != nil {
		return nil, err
	}
	p.advance()
	return n, nil
}

// family returns the condition that a field holds an address of that family.
func family(f flow.Field, version int) node {
	if version == 4 {
		return &addrNode{f, []addrRange{allV4}}
	}
	return &addrNode{f, allV6}
}

// termField returns the field that stands as a term under that name.
func termField(name string) (flow.Field, bool) {
	if name == fieldTerm(flow.TTL) {
		return flow.TTL, true
	}
	f, ok := flow.ParseField(name)
	return f, ok && !f.IsKept() // what a slot holds, only Kept knows
}

// fieldCondition reads the rest of a condition on a field by its JSON name:
//
//	FIELD [>> BITS] [& MASK] [OPERATOR] VALUE | FIELD in LIST
func (p *parser) fieldCondition(f flow.Field) (node, error) {
	if f.IsAddr() {
		if p.tok.isPunct("&") {
			return p.maskedAddr(f)
		}
		return p.addrCondition(f)
	}
	n := &numNode{field: f}
	spec := specOf(f)
	if p.tok.isPunct(">>") || p.tok.isPunct("&") {
		if err := p.bitSelection(n); err != nil {
			return nil, err
		}
		spec = &numSpec{what: "a number", max: ^uint64(0)}
	} else if f.Kind() == flow.KindLabel {
		n.shift, n.mask = labelShift, labelMask
	}
	return p.numCondition(n, spec)
}

// bitSelection reads ">> BITS" and "& MASK".
func (p *parser) bitSelection(n *numNode) error {
	if p.tok.isPunct(">>") {
		p.advance()
		r, err := p.numItem(&numSpec{what: "a number of bits below 64", max: 63})
		if err != nil {
			return err
		}
		n.shift = uint8(r.lo)
	}
	if p.tok.isPunct("&") {
		p.advance()
		at := p.tok
		r, err := p.numItem(&numSpec{what: "a mask", max: ^uint64(0)})
		if err != nil {
			return err
		}
		if r.lo == 0 || r.lo != r.hi {
			return p.reject(at, "a mask is one number above 0")
		}
		n.mask = r.lo
	}
	return nil
}

// numCondition reads the rest of a condition on a number into n.
func (p *parser) numCondition(n *numNode, spec *numSpec) (node, error) {
	ranges, negated, err := p.numbers(spec)
	if err != nil {
		return nil, err
	}
	n.ranges = ranges
	if negated {
		return not(n), nil
	}
	return n, nil
}

// numeric reads the subject's word and the rest of a condition on one field.
func (p *parser) numeric(f flow.Field) (node, error) {
	p.advance()
	return p.fieldCondition(f)
}

// addrCondition reads the rest of a condition on one address field.
func (p *parser) addrCondition(f flow.Field) (node, error) {
	var list exporterList
	var negated bool
	var err error
	if f == flow.Exporter {
		list, negated, err = p.exporters()
	} else {
		list.ranges, negated, err = p.addresses(true)
	}
	if err != nil {
		return nil, err
	}
	n := list.node(f, f.String())
	if negated {
		return not(n), nil
	}
	return n, nil
}

// maskedAddr reads the rest of "FIELD & MASK = ADDRESS".
func (p *parser) maskedAddr(f flow.Field) (node, error) {
	p.advance()
	mask, err := p.addr4("an IPv4 mask")
	if err != nil {
		return nil, err
	}
	if !p.tok.isPunct("=") && !p.tok.isPunct("==") {
		return nil, p.expected("\"=\"", nil)
	}
	p.advance()
	want, err := p.addr4("an IPv4 address")
	if err != nil {
		return nil, err
	}
	return maskedNode(f, want, mask), nil
}

// addr4 reads one IPv4 address.
func (p *parser) addr4(what string) (uint32, error) {
	a, err := flow.ParseAddr(p.tok.text)
	if p.tok.kind != tokenWord || err != nil || !a.Is4() {
		return 0, p.expected(what, nil)
	}
	p.advance()
	return a.As4(), nil
}

// maskedNode returns the condition that an IPv4 address under a mask is that of
// a: a range where the mask is a prefix's.
func maskedNode(f flow.Field, a, mask uint32) node {
	if inverse := ^mask; inverse&(inverse+1) == 0 {
		return &addrNode{f, []addrRange{{flow.AddrFrom4(a & mask), flow.AddrFrom4(a | inverse)}}}
	}
	return &maskNode{f, mask, a & mask}
}
