package store

import (
	"fmt"

	"github.com/klauspost/compress/huff0"
	"github.com/klauspost/compress/zstd"

	"weir/flow"
)

// A decoder reads columns. It holds scratch memory and serves one goroutine at
// a time.
type decoder struct {
	zstd   *zstd.Decoder
	huff   *huff0.Scratch
	plane  [8][]byte
	bitmap []byte
	words  []uint64
	values []uint64
	text   []byte // of a dictionary
	value  []byte // of a column, as it is stored
	own    Dict   // of a column that is not asked for as a dictionary

	top         [256]uint64
	symbols     []byte
	others      []uint64
	entryValues []uint64
	exceptions  []uint64
	entries     []uint32
	rank        []uint32

	loose  *Packed // memory for the numbers of picked
	picked pointColumn
}

func newDecoder() *decoder {
	return &decoder{zstd: newZstdDecoder(), huff: new(huff0.Scratch), loose: new(Packed)}
}

// A rowSource gives the columns of one block, from disk or from rows in memory.
// Fields it is asked for are among the block's columns.
type rowSource interface {
	stat(f flow.Field) (Stat, error)
	num(f flow.Field, dst []uint64) error
	addr(f flow.Field, dst []flow.Addr) error
	text(f flow.Field, dst []string) error
	present(f flow.Field, dst []uint64) ([]uint64, error)
	dict(f flow.Field, old *Dict, codes bool) (*Dict, error)
}

// A Block is up to BlockRows rows of one bucket. Its header is read; columns
// are read when asked for. A Block belongs to one goroutine and is good until
// its View is closed.
type Block struct {
	hour    Hour
	number  int
	bounds  bounds
	columns flow.FieldSet
	src     rowSource
}

// Hour returns the bucket the block is in.
func (b *Block) Hour() Hour { return b.hour }

// Number returns the block's number in its bucket.
func (b *Block) Number() int { return b.number }

// TakeMemory takes over the memory of a block that is no longer used, whichever
// it is, to read columns into.
func (b *Block) TakeMemory(old *Block) {
	to, isStored := b.src.(*storedBlock)
	from, wasStored := old.src.(*storedBlock)
	if isStored && wasStored && to != from {
		to.takeMemory(from)
	}
}

// Rows returns how many rows the block has.
func (b *Block) Rows() int { return int(b.bounds.rows) }

// Columns returns the fields that are present in at least one row.
func (b *Block) Columns() flow.FieldSet { return b.columns }

// FirstReceived returns the earliest receipt, in ms since the Unix epoch.
func (b *Block) FirstReceived() uint64 { return b.bounds.firstReceived }

// LastReceived returns the latest receipt, in ms since the Unix epoch.
func (b *Block) LastReceived() uint64 { return b.bounds.lastReceived }

// MinStart returns the earliest start of a row, by flow.Span.
func (b *Block) MinStart() uint64 { return b.bounds.minStart }

// MaxEnd returns the latest end of a row, by flow.Span.
func (b *Block) MaxEnd() uint64 { return b.bounds.maxEnd }

// Stat returns what is known of a column without reading it; the zero Stat when
// the block has no such column.
func (b *Block) Stat(f flow.Field) Stat {
	if !b.columns.Has(f) {
		return Stat{}
	}
	s, err := b.src.stat(f)
	if err != nil { // rows in memory of a closed view: nothing may be concluded
		return Stat{Present: b.Rows(), MaxNum: ^uint64(0), MaxAddr: flow.Addr{Hi: ^uint64(0), Lo: ^uint64(0)}}
	}
	return s
}

// Num returns the values of a numeric field, one a row, 0 where absent. It
// reuses dst.
func (b *Block) Num(f flow.Field, dst []uint64) ([]uint64, error) {
	dst = sized(dst, b.Rows())
	if !b.columns.Has(f) || f.IsAddr() || f.IsText() {
		clear(dst)
		return dst, nil
	}
	if err := b.src.num(f, dst); err != nil {
		return nil, b.damage(f, err)
	}
	return dst, nil
}

// Addr returns the values of an address field, one a row, the zero Addr where
// absent. It reuses dst.
func (b *Block) Addr(f flow.Field, dst []flow.Addr) ([]flow.Addr, error) {
	dst = sized(dst, b.Rows())
	if !b.columns.Has(f) || !f.IsAddr() {
		clear(dst)
		return dst, nil
	}
	if err := b.src.addr(f, dst); err != nil {
		return nil, b.damage(f, err)
	}
	return dst, nil
}

// CountExporters adds the rows of the block to counts, by exporter; rows without
// one count for the zero address. Its errors are those of Addr.
func (b *Block) CountExporters(counts map[flow.Addr]uint64) error {
	exporters, err := b.Addr(flow.Exporter, nil)
	if err != nil {
		return err
	}
	for _, addr := range exporters {
		counts[addr]++
	}
	return nil
}

// Present returns which rows have the field, row i at bit i%64 of word i/64. It
// reuses dst.
func (b *Block) Present(f flow.Field, dst []uint64) ([]uint64, error) {
	words := (b.Rows() + 63) / 64
	if !b.columns.Has(f) {
		dst = sized(dst, words)
		clear(dst)
		return dst, nil
	}
	out, err := b.src.present(f, dst)
	if err != nil {
		return nil, b.damage(f, err)
	}
	return out, nil
}

// Dict returns the column as a dictionary; nil if the block has no such column
// or stores it otherwise. Columns of addresses, ports and texts always have one.
func (b *Block) Dict(f flow.Field) (*Dict, error) { return b.dict(f, nil, true) }

// DictIn is Dict in the memory of a dictionary that is no longer used: of
// another block, since what this one has read may be needed again. It may be
// nil.
func (b *Block) DictIn(f flow.Field, old *Dict) (*Dict, error) { return b.dict(f, old, true) }

// Values is Dict for who wants the distinct values only, which are a small part
// of the column's decoding. Codes and Rows of the result may not be called.
func (b *Block) Values(f flow.Field) (*Dict, error) { return b.dict(f, nil, false) }

func (b *Block) dict(f flow.Field, old *Dict, codes bool) (*Dict, error) {
	if !b.columns.Has(f) {
		return nil, nil
	}
	d, err := b.src.dict(f, old, codes)
	if err != nil {
		return nil, b.damage(f, err)
	}
	return d, nil
}

// damage says where err happened, unless it is not about bytes.
func (b *Block) damage(f flow.Field, err error) error {
	return damaged(b.hour, fmt.Sprintf("column %v of block %d", f, b.number), err)
}
