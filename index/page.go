package index

import (
	"errors"
	"hash/crc32"
)

// A page holds a run of terms of one field: its key is the field and the first
// value, its value is drawn here.
//
//	+-------------+----------+--------------+--------------+---------------+
//	| crc32c (4)  | kind (1) | n (uvarint)  | terms        | span (wide)   |
//	| little end. |          | blocks       | (uvarint)    | last - first  |
//	+-------------+----------+--------------+--------------+---------------+
//	| set of the first value | delta (wide) | set | delta (wide) | set | …  |
//	+------------------------+--------------+-----+--------------+---------+
//
// A delta is the distance from the value before, less one; a wide is a 128-bit
// uvarint; a set is a block set (blockset.go). The checksum spans the key and
// all of the value behind it, so that a page found under another's key is
// damage too.
//
// In a page of kind dense the values from first to last follow one another
// without gaps and every set is a bit set of n bits in bytes without a head;
// one without a bit is of a value that does not occur. Ports look like this.
//
// In a page of kind alone, of a bucket with a single block, there are no sets: a
// value that is there is in that block. Small hours are mostly such buckets, and
// the sets were a quarter of their index.
const (
	pageSparse = 1
	pageDense  = 2
	pageAlone  = 3

	// pageTarget is where a page is closed. A look-up reads one page: a larger
	// one costs more to read, a smaller one more keys.
	pageTarget = 6 << 10
	// dayPageTarget is that of a day summary, of which a question about weeks reads
	// one page a day and nothing else.
	dayPageTarget = 2 << 10

	// maxBlocks is the most blocks a bucket can have, the ordinals' upper half.
	maxBlocks = 1 << 16
)

var (
	errPageShort    = errors.New("index page is cut short")
	errPageChecksum = errors.New("index page has a wrong checksum")
	errPageForm     = errors.New("index page is malformed")
	errPageOrder    = errors.New("index page's values do not ascend")
)

func pageChecksum(key, body []byte) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli) // made once, by the library
	return crc32.Update(crc32.Update(0, table, key), table, body)
}
