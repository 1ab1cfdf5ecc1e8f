package query

import (
	"math"

	"weir/flow"
)

// The methods here read one condition each, in nfdump's words, the next token
// being the subject.

// address reads a condition on an address: ip, host, net and their kin.
func (p *parser) address(q qualifier, word string) (node, error) {
	fields := pairAddr
	switch word {
	case "nip", "xip", "xnet":
		fields = pairNAT
	case "tunip":
		fields = pairTun
	}
	if err := p.only(q, word, "side", "in", "out", "nat", "tun", "next", "bgpnext", "router"); err != nil {
		return nil, err
	}
	switch {
	case fields == pairAddr && q.layer == "nat":
		fields = pairNAT
	case fields == pairAddr && q.layer == "tun":
		fields = pairTun
	case q.layer != "" || q.way != "" && q.way != "in" && (fields != pairAddr || q.given):
		return nil, p.reject(q.start, "these words do not go together before \""+word+"\"")
	}
	if next := p.peek(); q.way == "in" && q.given && next.isPunct("[") {
		q.way = "" // "src in ip [ ]", as nfdump's manual has it
	}
	if q.way == "in" || q.way == "out" {
		return nil, p.reject(q.start, "addresses have no \"in\" and \"out\": use src and dst, or next, bgpnext and router")
	}
	p.advance()
	if n, err := p.netWithMask(q, fields); n != nil || err != nil {
		return n, err
	}
	if q.way == "router" {
		return p.routerCondition(q, fields)
	}
	ranges, negated, err := p.addresses(true)
	if err != nil {
		return nil, err
	}
	n := q.addrEnds(fields, func(f flow.Field) node { return &addrNode{f, ranges} })
	if negated {
		return not(n), nil
	}
	return n, nil
}

// addrEnds joins a condition on the address fields that the qualifier names.
func (q qualifier) addrEnds(fields pair, leaf func(flow.Field) node) node {
	switch q.way {
	case "next":
		return leaf(flow.NextHop)
	case "bgpnext":
		return leaf(flow.BGPNextHop)
	case "router":
		return or(leaf(flow.Exporter), leaf(flow.Agent))
	}
	return q.ends(leaf(fields.src), leaf(fields.dst))
}

// netWithMask reads "ADDRESS MASK", both IPv4; it returns nil, having read
// nothing, if that is not what follows.
func (p *parser) netWithMask(q qualifier, fields pair) (node, error) {
	next := p.peek()
	if p.tok.kind != tokenWord || next.kind != tokenWord {
		return nil, nil
	}
	a, errA := flow.ParseAddr(p.tok.text)
	mask, errMask := flow.ParseAddr(next.text)
	if errA != nil || errMask != nil {
		return nil, nil
	}
	if !a.Is4() || !mask.Is4() {
		return nil, p.reject(next, "a net with a mask is IPv4; give IPv6 nets a prefix length")
	}
	p.advance()
	p.advance()
	return q.addrEnds(fields, func(f flow.Field) node { return maskedNode(f, a.As4(), mask.As4()) }), nil
}

// routerCondition reads the rest of a condition on the address that exported a
// flow, or is named in it as its agent.
func (p *parser) routerCondition(q qualifier, fields pair) (node, error) {
	list, negated, err := p.exporters()
	if err != nil {
		return nil, err
	}
	n := q.addrEnds(fields, func(f flow.Field) node { return list.node(f, "router ip") })
	if negated {
		return not(n), nil
	}
	return n, nil
}

// port reads a condition on ports.
func (p *parser) port(q qualifier, word string) (node, error) {
	if err := p.only(q, word, "side", "nat"); err != nil {
		return nil, err
	}
	fields := pairPort
	if word != "port" || q.layer == "nat" {
		fields = pairNATPort
	}
	p.advance()
	if fields == pairPort && p.blockAhead() {
		return p.inBlock(q.ends(&blockNode{fields.src}, &blockNode{fields.dst}))
	}
	return p.pairCondition(q, fields)
}

// pairCondition reads the rest of a condition on a source and a destination
// field that take the same values.
func (p *parser) pairCondition(q qualifier, fields pair) (node, error) {
	ranges, negated, err := p.numbers(specOf(fields.src))
	if err != nil {
		return nil, err
	}
	n := q.ends(&numNode{field: fields.src, ranges: ranges}, &numNode{field: fields.dst, ranges: ranges})
	if negated {
		return not(n), nil
	}
	return n, nil
}

// blockAhead reports whether "in [nat] pblock" comes next.
func (p *parser) blockAhead() bool {
	if !p.tok.is("in") {
		return false
	}
	next := p.peek()
	return next.is("pblock") || next.is("nat")
}

// portInBlock reports whether the next token is a field and "in [nat] pblock"
// comes after it.
func (p *parser) portInBlock() bool {
	ahead := *p
	ahead.advance()
	return ahead.blockAhead()
}

// inBlock reads "in [nat] pblock".
func (p *parser) inBlock(n node) (node, error) {
	p.advance()
	p.accept("nat")
	if !p.accept("pblock") {
		return nil, p.expected("\"pblock\"", []string{"pblock"})
	}
	return n, nil
}

// proto reads a condition on the protocol.
func (p *parser) proto(q qualifier) (node, error) {
	if err := p.only(q, "proto", "tun"); err != nil {
		return nil, err
	}
	if q.layer == "tun" {
		return p.numeric(flow.TunProto)
	}
	return p.numeric(flow.Proto)
}

// as reads a condition on AS numbers.
func (p *parser) as(q qualifier) (node, error) {
	if err := p.only(q, "as", "side", "prev", "next"); err != nil {
		return nil, err
	}
	switch q.way {
	case "prev":
		return p.numeric(flow.PrevAS)
	case "next":
		return p.numeric(flow.NextAS)
	}
	p.advance()
	return p.pairCondition(q, pairAS)
}

// maskOrVLAN reads a condition on prefix lengths or VLANs.
func (p *parser) maskOrVLAN(q qualifier, word string) (node, error) {
	if err := p.only(q, word, "side"); err != nil {
		return nil, err
	}
	p.advance()
	if word == "mask" {
		return p.pairCondition(q, pairMask)
	}
	return p.pairCondition(q, pairVLAN)
}

// inOut reads a condition on a field for the way in and one for the way out;
// without either word one of them is enough.
func (p *parser) inOut(q qualifier, word string, in, out flow.Field) (node, error) {
	if err := p.only(q, word, "in", "out"); err != nil {
		return nil, err
	}
	switch q.way {
	case "in":
		return p.numeric(in)
	case "out":
		return p.numeric(out)
	}
	p.advance()
	return p.pairCondition(qualifier{}, pair{in, out})
}

// mac reads a condition on MAC addresses: in src, in dst, out src and out dst
// are the four that NetFlow v9 knows, and what is left out may be either.
func (p *parser) mac(q qualifier) (node, error) {
	if err := p.only(q, "mac", "side", "in", "out"); err != nil {
		return nil, err
	}
	p.advance()
	ranges, negated, err := p.numbers(specOf(flow.SrcMAC))
	if err != nil {
		return nil, err
	}
	leaf := func(f flow.Field) node { return &numNode{field: f, ranges: ranges} }
	in := q.ends(leaf(flow.SrcMAC), leaf(flow.DstMAC))
	out := q.ends(leaf(flow.PostSrcMAC), leaf(flow.PostDstMAC))
	n := in
	switch q.way {
	case "":
		n = or(in, out)
	case "out":
		n = out
	}
	if negated {
		return not(n), nil
	}
	return n, nil
}

// flags reads a condition on TCP flags: letters mean that all of them are set,
// letters after = and numbers mean the whole value. Either implies TCP. Behind a
// not, letters mean that any of them is set, as in nfdump: "flags S and not
// flags AFRPU" has S and none of the others.
func (p *parser) flags(q qualifier) (node, error) {
	if err := p.only(q, "flags"); err != nil {
		return nil, err
	}
	p.advance()
	tcp := &numNode{field: flow.Proto, ranges: []numRange{{6, 6}}}
	if p.tok.kind == tokenWord {
		if flags, ok := parseFlags(p.tok.text); ok {
			p.advance()
			ranges := []numRange{{flags, flags}}
			if p.negated {
				ranges = []numRange{{1, math.MaxUint64}}
			}
			return and(tcp, &numNode{field: flow.TCPFlags, mask: flags, ranges: ranges}), nil
		}
	}
	spec := specOf(flow.TCPFlags)
	spec.what = "TCP flags out of FSRPAUEC (X: FSRPAU) or a number"
	n, err := p.numCondition(&numNode{field: flow.TCPFlags}, spec)
	if err != nil {
		return nil, err
	}
	return and(tcp, n), nil
}

// tos reads a condition on the type of service.
func (p *parser) tos(q qualifier) (node, error) {
	if err := p.only(q, "tos", "side"); err != nil {
		return nil, err
	}
	if !q.given {
		return p.numeric(flow.TOS)
	}
	p.advance()
	return p.pairCondition(q, pair{flow.TOS, flow.PostTOS})
}

// counter reads a condition on bytes or packets. "out" is what left the device
// or, in a record of both directions, what came back.
func (p *parser) counter(q qualifier, word string) (node, error) {
	if err := p.only(q, word, "in", "out"); err != nil {
		return nil, err
	}
	in, out := flow.Bytes, pair{flow.PostBytes, flow.ReverseBytes}
	if word == "packets" {
		in, out = flow.Packets, pair{flow.PostPackets, flow.ReversePackets}
	}
	if q.way == "out" {
		p.advance()
		return p.pairCondition(qualifier{}, out)
	}
	return p.numeric(in)
}

// computed reads a condition on a number that follows from a record's fields.
func (p *parser) computed(q qualifier, word string) (node, error) {
	if err := p.only(q, word); err != nil {
		return nil, err
	}
	p.advance()
	for c, name := range computedNames {
		if name == word {
			return p.computedCondition(computed(c))
		}
	}
	return nil, p.expected("a computed value", nil)
}

// computedCondition reads the rest of a condition on a computed value.
func (p *parser) computedCondition(c computed) (node, error) {
	spec := &numSpec{what: "a number, such as 1500, 10k or 1.5m", max: math.MaxUint64}
	if c == computedDuration {
		spec.what, spec.parse = "a duration in ms, or such as 10s, 5min or 2h", parseDuration
	}
	ranges, negated, err := p.numbers(spec)
	if err != nil {
		return nil, err
	}
	n := &computedNode{c, ranges}
	if negated {
		return not(n), nil
	}
	return n, nil
}

// ttl reads a condition on the time to live. nfdump's plain "ttl" is either of
// the lowest and the highest; weir's also the one that has no rank.
func (p *parser) ttl(q qualifier) (node, error) {
	if err := p.only(q, "ttl", "min", "max"); err != nil {
		return nil, err
	}
	switch q.way {
	case "min":
		return p.numeric(flow.MinTTL)
	case "max":
		return p.numeric(flow.MaxTTL)
	}
	p.advance()
	if p.accept("equal") {
		return &computedNode{computedTTLs, []numRange{{0, 0}}}, nil
	}
	ranges, negated, err := p.numbers(specOf(flow.TTL))
	if err != nil {
		return nil, err
	}
	leaf := func(f flow.Field) node { return &numNode{field: f, ranges: ranges} }
	n := or(or(leaf(flow.TTL), leaf(flow.MinTTL)), leaf(flow.MaxTTL))
	if negated {
		return not(n), nil
	}
	return n, nil
}

// vrf reads a condition on VRF ids.
func (p *parser) vrf(q qualifier) (node, error) {
	if err := p.only(q, "vrf", "ingress", "egress"); err != nil {
		return nil, err
	}
	switch q.way {
	case "ingress":
		return p.numeric(flow.IngressVRF)
	case "egress":
		return p.numeric(flow.EgressVRF)
	}
	p.advance()
	return p.pairCondition(qualifier{}, pair{flow.IngressVRF, flow.EgressVRF})
}
