package store

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/objstorage/objstorageprovider"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// sealPrefix begins the names of tables that wait to be ingested. Those found
// when a store is opened are of a seal that was cut short.
const sealPrefix = "seal-"

// A tableWriter writes one sorted table in the data directory.
type tableWriter struct {
	fs      FS
	path    string
	file    vfs.File
	w       *sstable.Writer // nil once closed
	keep    bool            // entries are noted in kept
	kept    []tableEntry
	entries int
	values  int64 // bytes of values
	size    int64 // of the file, once closed
	failed  bool  // a write failed
	removed bool
}

// A tableEntry is a key and its value.
type tableEntry struct{ key, value []byte }

// newTable starts the table of that name of a bucket. Columns are compressed
// already; only other values are worth Pebble's trying.
func (s *Store) newTable(h Hour, name string, compress bool) (*tableWriter, error) {
	t := &tableWriter{fs: s.opts.FS}
	t.path = t.fs.PathJoin(s.dir, sealPrefix+h.String()+"-"+name+".sst")
	f, err := t.fs.Create(t.path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, fmt.Errorf("create table: %w", err)
	}
	t.file = f
	o := sstable.WriterOptions{
		TableFormat: s.db.TableFormat(),
		BlockSize:   32 << 10,
		Compression: sstable.NoCompression,
	}
	if compress {
		o.Compression = sstable.FastestCompression
	}
	t.w = sstable.NewWriter(objstorageprovider.NewFileWritable(f), o)
	return t, nil
}

func (t *tableWriter) set(key, value []byte) error {
	if t.keep {
		t.kept = append(t.kept, tableEntry{bytes.Clone(key), bytes.Clone(value)})
	}
	t.entries++
	t.values += int64(len(value))
	err := t.w.Set(key, value)
	t.failed = t.failed || err != nil
	return err
}

// syncBeforehand has on the disk what was written so far, so that close is quick.
func (t *tableWriter) syncBeforehand() error {
	if err := t.file.Sync(); err != nil {
		return fmt.Errorf("sync table: %w", err)
	}
	return nil
}

// closeWith finishes the table of columns of a bucket with a copy of what is in
// the table of its small values: when that one is lost, nothing is.
func (t *tableWriter) closeWith(h Hour, heads *tableWriter) error {
	for _, e := range heads.kept {
		if t.entries == 0 {
			break // of a bucket without columns there is nothing to be had back
		}
		if err := t.w.Set(copyKey(h, e.key), e.value); err != nil {
			return fmt.Errorf("copy headers: %w", err)
		}
	}
	return t.close()
}

// close finishes and syncs the file.
func (t *tableWriter) close() error {
	if t.w == nil {
		return nil
	}
	w := t.w
	t.w = nil
	if err := w.Close(); err != nil {
		return fmt.Errorf("finish table: %w", err)
	}
	info, err := t.fs.Stat(t.path)
	if err != nil {
		return fmt.Errorf("finish table: %w", err)
	}
	t.size = info.Size()
	return nil
}

// remove removes the file, if it was not ingested, which takes it away. One that
// cannot be removed now goes when the store is opened the next time.
func (t *tableWriter) remove() {
	if t.w != nil {
		_ = t.w.Close() // it is given up
		t.w = nil
	}
	if !t.removed {
		t.removed = true
		_ = t.fs.Remove(t.path)
	}
}

// scan calls fn for the keys from start on and before end. publish is held, so
// that the store does not close.
func (s *Store) scan(start, end []byte, fn func(key, value []byte) error) error {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: start, UpperBound: end})
	if err != nil {
		return err
	}
	return scan(it, fn)
}

// scan is Store.scan as of the view. A store that is closed waits for it.
func (v *View) scan(start, end []byte, fn func(key, value []byte) error) error {
	v.life.RLock()
	defer v.life.RUnlock()
	if v.closed {
		return ErrClosed
	}
	v.mu.Lock()
	it, err := v.root.Clone(pebble.CloneOptions{IterOptions: &pebble.IterOptions{LowerBound: start, UpperBound: end}})
	v.mu.Unlock()
	if err != nil {
		return err
	}
	return scan(it, fn)
}

// scan calls fn for all that it has, and closes it.
func scan(it *pebble.Iterator, fn func(key, value []byte) error) error {
	var err error
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		var value []byte
		if value, err = it.ValueAndErr(); err == nil {
			err = fn(it.Key(), value)
		}
	}
	return errors.Join(err, it.Error(), it.Close())
}
