package store

import "encoding/binary"

// An unpackedColumn is a column's value as it is stored, without the checksum and
// with its long streams raw: whoever reads it finds little to unpack. It is what
// the cache keeps of columns of which few values or the codes are asked for, and
// every layout and way of writing numbers is read from it as it is from the disk.
type unpackedColumn struct{ value []byte }

func (c *unpackedColumn) size() int64 { return int64(len(c.value)) + 64 }

// An unpacking gathers such a value while the streams of the stored one are read,
// in their order. What is not read stays as it is.
type unpacking struct {
	on    bool
	value []byte // as it is stored
	out   []byte // value up to upTo, with raw streams
	upTo  int

	// The dictionary of a column that has one stands behind its length.
	lengthAt int // in out; 0: there is none
	lengthIs int // bytes that the length takes
	dictTo   int // where the dictionary ends in value
	dict     int // its length with raw streams
}

// begin starts to gather the value of a column.
func (u *unpacking) begin(value []byte) {
	*u = unpacking{on: true, value: value, out: u.out[:0]}
}

// at returns where in the value src stands that was cut from it; -1 if it was not.
func (u *unpacking) at(src []byte) int {
	at := cap(u.value) - cap(src)
	if at < u.upTo || at >= len(u.value) || len(src) == 0 || &src[0] != &u.value[at] {
		return -1
	}
	return at
}

// body notes where the dictionary of a column stands.
func (u *unpacking) body(c *column) {
	if !u.on || c.layout != layoutDict {
		return
	}
	at := u.at(c.body)
	dict, codes, err := takeBytes(c.body)
	if u.on = at >= 0 && err == nil; !u.on {
		return
	}
	u.copyTo(at)
	u.lengthAt, u.lengthIs = len(u.out), len(c.body)-len(codes)-len(dict)
	u.dictTo, u.dict = at+u.lengthIs+len(dict), len(dict)
}

func (u *unpacking) copyTo(at int) {
	u.out = append(u.out, u.value[u.upTo:at]...)
	u.upTo = at
}

// hardlyPacked is how many times smaller than its bytes a stream may be that is
// kept packed: the high bytes of numbers, nearly all 0.
const hardlyPacked = 64

// stream notes that what stands in src before rest is the stream of data.
func (u *unpacking) stream(src, rest, data []byte) {
	n := len(src) - len(rest)
	if n*hardlyPacked < len(data) {
		return
	}
	at := u.at(src)
	if u.on = at >= 0; !u.on {
		return
	}
	u.copyTo(at)
	u.out = append(append(u.out, codecRaw), data...)
	u.upTo = at + n
	if u.upTo <= u.dictTo {
		u.dict += 1 + len(data) - n
	}
}

// unreadPart is which part of a column may be left packed by what read it, for
// the column to be worth keeping.
const unreadPart = 8

// end returns how long the value has become; 0 if it is not worth keeping.
func (u *unpacking) end() int {
	if !u.on || (len(u.value)-u.upTo)*unreadPart > len(u.value) {
		return 0
	}
	u.copyTo(len(u.value))
	return len(u.out) + binary.MaxVarintLen64
}

// column returns a copy of the value.
func (u *unpacking) column() *unpackedColumn {
	out := make([]byte, 0, len(u.out)+binary.MaxVarintLen64)
	if u.lengthAt > 0 {
		out = binary.AppendUvarint(append(out, u.out[:u.lengthAt]...), uint64(u.dict))
		return &unpackedColumn{append(out, u.out[u.lengthAt+u.lengthIs:]...)}
	}
	return &unpackedColumn{append(out, u.out...)}
}
