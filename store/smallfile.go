package store

import (
	"errors"
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Small files beside Pebble's say what a directory is: its identity, its place,
// its listing and the like. They are read and written as a whole.

// readSmall returns the first bytes of a file, at most so many; nil if there is no
// such file. what is its name in errors.
func readSmall(fs FS, name, what string, most int64) ([]byte, error) {
	f, err := fs.Open(name)
	if isNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", what, err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, most))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", what, err)
	}
	return text, nil // not nil: io.ReadAll
}

// writeSmall writes a file under another name, syncs and renames it: it appears
// whole or not at all. The directory is not synced.
func writeSmall(fs FS, name, what string, text []byte) error {
	f, err := fs.Create(name+".tmp", vfs.WriteCategoryUnspecified)
	if err != nil {
		return fmt.Errorf("create %s: %w", what, err)
	}
	if _, err = f.Write(text); err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", what, err)
	}
	if err := fs.Rename(name+".tmp", name); err != nil {
		return fmt.Errorf("rename %s: %w", what, err)
	}
	return nil
}
