package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"
)

// CheckTable reads a table of a copy and compares each of its blocks with its
// checksum.
func CheckTable(fs FS, name string) error {
	f, err := fs.Open(name)
	if err != nil {
		return err
	}
	readable, err := sstable.NewSimpleReadable(f)
	if err != nil {
		return errors.Join(err, f.Close())
	}
	o := new(pebble.Options)
	o.EnsureDefaults()
	r, err := sstable.NewReader(context.Background(), readable, o.MakeReaderOptions())
	if err != nil {
		return fmt.Errorf("open table %s: %w", name, err)
	}
	err = r.ValidateBlockChecksums()
	if err := errors.Join(err, r.Close()); err != nil {
		return fmt.Errorf("table %s: %w", name, err)
	}
	return nil
}
