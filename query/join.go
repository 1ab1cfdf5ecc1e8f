package query

import "weir/flow"

// joined returns a node that matches the same, in which the parts of an "or"
// that ask for values of one field are one part. Scripts write lists as "ip A or
// ip B or ...": each of hundreds would be looked for by itself in the index and in
// every block, where a list takes one pass.
func joined(n node) node {
	switch n := n.(type) {
	case *andNode:
		return &andNode{joinedEach(n.kids)}
	case *notNode:
		return &notNode{joined(n.kid)}
	case *orNode:
		kids := joinLists(joinedEach(n.kids))
		if len(kids) == 1 {
			return kids[0]
		}
		return &orNode{kids}
	}
	return n
}

func joinedEach(kids []node) []node {
	out := make([]node, len(kids))
	for i, kid := range kids {
		out[i] = joined(kid)
	}
	return out
}

// joinLists makes one of the leaves that look at the same bits of one field, in
// the place of the first of them.
func joinLists(kids []node) []node {
	type bits struct {
		field flow.Field
		shift uint8
		mask  uint64
	}
	lists := map[bits]node{}
	out := kids[:0]
	for _, kid := range kids {
		var key bits
		switch n := kid.(type) {
		case *addrNode:
			key = bits{field: n.field}
			if list, ok := lists[key].(*addrNode); ok {
				list.ranges = append(list.ranges, n.ranges...)
				continue
			}
			kid = &addrNode{n.field, append([]addrRange(nil), n.ranges...)}
		case *numNode:
			key = bits{n.field, n.shift, n.mask}
			if list, ok := lists[key].(*numNode); ok {
				list.ranges = append(list.ranges, n.ranges...)
				continue
			}
			list := *n
			list.ranges = append([]numRange(nil), n.ranges...)
			kid = &list
		}
		if key.field != 0 {
			lists[key] = kid
		}
		out = append(out, kid)
	}
	for _, list := range lists {
		switch n := list.(type) {
		case *addrNode:
			n.ranges = normalAddrs(n.ranges)
		case *numNode:
			n.ranges = normalNums(n.ranges)
		}
	}
	return out
}
