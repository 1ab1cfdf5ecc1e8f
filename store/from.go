package store

import "weir/flow"

// fromName stands for what From tells in the cache of columns, which keeps it
// like a column: it is told from three.
const fromName = flow.Field(flow.FieldCount)

// From returns when each row begins, by flow.Span, in ms since the Unix epoch; nil
// if the block is not stored or has rows without a start or an end. It reuses dst.
func (b *Block) From(dst []uint64) ([]uint64, error) {
	s, stored := b.src.(*storedBlock)
	rows := b.Rows()
	if !stored || b.Stat(flow.Start).Present < rows || b.Stat(flow.End).Present < rows {
		return nil, nil
	}
	dst = sized(dst, rows)
	if err := s.from(dst); err != nil {
		return nil, b.damage(flow.Start, err)
	}
	return dst, nil
}

func (s *storedBlock) from(dst []uint64) error {
	if kept, ok := s.kept(fromName).(*fromColumn); ok {
		kept.fill(dst)
		return nil
	}
	if err := s.num(flow.Start, dst); err != nil {
		return err
	}
	end, err := s.times(flow.End)
	if err != nil {
		return err
	}
	for row, e := range end {
		dst[row] = min(dst[row], e)
	}
	s.keep(fromName, int64(fromWidth*len(dst)), func() cached { return newFromColumn(dst) })
	return nil
}

// fromWidth is how many planes the times of a block take: those of hours.
const fromWidth = 3

// A fromColumn is times as the cache keeps them, turned over: their planes are of
// how much they are before the latest. Most flows are short, so that the high
// planes are mostly 0.
type fromColumn struct{ planes }

func newFromColumn(times []uint64) *fromColumn {
	return &fromColumn{planesOf(times, ^uint64(0))}
}

func (c *fromColumn) size() int64 { return c.planes.size() }

// fill puts the times together.
func (c *fromColumn) fill(dst []uint64) {
	c.join(dst, 0)
	for i, v := range dst {
		dst[i] = ^v
	}
}
