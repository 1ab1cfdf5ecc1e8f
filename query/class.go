package query

import (
	"math"

	"weir/flow"
	"weir/store"
)

// A class says what is known of a node's answer over a set of rows.
type class uint8

const (
	classSome class = iota // it must be looked at
	classNone              // false in every row
	classAll               // true in every row
)

// A knowledge is what headers tell of the values of a field in a set of rows.
type knowledge struct {
	known          bool // false: nothing, the rest is void
	absent         bool // no row has the field
	full           bool // every row has it
	minNum, maxNum uint64
	minAddr        flow.Addr
	maxAddr        flow.Addr
}

// blockKnowledge returns what a block's header tells.
func blockKnowledge(b *store.Block, f flow.Field) knowledge {
	if !b.Columns().Has(f) {
		return knowledge{known: true, absent: true}
	}
	s := b.Stat(f)
	return knowledge{true, s.Present == 0, s.Present == b.Rows(), s.MinNum, s.MaxNum, s.MinAddr, s.MaxAddr}
}

// bucketKnowledge returns what a bucket's meta data tells. A start or an end,
// where present, lies within the bucket's span, by flow.Span.
func bucketKnowledge(info *store.BucketInfo, f flow.Field) knowledge {
	switch f {
	case flow.Received:
		return knowledge{known: true, minNum: info.FirstReceived, maxNum: info.LastReceived}
	case flow.Start, flow.End:
		return knowledge{known: true, minNum: info.MinStart, maxNum: info.MaxEnd}
	}
	return knowledge{}
}

// classify returns what is known of a node without looking at rows.
func classify(n node, know func(flow.Field) knowledge) class {
	switch n := n.(type) {
	case constNode:
		if n {
			return classAll
		}
		return classNone
	case *andNode:
		return classifyAnd(n.kids, know)
	case *orNode:
		return classifyOr(n.kids, know)
	case *notNode:
		switch classify(n.kid, know) {
		case classNone:
			return classAll
		case classAll:
			return classNone
		}
	case *numNode:
		return n.classify(know(n.field))
	case *addrNode:
		return n.classify(know(n.field))
	case *textNode:
		return n.classify(know(n.kept.Field))
	case *maskNode:
		if know(n.field).absent {
			return classNone
		}
	case *computedNode:
		return n.classify(know)
	case *namedNode:
		return classNone
	case *blockNode:
		if know(n.port).absent || know(flow.PortBlockStart).absent || know(flow.PortBlockEnd).absent {
			return classNone
		}
	}
	return classSome
}

func classifyAnd(kids []node, know func(flow.Field) knowledge) class {
	all := true
	for _, kid := range kids {
		switch classify(kid, know) {
		case classNone:
			return classNone
		case classSome:
			all = false
		}
	}
	if all {
		return classAll
	}
	return classSome
}

func classifyOr(kids []node, know func(flow.Field) knowledge) class {
	none := true
	for _, kid := range kids {
		switch classify(kid, know) {
		case classAll:
			return classAll
		case classSome:
			none = false
		}
	}
	if none {
		return classNone
	}
	return classSome
}

func (n *numNode) classify(k knowledge) class {
	switch {
	case k.absent || len(n.ranges) == 0:
		return classNone
	case !k.known:
		return classSome
	case k.minNum == k.maxNum:
		if !inNums(n.ranges, n.of(k.minNum)) {
			return classNone
		}
		if k.full {
			return classAll
		}
		return classSome
	case n.shift != 0 || n.mask != 0:
		return classSome
	}
	overlaps := false
	for _, r := range n.ranges {
		if r.lo <= k.minNum && k.maxNum <= r.hi && k.full {
			return classAll
		}
		overlaps = overlaps || r.lo <= k.maxNum && k.minNum <= r.hi
	}
	if !overlaps {
		return classNone
	}
	return classSome
}

func (n *addrNode) classify(k knowledge) class {
	switch {
	case k.absent || len(n.ranges) == 0:
		return classNone
	case !k.known:
		return classSome
	}
	// The first range that does not end before the lowest address decides: the
	// ones before it lie below all addresses, the ones after it further above.
	i := firstNotBefore(n.ranges, k.minAddr)
	switch {
	case i == len(n.ranges) || k.maxAddr.Less(n.ranges[i].lo):
		return classNone
	case k.full && !k.minAddr.Less(n.ranges[i].lo) && !n.ranges[i].hi.Less(k.maxAddr):
		return classAll
	}
	return classSome
}

func (n *computedNode) classify(know func(flow.Field) knowledge) class {
	if len(n.ranges) == 0 {
		return classNone
	}
	if n.value == computedFlows {
		if know(flow.Flows).absent {
			if inNums(n.ranges, 1) {
				return classAll
			}
			return classNone
		}
		return classSome
	}
	absent := 0
	for f := range n.value.needs().All {
		if know(f).absent {
			absent++
		}
	}
	if absent > 0 && n.value.all() || absent == n.value.needs().Len() {
		return classNone
	}
	return classSome
}

// bounds returns the window as the times From to last, both included, that a
// flow must touch: it starts no later than last and ends no earlier than From.
func (w Window) bounds() (from, last uint64) {
	if w.To == 0 {
		return w.From, math.MaxUint64
	}
	return w.From, w.To - 1
}

// classify returns what is known of flows within [minStart, maxEnd].
func (w Window) classify(minStart, maxEnd uint64) class {
	from, last := w.bounds()
	switch {
	case minStart > last || maxEnd < from:
		return classNone
	case minStart >= from && maxEnd <= last:
		return classAll
	}
	return classSome
}

// Holds reports whether the window selects a flow of that span (flow.Span).
func (w Window) Holds(start, end uint64) bool {
	from, last := w.bounds()
	return start <= last && end >= from
}
