package store

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs/atomicfs"
)

// ErrDirectory says that the files by which Pebble knows its tables are damaged:
// which tables there are, and which of them count, cannot be told from the tables
// alone. Nothing was changed.
var ErrDirectory = errors.New("the list of tables is damaged")

// The names of Pebble's files that are mended here.
const (
	manifestPrefix = "MANIFEST-"
	optionsPrefix  = "OPTIONS-"
	manifestMarker = "manifest"
	formatMarker   = "format-version"
)

// mend looks at the files that Pebble opens a directory by, and makes good what
// can be: Pebble itself takes a directory whose manifest it does not find for a
// new one, and deletes all tables.
func (s *Store) mend() error {
	names, err := s.opts.FS.List(s.dir)
	if err != nil {
		return fmt.Errorf("list data directory: %w", err)
	}
	if !holdsData(names) {
		return nil // a store that is being made
	}
	manifest, err := s.mendMarkers(names)
	if err != nil {
		return err
	}
	if err := s.checkManifest(manifest); err != nil {
		return s.directoryError(manifest, err)
	}
	s.mark.setManifest(manifest)
	return s.mendOptions(names)
}

// holdsData reports whether a directory has tables, or logs, that must not be
// taken for leftovers.
func holdsData(names []string) bool {
	return slices.ContainsFunc(names, func(name string) bool {
		return strings.HasSuffix(name, ".sst") && !strings.HasPrefix(name, sealPrefix) || strings.HasSuffix(name, ".log")
	})
}

// mendMarkers makes the files anew whose names say which manifest and which
// format counts, if they are lost, and returns the manifest's name.
func (s *Store) mendMarkers(names []string) (manifest string, err error) {
	fs := s.opts.FS
	if manifest, err = atomicfs.ReadMarker(fs, s.dir, manifestMarker); err != nil {
		return "", fmt.Errorf("read marker of the manifest: %w", err)
	}
	if manifest == "" {
		if manifest = s.newestManifest(names); manifest == "" {
			return "", s.directoryError(manifestPrefix+"*", errNoFile)
		}
		if err := s.placeMarker(manifestMarker, manifest); err != nil {
			return "", err
		}
	}
	format, err := atomicfs.ReadMarker(fs, s.dir, formatMarker)
	if err != nil {
		return "", fmt.Errorf("read marker of the format: %w", err)
	}
	if format == "" {
		// Every weir writes the newest format that its Pebble knows, and an older
		// weir's is read as that.
		err = s.placeMarker(formatMarker, pebble.FormatNewest.String())
	}
	return manifest, err
}

func (s *Store) placeMarker(name, value string) error {
	if s.opts.ReadOnly {
		return fmt.Errorf("%w: %s: marker %s is missing; open it once for writing", ErrDirectory, s.dir, name)
	}
	marker, _, err := atomicfs.LocateMarker(s.opts.FS, s.dir, name)
	if err == nil {
		err = errors.Join(marker.Move(value), marker.Close())
	}
	if err != nil {
		return fmt.Errorf("make marker %s again: %w", name, err)
	}
	s.opts.Logger.Warn("a file of the data directory was missing and is made again", "marker", name, "value", value)
	return nil
}

// newestManifest returns the newest manifest that is whole, "" if none is.
func (s *Store) newestManifest(names []string) string {
	best, number := "", uint64(0)
	for _, name := range names {
		if n, ok := fileNumber(name, manifestPrefix, ""); ok && n >= number && s.checkManifest(name) == nil {
			best, number = name, n
		}
	}
	return best
}

// checkManifest reads a manifest. It ends no earlier than it was seen to.
func (s *Store) checkManifest(name string) error {
	end, err := s.manifestEnd(name)
	if err != nil {
		return err
	}
	marked, least, ok := s.readMark()
	if !ok {
		return nil
	}
	of, _ := fileNumber(marked, manifestPrefix, "")
	switch n, _ := fileNumber(name, manifestPrefix, ""); {
	case n < of:
		return fmt.Errorf("%w: it is older than %s", errValue, marked)
	case n == of && end < least:
		return fmt.Errorf("%w: it reads up to byte %d, and did up to byte %d", errShort, end, least)
	}
	return nil
}

// manifestEnd returns where the last record of a manifest ends that reads.
func (s *Store) manifestEnd(name string) (int64, error) {
	f, err := s.opts.FS.Open(s.opts.FS.PathJoin(s.dir, name))
	if isNotExist(err) {
		return 0, errNoFile
	}
	if err != nil {
		return 0, err
	}
	text, err := io.ReadAll(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return 0, err
	}
	return recordsEnd(text)
}

// directoryError says what to do about a manifest that is lost.
func (s *Store) directoryError(name string, err error) error {
	hint := "put a backup in its place"
	if _, statErr := s.opts.FS.Stat(s.opts.FS.PathJoin(s.dir, "checkpoint")); statErr == nil {
		hint = "use the copy in " + s.opts.FS.PathJoin(s.dir, "checkpoint") + ", or a backup"
	}
	return fmt.Errorf("%w: %s in %s: %w; nothing was changed: %s (docs/operations.md, \"Damage\")", ErrDirectory, name, s.dir, err, hint)
}

// mendOptions sets the file aside that says how Pebble was set up, if it is
// damaged: it is written at each start, and nothing is in it that weir does not
// know.
func (s *Store) mendOptions(names []string) error {
	newest, number := "", uint64(0)
	for _, name := range names {
		if n, ok := fileNumber(name, optionsPrefix, ""); ok && n >= number {
			newest, number = name, n
		}
	}
	if newest == "" {
		return nil
	}
	f, err := s.opts.FS.Open(s.opts.FS.PathJoin(s.dir, newest))
	if err != nil {
		return fmt.Errorf("open options: %w", err)
	}
	text, err := io.ReadAll(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("read options: %w", err)
	}
	o := s.pebbleOptions()
	o.EnsureDefaults()
	bad := o.CheckCompatibility(s.dir, string(text))
	if bad == nil || s.opts.ReadOnly {
		return nil
	}
	as, err := s.setAside(newest, thisHour())
	if err == nil {
		err = s.opts.FS.Remove(s.opts.FS.PathJoin(s.dir, newest))
	}
	if err != nil {
		return err
	}
	s.opts.Logger.Warn("a damaged file of the data directory is made again", "file", newest, "err", bad, "kept", as)
	return nil
}

// openDB opens Pebble, also where tables are missing or cut off, and where a log
// is damaged. What that costs is found out afterwards.
func (s *Store) openDB(dir string, files *lockedFS, o *pebble.Options) (*pebble.DB, error) {
	db, err := openPebble(dir, o)
	if bad := badTables(err); len(bad) > 0 {
		files.miss(bad)
		o.DisableConsistencyCheck = true
		db, err = openPebble(dir, o)
	}
	return db, err
}

// openPebble is pebble.Open that panics over nothing in a damaged directory.
func openPebble(dir string, o *pebble.Options) (db *pebble.DB, err error) {
	defer func() {
		if p := recover(); p != nil {
			db, err = nil, fmt.Errorf("%w: %v", pebble.ErrCorruption, p)
		}
	}()
	return pebble.Open(dir, o)
}

// badTable finds the tables that Pebble complains of when it compares its list
// with the directory. It has no other way of telling; TestMissingTable notices
// when a later Pebble says it in other words.
var badTable = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?m)L\d+: (\d+): `) })

func badTables(err error) []string {
	if err == nil {
		return nil
	}
	var names []string
	for _, found := range badTable().FindAllStringSubmatch(err.Error(), -1) {
		names = append(names, found[1]+".sst")
	}
	return names
}

// fileNumber returns the number in the name of one of Pebble's files.
func fileNumber(name, prefix, suffix string) (uint64, bool) {
	rest, ok := strings.CutPrefix(name, prefix)
	if rest, found := strings.CutSuffix(rest, suffix); ok && found {
		return parseNumber(rest)
	}
	return 0, false
}
