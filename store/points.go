package store

import (
	"math/bits"
	"slices"

	"weir/flow"
)

// points are rows of a stored block of which single values are asked for, and
// what has been found of them: of one column what others are written against.
type points struct {
	set    []uint64 // one bit a row
	rows   []uint16 // the same, ascending
	have   flow.FieldSet
	values [flow.FieldCount][]uint64 // by row in rows: values, codes of addresses; 0 where absent
}

// NumOf puts the values of a numeric field of the rows in set into their places
// in dst, 0 where absent; the other places are undefined. It reuses dst. Of few
// rows it takes a fraction of what Num does.
func (b *Block) NumOf(f flow.Field, set, dst []uint64) ([]uint64, error) {
	s, stored := b.src.(*storedBlock)
	if !stored || !b.columns.Has(f) || f.IsAddr() || f.IsText() {
		return b.Num(f, dst)
	}
	dst = sized(dst, b.Rows())
	if err := s.numOf(f, set, dst); err != nil {
		return nil, b.damage(f, err)
	}
	return dst, nil
}

func (s *storedBlock) numOf(f flow.Field, set, dst []uint64) error {
	s.pointAt(set)
	values, err := s.point(f)
	if err != nil {
		return err
	}
	for i, row := range s.points.rows {
		dst[row] = values[i]
	}
	return nil
}

// pointAt makes the rows in set those that single values are asked of.
func (s *storedBlock) pointAt(set []uint64) {
	if s.points == nil {
		s.points = new(points)
	}
	p, words := s.points, (int(s.head.rows)+63)/64
	if p.have != (flow.FieldSet{}) && slices.Equal(p.set, set[:words]) {
		return
	}
	p.have = flow.FieldSet{}
	p.set = append(p.set[:0], set[:words]...)
	p.rows = p.rows[:0]
	for i, w := range p.set {
		for ; w != 0; w &= w - 1 {
			p.rows = append(p.rows, uint16(i<<6+bits.TrailingZeros64(w)))
		}
	}
}

// point returns the values of a field at the points; of addresses their codes.
func (s *storedBlock) point(f flow.Field) ([]uint64, error) {
	p := s.points
	if p.have.Has(f) {
		return p.values[f], nil
	}
	if !s.head.columns.Has(f) {
		return nil, errMissing
	}
	out := sized(p.values[f], len(p.rows))
	switch {
	case int(f) < len(s.clock) && s.clock[f] != nil:
		for i, row := range p.rows {
			out[i] = s.clock[f][row]
		}
	case s.coded[f].codes != nil:
		for i, row := range p.rows {
			out[i] = uint64(s.coded[f].codes[row])
		}
	default:
		if err := s.readPoints(f, out); err != nil {
			return nil, err
		}
	}
	p.values[f] = out
	p.have.Add(f)
	return out, nil
}

func (s *storedBlock) readPoints(f flow.Field, out []uint64) error {
	if s.cache != nil && !f.IsAddr() {
		if kept, ok := s.cache.get(columnName{s.incarnation, s.number, f, false}, s.view).(*packedColumn); ok {
			return kept.points(out, s.points.rows)
		}
	}
	return s.keeping(f, func(d *decoder, c *column, _ parentSource) error {
		p := &picker{d, c, s}
		return p.column(f, out)
	})
}

// points puts the values of rows, which ascend, of a column that the cache keeps
// into out.
func (p *packedColumn) points(out []uint64, rows []uint16) error {
	c := column{rows: p.rows, count: p.count, present: p.present}
	places := c.places(nil, rows)
	values := out[:len(places)]
	for i, place := range places {
		values[i] = p.at(int(place))
	}
	if p.coded {
		for i, code := range values {
			if code >= uint64(p.values.n) {
				return errValue
			}
			values[i] = p.values.at(int(code))
		}
	}
	c.spreadPoints(out, rows)
	return nil
}

// places appends to dst the places among the column's values of those rows that
// have the field.
func (c *column) places(dst []uint32, rows []uint16) []uint32 {
	if c.present == nil {
		for _, row := range rows {
			dst = append(dst, uint32(row))
		}
		return dst
	}
	word, before := 0, 0 // values before the word
	for _, row := range rows {
		for ; word < int(row>>6); word++ {
			before += bits.OnesCount64(c.present[word])
		}
		if here, bit := c.present[word], uint64(1)<<(row&63); here&bit != 0 {
			dst = append(dst, uint32(before+bits.OnesCount64(here&(bit-1))))
		}
	}
	return dst
}

// spreadPoints moves the values of those rows that have the field, which stand at
// the front of out, to the places of their rows, and puts 0 into the others.
func (c *column) spreadPoints(out []uint64, rows []uint16) {
	if c.present == nil {
		return
	}
	from := 0
	for _, row := range rows {
		from += int(c.present[row>>6] >> (row & 63) & 1)
	}
	for i := len(rows) - 1; i >= 0; i-- {
		if row := rows[i]; c.present[row>>6]>>(row&63)&1 != 0 {
			from--
			out[i] = out[from]
		} else {
			out[i] = 0
		}
	}
}
