package query

import "weir/flow"

// A node is a part of a filter: a constant, a combination of nodes, or a leaf
// that looks at one or a few fields of a record.
type node interface {
	// match is the meaning of the node, for one record.
	match(r *flow.Record) bool
	// appendText appends the canonical text of the node.
	appendText(dst []byte) []byte
	// fields adds the fields that the node looks at.
	fields(set *flow.FieldSet)
}

// A constNode matches every record, or none.
type constNode bool

// An andNode matches what all its kids match; it has at least two, none of them
// an andNode.
type andNode struct{ kids []node }

// An orNode matches what any of its kids matches; it has at least two, none of
// them an orNode.
type orNode struct{ kids []node }

// A notNode matches what its kid does not; the kid is no notNode.
type notNode struct{ kid node }

// A numNode matches records whose value of a numeric field, shifted right and
// masked, lies in one of the ranges. It is false where the field is absent.
type numNode struct {
	field  flow.Field
	shift  uint8
	mask   uint64            // 0: all bits
	ranges []numRange        // ascending, apart; empty matches nothing
	kept   *flow.KeptElement // what the field is, of a slot; else nil
}

// An addrNode matches records whose value of an address field lies in one of
// the ranges. It is false where the field is absent.
type addrNode struct {
	field  flow.Field
	ranges []addrRange // ascending, apart, each of one family
}

// A maskNode matches records whose IPv4 address in a field, under a mask of any
// bits, is want.
type maskNode struct {
	field      flow.Field
	mask, want uint32
}

// A computedNode matches records whose computed value lies in one of the
// ranges. It is false where the value is not defined.
type computedNode struct {
	value  computed
	ranges []numRange
}

// A blockNode matches records whose port lies in their NAT port block. It is
// false where the port or either end of the block is absent.
type blockNode struct{ port flow.Field }

// and joins two nodes, and flattens.
func and(a, b node) node {
	return &andNode{append(kidsOf[*andNode](a), kidsOf[*andNode](b)...)}
}

// or joins two nodes, and flattens.
func or(a, b node) node {
	return &orNode{append(kidsOf[*orNode](a), kidsOf[*orNode](b)...)}
}

// kidsOf returns the kids of a node of type T, else the node alone.
func kidsOf[T node](n node) []node {
	if _, same := n.(T); same {
		switch n := n.(type) {
		case *andNode:
			return n.kids
		case *orNode:
			return n.kids
		}
	}
	return []node{n}
}

// not negates a node.
func not(n node) node {
	switch n := n.(type) {
	case *notNode:
		return n.kid
	case constNode:
		return !n
	}
	return &notNode{n}
}

func (n constNode) match(*flow.Record) bool { return bool(n) }

func (n *andNode) match(r *flow.Record) bool {
	for _, kid := range n.kids {
		if !kid.match(r) {
			return false
		}
	}
	return true
}

func (n *orNode) match(r *flow.Record) bool {
	for _, kid := range n.kids {
		if kid.match(r) {
			return true
		}
	}
	return false
}

func (n *notNode) match(r *flow.Record) bool { return !n.kid.match(r) }

func (n *numNode) match(r *flow.Record) bool {
	return r.Has(n.field) && inNums(n.ranges, n.of(r.Num(n.field)))
}

// of returns the bits of v that the node looks at.
func (n *numNode) of(v uint64) uint64 {
	v >>= n.shift
	if n.mask != 0 {
		v &= n.mask
	}
	return v
}

func (n *addrNode) match(r *flow.Record) bool {
	return r.Has(n.field) && inAddrs(n.ranges, r.Addr(n.field))
}

func (n *maskNode) match(r *flow.Record) bool { return r.Has(n.field) && n.holds(r.Addr(n.field)) }

func (n *maskNode) holds(a flow.Addr) bool { return a.Is4() && a.As4()&n.mask == n.want }

func (n *computedNode) match(r *flow.Record) bool {
	v, ok := n.value.of(r)
	return ok && inNums(n.ranges, v)
}

func (n *blockNode) match(r *flow.Record) bool {
	if !r.Has(n.port) || !r.Has(flow.PortBlockStart) || !r.Has(flow.PortBlockEnd) {
		return false
	}
	port := r.Num(n.port)
	return port >= r.Num(flow.PortBlockStart) && port <= r.Num(flow.PortBlockEnd)
}

func (n constNode) fields(*flow.FieldSet) {}

func (n *andNode) fields(set *flow.FieldSet) {
	for _, kid := range n.kids {
		kid.fields(set)
	}
}

func (n *orNode) fields(set *flow.FieldSet) {
	for _, kid := range n.kids {
		kid.fields(set)
	}
}

func (n *notNode) fields(set *flow.FieldSet)  { n.kid.fields(set) }
func (n *numNode) fields(set *flow.FieldSet)  { set.Add(n.field) }
func (n *addrNode) fields(set *flow.FieldSet) { set.Add(n.field) }
func (n *maskNode) fields(set *flow.FieldSet) { set.Add(n.field) }

func (n *computedNode) fields(set *flow.FieldSet) { *set = set.Union(n.value.needs()) }

func (n *blockNode) fields(set *flow.FieldSet) {
	*set = set.Union(flow.SetOf(n.port, flow.PortBlockStart, flow.PortBlockEnd))
}
