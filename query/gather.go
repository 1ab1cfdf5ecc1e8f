package query

import (
	"slices"

	"weir/flow"
)

// selected returns the numbers of the rows of the visit, ascending, in dst's
// memory.
func (v *visit) selected(dst []uint16) []uint16 {
	dst = dst[:0]
	each(v.rows, func(row int) { dst = append(dst, uint16(row)) })
	return dst
}

// byReceived sorts rows by receipt; equal ones keep their order.
func (v *visit) byReceived(rows []uint16) error {
	if s := v.blk.Stat(flow.Received); s.MinNum == s.MaxNum {
		return nil
	}
	v.choose(rows)
	received, err := v.numAt(flow.Received, &v.chosen, len(rows))
	if err != nil {
		return err
	}
	slices.SortStableFunc(rows, func(a, b uint16) int {
		switch x, y := received[a], received[b]; {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	})
	return nil
}

// choose makes rows those that single values are asked of.
func (v *visit) choose(rows []uint16) {
	v.chosen = rowSet{}
	for _, row := range rows {
		v.chosen[row>>6] |= 1 << (row & 63)
	}
}

// gather puts the given fields of the given rows into b, in their order. What was
// in b is gone. Only these fields are read, and of few rows only their values put
// together.
func (v *visit) gather(b *flow.Batch, rows []uint16, fields flow.FieldSet) error {
	b.Reset()
	if len(rows) == 0 {
		return nil // no column has to be read
	}
	b.Enlarge(len(rows))
	b.GrowFor(len(rows), v.fullOf(fields))
	v.choose(rows)
	for f := range fields.All {
		if !v.exists(f) {
			continue
		}
		if err := v.gatherField(b, rows, f); err != nil {
			return err
		}
	}
	return nil
}

// fullOf returns those of the fields that every row has.
func (v *visit) fullOf(fields flow.FieldSet) (full flow.FieldSet) {
	for f := range fields.All {
		if v.full(f) {
			full.Add(f)
		}
	}
	return full
}

func (v *visit) gatherField(b *flow.Batch, rows []uint16, f flow.Field) error {
	present, err := v.has(f)
	if err != nil {
		return err
	}
	if present == nil {
		b.Mark(f, 0, len(rows))
	}
	switch {
	case f.IsAddr():
		return v.gatherAddr(b, rows, f, present)
	case f.IsText():
		return v.gatherText(b, rows, f, present)
	}
	values, err := v.numAt(f, &v.chosen, len(rows))
	if err != nil {
		return err
	}
	if present == nil {
		dst := b.Num(f)
		for i, row := range rows {
			dst[i] = values[row]
		}
		return nil
	}
	for i, row := range rows {
		if inWords(present, int(row)) {
			b.SetNum(f, i, values[row])
		}
	}
	return nil
}

func (v *visit) gatherAddr(b *flow.Batch, rows []uint16, f flow.Field, present []uint64) error {
	d, codes, err := v.dict(f)
	if err != nil {
		return err
	}
	if d != nil {
		for i, row := range rows {
			if inWords(present, int(row)) {
				b.SetAddr(f, i, d.Addr(int(codes[row])))
			}
		}
		return nil
	}
	values, err := v.addr(f)
	if err != nil {
		return err
	}
	for i, row := range rows {
		if inWords(present, int(row)) {
			b.SetAddr(f, i, values[row])
		}
	}
	return nil
}
