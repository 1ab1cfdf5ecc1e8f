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
	values [flow.FieldCount][]uint64 // by row in rows, 0 where absent

	places, entries []uint32 // scratch
}

// NumOf puts the values of a numeric field of the rows in set into their places
// in dst, 0 where absent; the other places are undefined. It reuses dst. Of few
// rows it takes a fraction of what Num does, and less when it is asked again.
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

// point returns the values of a numeric field at the points.
func (s *storedBlock) point(f flow.Field) ([]uint64, error) {
	p := s.points
	if p.have.Has(f) {
		return p.values[f], nil
	}
	if !s.head.columns.Has(f) {
		return nil, errMissing
	}
	out := sized(p.values[f], len(p.rows))
	if int(f) < len(s.clock) && s.clock[f] != nil {
		for i, row := range p.rows {
			out[i] = s.clock[f][row]
		}
	} else if err := s.readPoints(f, out); err != nil {
		return nil, err
	}
	p.values[f] = out
	p.have.Add(f)
	return out, nil
}

// readPoints fills out with one value for each point, and keeps the column for
// those that are asked of it the next time.
func (s *storedBlock) readPoints(f flow.Field, out []uint64) error {
	if kept := s.keptPoints(f); kept != nil {
		return s.pick(kept, out)
	}
	return s.with(f, func(d *decoder, c *column, _ parentSource) error {
		p := &d.picked
		if err := p.take(d, c, f); err != nil {
			return err
		}
		if err := s.pick(p, out); err != nil {
			return err
		}
		s.keep(f, p.size(), p.kept)
		return nil
	})
}

// keptPoints returns a column that the cache has, nil if it does not.
func (s *storedBlock) keptPoints(f flow.Field) *pointColumn {
	switch kept := s.kept(f).(type) {
	case *packedColumn:
		return &pointColumn{column: column{rows: kept.rows, count: kept.count, present: kept.present}, numbers: kept}
	case *pointColumn:
		return kept
	}
	return nil
}

// pick fills out with the values of the column at the points.
func (s *storedBlock) pick(p *pointColumn, out []uint64) error {
	at := s.points
	at.places = p.column.places(at.places[:0], at.rows)
	values := out[:len(at.places)]
	if err := s.pickNumbers(p, values); err != nil {
		return err
	}
	if err := p.numbers.decode(values); err != nil {
		return err
	}
	p.spreadPoints(out, at.rows)
	if p.against == 0 {
		return nil
	}
	times, err := s.point(p.against)
	if err != nil {
		return err
	}
	for i, row := range at.rows {
		if p.present == nil || p.present[row>>6]>>(row&63)&1 != 0 {
			out[i] = times[i] - unzigzag(out[i])
		}
	}
	return nil
}

// pickNumbers is pick of the numbers of those points that have the field.
func (s *storedBlock) pickNumbers(p *pointColumn, dst []uint64) error {
	places := s.points.places
	if p.parent == 0 {
		p.at(dst, places)
		return nil
	}
	entries, err := s.entriesAt(p)
	if err != nil {
		return err
	}
	p.at(dst, entries)
	p.except(dst, places)
	return nil
}

// entriesAt returns the entries of p's parent that the points which have the
// field belong to.
func (s *storedBlock) entriesAt(p *pointColumn) ([]uint32, error) {
	at, parent := s.points, parentFields[p.parent]
	out, n := sized(at.entries, len(at.places)), p.numbers.count
	at.entries = out
	if parent[0] == 0 && p.present == nil && s.head.stats[parent[1]].Present == p.rows {
		// Each value of the dictionary is of some row: entries are codes.
		codes, err := s.codes(parent[1])
		if err != nil {
			return nil, err
		}
		if codes.n != n+1 {
			return nil, errValue
		}
		for i, row := range at.rows {
			out[i] = uint32(codes.codes[row])
		}
		return out, nil
	}
	d := s.codecs.decoder()
	defer s.codecs.putDecoder(d)
	all, have, err := (&storedParents{s, d, &p.column}).parent(p.parent)
	if err != nil {
		return nil, err
	}
	if have != n || len(all) != p.count {
		return nil, errValue
	}
	for i, place := range at.places {
		out[i] = all[place]
	}
	return out, nil
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
