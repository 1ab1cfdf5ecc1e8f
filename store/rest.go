package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"

	"weir/flow/ledger"
)

// lookAtRest looks whether the state and the audit log read. Everything needs
// them: without a state no collector starts, and without an entry in the log no
// question is answered. What does not read is therefore set aside at once.
func (s *Store) lookAtRest() error {
	if _, err := s.stateEntries(""); err != nil {
		if err := s.isolateRest(prefixState, err); err != nil {
			return err
		}
		s.lostState = true
	}
	if err := s.readAuditTail(&s.audit); err != nil {
		return s.isolateRest(prefixAudit, err)
	}
	return nil
}

// LostState reports whether values of the state were damaged when the store was
// opened and are gone: what they would have said is not known, and nothing may
// be deleted by what is left.
func (s *Store) LostState() bool { return s.lostState }

// isolateRest sets the tables aside that do not read, of those whose keys begin
// with prefix, and puts one in their place with what the others have in their
// range.
func (s *Store) isolateRest(prefix byte, reason error) error {
	part := &PartError{What: map[byte]string{prefixState: "the collector's state", prefixAudit: "the audit log"}[prefix], Err: reason}
	s.reportDamage(part)
	if s.opts.ReadOnly {
		return nil
	}
	tables, err := s.liveTables([]byte{prefix}, []byte{prefix + 1})
	if err != nil {
		return err
	}
	var start, end []byte
	var whole []liveTable
	for i := range tables {
		t := &tables[i]
		bad := s.checkTable(context.Background(), t)
		if bad != nil && !s.stillLive(t) { // merged into another meanwhile
			return s.isolateRest(prefix, reason)
		}
		if bad == nil {
			whole = append(whole, *t)
			continue
		}
		kept, err := s.setAside(t.name, thisHour())
		if err != nil {
			return err
		}
		s.opts.Logger.Error("a table is set aside", "of", part.What, "table", t.name, "err", bad, "kept", kept)
		from, to := t.span()
		if start == nil || bytes.Compare(from, start) < 0 {
			start = from
		}
		if bytes.Compare(to, end) > 0 {
			end = to
		}
	}
	if start == nil {
		return part // something else is wrong, that this does not mend
	}
	if prefix == prefixAudit && len(end) > 9 {
		s.audit.number = binary.BigEndian.Uint64(end[1:])
	}
	return s.replaceRange(start, end, whole)
}

// replaceRange puts a table in place of a range of keys that has what some tables
// have of it.
func (s *Store) replaceRange(start, end []byte, tables []liveTable) error {
	newest := map[string]version{}
	for i := range tables {
		if t := &tables[i]; t.within(start, end) {
			if err := s.versions(t, start, end, newest); err != nil {
				return err
			}
		}
	}
	w, err := s.newTable(thisHour(), "rest", true)
	if err != nil {
		return err
	}
	defer w.remove()
	for _, key := range slices.Sorted(maps.Keys(newest)) {
		if v := newest[key]; err == nil && !v.deleted {
			err = w.set([]byte(key), v.value)
		}
	}
	if err = errors.Join(err, w.close()); err != nil {
		return err
	}
	var paths []string
	if w.entries > 0 {
		paths = []string{w.path}
	}
	_, err = s.db.IngestAndExcise(context.Background(), paths, nil, nil, pebble.KeyRange{Start: start, End: end})
	if err != nil {
		return fmt.Errorf("set tables aside: %w", err)
	}
	return nil
}

// A version is the newest value of a key, or that it has none.
type version struct {
	number  uint64 // ascends from older to newer
	value   []byte
	deleted bool
}

// versions adds what one table has from start on and before end.
func (s *Store) versions(t *liveTable, start, end []byte, newest map[string]version) (err error) {
	f, err := s.opts.FS.Open(s.opts.FS.PathJoin(s.dir, t.name))
	if err != nil {
		return err
	}
	readable, err := sstable.NewSimpleReadable(f)
	if err != nil {
		return errors.Join(err, f.Close())
	}
	r, err := sstable.NewReader(context.Background(), readable, s.readerOptions())
	if err != nil {
		return errors.Join(err, readable.Close())
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	it, err := r.NewIter(sstable.NoTransforms, start, end, sstable.AssertNoBlobHandles)
	if err != nil {
		return err
	}
	for kv := it.SeekGE(start, 0); kv != nil && bytes.Compare(kv.K.UserKey, end) < 0; kv = it.Next() {
		number := uint64(kv.K.SeqNum())
		if old, ok := newest[string(kv.K.UserKey)]; ok && old.number >= number {
			continue
		}
		value, _, err := kv.Value(nil)
		if err != nil {
			return errors.Join(err, it.Close())
		}
		newest[string(kv.K.UserKey)] = version{number, bytes.Clone(value), kv.K.Kind() != pebble.InternalKeyKindSet}
	}
	return errors.Join(it.Error(), it.Close())
}

// noteLosses writes into the ledger what was lost of the write-ahead log.
func (s *Store) noteLosses(lost []logLoss) error {
	for i := range lost {
		l := &lost[i]
		if l.hour == 0 {
			s.reportDamage(&PartError{What: "the write-ahead log", Err: l})
			continue
		}
		s.reportDamage(&DamageError{Hour: l.hour, What: "the write-ahead log", Err: l})
		at := uint64(time.Now().UnixMilli()) + uint64(i)
		loss := &ledger.Loss{At: at, Records: uint64(l.rows), What: "write-ahead log " + l.name + " damaged"}
		if l.kept != "" {
			loss.Kept = []string{l.kept}
		}
		row := ledger.Row{Kind: ledger.KindLoss, Run: ledger.Run(at), Loss: loss}
		if err := s.PutLedger(uint32(l.hour), []ledger.Row{row}); err != nil {
			return err
		}
	}
	return nil
}
