package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// restoreHidden has the small values of sealed buckets back whose table is lost,
// from the copy that lies beside the columns.
func (s *Store) restoreHidden() error {
	if s.opts.ReadOnly {
		return nil
	}
	var hours []Hour
	for _, hs := range s.hours.all() {
		if hs.hidden {
			hours = append(hours, hs.hour)
		}
	}
	for _, h := range hours {
		if err := s.restoreHeads(h); err != nil {
			s.opts.Logger.Warn("headers cannot be had back", "bucket", h.String(), "err", err)
		}
	}
	return nil
}

// restoreHeads puts the copy of a bucket's small values in place of their table.
// Where more was written to the bucket since, the copy is not all of it, and the
// bucket stays as it is.
func (s *Store) restoreHeads(h Hour) error {
	start, end := bucketKey(h, kindLedger), bucketKey(h, kindIndex)
	tables, err := s.liveTables(start, end)
	if err != nil {
		return err
	}
	if len(tables) != 1 {
		return fmt.Errorf("%d tables have some", len(tables))
	}
	if least, most := tables[0].kinds(h); least > kindEnd || most != kindEnd {
		return errors.New("it was never sealed, or was written to since")
	}
	var copied []tableEntry
	_, after := bucketSpan(h, h)
	err = s.scan(bucketKey(h, kindCopy), after, func(key, value []byte) error {
		copied = append(copied, tableEntry{copiedKey(h, key[bucketPrefixLen+1:]), bytes.Clone(value)})
		return nil
	})
	if err == nil && len(copied) == 0 {
		err = errors.New("there is no copy: an older weir sealed it")
	}
	if err != nil {
		return err
	}
	kept, err := s.setAside(tables[0].name, h)
	if err != nil {
		return err
	}
	if err := s.putHeads(h, copied, pebble.KeyRange{Start: start, End: end}); err != nil {
		return err
	}
	s.hours.drop(h)
	s.damage.forget(h)
	s.opts.Logger.Warn("headers and ledger of an hour were lost, and are had back from their copy", "bucket", h.String(), "table", tables[0].name, "kept", kept)
	from, to := bucketSpan(h, h)
	if err := s.loadRange(from, to); err != nil {
		return err
	}
	return s.lookAtTables(from, to)
}

func (s *Store) putHeads(h Hour, entries []tableEntry, span pebble.KeyRange) error {
	t, err := s.newTable(h, "heads", false)
	if err != nil {
		return err
	}
	defer t.remove()
	for _, e := range entries {
		if err := t.set(e.key, e.value); err != nil {
			return err
		}
	}
	if err := t.close(); err != nil {
		return err
	}
	if _, err := s.db.IngestAndExcise(context.Background(), []string{t.path}, nil, nil, span); err != nil {
		return fmt.Errorf("ingest headers: %w", err)
	}
	s.markManifest()
	return nil
}
