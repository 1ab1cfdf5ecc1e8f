package parquet

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// magic begins and ends a file.
const magic = "PAR1"

// Rows returns how many rows the footer of a file says that there are: in all,
// which must be the sum of its row groups. The file may be a stranger's: the
// footer is read as a stream, and nothing is made as large as it claims to be.
// That is also why this is not left to the library, which believes the lengths
// of lists.
//
//	+--------+-------+------------------------+------------+--------+
//	| "PAR1" | pages | FileMetaData in Thrift | length (4) | "PAR1" |
//	+--------+-------+------------------------+------------+--------+
func Rows(r io.ReaderAt, size int64) (uint64, error) {
	var head [4]byte
	var tail [8]byte
	if size < int64(len(head)+len(tail)) {
		return 0, errors.New("it is too short for a Parquet file")
	}
	if _, err := r.ReadAt(head[:], 0); err != nil {
		return 0, err
	}
	if _, err := r.ReadAt(tail[:], size-int64(len(tail))); err != nil {
		return 0, err
	}
	length := int64(binary.LittleEndian.Uint32(tail[:]))
	if string(head[:]) != magic || string(tail[4:]) != magic || length > size-int64(len(head)+len(tail)) {
		return 0, errors.New("it is no Parquet file")
	}
	f := footer{in: bufio.NewReader(io.NewSectionReader(r, size-int64(len(tail))-length, length))}
	if err := f.file(); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return 0, fmt.Errorf("read the Parquet footer: %w", err)
	}
	if f.all < 0 || f.all != f.groups {
		return 0, fmt.Errorf("its footer says %d rows, and %d in its row groups", f.all, f.groups)
	}
	return uint64(f.all), nil
}

// Types of values in Thrift's compact protocol.
const (
	thriftStop   = 0
	thriftTrue   = 1
	thriftFalse  = 2
	thriftByte   = 3
	thriftI16    = 4
	thriftI32    = 5
	thriftI64    = 6
	thriftDouble = 7
	thriftBinary = 8
	thriftList   = 9
	thriftSet    = 10
	thriftStruct = 12
)

// Fields of Parquet's FileMetaData and RowGroup that are looked at.
const (
	fileRows   = 3
	fileGroups = 4
	groupRows  = 3
)

// maxDepth is how deep values may lie in each other; the format needs half.
const maxDepth = 16

var errShape = errors.New("it is not as the format has it")

// A footer reads FileMetaData.
type footer struct {
	in     *bufio.Reader
	all    int64 // rows that the file says it has
	groups int64 // rows of its row groups
}

// file reads the whole.
func (f *footer) file() error {
	f.all = -1
	return f.fields(func(id int16, kind byte) error {
		switch {
		case id == fileRows && kind == thriftI64:
			n, err := f.zigzag()
			f.all = n
			return err
		case id == fileGroups && kind == thriftList:
			return f.list(func(kind byte) error {
				if kind != thriftStruct {
					return errShape
				}
				return f.fields(f.groupField)
			})
		}
		return f.skip(kind, 1)
	})
}

// groupField reads a field of a row group.
func (f *footer) groupField(id int16, kind byte) error {
	if id != groupRows || kind != thriftI64 {
		return f.skip(kind, 2)
	}
	n, err := f.zigzag()
	if err != nil {
		return err
	}
	if n < 0 || f.groups+n < f.groups {
		return errShape
	}
	f.groups += n
	return nil
}

// fields calls fn for every field of a struct; fn reads its value.
func (f *footer) fields(fn func(id int16, kind byte) error) error {
	id := int16(0)
	for {
		head, err := f.in.ReadByte()
		if err != nil {
			return err
		}
		kind := head & 15
		if kind == thriftStop {
			return nil
		}
		if delta := head >> 4; delta != 0 {
			id += int16(delta)
		} else {
			n, err := f.zigzag()
			if err != nil {
				return err
			}
			id = int16(n)
		}
		if err := fn(id, kind); err != nil {
			return err
		}
	}
}

// list calls fn for every element of a list or set; fn reads it.
func (f *footer) list(fn func(kind byte) error) error {
	head, err := f.in.ReadByte()
	if err != nil {
		return err
	}
	n, kind := uint64(head>>4), head&15
	if n == 15 {
		if n, err = binary.ReadUvarint(f.in); err != nil {
			return err
		}
	}
	for range n { // each takes a byte at least: the footer ends before a false length does
		if kind == thriftTrue || kind == thriftFalse {
			kind = thriftByte // in a list they have a byte
		}
		if err := fn(kind); err != nil {
			return err
		}
	}
	return nil
}

func (f *footer) zigzag() (int64, error) { return binary.ReadVarint(f.in) }

// skip passes over a value.
func (f *footer) skip(kind byte, depth int) error {
	if depth > maxDepth {
		return errShape
	}
	inner := func(kind byte) error { return f.skip(kind, depth+1) }
	switch kind {
	case thriftTrue, thriftFalse:
		return nil
	case thriftByte:
		return f.pass(1)
	case thriftI16, thriftI32, thriftI64:
		_, err := f.zigzag()
		return err
	case thriftDouble:
		return f.pass(8)
	case thriftBinary:
		n, err := binary.ReadUvarint(f.in)
		if err != nil {
			return err
		}
		return f.pass(n)
	case thriftList, thriftSet:
		return f.list(inner)
	case thriftStruct:
		return f.fields(func(_ int16, kind byte) error { return inner(kind) })
	}
	return errShape // Parquet has no maps
}

// pass passes over n bytes.
func (f *footer) pass(n uint64) error {
	if n > 1<<32 {
		return io.ErrUnexpectedEOF // a footer is shorter
	}
	_, err := f.in.Discard(int(n))
	return err
}
