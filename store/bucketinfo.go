package store

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"
)

// State says whether a bucket is still written to.
type State uint8

const (
	StateOpen   State = iota // rows may be in memory; blocks may lack an index
	StateSealed              // every block is covered by the index
)

// String returns "open" or "sealed".
func (s State) String() string {
	if s == StateSealed {
		return "sealed"
	}
	return "open"
}

// BucketInfo is what is known of a bucket without reading it. Times are ms
// since the Unix epoch; all zero while there are no rows.
type BucketInfo struct {
	Hour          Hour
	State         State
	Rows          int64 // on disk and in memory
	Blocks        int   // on disk
	Indexed       int   // blocks that the index covers
	Bytes         int64 // of the blocks and the index on disk, without tails
	IndexBytes    int64 // of the index alone
	FirstReceived uint64
	LastReceived  uint64
	MinStart      uint64 // by flow.Span
	MaxEnd        uint64 // by flow.Span
}

// hourState is what the store keeps in memory of one bucket. Store.mu guards
// it; bounds, blocks, indexed and bytes change under Store.publish as well.
type hourState struct {
	hour       Hour
	bounds     bounds // of the blocks on disk
	blocks     int
	indexed    int
	bytes      int64 // of all blocks and the index
	indexBytes int64
	note       *IndexNote // of the index as it is, see indexIs; nil: nobody asked for it
	writing    []*part    // handed over, in order, and not yet blocks
	open       *part      // takes rows; nil until there are any
	evicted    bool       // its last part was handed over to make room
	sealing    *Sealing
	ledger     bool    // there are rows of the ledger on disk
	change     uint64  // by Store.changes, when the ledger was last written; 0: not by this process
	dropped    bool    // no longer in Store.hours
	damage     []error // of tables, found when the store was opened; each a DamageError
	hidden     bool    // there may be rows that are not known of: the small values are damaged

	// incarnation is one of its own while blocks keep their numbers and rows: it
	// changes when rows are removed, and an hour that is dropped and comes again
	// has another.
	incarnation uint64

	sketches []addrSketch // by block; of others than those that this process wrote, and of what is indexed, nil or none
}

// newHour returns the state of an hour that is not in Store.hours, and puts it
// there. mu is held.
func (s *Store) newHour(h Hour) *hourState {
	hs := &hourState{hour: h, incarnation: s.nextIncarnation()}
	s.hours.put(hs)
	return hs
}

// nextIncarnation returns one that no hour has. mu is held.
func (s *Store) nextIncarnation() uint64 {
	s.incarnations++
	return s.incarnations
}

// parts returns the parts in memory in the order of their rows.
func (h *hourState) parts() []*part {
	if h.open == nil {
		return h.writing
	}
	return append(h.writing[:len(h.writing):len(h.writing)], h.open)
}

func (h *hourState) info() BucketInfo {
	all := h.bounds
	sealed := h.blocks > 0 && h.indexed == h.blocks
	for _, p := range h.parts() {
		all.add(p.bounds)
		sealed = false
	}
	info := BucketInfo{
		Hour: h.hour, Rows: all.rows, Blocks: h.blocks, Indexed: h.indexed, Bytes: h.bytes, IndexBytes: h.indexBytes,
		FirstReceived: all.firstReceived, LastReceived: all.lastReceived, MinStart: all.minStart, MaxEnd: all.maxEnd,
	}
	if sealed {
		info.State = StateSealed
	}
	return info
}

// A bucket's totals at its last seal are the value under its meta key. Blocks
// beyond them, of late rows, are known from their headers.
//
//	+------------------------+------------+-----------------------------------+
//	| xxhash64 of all after  | format (1) | blocks | indexed | rows | bytes   |
//	| it (8)                 |            | index bytes (5 x uvarint)         |
//	+------------------------+------------+-----------------------------------+
//	| first received | last received | min start | max end (4 x 8)            |
//	+-------------------------------------------------------------------------+
const metaFormat = 1

func (h *hourState) appendMeta(dst []byte) []byte {
	base := len(dst)
	dst = append(append(dst, make([]byte, 8)...), metaFormat)
	for _, v := range []uint64{uint64(h.blocks), uint64(h.indexed), uint64(h.bounds.rows), uint64(h.bytes), uint64(h.indexBytes)} {
		dst = binary.AppendUvarint(dst, v)
	}
	for _, v := range []uint64{h.bounds.firstReceived, h.bounds.lastReceived, h.bounds.minStart, h.bounds.maxEnd} {
		dst = binary.BigEndian.AppendUint64(dst, v)
	}
	binary.BigEndian.PutUint64(dst[base:], xxhash.Sum64(dst[base+8:]))
	return dst
}

// maxBlocks bounds the blocks of a bucket: 2^31 rows or more are not believed.
const maxBlocks = 1 << 20

func (h *hourState) parseMeta(value []byte) error {
	src, err := checked(value)
	if err != nil {
		return err
	}
	if len(src) == 0 || src[0] != metaFormat {
		return errCodec
	}
	var v [5]uint64
	src = src[1:]
	for i := range v {
		if v[i], src, err = takeUvarint(src); err != nil {
			return err
		}
	}
	if len(src) != 32 || v[0] > maxBlocks || v[1] > v[0] || v[2] > v[0]*BlockRows {
		return errValue
	}
	h.blocks, h.indexed = int(v[0]), int(v[1])
	h.bytes, h.indexBytes = int64(v[3]), int64(v[4])
	h.bounds = bounds{
		rows:          int64(v[2]),
		firstReceived: binary.BigEndian.Uint64(src), lastReceived: binary.BigEndian.Uint64(src[8:]),
		minStart: binary.BigEndian.Uint64(src[16:]), maxEnd: binary.BigEndian.Uint64(src[24:]),
	}
	return nil
}
