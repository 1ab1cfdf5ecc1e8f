package query

// ends returns the rows of a visit that count under the first end of a group of
// either end, and those that count under the other: all that have it, but for
// those of which the first is the same. A row without either counts under the
// first, as one without a value.
func (v *visit) ends(g *grouper) (first, second *rowSet, err error) {
	hasSrc, err := v.has(g.field)
	if err != nil {
		return nil, nil, err
	}
	hasDst, err := v.has(g.other)
	if err != nil {
		return nil, nil, err
	}
	first, second = new(rowSet), new(rowSet)
	for i, w := range v.rows {
		src, dst := wordOf(hasSrc, i), wordOf(hasDst, i)
		first[i], second[i] = w&(src|^dst), w&src&dst
	}
	if err := v.differing(g, second); err != nil {
		return nil, nil, err
	}
	for i, w := range v.rows {
		second[i] |= w & wordOf(hasDst, i) &^ wordOf(hasSrc, i)
	}
	return first, second, nil
}

// wordOf returns a word of what columns.has returned.
func wordOf(words []uint64, i int) uint64 {
	switch {
	case words == nil:
		return ^uint64(0)
	case i < len(words):
		return words[i]
	}
	return 0
}

// differing removes from set, whose rows have both ends, those of which both
// fall into one group.
func (v *visit) differing(g *grouper, set *rowSet) error {
	if empty(set) {
		return nil // nor has the block both columns for certain
	}
	if g.isAddr() {
		return v.differingAddrs(g, set)
	}
	src, err := v.num(g.field)
	if err != nil {
		return err
	}
	dst, err := v.num(g.other)
	if err != nil {
		return err
	}
	removeEqual(set, src, dst)
	return nil
}

// removeEqual removes the rows whose values are equal.
func removeEqual(set *rowSet, src, dst []uint64) {
	for i, w := range set {
		if w == 0 {
			continue
		}
		base, equal := i<<6, uint64(0)
		stop := min(base+64, len(src))
		dst := dst[base:stop]
		for j, value := range src[base:stop] {
			if value == dst[j] {
				equal |= 1 << j
			}
		}
		set[i] = w &^ equal
	}
}

// differingAddrs is differing for addresses. Those of the dictionaries are
// looked at where they are, without a column of 16 bytes a row.
func (v *visit) differingAddrs(g *grouper, set *rowSet) error {
	src, srcCodes, err := v.dict(g.field)
	if err != nil {
		return err
	}
	dst, dstCodes, err := v.dict(g.other)
	if err != nil {
		return err
	}
	if src == nil || dst == nil {
		a, err := v.addr(g.field)
		if err != nil {
			return err
		}
		b, err := v.addr(g.other)
		if err != nil {
			return err
		}
		restrictRows(set, func(row int) bool { return g.cut(a[row]) != g.cut(b[row]) })
		return nil
	}
	a, b := src.Addrs(), dst.Addrs()
	if g.bits4 < 0 && g.bits6 < 0 {
		restrictRows(set, func(row int) bool { return a[srcCodes[row]] != b[dstCodes[row]] })
		return nil
	}
	restrictRows(set, func(row int) bool { return g.cut(a[srcCodes[row]]) != g.cut(b[dstCodes[row]]) })
	return nil
}
