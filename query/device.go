package query

import (
	"strconv"
	"strings"
	"time"

	"weir/flow"
)

// The methods here read conditions about the exporter, about what it did with
// the flow, and about time.

// icmp reads a condition on ICMP's type or code, which implies ICMP or ICMPv6.
// "icmp" alone is the protocol.
func (p *parser) icmp(word string) (node, error) {
	part := strings.TrimPrefix(word, "icmp-")
	if word == "icmp" {
		next := p.peek()
		p.advance()
		if !next.is("type") && !next.is("code") {
			return &numNode{field: flow.Proto, ranges: []numRange{{1, 1}}}, nil
		}
		part = lower(p.tok.text)
	}
	field := flow.ICMPType
	if part == "code" {
		field = flow.ICMPCode
	}
	n, err := p.numeric(field)
	if err != nil {
		return nil, err
	}
	proto := &numNode{field: flow.Proto, ranges: []numRange{{1, 1}, {58, 58}}}
	return and(proto, n), nil
}

// engine reads a condition on the engine: the two low octets of the
// observation domain, which in NetFlow v5 are the engine's type and id.
func (p *parser) engine(word string) (node, error) {
	part := strings.TrimPrefix(word, "engine-")
	if word == "engine" {
		p.advance()
		if !p.tok.is("type") && !p.tok.is("id") {
			return nil, p.expected("\"type\" or \"id\"", []string{"type", "id"})
		}
		part = lower(p.tok.text)
	}
	p.advance()
	n := &numNode{field: flow.Domain, mask: 0xff}
	if part == "type" {
		n.shift = 8
	}
	return p.numCondition(n, &numSpec{what: "a number from 0 to 255", max: 0xff})
}

// mpls reads a condition on the label stack: labelN, expN, eos or any.
func (p *parser) mpls() (node, error) {
	p.advance()
	word := lower(p.tok.text)
	if p.tok.kind == tokenWord {
		switch {
		case word == "eos":
			p.advance()
			return p.computedLabel()
		case word == "any":
			p.advance()
			return p.anyLabel()
		case strings.HasPrefix(word, "label"):
			return p.mplsEntry(word[len("label"):], labelShift, labelMask, "an MPLS label")
		case strings.HasPrefix(word, "exp"):
			return p.mplsEntry(word[len("exp"):], 1, 7, "a number from 0 to 7")
		}
	}
	return nil, p.expected("\"label1\" to \"label10\", \"exp1\" to \"exp10\", \"eos\" or \"any\"", []string{"label1", "exp1", "eos", "any"})
}

// mplsEntry reads the rest of a condition on some bits of one entry of the
// label stack.
func (p *parser) mplsEntry(number string, shift uint8, mask uint64, what string) (node, error) {
	n, err := strconv.Atoi(number)
	if err != nil || n < 1 || n > 10 {
		return nil, p.expected("an entry of the label stack from 1 to 10", nil)
	}
	p.advance()
	field := flow.MPLSLabel1 + flow.Field(n-1)
	return p.numCondition(&numNode{field: field, shift: shift, mask: mask}, &numSpec{what: what, max: mask})
}

// computedLabel reads the rest of a condition on the bottom label.
func (p *parser) computedLabel() (node, error) {
	ranges, negated, err := p.numbers(specOf(flow.MPLSLabel1))
	if err != nil {
		return nil, err
	}
	n := &computedNode{computedEOS, ranges}
	if negated {
		return not(n), nil
	}
	return n, nil
}

// anyLabel reads the rest of a condition that any label of the stack may meet.
func (p *parser) anyLabel() (node, error) {
	ranges, negated, err := p.numbers(specOf(flow.MPLSLabel1))
	if err != nil {
		return nil, err
	}
	any := &orNode{}
	for f := flow.MPLSLabel1; f <= flow.MPLSLabel10; f++ {
		any.kids = append(any.kids, &numNode{field: f, shift: labelShift, mask: labelMask, ranges: ranges})
	}
	if negated {
		return not(any), nil
	}
	return any, nil
}

// observation reads "observation domain id N" or "observation point id N".
func (p *parser) observation() (node, error) {
	p.advance()
	field := flow.Domain
	switch {
	case p.tok.is("domain"):
	case p.tok.is("point"):
		field = flow.ObservationPoint
	default:
		return nil, p.expected("\"domain\" or \"point\"", []string{"domain", "point"})
	}
	p.advance()
	if !p.tok.is("id") {
		return nil, p.expected("\"id\"", []string{"id"})
	}
	return p.numeric(field)
}

// exporter reads "exporter [ip] ADDRESS|NAME".
func (p *parser) exporter() (node, error) {
	if next := p.peek(); next.is("id") || next.is("sysid") {
		return nil, p.reject(p.tok, "exporter numbers are internal to nfdump: name the exporter by its address, as in \"exporter 192.0.2.1\"")
	}
	p.advance()
	p.accept("ip")
	return p.addrCondition(flow.Exporter)
}

// nfversion reads a condition on NetFlow's version number: 1, 5, 7, 9 or, for
// IPFIX, 10. sFlow has none.
func (p *parser) nfversion() (node, error) {
	p.advance()
	ranges, negated, err := p.numbers(&numSpec{what: "a NetFlow version: 5, 9 or 10", max: flow.VersionIPFIX})
	if err != nil {
		return nil, err
	}
	for i := range ranges {
		ranges[i].hi = min(ranges[i].hi, flow.VersionIPFIX)
	}
	n := &numNode{field: flow.Version, ranges: normalNums(ranges)}
	if negated {
		return not(n), nil
	}
	return n, nil
}

// statusRanges are the forwarding status values of one status with any reason
// (RFC 7270, section 4.12).
var statusRanges = map[string]numRange{
	"forwarded": {64, 127}, "dropped": {128, 191}, "consumed": {192, 255},
}

// fwdstat reads a condition on the forwarding status.
func (p *parser) fwdstat() (node, error) {
	if r, ok := statusRanges[lower(p.peek().text)]; ok {
		p.advance()
		p.advance()
		return &numNode{field: flow.ForwardingStatus, ranges: []numRange{r}}, nil
	}
	return p.numeric(flow.ForwardingStatus)
}

// flowEnd reads "flow end reason N|NAME".
func (p *parser) flowEnd() (node, error) {
	p.advance()
	if !p.accept("end") {
		return nil, p.expected("\"end reason\" (for counts, write \"flows\")", []string{"end"})
	}
	if !p.tok.is("reason") {
		return nil, p.expected("\"reason\"", []string{"reason"})
	}
	return p.numeric(flow.FlowEndReason)
}

// seen reads "first seen" or "last seen" and a time.
func (p *parser) seen(word string) (node, error) {
	p.advance()
	if !p.tok.is("seen") {
		return nil, p.expected("\"seen\"", []string{"seen"})
	}
	if word == "first" {
		return p.numeric(flow.Start)
	}
	return p.numeric(flow.End)
}

// event reads the conditions of firewalls and address translators.
func (p *parser) event(q qualifier, word string) (node, error) {
	if err := p.only(q, word); err != nil {
		return nil, err
	}
	switch word {
	case "asa":
		p.advance()
		return p.asa()
	case "nat":
		p.advance()
		if p.tok.is("event") {
			return p.numeric(flow.NATEvent)
		}
		return p.portBlock()
	case "event":
		p.advance()
		return p.anyEvent()
	}
	return p.portBlock()
}

// asa reads the rest of a condition on Cisco ASA's events.
func (p *parser) asa() (node, error) {
	switch {
	case p.tok.is("event"):
		if !p.peek().is("denied") {
			return p.numeric(flow.FirewallEvent)
		}
		denied := &numNode{field: flow.FirewallEvent, ranges: []numRange{{3, 3}}}
		p.advance()
		if next := p.peek(); next.kind != tokenWord || next.is("and") || next.is("or") {
			p.advance()
			return denied, nil
		}
		n, err := p.numeric(flow.FirewallExtEvent)
		if err != nil {
			return nil, err
		}
		return and(denied, n), nil
	case p.tok.is("denied"), p.tok.is("xevent"):
		return p.numeric(flow.FirewallExtEvent)
	case p.tok.is("user"):
		return nil, p.reject(p.tok, "weir does not keep user names")
	}
	return nil, p.expected("\"event\", \"denied\" or \"xevent\"", []string{"event", "denied", "xevent"})
}

// anyEvent reads the rest of "event NAME|N", which a firewall's or a
// translator's event may meet.
func (p *parser) anyEvent() (node, error) {
	before := *p
	fw, errFW := p.numCondition(&numNode{field: flow.FirewallEvent}, specOf(flow.FirewallEvent))
	after := *p
	*p = before
	nat, errNAT := p.numCondition(&numNode{field: flow.NATEvent}, specOf(flow.NATEvent))
	switch {
	case errFW == nil && errNAT == nil:
		if a, ok := fw.(*notNode); ok {
			return not(or(a.kid, nat.(*notNode).kid)), nil
		}
		return or(fw, nat), nil
	case errFW == nil:
		*p = after
		return fw, nil
	case errNAT == nil:
		return nat, nil
	}
	return nil, errFW
}

// portBlock reads "pblock start|end|step|size" and a condition on it.
func (p *parser) portBlock() (node, error) {
	if !p.accept("pblock") {
		return nil, p.expected("\"event\" or \"pblock\"", []string{"event", "pblock"})
	}
	switch {
	case p.tok.is("start"):
		return p.numeric(flow.PortBlockStart)
	case p.tok.is("end"):
		return p.numeric(flow.PortBlockEnd)
	case p.tok.is("step"):
		return p.numeric(flow.PortBlockStep)
	case p.tok.is("size"):
		return p.numeric(flow.PortBlockSize)
	}
	return nil, p.expected("\"start\", \"end\", \"step\" or \"size\"", []string{"start", "end", "step", "size"})
}

// parseDuration reads a duration with a unit (ms, s, min or h) as ms.
func parseDuration(text string) (uint64, bool) {
	text = lower(text)
	if number, ok := strings.CutSuffix(text, "min"); ok {
		text = number + "m"
	} else if strings.HasSuffix(text, "m") {
		return 0, false // nfdump's million
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, false
	}
	return uint64(d / time.Millisecond), true
}
