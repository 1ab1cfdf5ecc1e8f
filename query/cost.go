package query

import "slices"

// What a node costs a block, for the order in which an "and" and an "or" look
// at their parts: roughly the columns that must be decoded, in rows.
const (
	costDict     = 1 // one dictionary column: codes are compared
	costColumn   = 2
	costComputed = 6
)

// cost returns roughly what evaluating n over a block takes.
func cost(n node) int {
	switch n := n.(type) {
	case *andNode:
		return costOf(n.kids)
	case *orNode:
		return costOf(n.kids)
	case *notNode:
		return cost(n.kid)
	case *numNode:
		if indexedField(n.field) {
			return costDict
		}
		return costColumn
	case *addrNode, *maskNode, *textNode:
		return costDict
	case *computedNode, *blockNode:
		return costComputed
	}
	return 0
}

func costOf(kids []node) int {
	total := 0
	for _, kid := range kids {
		total += cost(kid)
	}
	return total
}

// cheapestFirst returns a node that matches the same, with the parts of every
// "and" and "or" in ascending order of cost.
func cheapestFirst(n node) node {
	switch n := n.(type) {
	case *andNode:
		return &andNode{sortKids(n.kids)}
	case *orNode:
		return &orNode{sortKids(n.kids)}
	case *notNode:
		return &notNode{cheapestFirst(n.kid)}
	}
	return n
}

func sortKids(kids []node) []node {
	sorted := make([]node, len(kids))
	for i, kid := range kids {
		sorted[i] = cheapestFirst(kid)
	}
	slices.SortStableFunc(sorted, func(a, b node) int { return cost(a) - cost(b) })
	return sorted
}
