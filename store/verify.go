package store

import (
	"errors"
	"fmt"
	"math/bits"

	"weir/flow"
)

// errHeader says that a header tells of a column, or of the block's extent,
// what the rows do not bear out: queries would pass over rows that match.
var errHeader = errors.New("the header says otherwise")

// Verify reads every column of the block and compares what the header says of
// them with what they hold. It returns nil, or all that is wrong: a DamageError
// for each column, or another error, such as ErrClosed, alone.
func (b *Block) Verify() error {
	times := flow.NewBatch(b.Rows())
	times.Grow(b.Rows())
	var bad []error
	for f := range b.columns.All {
		switch err := b.verifyColumn(f, times); {
		case err == nil:
		case !IsDamage(err):
			return err
		default:
			bad = append(bad, err)
		}
	}
	if len(bad) == 0 && boundsOf(times, 0, b.Rows()) != b.bounds {
		bad = append(bad, damaged(b.hour, headerName(b.number), fmt.Errorf("times: %w", errHeader)))
	}
	return errors.Join(bad...)
}

// verifyColumn reads one column; those of times go into times as well.
func (b *Block) verifyColumn(f flow.Field, times *flow.Batch) error {
	present, err := b.Present(f, nil)
	if err != nil {
		return err
	}
	got := Stat{Size: b.Stat(f).Size}
	switch {
	case f.IsAddr():
		err = b.statAddrs(f, present, &got)
	case f.IsText():
		err = b.statTexts(f, present, &got)
	default:
		err = b.statNums(f, present, &got, times)
	}
	if err != nil {
		return err
	}
	if want := b.Stat(f); got != want {
		return b.damage(f, errHeader)
	}
	return nil
}

func (b *Block) statAddrs(f flow.Field, present []uint64, s *Stat) error {
	values, err := b.Addr(f, nil)
	if err != nil {
		return err
	}
	kept := values[:0]
	for row, a := range values {
		if present[row>>6]>>(row&63)&1 != 0 {
			kept = append(kept, a)
		}
	}
	s.Present = len(kept)
	s.MinAddr, s.MaxAddr = minMaxAddr(kept)
	return nil
}

// statTexts reads a column of texts, of which the header knows only how many rows
// have one.
func (b *Block) statTexts(f flow.Field, present []uint64, s *Stat) error {
	for _, w := range present {
		s.Present += bits.OnesCount64(w)
	}
	_, err := b.Text(f, nil)
	return err
}

func (b *Block) statNums(f flow.Field, present []uint64, s *Stat, times *flow.Batch) error {
	values, err := b.Num(f, nil)
	if err != nil {
		return err
	}
	timed := f == flow.Received || f == flow.Start || f == flow.End
	for row, v := range values {
		if present[row>>6]>>(row&63)&1 == 0 {
			continue
		}
		if s.Present == 0 {
			s.MinNum, s.MaxNum = v, v
		}
		s.Present++
		s.MinNum, s.MaxNum = min(s.MinNum, v), max(s.MaxNum, v)
		if timed {
			times.SetNum(f, row, v)
		}
	}
	return nil
}
