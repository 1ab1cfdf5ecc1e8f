package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"

	"weir/flow"
)

// removeLeftovers removes what was being written when the process ended: tables of
// a seal, and fronts of logs.
func removeLeftovers(fsys FS, dir string) error {
	names, err := fsys.List(dir)
	if err != nil {
		return fmt.Errorf("list data directory: %w", err)
	}
	for _, name := range names {
		if strings.HasPrefix(name, sealPrefix) || strings.HasSuffix(name, cutSuffix) || name == markName+".tmp" {
			if err := fsys.Remove(fsys.PathJoin(dir, name)); err != nil {
				return fmt.Errorf("remove what was left unfinished: %w", err)
			}
		}
	}
	return nil
}

// load reads what the store keeps in memory: the totals of every bucket and the
// rows of parts. Where a table cannot be read, it goes hour by hour, so that it
// costs its own hour only.
func (s *Store) load() error {
	start, end := []byte{prefixBucket}, []byte{prefixBucket + 1}
	err := s.loadRange(start, end)
	if full := outOfFiles(err); full != nil {
		return full
	}
	if err == nil || !pebble.IsCorruptionError(err) && !isReadError(err) {
		return err
	}
	tables, tablesErr := s.liveTables(start, end)
	if tablesErr != nil {
		return tablesErr
	}
	s.mu.Lock()
	s.hours = newHourTable() // what was read so far is read again
	s.mu.Unlock()
	s.damage.clear()
	for _, h := range hoursOf(tables) {
		// Of buckets that are in no table, and in the log alone, none can be damaged.
		next, after := bucketSpan(h, h)
		if err := s.loadRange(start, next); err != nil {
			return err
		}
		err := s.loadRange(next, after)
		if full := outOfFiles(err); full != nil {
			return full
		}
		if err != nil {
			s.hideHour(h, err)
		}
		start = after
	}
	return s.loadRange(start, end)
}

// hoursOf returns the buckets that tables have keys of, ascending.
func hoursOf(tables []liveTable) []Hour {
	var hours []Hour
	for i := range tables {
		from, to, ok := tables[i].hours()
		if !ok || to == ^Hour(0) {
			to = from
		}
		for h := from; ok && h <= to; h++ {
			hours = append(hours, h)
		}
	}
	slices.Sort(hours)
	return slices.Compact(hours)
}

// hideHour says that not all is known of a bucket.
func (s *Store) hideHour(h Hour, err error) {
	s.mu.Lock()
	hs := s.hours.get(h)
	if hs == nil {
		hs = s.newHour(h)
	}
	hs.hidden = true
	s.mu.Unlock()
	err = damaged(h, "headers and ledger", err)
	hs.damage = append(hs.damage, err)
	s.reportDamage(err)
}

// isReadError reports whether the file system could not read.
func isReadError(err error) bool {
	var path *fs.PathError
	return errors.As(err, &path)
}

// loadRange loads the buckets whose keys are from start on and before end.
func (s *Store) loadRange(start, end []byte) error {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: start, UpperBound: end})
	if err != nil {
		return fmt.Errorf("read buckets: %w", err)
	}
	defer it.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	for ok := it.First(); ok; {
		h, _, _, isBucket := splitBucketKey(it.Key())
		if !isBucket {
			return fmt.Errorf("read buckets: unknown key %x", it.Key())
		}
		hs := s.newHour(h)
		s.loadBucket(it, hs)
		if it.Error() != nil {
			break
		}
		_, next := bucketSpan(h, h)
		ok = it.SeekGE(next)
	}
	if err := it.Error(); err != nil {
		// Damage in one table must not keep the others from being read, but it
		// hides which buckets follow: the caller has to know.
		return fmt.Errorf("read buckets: %w", err)
	}
	return nil
}

// loadBucket reads the small values of one bucket. it stands at its first key.
func (s *Store) loadBucket(it *pebble.Iterator, hs *hourState) {
	h, kind, _, _ := splitBucketKey(it.Key())
	ok := true
	if hs.ledger = kind == kindLedger; hs.ledger {
		if !it.SeekGE(metaKey(h)) {
			return
		}
		of, after, _, isBucket := splitBucketKey(it.Key())
		if !isBucket || of != h {
			return
		}
		kind = after
	}
	if kind == kindMeta {
		if err := hs.parseMeta(it.Value()); err != nil {
			s.reportDamage(&DamageError{Hour: h, What: "totals", Err: err})
			*hs = hourState{hour: h, ledger: hs.ledger, incarnation: hs.incarnation} // the headers know as much
		}
		ok = it.SeekGE(headerKey(h, hs.blocks))
	}
	for ; ok; ok = it.Next() {
		of, kind, rest, isBucket := splitBucketKey(it.Key())
		if !isBucket || of != h {
			return
		}
		switch kind {
		case kindHeader:
			s.loadHeader(hs, rest, it.Value())
		case kindTail:
			s.loadTail(hs, rest, it.Value())
		default:
			return
		}
	}
}

// loadHeader counts a block that the totals do not.
func (s *Store) loadHeader(hs *hourState, rest, value []byte) {
	if len(rest) != 4 {
		s.reportDamage(&DamageError{Hour: hs.hour, What: "key of a header", Err: errValue})
		return
	}
	number := int(binary.BigEndian.Uint32(rest))
	if number < hs.blocks || number >= maxBlocks {
		s.reportDamage(&DamageError{Hour: hs.hour, What: fmt.Sprintf("number of block %d", number), Err: errValue})
		return
	}
	hs.blocks = number + 1
	head, err := parseHeader(value)
	if err != nil {
		s.reportDamage(&DamageError{Hour: hs.hour, What: headerName(number), Err: err})
		return
	}
	hs.bounds.add(head.bounds)
	hs.bytes += int64(len(value))
	for f := range head.columns.All {
		hs.bytes += int64(head.stats[f].Size)
	}
}

func headerName(block int) string { return fmt.Sprintf("header of block %d", block) }

// loadTail gives the rows of a tail segment back to their part. A segment that
// is damaged is left out, and so is one that does not follow the one before.
func (s *Store) loadTail(hs *hourState, rest, value []byte) {
	if len(rest) != 12 {
		s.reportDamage(&DamageError{Hour: hs.hour, What: "key of a tail segment", Err: errValue})
		return
	}
	id, from := binary.BigEndian.Uint64(rest), int(binary.BigEndian.Uint32(rest[8:]))
	p := s.loadPart(hs, id)
	s.clock++
	p.used = s.clock
	p.tails += int64(len(value))
	rows, err := parseTail(value)
	switch {
	case err != nil:
	case rows.PresentCount(flow.Received) != rows.Len() || from+rows.Len() > BlockRows || from < p.expect:
		err = errValue
	case from > p.expect && !p.gap:
		s.reportTail(p, p.expect, errMissing)
	}
	if p.gap = err != nil; p.gap {
		s.reportTail(p, from, err)
		return
	}
	p.expect = from + rows.Len()
	p.batch.AppendRows(rows, 0, rows.Len())
	p.bounds.add(boundsOf(rows, 0, rows.Len()))
	p.flushed = p.batch.Len()
}

// reportTail says that a segment is damaged. Its part takes no more rows: the
// keys of its segments no longer agree with the places of its rows.
func (s *Store) reportTail(p *part, from int, err error) {
	p.damaged = true
	what := fmt.Sprintf("tail segment of part %d from row %d", p.id, from)
	s.reportDamage(&DamageError{Hour: p.hour.hour, What: what, Err: err})
}

// loadPart returns the part that a segment belongs to.
func (s *Store) loadPart(hs *hourState, id uint64) *part {
	s.partID = max(s.partID, id)
	if hs.open != nil && hs.open.id == id {
		return hs.open
	}
	if hs.open != nil {
		// Only the last part of an hour goes on; those before were being written.
		hs.writing = append(hs.writing, hs.open)
	}
	hs.open = &part{hour: hs, id: id, batch: flow.NewBatch(0)}
	return hs.open
}

// handOverFull has the parts written that do not go on taking rows.
func (s *Store) handOverFull() {
	if s.opts.ReadOnly {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	open, taken := 0, 0
	for _, hs := range s.hours.all() {
		waiting := hs.writing
		hs.writing = nil
		for _, p := range waiting {
			s.handOver(p)
		}
		if hs.open == nil {
			continue
		}
		p := hs.open
		if p.damaged || hs.hidden || p.batch.Len() >= s.opts.blockRows || !s.mayHave(open+1, taken+s.room(p)) {
			s.handOver(p)
			continue
		}
		open++
		taken += s.room(p)
	}
}
