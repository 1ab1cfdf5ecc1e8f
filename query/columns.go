package query

import (
	"sync"

	"weir/flow"
	"weir/store"
)

// columns reads the columns of one block after another and keeps those of the
// current one, so that a filter and an answer that need the same column decode
// it once. It belongs to one worker and reuses its memory: at most one decoded
// block of the fields in use.
type columns struct {
	blk  *store.Block
	rows int

	have    [flow.FieldCount]uint8 // what is decoded of the current block, haveNum and so on
	nums    [flow.FieldCount][]uint64
	addrs   [flow.FieldCount][]flow.Addr
	present [flow.FieldCount][]uint64
	dicts   [flow.FieldCount]*store.Dict
	spare   [flow.FieldCount]*store.Dict // of the last block that had one, for its memory

	packs     [flow.FieldCount]*store.Packed
	sparePack [flow.FieldCount]*store.Packed
	scratch   store.Scratch // of packs and lasts

	begins []uint64 // of from

	lasts     *store.Packed // of lasted, if haveLasts
	spareLast *store.Packed
	haveLasts bool
	lengths   []uint64 // of lengthsOf

	texts  *textNumbers // of the question, that numbers texts
	wanted *rowSet      // rows of the current block whose texts need a number
	chosen rowSet       // scratch of gather
}

// columnsPool keeps the memory of one question for the next, megabytes, which a
// question about few records would spend most of its time to get and to clear.
var columnsPool = sync.Pool{New: func() any { return new(columns) }}

const (
	haveNum = 1 << iota
	haveAddr
	havePresent
	haveDict
	havePacked
)

// open makes blk the current block.
func (c *columns) open(blk *store.Block) {
	if c.blk != nil {
		blk.TakeMemory(c.blk)
	}
	c.blk, c.rows = blk, blk.Rows()
	c.have = [flow.FieldCount]uint8{}
	c.dicts = [flow.FieldCount]*store.Dict{}
	c.packs = [flow.FieldCount]*store.Packed{}
	c.haveLasts = false
}

// close lets go of the current block, whose store may be closed; the memory
// stays.
func (c *columns) close() {
	c.blk, c.rows, c.texts, c.wanted = nil, 0, nil, nil
	c.have = [flow.FieldCount]uint8{}
}

// first marks a kind of a field as decoded and reports whether it was not.
func (c *columns) first(f flow.Field, kind uint8) bool {
	was := c.have[f]
	c.have[f] = was | kind
	return was&kind == 0
}

// num returns the values of a numeric field, and of one of texts the numbers that
// its texts have in this question.
func (c *columns) num(f flow.Field) ([]uint64, error) {
	if !c.first(f, haveNum) {
		return c.nums[f], nil
	}
	if f.IsText() {
		values, err := c.textNums(f)
		c.nums[f] = values
		return values, err
	}
	if p := c.packs[f]; p != nil && !p.HasDict() {
		c.nums[f] = p.Fill(c.nums[f])
		return c.nums[f], nil
	} else if p != nil {
		d, _, err := c.dict(f)
		if err != nil {
			return nil, err
		}
		c.nums[f] = d.RowNums(c.nums[f])
		return c.nums[f], nil
	}
	var err error
	c.nums[f], err = c.blk.Num(f, c.nums[f])
	return c.nums[f], err
}

// numOf returns the values of a numeric field, good for the rows of a set only,
// of which there are n. To put few together takes less than all.
func (c *columns) numOf(f flow.Field, set *rowSet, n int) ([]uint64, error) {
	if f.IsText() {
		return c.num(f)
	}
	if c.have[f]&haveNum != 0 {
		return c.nums[f], nil
	}
	p, err := c.packed(f) // also for all rows: it may be there from the last question
	if err != nil {
		return nil, err
	}
	if p == nil || p.HasDict() || n > c.rows/fewOf {
		return c.num(f)
	}
	c.nums[f] = p.Gather(c.nums[f], set[:])
	return c.nums[f], nil
}

// numAt is numOf for who looks up rows here and there, and leaves the memory for
// columns that the next question may want to those who go over all rows.
func (c *columns) numAt(f flow.Field, set *rowSet, n int) (_ []uint64, err error) {
	p := c.packs[f]
	if f.IsText() || n > c.rows/fewOf || c.have[f]&haveNum != 0 || p != nil && !p.HasDict() {
		return c.numOf(f, set, n)
	}
	c.nums[f], err = c.blk.NumOf(f, set[:], c.nums[f])
	return c.nums[f], err
}

// sumOf adds up the values of a numeric field in the rows of a set, of which
// there are n; a sum above 2^64-1 is that.
func (c *columns) sumOf(f flow.Field, set *rowSet, n int) (uint64, error) {
	huge := !sumFits(c.blk, f, 1)
	if c.have[f]&haveNum == 0 && !huge {
		p, err := c.packed(f)
		if err != nil {
			return 0, err
		}
		if p != nil && !p.HasDict() && (n == c.rows || n <= c.rows/fewOf) {
			return p.Sum(set[:], n), nil
		}
	}
	values, err := c.num(f)
	if err != nil {
		return 0, err
	}
	if huge {
		return sumHuge(values, set), nil
	}
	return sumRows(values, set, n), nil
}

// fewOf is the part of a block's rows up to which they count as few.
const fewOf = 16

// from returns when each row begins, by flow.Span, nil if the block does not tell
// it at one go.
func (c *columns) from() ([]uint64, error) {
	from, err := c.blk.From(c.begins)
	if from != nil {
		c.begins = from
	}
	return from, err
}

// lasted returns how long rows lasted, nil if the block does not tell it at one go.
func (c *columns) lasted() (_ *store.Packed, err error) {
	if c.haveLasts {
		return c.lasts, nil
	}
	if c.spareLast == nil {
		c.spareLast = c.scratch.NewPacked()
	}
	if c.lasts, err = c.blk.Lasted(c.spareLast); err != nil {
		return nil, err
	}
	c.haveLasts = true
	return c.lasts, nil
}

// lengthsOf is numOf for lasted.
func (c *columns) lengthsOf(set *rowSet, n int) ([]uint64, error) {
	p, err := c.lasted()
	if p == nil || err != nil {
		return nil, err
	}
	if n > c.rows/fewOf {
		c.lengths = p.Fill(c.lengths)
	} else {
		c.lengths = p.Gather(c.lengths, set[:])
	}
	return c.lengths, nil
}

// packed returns a numeric column that is not put together to values, or nil if
// the block does not have it so.
func (c *columns) packed(f flow.Field) (*store.Packed, error) {
	if c.first(f, havePacked) {
		if c.sparePack[f] == nil {
			c.sparePack[f] = c.scratch.NewPacked()
		}
		p, err := c.blk.PackedIn(f, c.sparePack[f])
		if err != nil {
			return nil, err
		}
		c.packs[f] = p
	}
	return c.packs[f], nil
}

// addr returns the values of an address field.
func (c *columns) addr(f flow.Field) ([]flow.Addr, error) {
	if !c.first(f, haveAddr) {
		return c.addrs[f], nil
	}
	var err error
	c.addrs[f], err = c.blk.Addr(f, c.addrs[f])
	return c.addrs[f], err
}

// has returns the rows that have a field, nil if all of them do.
func (c *columns) has(f flow.Field) ([]uint64, error) {
	if c.full(f) {
		return nil, nil
	}
	if !c.first(f, havePresent) {
		return c.present[f], nil
	}
	var err error
	c.present[f], err = c.blk.Present(f, c.present[f])
	return c.present[f], err
}

// full reports whether every row has a field.
func (c *columns) full(f flow.Field) bool { return c.blk.Stat(f).Present == c.rows }

// exists reports whether any row has a field.
func (c *columns) exists(f flow.Field) bool { return c.blk.Columns().Has(f) }

// dict returns the dictionary of a column and the code of every row, or nil if
// the block does not store it so. Of texts see textDict.
func (c *columns) dict(f flow.Field) (*store.Dict, []uint16, error) {
	if f.IsText() {
		return nil, nil, nil
	}
	if c.first(f, haveDict) {
		if err := c.readDict(f); err != nil {
			return nil, nil, err
		}
	}
	d := c.dicts[f]
	if d == nil {
		return nil, nil, nil
	}
	return d, d.RowCodes(), nil
}

// readDict is dict of one that is not there yet.
func (c *columns) readDict(f flow.Field) (err error) {
	var d *store.Dict
	if p := c.packs[f]; p != nil && p.HasDict() {
		d = p.Dict(c.spare[f])
	}
	if d == nil {
		if d, err = c.blk.DictIn(f, c.spare[f]); err != nil {
			return err
		}
	}
	c.dicts[f] = d
	if d != nil {
		c.spare[f] = d
	}
	return nil
}
