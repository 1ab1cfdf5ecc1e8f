package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"strconv"

	"github.com/cockroachdb/pebble/v2/record"
)

// parseNumber reads the number of a file: digits and nothing else.
func parseNumber(text string) (uint64, bool) {
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseUint(text, 10, 64)
	return n, err == nil
}

// Pebble keeps its manifest as records in chunks, none of which spans two blocks:
//
//	+---------+------------+----------+-------+
//	| crc (4) | length (2) | type (1) | bytes |     little-endian, crc of type and bytes
//	+---------+------------+----------+-------+
const (
	recordBlock = 32 << 10
	chunkHeader = 7
	chunkFull   = 1 // the only one of a record
	chunkFirst  = 2 // of several
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// recordsEnd reads a manifest and returns where its last whole record ends. Pebble
// takes the first record that does not read for the end, as it is after a crash in
// the middle of a write; but a record that was begun after that one says that it
// was whole once, and to go on without would delete the tables that it and the
// later ones name.
func recordsEnd(text []byte) (int64, error) {
	if len(text) == 0 {
		return 0, errShort
	}
	r := record.NewReader(bytes.NewReader(text), 0)
	for {
		at := r.Offset()
		rec, err := r.Next()
		if err == nil {
			_, err = io.Copy(io.Discard, rec)
		}
		switch {
		case err == nil:
		case !errors.Is(err, io.EOF) && (at == 0 || beginsLater(text, int(at))):
			return at, errChecksum
		default:
			return at, nil
		}
	}
}

// beginsLater reports whether a record begins after offset at, where one that
// does not read is.
func beginsLater(text []byte, at int) bool {
	end := min(len(text), at-at%recordBlock+recordBlock)
	for from := at + 1; from+chunkHeader <= end; from++ { // where the next one is, the broken one no longer tells
		if beginsRecord(text[from:end]) {
			return true
		}
	}
	for block := end; block < len(text); block += recordBlock {
		rest := text[block:min(len(text), block+recordBlock)]
		for len(rest) >= chunkHeader {
			if beginsRecord(rest) {
				return true
			}
			n := chunkHeader + int(binary.LittleEndian.Uint16(rest[4:]))
			if n == chunkHeader || n > len(rest) {
				break
			}
			rest = rest[n:]
		}
	}
	return false
}

// beginsRecord reports whether a record begins with the first of some bytes.
func beginsRecord(text []byte) bool {
	n, kind := int(binary.LittleEndian.Uint16(text[4:])), text[6]
	if kind != chunkFull && kind != chunkFirst || n == 0 || chunkHeader+n > len(text) {
		return false
	}
	sum := crc32.Checksum(text[6:chunkHeader+n], castagnoli)
	return binary.LittleEndian.Uint32(text) == (sum>>15|sum<<17)+0xa282ead8
}
