package store

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"time"
)

// ListingName is the file in a backup or checkpoint that lists its files. It is
// written last: a copy without it was not finished.
const ListingName = "BACKUP"

// A Listing says what belongs to a copy of a data directory, so that a part of
// one is never taken for the whole.
type Listing struct {
	Version int          `json:"version"` // 1
	Archive string       `json:"archive"` // Store.ID
	Life    string       `json:"life"`    // Store.Life of the archive when the copy was made
	Made    time.Time    `json:"made"`    // when the copy was begun: it holds all that was stored before
	Newest  uint64       `json:"newest"`  // receipt of the newest record, ms since the Unix epoch; 0: none
	Hours   int          `json:"hours"`
	Records int64        `json:"records"`
	Fresh   int64        `json:"fresh"` // bytes of files that no copy before had
	Files   []ListedFile `json:"files"`
}

// A ListedFile is a file of a copy.
type ListedFile struct {
	Name     string `json:"name"` // relative, with slashes
	Size     int64  `json:"size"` // bytes
	SHA256   string `json:"sha256,omitempty"`
	Modified int64  `json:"modified,omitempty"` // of the file that was copied or linked, ns since the Unix epoch
}

// IsTable reports whether the file is one that never changes once it is written.
func (f *ListedFile) IsTable() bool { return path.Ext(f.Name) == ".sst" }

// ErrTorn is returned for a directory whose files do not belong together.
var ErrTorn = errors.New("files of the data directory do not belong together")

// ReadListing reads the listing of a copy; nil if there is none.
func ReadListing(fs FS, dir string) (*Listing, error) {
	text, err := readSmall(fs, fs.PathJoin(dir, ListingName), "listing", maxPlace)
	if text == nil || err != nil {
		return nil, err
	}
	l := new(Listing)
	if err := json.Unmarshal(text, l); err != nil {
		return nil, fmt.Errorf("%w: the file %s is not whole: %w", ErrTorn, ListingName, err)
	}
	if l.Version != 1 {
		return nil, fmt.Errorf("%w: listing of version %d", ErrNewerFormat, l.Version)
	}
	for i := range l.Files { // they are opened and linked by these names
		if name := l.Files[i].Name; !filepath.IsLocal(name) || path.Clean(name) != name || name == "." {
			return nil, fmt.Errorf("%w: the listing names a file %q", ErrTorn, name)
		}
	}
	return l, nil
}

// Write writes the listing of dir, whole or not at all.
func (l *Listing) Write(fs FS, dir string) error {
	l.Version = 1
	text, err := json.Marshal(l)
	if err != nil {
		return err
	}
	if err := writeSmall(fs, fs.PathJoin(dir, ListingName), "listing", append(text, '\n')); err != nil {
		return err
	}
	return syncDir(fs, dir)
}

// CheckFiles returns nil if dir has just the files of the listing: each with its
// size, and all but the tables with their content. The blocks of tables have
// checksums of their own.
func (l *Listing) CheckFiles(fs FS, dir string) error {
	listed := map[string]bool{}
	for i := range l.Files {
		f := &l.Files[i]
		listed[f.Name] = true
		if err := f.check(fs, dir); err != nil {
			return err
		}
	}
	files, err := engineFiles(fs, dir)
	if err != nil {
		return err
	}
	for _, f := range files {
		if !listed[f.Name] {
			return fmt.Errorf("%w: %s in %s belongs to another copy", ErrTorn, f.Name, dir)
		}
	}
	return nil
}

func (f *ListedFile) check(fs FS, dir string) error {
	name := fs.PathJoin(dir, f.Name)
	info, err := fs.Stat(name)
	switch {
	case isNotExist(err):
		return fmt.Errorf("%w: %s is missing in %s", ErrTorn, f.Name, dir)
	case err != nil:
		return err
	case info.Size() != f.Size:
		return fmt.Errorf("%w: %s in %s has %d bytes, not %d", ErrTorn, f.Name, dir, info.Size(), f.Size)
	case f.IsTable() || f.SHA256 == "":
		return nil
	}
	sum, err := HashFile(fs, name)
	if err == nil && sum != f.SHA256 {
		err = fmt.Errorf("%w: %s in %s has other content", ErrTorn, f.Name, dir)
	}
	return err
}

// HashFile returns the SHA-256 of a file in hexadecimal.
func HashFile(fs FS, name string) (string, error) {
	f, err := fs.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", fmt.Errorf("read %s: %w", name, err)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// heldName is the directory of data directories of their own that are part of
// the archive around them.
const heldName = "held"

// HeldDirs returns the data directories that are part of the archive in dir,
// relative to it: held/NAME.
func HeldDirs(fs FS, dir string) ([]string, error) {
	names, err := fs.List(fs.PathJoin(dir, heldName))
	if isNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list what is held: %w", err)
	}
	var list []string
	for _, name := range names {
		rel := fs.PathJoin(heldName, name)
		if _, err := fs.Stat(fs.PathJoin(dir, rel, identityName)); err == nil {
			list = append(list, rel)
		} else if !isNotExist(err) {
			return nil, err
		}
	}
	return list, nil
}
