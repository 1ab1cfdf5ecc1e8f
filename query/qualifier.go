package query

import "weir/flow"

// A side says which end of a flow a condition is about.
type side uint8

const (
	sideEither side = iota // none given, or "src or dst": one end is enough
	sideSrc
	sideDst
	sideBoth // "src and dst"
)

// A qualifier is what stands in front of a condition's subject, such as "src"
// in "src port 53".
type qualifier struct {
	side  side
	given bool   // a side was given
	way   string // "in", "out", "ingress", "egress", "prev", "next", "bgpnext", "router", "min", "max" or ""
	layer string // "nat", "tun" or ""
	start token  // the qualifier's first word, or the subject if there is none
}

// qualifierWords are the words that qualifier reads.
var qualifierWords = []string{
	"src", "dst", "in", "out", "ingress", "egress", "prev", "previous", "next", "bgpnext", "bgp", "router",
	"min", "max", "nat", "xlate", "tun",
}

// wayWords are those of them that say the way, of which there can be one.
var wayWords = map[string]bool{
	"in": true, "out": true, "ingress": true, "egress": true, "prev": true, "previous": true, "next": true,
	"bgpnext": true, "bgp": true, "router": true, "min": true, "max": true,
}

// qualifier reads the words in front of a condition's subject.
func (p *parser) qualifier() (qualifier, error) {
	q := qualifier{start: p.tok}
	for p.tok.kind == tokenWord {
		word := lower(p.tok.text)
		if q.layer != "" && (word == "nat" || word == "xlate" || word == "tun") || q.way != "" && wayWords[word] {
			return q, p.expected("what the condition is about, such as \"ip\" or \"port\"", nil)
		}
		switch word {
		case "src", "dst":
			if q.given {
				return q, p.expected("what the condition is about, such as \"ip\" or \"port\"", nil)
			}
			q.given = true
			p.side(&q, word)
		case "in", "out", "ingress", "egress", "prev", "next", "bgpnext", "min", "max":
			q.way = word
			p.advance()
		case "previous":
			q.way = "prev"
			p.advance()
		case "router":
			q.way = "router"
			p.advance()
		case "bgp":
			p.advance()
			if !p.accept("next") {
				return q, p.expected("\"next\" after \"bgp\"", []string{"next"})
			}
			q.way = "bgpnext"
		case "nat", "xlate":
			if next := p.peek(); next.is("event") || next.is("pblock") {
				return q, nil
			}
			q.layer = "nat"
			p.advance()
		case "tun":
			q.layer = "tun"
			p.advance()
		default:
			return q, nil
		}
	}
	return q, nil
}

// side reads "src" or "dst" and, if it follows, "or" or "and" with the other.
func (p *parser) side(q *qualifier, word string) {
	q.side = sideSrc
	other := "dst"
	if word == "dst" {
		q.side, other = sideDst, "src"
	}
	p.advance()
	joint := sideEither
	switch {
	case p.tok.is("or") || p.tok.isPunct("||"):
	case p.tok.is("and") || p.tok.isPunct("&&"):
		joint = sideBoth
	default:
		return
	}
	if p.peek().is(other) {
		p.advance()
		p.advance()
		q.side = joint
	}
}

// only returns an error unless the qualifier has no more than the named parts
// (of "side", "nat", "tun" and the ways).
func (p *parser) only(q qualifier, subject string, allowed ...string) error {
	bad := ""
	check := func(present bool, part, text string) {
		if !present || bad != "" {
			return
		}
		for _, a := range allowed {
			if a == part {
				return
			}
		}
		bad = text
	}
	check(q.given, "side", "src/dst")
	check(q.way != "", q.way, q.way)
	check(q.layer != "", q.layer, q.layer)
	if bad == "" {
		return nil
	}
	return p.reject(q.start, "\""+bad+"\" cannot stand before \""+subject+"\"")
}

// ends joins the same condition on a source and a destination field as the
// qualifier says.
func (q qualifier) ends(src, dst node) node {
	switch q.side {
	case sideSrc:
		return src
	case sideDst:
		return dst
	case sideBoth:
		return and(src, dst)
	}
	return or(src, dst)
}

// A pair is a source and a destination field.
type pair struct{ src, dst flow.Field }

var (
	pairAddr    = pair{flow.SrcAddr, flow.DstAddr}
	pairNAT     = pair{flow.NATSrcAddr, flow.NATDstAddr}
	pairTun     = pair{flow.TunSrcAddr, flow.TunDstAddr}
	pairPort    = pair{flow.SrcPort, flow.DstPort}
	pairNATPort = pair{flow.NATSrcPort, flow.NATDstPort}
	pairAS      = pair{flow.SrcAS, flow.DstAS}
	pairMask    = pair{flow.SrcMask, flow.DstMask}
	pairVLAN    = pair{flow.SrcVLAN, flow.DstVLAN}
)
