package store

import (
	"slices"
	"sync"

	"weir/flow"
)

// A snapshot is the leading rows of a part as they were when a View was taken.
// Columns are copied when first asked for, under Store.mu, because the part goes
// on taking rows; once copied they serve every Block of the view. It is a
// rowSource for several goroutines.
type snapshot struct {
	store   *Store
	part    *part
	bounds  bounds
	columns flow.FieldSet

	mu     sync.Mutex
	closed bool
	cols   [flow.FieldCount]*snapColumn
}

// A snapColumn is one column of a snapshot; it does not change.
type snapColumn struct {
	nums    []uint64
	addrs   []flow.Addr
	texts   []string
	present []uint64
	stat    Stat
}

// snap takes a snapshot of all rows of p. Store.mu is held.
func (s *Store) snap(p *part) *snapshot {
	p.readers++
	return &snapshot{store: s, part: p, bounds: p.bounds, columns: p.batch.Columns()}
}

// release lets the part's memory go. Store.mu is held.
func (s *snapshot) release() {
	s.part.readers--
	s.store.recycle(s.part)
}

// shut makes later reads of columns that were not copied fail.
func (s *snapshot) shut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
}

func (s *snapshot) column(f flow.Field) (*snapColumn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.cols[f]; c != nil {
		return c, nil
	}
	if s.closed {
		return nil, ErrClosed
	}
	c := s.copyColumn(f)
	s.cols[f] = c
	return c, nil
}

func (s *snapshot) copyColumn(f flow.Field) *snapColumn {
	n := int(s.bounds.rows)
	c := new(snapColumn)
	s.store.mu.Lock()
	b := s.part.batch
	c.present = slices.Clone(b.Present(f)[:(n+63)/64])
	switch {
	case f.IsAddr():
		c.addrs = slices.Clone(b.Addr(f)[:n])
	case f.IsText():
		c.texts = slices.Clone(b.Text(f)[:n])
	default:
		c.nums = slices.Clone(b.Num(f)[:n])
	}
	s.store.mu.Unlock()

	if n&63 != 0 {
		c.present[len(c.present)-1] &= 1<<(n&63) - 1
	}
	var e encoder // for its presence and statistics only
	e.gatherPresent(c.present, n)
	switch {
	case f.IsAddr():
		e.lo, e.hi = minMaxAddr(gatherRows(nil, c.addrs, &e))
	case f.IsText(): // nothing but how many there are
	default:
		e.span = rangeOf(gatherRows(nil, c.nums, &e))
	}
	c.stat = e.stat(f)
	return c
}

func minMaxAddr(v []flow.Addr) (lo, hi flow.Addr) {
	if len(v) == 0 {
		return lo, hi
	}
	lo, hi = v[0], v[0]
	for _, a := range v[1:] {
		if a.Less(lo) {
			lo = a
		}
		if hi.Less(a) {
			hi = a
		}
	}
	return lo, hi
}

func (s *snapshot) stat(f flow.Field) (Stat, error) {
	c, err := s.column(f)
	if err != nil {
		return Stat{}, err
	}
	return c.stat, nil
}

func (s *snapshot) num(f flow.Field, dst []uint64) error {
	c, err := s.column(f)
	if err == nil {
		copy(dst, c.nums)
	}
	return err
}

func (s *snapshot) addr(f flow.Field, dst []flow.Addr) error {
	c, err := s.column(f)
	if err == nil {
		copy(dst, c.addrs)
	}
	return err
}

func (s *snapshot) present(f flow.Field, dst []uint64) ([]uint64, error) {
	c, err := s.column(f)
	if err != nil {
		return nil, err
	}
	dst = sized(dst, len(c.present))
	copy(dst, c.present)
	return dst, nil
}

func (s *snapshot) dict(f flow.Field, _ *Dict, _ bool) (*Dict, error) {
	if !f.IsAddr() && !f.IsText() && !isPosting(f) {
		return nil, nil
	}
	c, err := s.column(f)
	if err != nil {
		return nil, err
	}
	return newDict(f, c), nil
}

// newDict builds the dictionary of a column in memory.
func newDict(f flow.Field, c *snapColumn) *Dict {
	of := column{rows: max(len(c.nums), len(c.addrs), len(c.texts)), count: c.stat.Present}
	if of.count < of.rows {
		of.present = c.present
	}
	d := &Dict{postings: isPosting(f), codes: make([]uint16, of.rows)}
	var e encoder // to gather only
	e.gatherPresent(c.present, of.rows)
	switch {
	case f.IsAddr():
		var coder addrCoder
		d.addrs = coder.code(gatherRows(nil, c.addrs, &e), d.codes[:of.count])
		d.n = len(d.addrs)
	case f.IsText():
		var coder textCoder
		d.texts = coder.code(gatherRows(nil, c.texts, &e), d.codes[:of.count])
		d.n = len(d.texts)
	default:
		var coder numCoder
		nums := gatherRows(nil, c.nums, &e)
		d.nums = coder.code(nums, rangeOf(nums), d.codes[:of.count])
		d.n = len(d.nums)
	}
	spread(d.codes, &of, uint16(d.n))
	return d
}
