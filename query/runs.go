package query

import "unsafe"

// runs are groups of one worker that wait to be added to a table, runEntries of a
// shard at a time. They are kept until the end, or until they take too much
// memory, so that all that belongs to one shard is added to it at once: the shard
// is then in the cache, and no other worker wants it.
//
// They lie in segments and are found by place, not by pointers: tens of thousands
// of these would have to be followed whenever garbage is collected. The segments
// lie outside of the heap, but for the first, which few questions fill: there they
// come in large pages, as getting small ones takes longer, and are the system's
// again when the answer is done.
type runs struct {
	segments [][]run              // segmentRuns runs each
	mapped   []byte               // memory of all segments but the first; nil: not needed yet, or not to be had
	used     int                  // runs in use: the first places
	most     int                  // that may be in use; 0: runs are not used
	full     [shardCount][]uint32 // places
	last     [shardCount]uint32   // place of tail
	tail     [shardCount]*run     // the last run; nil: none
	n        [shardCount]uint8    // entries in tail, runEntries if there is none
}

// A run is entries of one shard.
type run [runEntries]runEntry

// A runEntry is the two halves of a mixed key, and sums if they are small:
//
//	+------------+--------------+-------------+
//	| bytes (18) | packets (11) | records (3) |
//	+------------+--------------+-------------+
type runEntry [3]uint32

const (
	runEntries  = 128
	runBytes    = runEntries * 12
	segmentRuns = 256 // one for each shard

	segmentBytes = segmentRuns * runBytes

	mostRunBytes = 120 << 20 // of all workers

	runRecordBits, runPacketBits, runByteBits = 3, 11, 18

	// inRun are the bits of packedSums that a runEntry has.
	inRun packedSums = 1<<runRecordBits - 1 | (1<<runPacketBits-1)<<atPackedPackets | (1<<runByteBits-1)<<atPackedBytes
)

// newRuns returns runs that may take so much memory.
func newRuns(bytes int64) runs {
	most := int(bytes / runBytes)
	if most < 2*shardCount {
		most = 0
	}
	r := runs{most: most}
	for i := range r.n {
		r.n[i] = runEntries
	}
	return r
}

// newRunEntry returns an entry of sums that have no bits but those of inRun.
func newRunEntry(hash uint64, s packedSums) runEntry {
	e := recordEntry(hash, uint64(s>>atPackedBytes), uint64(s>>atPackedPackets&(1<<runPacketBits-1)))
	e[2] += uint32(s&(1<<runRecordBits-1)) - 1
	return e
}

// recordEntry is newRunEntry for one record.
func recordEntry(hash, bytes, packets uint64) runEntry {
	return runEntry{uint32(hash), uint32(hash >> 32), uint32(bytes<<(runPacketBits+runRecordBits) | packets<<runRecordBits | 1)}
}

// key returns the mixed key of an entry.
func (e *runEntry) key() word { return word(uint64(e[0]) | uint64(e[1])<<32) }

// sums returns the sums of an entry.
func (e *runEntry) sums() packedSums {
	v := packedSums(e[2])
	bytes, packets, records := v>>(runPacketBits+runRecordBits), v>>runRecordBits&(1<<runPacketBits-1), v&(1<<runRecordBits-1)
	return bytes<<atPackedBytes | packets<<atPackedPackets | records
}

// needsSegment reports whether there is no room for another run.
func (r *runs) needsSegment() bool { return r.used == len(r.segments)*segmentRuns }

// begin begins a run of a shard, whose last one, if it has one, is full.
func (r *runs) begin(shard int) {
	if r.needsSegment() {
		r.segments = append(r.segments, r.newSegment())
	}
	if r.tail[shard] != nil {
		r.full[shard] = append(r.full[shard], r.last[shard])
	}
	r.last[shard] = uint32(r.used)
	r.used++
	r.tail[shard], r.n[shard] = r.at(r.last[shard]), 0
}

func (r *runs) newSegment() []run {
	at := (len(r.segments) - 1) * segmentBytes
	if at == 0 {
		r.mapped = mapMemory((r.most - 1) / segmentRuns * segmentBytes)
	}
	if at < 0 || r.mapped == nil {
		return make([]run, segmentRuns)
	}
	return unsafe.Slice((*run)(unsafe.Pointer(&r.mapped[at])), segmentRuns)
}

// free gives back the memory that is not of the heap, and returns how much of it
// was in use. Nothing may be at the runs any more.
func (r *runs) free() (bytes int64) {
	if r.mapped == nil {
		return 0
	}
	bytes = int64(len(r.segments)-1) * segmentBytes
	unmapMemory(r.mapped)
	*r = runs{}
	return bytes
}

// put adds an entry to the tail of a shard, which is not full.
func (r *runs) put(shard uint64, e runEntry) {
	r.tail[shard][r.n[shard]] = e
	r.n[shard]++
}

// at returns the run at a place.
func (r *runs) at(place uint32) *run { return &r.segments[place/segmentRuns][place%segmentRuns] }

// drainTo adds the runs of shard i to s, which is it.
func (r *runs) drainTo(s *sumShard[word], i int) error {
	for _, place := range r.full[i] {
		if err := addEntries(s, r.at(place)[:]); err != nil {
			return err
		}
	}
	tail, n := r.tail[i], r.n[i]
	r.full[i], r.tail[i], r.n[i] = r.full[i][:0], nil, runEntries
	if tail == nil {
		return nil
	}
	return addEntries(s, tail[:n])
}

// smallSums is up to how many rows a shard is small: those of all shards stay in
// the cache, and nothing is gained by waiting.
const smallSums = 1024

// addIfSmall adds a run to a shard if that is small, and reports whether it is.
// Others may be at the shard.
func addIfSmall(s *sumShard[word], entries []runEntry) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.rows) > smallSums {
		return false, nil
	}
	return true, addEntries(s, entries)
}

// addEntries adds a run, or a part of one, to a shard.
func addEntries(s *sumShard[word], entries []runEntry) error {
	for len(entries) > 0 {
		some := entries[:min(prefetchRows, len(entries))]
		entries = entries[len(some):]
		if err := s.roomFor(len(some)); err != nil {
			return err
		}
		for i := range some {
			s.hashes[i] = some[i].key().hash()
		}
		s.prefetch(s.hashes[:len(some)])
		for i := range some {
			addEntry(s, &some[i], s.hashes[i])
		}
	}
	return nil
}

// addEntry is addOne for an entry, of which runs hold millions. Whether a group is
// new is a matter of chance, so arithmetic tells whether the search has ended: the
// processor would often guess a branch wrong. A row that is free takes any entry,
// whose sums are small.
func addEntry(s *sumShard[word], e *runEntry, hash uint64) {
	key, sums, rows := e.key(), e.sums(), s.rows
	for at := s.slot(hash); ; {
		row := &rows[at]
		had := row.sums()
		taken := (had | -had) >> 63 // 1 if the row has a key
		if uint64(row.key^key)&-uint64(taken) == 0 {
			s.n += int(1 - taken)
			if both := had + sums; both&tooLarge == 0 {
				*row = newKeySum(key, both)
			} else {
				s.addLarge(row, sums.acc())
			}
			return
		}
		if at++; at == uint64(len(rows)) {
			at = 0
		}
	}
}
