package store

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// FormatVersion is the version of everything this package writes.
//
// Version 1: 65,536-row column blocks, tails, sealed buckets with an index, as
// docs/format.md draws them.
//
// Version 2: fields from flow.FirstKeptNumber on, and with them columns of texts.
// A store is of this version once it is to have such fields (UseSlots): until
// then a weir that knows nothing of them can open it.
//
// A store of a higher version is refused.
const FormatVersion = 2

// firstVersion is that of a new store.
const firstVersion = 1

// What Open can say about a directory.
var (
	// ErrInUse: another process, or another Store of this one, has the directory.
	ErrInUse = errors.New("data directory is in use by another process")
	// ErrNotStore: the directory has files in it but is no weir data directory.
	ErrNotStore = errors.New("not a weir data directory")
	// ErrNewerFormat: a later version of weir wrote the directory.
	ErrNewerFormat = errors.New("data directory was written by a newer weir")
)

// The identity file is one line of text, such as "weir format 1\n", so that a person
// who meets the directory knows what it is.
const (
	identityName   = "WEIR"
	identityPrefix = "weir format "
)

// readIdentity returns the format version of the store in dir, 0 if dir has no
// identity.
func readIdentity(fs FS, dir string) (int, error) {
	text, err := readSmall(fs, fs.PathJoin(dir, identityName), "identity", 64)
	if text == nil || err != nil {
		return 0, err
	}
	number, isWeir := strings.CutPrefix(strings.TrimSpace(string(text)), identityPrefix)
	version, err := strconv.Atoi(number)
	if !isWeir || err != nil || version < 1 {
		return 0, fmt.Errorf("%w: %s: the file %s in it does not read %q; give another directory with --data",
			ErrNotStore, dir, identityName, identityPrefix+"N")
	}
	return version, nil
}

// writeIdentity makes dir a store.
func writeIdentity(fs FS, dir string, version int) error {
	line := fmt.Appendf(nil, "%s%d\n", identityPrefix, version)
	if err := writeSmall(fs, fs.PathJoin(dir, identityName), "identity", line); err != nil {
		return err
	}
	return syncDir(fs, dir)
}

// Exists reports whether dir is a data directory, as Open with the same options
// would find it.
func Exists(dir string, o Options) bool {
	version, err := readIdentity(o.withDefaults().FS, dir)
	return err == nil && version > 0
}

// Destroy removes the data directory dir, which is not open, and all in it. It
// first stops being a store, so that what a crash leaves of it is none.
func Destroy(dir string, o Options) error {
	fs := o.withDefaults().FS
	if err := fs.Remove(fs.PathJoin(dir, identityName)); err != nil && !isNotExist(err) {
		return fmt.Errorf("destroy %s: %w", dir, err)
	}
	if err := fs.RemoveAll(dir); err != nil && !isNotExist(err) {
		return fmt.Errorf("destroy %s: %w", dir, err)
	}
	if err := syncDir(fs, fs.PathDir(dir)); err != nil && !isNotExist(err) {
		return err
	}
	return nil
}

func syncDir(fs FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return fmt.Errorf("open directory: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("sync directory: %w", err)
	}
	return nil
}

// checkIdentity says whether dir may be opened, and returns its format version, 0
// if it is no store yet.
func checkIdentity(fs FS, dir string) (version int, err error) {
	if version, err = readIdentity(fs, dir); err != nil {
		return 0, err
	}
	if version > FormatVersion {
		return 0, fmt.Errorf("%w: %s has format %d, this weir knows %d; upgrade weir", ErrNewerFormat, dir, version, FormatVersion)
	}
	if version != 0 {
		return version, nil
	}
	names, err := fs.List(dir)
	if err != nil {
		return 0, fmt.Errorf("list data directory: %w", err)
	}
	for _, name := range names {
		if !harmless(name) {
			return 0, fmt.Errorf("%w: %s holds other files (%s); give an empty or new directory with --data", ErrNotStore, dir, name)
		}
	}
	return 0, nil
}

// UseSlots makes the store one that may have fields from flow.FirstKeptNumber on.
// It is called before the first record that has one is appended.
func (s *Store) UseSlots() error {
	if s.opts.ReadOnly {
		return errReadOnly
	}
	s.publish.Lock()
	defer s.publish.Unlock()
	if s.isClosed() {
		return ErrClosed
	}
	if s.version >= FormatVersion {
		return nil
	}
	if err := writeIdentity(s.opts.FS, s.dir, FormatVersion); err != nil {
		return err
	}
	s.version = FormatVersion
	return nil
}

// harmless reports whether a directory with that file in it may still become a
// store: what an earlier start left that was cut short, or the daemon's socket.
func harmless(name string) bool {
	switch name {
	case "LOCK", identityName + ".tmp", "weir.sock", "lost+found":
		return true
	}
	return false
}
