package store

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// asideDir is the directory, within that of the store, of files that are
// damaged and were set aside: what may still be in them is for somebody to see.
// They hold records, so that they go with the hour that begins their name:
//
//	damaged/2026-11-22T14-000123.sst     a table of that hour
//	damaged/2026-11-22T14-000456.log     a write-ahead log that was set aside then
const asideDir = "damaged"

// setAside gives a file of the directory a second name under asideDir, by a link
// where the file system has them, and returns it. A file that is missing has
// none: the name is then "".
func (s *Store) setAside(name string, h Hour) (string, error) {
	fs := s.opts.FS
	dir := fs.PathJoin(s.dir, asideDir)
	if err := fs.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("set %s aside: %w", name, err)
	}
	as := fs.PathJoin(dir, h.String()+"-"+fs.PathBase(name))
	from := fs.PathJoin(s.dir, name)
	if _, err := fs.Stat(from); isNotExist(err) {
		return "", nil
	}
	if err := fs.Remove(as); err != nil && !isNotExist(err) {
		return "", fmt.Errorf("set %s aside: %w", name, err)
	}
	if err := vfs.LinkOrCopy(fs, from, as); err != nil {
		return "", fmt.Errorf("set %s aside: %w", name, err)
	}
	return fs.PathJoin(asideDir, fs.PathBase(as)), errors.Join(syncDir(fs, dir), syncDir(fs, s.dir))
}

// dropAside deletes what was set aside of an hour, of all hours if all is set.
func (s *Store) dropAside(h Hour, all bool) error {
	fs := s.opts.FS
	dir := fs.PathJoin(s.dir, asideDir)
	names, err := fs.List(dir)
	if err != nil {
		return nil // nothing was ever set aside
	}
	var bad error
	for _, name := range names {
		if all || strings.HasPrefix(name, h.String()+"-") {
			if err := fs.Remove(fs.PathJoin(dir, name)); err != nil && !isNotExist(err) {
				bad = errors.Join(bad, err)
			}
		}
	}
	if bad != nil {
		return fmt.Errorf("delete what was set aside: %w", bad)
	}
	return nil
}

// Aside returns the files that were set aside, by name.
func (s *Store) Aside() []string {
	names, err := s.opts.FS.List(s.opts.FS.PathJoin(s.dir, asideDir))
	if err != nil {
		return nil
	}
	return names
}

// thisHour names what is set aside of no hour in particular.
func thisHour() Hour { return HourOf(uint64(max(time.Now().UnixMilli(), 0))) }
