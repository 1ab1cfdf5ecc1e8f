package store

import "weir/flow"

// lastedName stands for what Lasted tells in the cache of columns, which keeps it
// like a column: it is told from three.
const lastedName = flow.Field(flow.FieldCount) + 1

// Lasted returns how long each row lasted, its end less its start or 0 if that
// stands after it, as a column; nil if the block is not stored or has rows without
// one of both. old is as for PackedIn.
func (b *Block) Lasted(old *Packed) (*Packed, error) {
	s, stored := b.src.(*storedBlock)
	rows := b.Rows()
	if !stored || b.Stat(flow.Start).Present < rows || b.Stat(flow.End).Present < rows {
		return nil, nil
	}
	if old == nil {
		old = new(Scratch).NewPacked()
	}
	if err := s.lasted(old); err != nil {
		return nil, b.damage(flow.Start, err)
	}
	return old, nil
}

func (s *storedBlock) lasted(p *Packed) error {
	if kept, ok := s.kept(lastedName).(*packedColumn); ok {
		p.packedColumn = kept
		return nil
	}
	p.whole = sized(p.whole, int(s.head.rows))
	if err := s.num(flow.Start, p.whole); err != nil {
		return err
	}
	end, err := s.times(flow.End)
	if err != nil {
		return err
	}
	for row, e := range end {
		p.whole[row] = e - min(p.whole[row], e)
	}
	p.packedColumn = &p.mine
	p.rows, p.count, p.present, p.coded, p.dict, p.frequent = len(end), len(end), nil, false, nil, false
	p.plain.put(p.whole)
	s.keep(lastedName, p.size(), func() cached { return p.clone() })
	return nil
}
