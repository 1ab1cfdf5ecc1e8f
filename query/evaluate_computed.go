package query

import "weir/flow"

func (e *evaluator) computedLeaf(n *computedNode, set *rowSet) error {
	switch n.value {
	case computedDuration:
		if p, err := e.lasted(); p != nil || err != nil {
			if err == nil {
				restrictPacked(p, &numNode{ranges: n.ranges}, set)
			}
			return err
		}
	case computedPPS, computedBPS, computedBPP:
		if done, err := e.rateLeaf(n, set); done || err != nil {
			return err
		}
	}
	values, err := e.computed(n.value, set)
	if err != nil {
		return err
	}
	restrictRows(set, func(row int) bool { return inNums(n.ranges, values(row)) })
	return nil
}

// computed removes from set the rows in which the value is not defined and
// returns a function that gives it for the others.
func (e *evaluator) computed(c computed, set *rowSet) (func(row int) uint64, error) {
	var cols [10][]uint64
	used := 0
	for f := range c.needs().All {
		if c.all() {
			if err := e.having(f, set); err != nil {
				return nil, err
			}
		}
		var err error
		if cols[used], err = e.num(f); err != nil {
			return nil, err
		}
		used++
	}
	// The fields of a set come in the order of their numbers: times before
	// bytes, bytes before packets, MinTTL before MaxTTL.
	a, b := cols[0], cols[1]
	switch c {
	case computedDuration:
		return func(row int) uint64 { return duration(a[row], b[row]) }, nil
	case computedPPS:
		return func(row int) uint64 { return Rate(cols[2][row], 1000, duration(a[row], b[row])) }, nil
	case computedBPS:
		return func(row int) uint64 { return Rate(cols[2][row], 8000, duration(a[row], b[row])) }, nil
	case computedBPP:
		return func(row int) uint64 { return Rate(a[row], 1, b[row]) }, nil
	case computedTTLs:
		return func(row int) uint64 { return b[row] - min(a[row], b[row]) }, nil
	case computedFlows:
		present, err := e.has(flow.Flows)
		return func(row int) uint64 {
			if present != nil && present[row>>6]>>(row&63)&1 == 0 {
				return 1
			}
			return a[row]
		}, err
	}
	bottom := func(row int) (uint64, bool) {
		for _, labels := range cols {
			if labels[row]&1 != 0 { // 0 where absent
				return labels[row] >> labelShift, true
			}
		}
		return 0, false
	}
	restrictRows(set, func(row int) bool { _, ok := bottom(row); return ok })
	return func(row int) uint64 { v, _ := bottom(row); return v }, nil
}
