package query

import (
	"weir/flow"
)

// Groups of names: src_org, dst_org, org and their like. The group of a row is
// the name of one of its addresses. Names are found for the addresses of a
// block's dictionary, of which there are far fewer than rows, and kept as labels
// until the answer is written.

// labelBits is the width of a label in a packed key.
const labelBits = 32

// parseLabelGrouper reads a group of names, and returns false if text is none.
func parseLabelGrouper(text string, tables LabelTables, n *Names) (grouper, bool, error) {
	name := lower(text)
	f, ok := ParseLabelField(name)
	if !ok {
		return grouper{}, false, nil
	}
	table, err := tables.table(name, f.Kind, n)
	return grouper{name: text, field: f.Field, other: f.Other, bits4: -1, bits6: -1, labels: table}, true, err
}

// labelColumn returns the label of every row under an address field, 0 where
// the field is absent or the address has no name.
func (v *visit) labelColumn(l *Labels, f flow.Field) ([]uint32, error) {
	labels := make([]uint32, v.blk.Rows())
	if !v.exists(f) {
		return labels, nil
	}
	d, codes, err := v.dict(f)
	if err != nil {
		return nil, err
	}
	present, err := v.has(f)
	if err != nil {
		return nil, err
	}
	if d == nil {
		values, err := v.addr(f)
		if err != nil {
			return nil, err
		}
		each(v.rows, func(row int) {
			if inWords(present, row) {
				labels[row] = l.Find(values[row])
			}
		})
		return labels, nil
	}
	byCode := make([]uint32, d.Len()+1) // the last code is absence
	for i := range d.Len() {
		byCode[i] = l.Find(d.Addr(i))
	}
	for row, code := range codes {
		labels[row] = byCode[code]
	}
	return labels, nil
}

// eachLabel calls yield with the position in rows and the label of every row
// that has one.
func (t *top) eachLabel(v *visit, g *grouper, rows []uint16, yield func(at int, value uint64)) error {
	labels, err := v.labelColumn(g.labels, g.field)
	if err != nil {
		return err
	}
	for at, row := range rows {
		if label := labels[row]; label != 0 {
			yield(at, uint64(label))
		}
	}
	return nil
}

// addBothLabels is addBothEnds for names: a row in which both ends have one name
// counts for it once, and one of which no end has a name once without.
func (t *top) addBothLabels(v *visit, w *topWorker, c *counters) error {
	g := &t.layout.groupers[t.either]
	src, err := v.labelColumn(g.labels, g.field)
	if err != nil {
		return err
	}
	dst, err := v.labelColumn(g.labels, g.other)
	if err != nil {
		return err
	}
	asSrc, asDst := new(rowSet), new(rowSet)
	*asSrc, *asDst = *v.rows, *v.rows
	restrictRows(asSrc, func(row int) bool { return src[row] != 0 || dst[row] == 0 })
	restrictRows(asDst, func(row int) bool { return dst[row] != 0 && dst[row] != src[row] })
	if err := t.addGroups(v, w, c, asSrc); err != nil {
		return err
	}
	return t.otherEnd().addGroups(v, w, c, asDst)
}
