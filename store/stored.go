package store

import "weir/flow"

// A storedBlock is a block as it was encoded. It belongs to one goroutine.
type storedBlock struct {
	head   *header
	codecs *codecs
	read   func(f flow.Field, dst []byte) ([]byte, error) // the column's value, in dst's memory if it fits

	cache       *columnCache // nil: none
	incarnation uint64       // of the hour, and number of the block in it
	number      int
	view        uint64 // that it is read through

	// What other columns were decoded from, kept for the next that is.
	coded [flow.FieldCount]coded
	clock clocks
	spare clocks // memory for clock, of a block that is no longer used
	entry [parentCount]entryList

	points *points // nil until single values are asked for
}

// An entryList is the entries of a parent for columns that every row has: most
// columns that follow from it.
type entryList struct {
	entries []uint32 // memory of an earlier block until n is not 0
	n       int
}

// clocks are columns of times, by field.
type clocks [flow.End + 1][]uint64

// kept returns what the cache has of a column, nil if nothing.
func (s *storedBlock) kept(f flow.Field) cached {
	if s.cache == nil {
		return nil
	}
	return s.cache.get(columnName{s.incarnation, s.number, f}, s.view)
}

// keep offers a copy of a column, of about the given size, to the cache.
func (s *storedBlock) keep(f flow.Field, size int64, copied func() cached) {
	if s.cache != nil {
		s.cache.offer(columnName{s.incarnation, s.number, f}, s.view, size, copied)
	}
}

func (s *storedBlock) stat(f flow.Field) (Stat, error) { return s.head.stats[f], nil }

// with reads a column and calls fn with it, a decoder, and its parents.
func (s *storedBlock) with(f flow.Field, fn func(*decoder, *column, parentSource) error) error {
	d := s.codecs.decoder()
	defer s.codecs.putDecoder(d)
	value, err := s.read(f, d.value)
	if err != nil {
		return err
	}
	d.value = value[:0]
	c, err := d.column(value, int(s.head.rows))
	if err != nil {
		return err
	}
	if c.count != s.head.stats[f].Present {
		return errValue
	}
	return fn(d, &c, &storedParents{s, d, &c})
}

func (s *storedBlock) num(f flow.Field, dst []uint64) error {
	if int(f) < len(s.clock) && s.clock[f] != nil {
		copy(dst, s.clock[f])
		return nil
	}
	return s.with(f, func(d *decoder, c *column, parents parentSource) error { return d.nums(f, c, dst, parents) })
}

func (s *storedBlock) addr(f flow.Field, dst []flow.Addr) error {
	return s.with(f, func(d *decoder, c *column, parents parentSource) error { return d.addrs(f, c, dst, parents) })
}

func (s *storedBlock) present(f flow.Field, dst []uint64) (out []uint64, err error) {
	if s.head.stats[f].Present == int(s.head.rows) {
		out = sized(dst, int(s.head.rows+63)/64)
		fillBits(out, int(s.head.rows))
		return out, nil
	}
	err = s.with(f, func(_ *decoder, c *column, _ parentSource) error {
		out = c.words(dst)
		return nil
	})
	return out, err
}

func (s *storedBlock) dict(f flow.Field, old *Dict, codes bool) (dict *Dict, err error) {
	if old == nil {
		old = new(Dict)
	}
	if kept, ok := s.kept(f).(*addrColumn); ok {
		kept.fill(old)
		if codes {
			old.codes = append(old.codes, kept.codes...)
			s.dictRead(f, old)
		}
		return old, nil
	}
	err = s.with(f, func(d *decoder, c *column, parents parentSource) error {
		if c.layout != layoutDict {
			return nil
		}
		if !codes {
			dict = old
			_, err := d.dictValues(dict, c, f)
			return err
		}
		if err := d.dict(old, c, f, parents); err != nil {
			return err
		}
		dict = old
		s.dictRead(f, dict)
		if f.IsAddr() && isPosting(f) {
			s.keep(f, addrColumnSize(dict), func() cached { return newAddrColumn(dict) })
		}
		return nil
	})
	return dict, err
}

// dictRead notes what a dictionary that was read with its codes is good for.
func (s *storedBlock) dictRead(f flow.Field, dict *Dict) {
	dict.postings = isPosting(f)
	if isParent(f) {
		s.coded[f] = coded{dict.codes, dict.n + 1}
	}
}

// takeMemory takes what a block that is no longer used has allocated.
func (s *storedBlock) takeMemory(old *storedBlock) {
	for f := range s.spare {
		if s.spare[f] = old.clock[f]; s.spare[f] == nil {
			s.spare[f] = old.spare[f]
		}
	}
	for id := range s.entry {
		if s.entry[id].n == 0 {
			s.entry[id].entries, old.entry[id].entries = old.entry[id].entries, nil
		}
	}
	old.clock, old.spare = clocks{}, clocks{}
	if s.points == nil && old.points != nil {
		s.points, old.points = old.points, nil
		s.points.have = flow.FieldSet{}
	}
}

// isParent reports whether other columns may follow from f.
func isParent(f flow.Field) bool {
	return f == flow.Exporter || f == flow.SrcAddr || f == flow.DstAddr
}

func isPosting(f flow.Field) bool {
	return f == flow.SrcAddr || f == flow.DstAddr || f == flow.SrcPort || f == flow.DstPort
}

// storedParents gives the parents of column c of a stored block.
type storedParents struct {
	s *storedBlock
	d *decoder
	c *column
}

func (p *storedParents) parent(id byte) (entries []uint32, n int, err error) {
	if kept := &p.s.entry[id]; kept.n > 0 && p.c.present == nil {
		return kept.entries, kept.n, nil
	}
	var of [2]coded
	of[0].n = 1
	for i, f := range parentFields[id] {
		if f == 0 {
			continue
		}
		if of[i], err = p.s.codes(f); err != nil {
			return nil, 0, err
		}
	}
	if p.c.present != nil {
		entries, n, ok := entriesOf(of[0], of[1], p.c.rows, p.c.present, &p.d.entries, &p.d.rank)
		if !ok {
			return nil, 0, errValue
		}
		return entries, n, nil
	}
	kept := &p.s.entry[id]
	if _, kept.n, _ = entriesOf(of[0], of[1], p.c.rows, nil, &kept.entries, &p.d.rank); kept.n == 0 {
		return nil, 0, errValue // no rows, or more pairs of codes than are looked at
	}
	return kept.entries, kept.n, nil
}

// codes returns a parent's column as codes. It has no parent itself: that would
// not end.
func (s *storedBlock) codes(f flow.Field) (coded, error) {
	if s.coded[f].codes == nil {
		if !s.head.columns.Has(f) {
			return coded{}, errMissing
		}
		if kept, ok := s.kept(f).(*addrColumn); ok {
			s.coded[f] = coded{kept.codes, kept.len() + 1}
			return s.coded[f], nil
		}
		err := s.with(f, func(d *decoder, c *column, _ parentSource) (err error) {
			s.coded[f], err = d.codesOnly(c)
			return err
		})
		if err != nil {
			return coded{}, err
		}
	}
	return s.coded[f], nil
}

func (p *storedParents) times(f flow.Field) ([]uint64, error) { return p.s.times(f) }

// times returns a column of times; those that others are written against lead to
// Received by againstField, which is written against none.
func (s *storedBlock) times(f flow.Field) ([]uint64, error) {
	if int(f) >= len(s.clock) || !s.head.columns.Has(f) {
		return nil, errMissing
	}
	if s.clock[f] == nil {
		v := sized(s.spare[f], int(s.head.rows))
		if err := s.num(f, v); err != nil {
			return nil, err
		}
		s.clock[f] = v
	}
	return s.clock[f], nil
}
