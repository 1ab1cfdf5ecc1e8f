package ledger

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"weir/flow"
)

// ErrRow says that a row of the ledger cannot be read.
var ErrRow = errors.New("row of the ledger is damaged or of a newer weir")

// A Kind is what a row is about. Its value is written to disk.
type Kind uint8

// The kinds.
const (
	KindHost  Kind = 1
	KindEntry Kind = 2
	KindPurge Kind = 3
	KindLoss  Kind = 4
)

// A Row is one row of one hour's ledger. Of the last four, the one of its kind
// is set.
type Row struct {
	Kind  Kind
	Run   Run // of a Purge or a Loss: what tells it from others, when it was done or noticed
	Key   Key // of an Entry; of a Purge or a Loss the exporter
	Entry *Entry
	Host  *Host
	Purge *Purge
	Loss  *Loss
}

// AppendKey appends the row's key: rows sort by kind, run and key.
//
//	+----------+---------+
//	| kind (1) | run (8) |                                      host
//	+----------+---------+---------------+------------+-------------+
//	| kind (1) | run (8) | exporter (16) | domain (4) | version (2) |  entry, purge, loss
//	+----------+---------+---------------+------------+-------------+
func (r *Row) AppendKey(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint64(append(dst, byte(r.Kind)), uint64(r.Run))
	if r.Kind == KindHost {
		return dst
	}
	addr := r.Key.Exporter.As16()
	dst = binary.BigEndian.AppendUint32(append(dst, addr[:]...), r.Key.Domain)
	return binary.BigEndian.AppendUint16(dst, r.Key.Version)
}

// AppendValue appends the row's value: of an Entry as appendEntry draws it, else
// JSON.
func (r *Row) AppendValue(dst []byte) ([]byte, error) {
	switch r.Kind {
	case KindEntry:
		return appendEntry(dst, r.Entry), nil
	case KindHost:
		return appendJSON(dst, r.Host)
	case KindPurge:
		return appendJSON(dst, r.Purge)
	case KindLoss:
		return appendJSON(dst, r.Loss)
	}
	return dst, ErrRow
}

func appendJSON(dst []byte, v any) ([]byte, error) {
	text, err := json.Marshal(v)
	return append(dst, text...), err
}

// ParseRow reads a row from its key and value.
func ParseRow(key, value []byte) (Row, error) {
	r, err := parseKey(key)
	if err != nil {
		return r, err
	}
	switch r.Kind {
	case KindEntry:
		r.Entry = &Entry{}
		err = parseEntry(r.Entry, value)
	case KindHost:
		r.Host = &Host{}
		err = parseJSON(value, r.Host)
	case KindPurge:
		r.Purge = &Purge{}
		err = parseJSON(value, r.Purge)
	case KindLoss:
		r.Loss = &Loss{}
		err = parseJSON(value, r.Loss)
	}
	return r, err
}

func parseJSON(value []byte, v any) error {
	if err := json.Unmarshal(value, v); err != nil {
		return fmt.Errorf("%w: %w", ErrRow, err)
	}
	return nil
}

func parseKey(key []byte) (r Row, err error) {
	if len(key) < 9 {
		return r, ErrRow
	}
	r.Kind, r.Run = Kind(key[0]), Run(binary.BigEndian.Uint64(key[1:]))
	key = key[9:]
	switch r.Kind {
	case KindHost:
		if len(key) != 0 {
			return r, ErrRow
		}
		return r, nil
	case KindEntry, KindPurge, KindLoss:
		if len(key) != 22 {
			return r, ErrRow
		}
		r.Key.Exporter, _ = flow.AddrFromSlice(key[:16])
		r.Key.Domain = binary.BigEndian.Uint32(key[16:])
		r.Key.Version = binary.BigEndian.Uint16(key[20:])
		return r, nil
	}
	return r, ErrRow
}

// An entry's value is a format byte and parts, each a tag, a length and that
// many bytes. A reader passes over tags that it does not know, so that a later
// weir may add some. Numbers are uvarints, signed ones zigzag (varint).
//
//	+------------+----------------------------------------------------+
//	| format (1) | tag (1) | length (uvarint) | bytes | tag | …        |
//	+------------+----------------------------------------------------+
//	tag 1  counts     counter, count; for each that is not zero
//	tag 2  times      first, last, streams, silence from, silence to
//	tag 3  intervals  N, records; ascending by N
//	tag 4  skew       count, min (varint), max (varint), then for each bucket, ascending: bucket (varint), count
//	tag 5  errors     length of the reason, reason, count; ascending by reason
const entryFormat = 1

const (
	tagCounts    = 1
	tagTimes     = 2
	tagIntervals = 3
	tagSkew      = 4
	tagErrors    = 5
)

func appendEntry(dst []byte, e *Entry) []byte {
	dst = append(dst, entryFormat)
	var part []byte
	put := func(tag byte) {
		if len(part) > 0 {
			dst = binary.AppendUvarint(append(dst, tag), uint64(len(part)))
			dst = append(dst, part...)
			part = part[:0]
		}
	}
	for c, n := range e.Counts {
		if n != 0 {
			part = binary.AppendUvarint(binary.AppendUvarint(part, uint64(c)), n)
		}
	}
	put(tagCounts)
	for _, v := range []uint64{e.First, e.Last, uint64(e.Streams), e.Silence.From, e.Silence.To} {
		part = binary.AppendUvarint(part, v)
	}
	put(tagTimes)
	for _, i := range e.Intervals {
		part = binary.AppendUvarint(binary.AppendUvarint(part, uint64(i.N)), i.Records)
	}
	put(tagIntervals)
	if s := &e.Skew; s.Count > 0 {
		part = binary.AppendVarint(binary.AppendVarint(binary.AppendUvarint(part, s.Count), s.Min), s.Max)
		for _, b := range sortedKeys(s.Buckets) {
			part = binary.AppendUvarint(binary.AppendVarint(part, int64(b)), s.Buckets[b])
		}
	}
	put(tagSkew)
	for _, reason := range sortedKeys(e.Errors) {
		part = append(binary.AppendUvarint(part, uint64(len(reason))), reason...)
		part = binary.AppendUvarint(part, e.Errors[reason])
	}
	put(tagErrors)
	return dst
}

func sortedKeys[K int16 | string, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func parseEntry(e *Entry, src []byte) error {
	if len(src) == 0 || src[0] != entryFormat {
		return ErrRow
	}
	src = src[1:]
	for len(src) > 0 {
		tag := src[0]
		n, used := binary.Uvarint(src[1:])
		if used <= 0 || n > uint64(len(src)-1-used) {
			return ErrRow
		}
		part := reader{rest: src[1+used : 1+used+int(n)]}
		e.parsePart(tag, &part)
		if part.bad {
			return ErrRow
		}
		src = src[1+used+int(n):]
	}
	return nil
}

func (e *Entry) parsePart(tag byte, r *reader) {
	switch tag {
	case tagCounts:
		for r.more() {
			if c, n := r.uvarint(), r.uvarint(); c < uint64(CounterCount) {
				e.Counts[c] = n
			}
		}
	case tagTimes:
		e.First, e.Last, e.Streams = r.uvarint(), r.uvarint(), uint32(r.uvarint())
		e.Silence.From, e.Silence.To = r.uvarint(), r.uvarint()
	case tagIntervals:
		for r.more() {
			e.Sample(uint32(r.uvarint()), r.uvarint())
		}
	case tagSkew:
		e.Skew = Skew{Count: r.uvarint(), Min: r.varint(), Max: r.varint(), Buckets: make(map[int16]uint64, len(r.rest)/3)}
		for r.more() {
			b, n := r.varint(), r.uvarint()
			if b < -maxBucket || b > maxBucket {
				r.bad = true
				return
			}
			e.Skew.Buckets[int16(b)] = n
		}
	case tagErrors:
		for r.more() {
			reason := string(r.bytes())
			e.Fail(reason, r.uvarint())
		}
	}
}

// A reader takes numbers from the front of rest; after a number that is cut
// short, bad is set and everything is 0.
type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) more() bool { return len(r.rest) > 0 && !r.bad }

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.rest)
	r.take(n)
	if r.bad {
		return 0
	}
	return v
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.rest)
	r.take(n)
	if r.bad {
		return 0
	}
	return v
}

func (r *reader) bytes() []byte {
	n := r.uvarint()
	if n > uint64(len(r.rest)) {
		r.bad = true
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

// take moves on by the n bytes of a number.
func (r *reader) take(n int) {
	if n <= 0 {
		r.bad = true
		r.rest = nil
		return
	}
	r.rest = r.rest[n:]
}
