package store

import (
	"encoding/binary"

	"weir/flow"
)

// Every key of the store is made here; docs/format.md draws them.
//
//	'a' | number (8)                        an entry of the audit log
//	's' | name                              a state value
//	'b' | hour (4) | kind (1) | …           everything about one bucket
//
// Numbers are big-endian, so that keys sort as the numbers do. A bucket is one
// contiguous range of keys: to drop it is one excise.
const (
	prefixAudit  = 'a'
	prefixBucket = 'b'
	prefixState  = 's'

	// Kinds of key within a bucket. Small values come first, in a table of their
	// own once sealed: opening the store and planning a query must not read past
	// columns.
	kindLedger = 0 // key as package ledger makes it
	kindMeta   = 1 // one value: totals of the bucket at its last seal
	kindHeader = 2 // block (4)
	kindTail   = 3 // part (8) | first row (4)
	kindEnd    = 4 // one empty value that ends the small tables of a sealed bucket
	kindIndex  = 5 // key as package index makes it
	kindColumn = 6 // field (1) | block (4)
	kindCopy   = 7 // the rest of a key of a small value, from its kind on

	bucketPrefixLen = 5
)

func appendBucket(dst []byte, h Hour) []byte {
	return binary.BigEndian.AppendUint32(append(dst, prefixBucket), uint32(h))
}

// bucketSpan returns the range of keys of the buckets from to to, both
// inclusive; end is exclusive.
func bucketSpan(from, to Hour) (start, end []byte) {
	start = appendBucket(nil, from)
	if to == ^Hour(0) {
		return start, []byte{prefixBucket + 1}
	}
	return start, appendBucket(nil, to+1)
}

func bucketKey(h Hour, kind byte) []byte { return append(appendBucket(make([]byte, 0, 24), h), kind) }

func ledgerKey(h Hour, key []byte) []byte { return append(bucketKey(h, kindLedger), key...) }

func metaKey(h Hour) []byte { return bucketKey(h, kindMeta) }

func endKey(h Hour) []byte { return bucketKey(h, kindEnd) }

func headerKey(h Hour, block int) []byte {
	return binary.BigEndian.AppendUint32(bucketKey(h, kindHeader), uint32(block))
}

func columnKey(h Hour, f flow.Field, block int) []byte {
	return binary.BigEndian.AppendUint32(append(bucketKey(h, kindColumn), byte(f)), uint32(block))
}

func tailKey(h Hour, part uint64, row int) []byte {
	key := binary.BigEndian.AppendUint64(bucketKey(h, kindTail), part)
	return binary.BigEndian.AppendUint32(key, uint32(row))
}

// tailSpan returns the range of keys of the tail segments of one part.
func tailSpan(h Hour, part uint64) (start, end []byte) {
	return tailKey(h, part, 0), tailKey(h, part+1, 0)
}

// copyKey returns the key under which a small value is kept a second time.
func copyKey(h Hour, key []byte) []byte {
	return append(bucketKey(h, kindCopy), key[bucketPrefixLen:]...)
}

// copiedKey is the inverse of copyKey for what follows the kind.
func copiedKey(h Hour, rest []byte) []byte { return append(appendBucket(nil, h), rest...) }

func indexKey(h Hour, key []byte) []byte { return append(bucketKey(h, kindIndex), key...) }

func auditKey(number uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{prefixAudit}, number)
}

func stateKey(name string) []byte { return append([]byte{prefixState}, name...) }

// splitBucketKey takes a bucket's key apart; false if it is none.
func splitBucketKey(key []byte) (h Hour, kind byte, rest []byte, ok bool) {
	if len(key) <= bucketPrefixLen || key[0] != prefixBucket {
		return 0, 0, nil, false
	}
	return Hour(binary.BigEndian.Uint32(key[1:])), key[bucketPrefixLen], key[bucketPrefixLen+1:], true
}
