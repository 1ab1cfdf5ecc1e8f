package collector

import (
	"weir/flow"
)

// variable is the length of a variable-length field in a template (RFC 7011,
// section 7).
const variable = 0xffff

// A wireField is one field of a template as the exporter sent it.
type wireField struct {
	id  uint16 // without the enterprise bit
	len uint16 // bytes; variable for variable length
	pen uint32 // 0: IANA, or any v9 field type
}

// A ref says where a value lies in a record. In a plan of fixed layout that is
// final; for a template with variable-length fields the offsets are found anew
// for each record.
type ref struct {
	off   int32
	len   int32
	index int32 // of the field in the template
}

// A step copies one value of a record into one column.
type step struct {
	role  role
	field flow.Field
	fill  bool // only where the column is still zero: another element for the same field
	ref   int16
}

// noRef says that the template has no such element.
const noRef = -1

// A special is a place in the plan's refs for an element that has no column of
// its own, by role.
type special [roleFrameType + 1]int16

// An addrPair holds the refs of two candidates for an address.
type addrPair struct {
	primary, other int16
	field          flow.Field
}

// A plan is a template compiled: which bytes of a record go to which column.
// It does not change after compile and is shared by goroutines.
type plan struct {
	steps   []step
	refs    []ref
	fields  []wireField // all fields, for finding offsets behind variable-length ones
	special special
	pairs   []addrPair // addresses of which a record carries two families
	outer   []step     // header fields of the outer of two headers
	kept    []keepStep // elements that are kept beside the fields
	columns flow.FieldSet
	whole   flow.FieldSet // columns that get a value in every record of a fixed layout
	recLen  int           // bytes of a record of fixed layout; the shortest record otherwise
	varying bool          // there are variable-length fields
	icmp    bool          // there are elements of ICMP
	isFlow  bool          // the template describes flows, as far as weir can tell
}

// flowFields are the fields of which a template must have one for its records
// to be flows. A record of times and names alone is a statement about
// something else.
var flowFields = flow.SetOf(flow.SrcAddr, flow.DstAddr, flow.SrcMAC, flow.DstMAC, flow.PostSrcMAC,
	flow.PostDstMAC, flow.NATSrcAddr, flow.NATDstAddr, flow.SrcPort, flow.DstPort, flow.Proto, flow.MPLSLabel1,
	flow.Bytes, flow.Packets)

// candidate is an element of a template that could feed a field.
type candidate struct {
	elem element
	ref  int16
}

// compiler gathers what compile needs while it goes over a template.
type compiler struct {
	plan   *plan
	byRole [roleFrameType + 1]uint8 // rank of the special in the plan
	cands  [flow.FieldCount][]candidate
	protos int // how many fields are the protocol: two mean two headers
	kept   keepers
}

// compilePlan compiles the fields of a data template of the given version.
func compilePlan(version uint16, fields []wireField, kept keepers) *plan {
	c := compiler{plan: &plan{fields: fields}, kept: kept}
	for i := range c.plan.special {
		c.plan.special[i] = noRef
	}
	off := 0
	for i, f := range fields {
		if f.len == variable {
			c.plan.varying = true
			c.add(version, f, ref{off: int32(off), len: 0, index: int32(i)})
			off++
			continue
		}
		if f.len > 0 {
			c.add(version, f, ref{off: int32(off), len: int32(f.len), index: int32(i)})
		}
		off += int(f.len)
	}
	c.plan.recLen = off
	c.finish()
	return c.plan
}

// add takes in one field of the template.
func (c *compiler) add(version uint16, f wireField, r ref) {
	e := lookupElement(version, f.pen, f.id)
	var kept *flow.KeptElement
	if len(c.kept) > 0 {
		kept = c.kept[elementOf(version, f)]
	}
	if e.role == roleNone && kept == nil {
		return
	}
	at := int16(len(c.plan.refs))
	c.plan.refs = append(c.plan.refs, r)
	if kept != nil {
		c.keep(kept, f, at)
	}
	if e.role == roleNone {
		return
	}
	if e.field.Valid() {
		c.cands[e.field] = append(c.cands[e.field], candidate{e, at})
		if e.field == flow.Proto {
			c.protos++
		}
		return
	}
	if e.role >= roleICMP4 && e.role <= roleICMPCode6 {
		c.plan.icmp = true
	}
	if c.plan.special[e.role] == noRef || e.rank < c.byRole[e.role] || e.inner {
		c.plan.special[e.role] = at
		c.byRole[e.role] = e.rank
	}
}

// finish turns the candidates into steps.
func (c *compiler) finish() {
	c.splitPost(flow.Bytes, flow.PostBytes)
	c.splitPost(flow.Packets, flow.PostPackets)
	twoHeaders := c.twoHeaders()
	for f := range flow.Field(flow.FieldCount) {
		best := lowestRank(c.cands[f])
		switch {
		case len(best) == 0:
			continue
		case f == flow.SrcAddr || f == flow.DstAddr:
			c.address(f, best, twoHeaders)
		case best[0].elem.inner && twoHeaders:
			c.step(f, best[len(best)-1], false)
			if f == flow.Proto && len(best) > 1 { // a single one is the flow's
				first := best[0]
				c.plan.outer = append(c.plan.outer, step{first.elem.role, flow.TunProto, false, first.ref})
			}
		default:
			c.alternatives(f, best)
		}
		c.plan.columns.Add(f)
	}
	p := c.plan
	p.whole = p.wholeColumns()
	found := flow.FieldSet{p.columns[0] & flowFields[0], p.columns[1] & flowFields[1]}
	p.isFlow = found.Len() > 0 || p.special[roleFrame] != noRef || p.special[roleIPPacket] != noRef
}

// wholeColumns returns the columns that steps, and what all records have of their
// datagram, write from the first record to the last. Times are not among them:
// whether they can be known is not for the template to say.
func (p *plan) wholeColumns() flow.FieldSet {
	whole := commonFields
	for _, s := range p.steps {
		length := p.refs[s.ref].len
		if !s.fill && (s.role == roleNumber && length > 0 || s.role == roleAddr && (length == 4 || length == 16)) {
			whole.Add(s.field)
		}
	}
	return whole
}

// twoHeaders reports whether the template describes an outer and an inner
// packet header: the protocol, or an address of the same family, stands twice.
func (c *compiler) twoHeaders() bool {
	if c.protos > 1 {
		return true
	}
	seen := map[int32]bool{}
	for _, cand := range c.cands[flow.SrcAddr] {
		length := c.plan.refs[cand.ref].len
		if seen[length] {
			return true
		}
		seen[length] = true
	}
	return false
}

// splitPost makes postOctetDeltaCount and postPacketDeltaCount counters of
// their own where the template has the plain ones too.
func (c *compiler) splitPost(f, post flow.Field) {
	cands := c.cands[f]
	best := lowestRank(cands)
	if len(best) == 0 || best[0].elem.rank >= 2 {
		return
	}
	for _, cand := range cands {
		if cand.elem.rank == 2 {
			c.cands[post] = append(c.cands[post], cand)
		}
	}
}

// address makes the steps of an address field. Where a template has both
// families, the family is chosen for each record, see decoding.resolvePairs.
func (c *compiler) address(f flow.Field, best []candidate, twoHeaders bool) {
	primary := best[0]
	if !twoHeaders {
		if len(best) > 1 {
			c.plan.pairs = append(c.plan.pairs, addrPair{primary.ref, best[1].ref, f})
		}
		c.step(f, primary, false)
		return
	}
	primary = best[len(best)-1]
	c.step(f, primary, false)
	if len(best) < 2 {
		return
	}
	c.plan.pairs = append(c.plan.pairs, addrPair{primary.ref, best[0].ref, f})
	outer := flow.TunSrcAddr
	if f == flow.DstAddr {
		outer = flow.TunDstAddr
	}
	c.plan.outer = append(c.plan.outer, step{roleAddr, outer, false, best[0].ref})
}

// alternatives makes the steps of a field that several elements of one rank
// may feed: each fills what those before left at zero. The same element twice
// counts once.
func (c *compiler) alternatives(f flow.Field, best []candidate) {
	for i, cand := range best {
		c.step(f, cand, i > 0)
	}
}

func (c *compiler) step(f flow.Field, cand candidate, fill bool) {
	c.plan.steps = append(c.plan.steps, step{cand.elem.role, f, fill, cand.ref})
}

// lowestRank returns the candidates of the lowest rank, in template order.
func lowestRank(cands []candidate) []candidate {
	var best []candidate
	for _, cand := range cands {
		switch {
		case len(best) == 0 || cand.elem.rank < best[0].elem.rank:
			best = append(best[:0:0], cand)
		case cand.elem.rank == best[0].elem.rank:
			best = append(best, cand)
		}
	}
	return best
}

// locate finds the values of one record of a template with variable-length
// fields. It writes their places to refs, which has as many entries as p.refs,
// and returns the length of the record, or false if the record runs over the
// end of body.
//
//	length < 255:   | length | value ... |
//	else:           | 255 | length, 16 bits | value ... |        (RFC 7011, figures R and S)
func (p *plan) locate(body []byte, refs []ref) (int, bool) {
	off, next := 0, 0
	for i, f := range p.fields {
		length := int(f.len)
		if f.len == variable {
			if off >= len(body) {
				return 0, false
			}
			length = int(body[off])
			off++
			if length == 255 {
				if off+2 > len(body) {
					return 0, false
				}
				length = int(body[off])<<8 | int(body[off+1])
				off += 2
			}
		}
		if off+length > len(body) {
			return 0, false
		}
		if next < len(refs) && p.refs[next].index == int32(i) {
			refs[next] = ref{int32(off), int32(length), int32(i)}
			next++
		}
		off += length
	}
	return off, true
}
