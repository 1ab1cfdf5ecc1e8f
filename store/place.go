package store

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// placeName is the file that says in which directory a store is written. It is
// written anew at every start and at every orderly end. A directory in which it
// is another file than it says is a copy that a tool made, and whether weir wrote
// meanwhile decides whether the files in it belong together.
const placeName = "PLACE"

// A place is the content of that file.
type place struct {
	// Life is drawn anew whenever a store goes on in another directory than
	// before. Within one life Pebble never gives two files the same number.
	Life  string       `json:"life"`
	Inode uint64       `json:"inode,omitempty"` // of this file; 0: the file system has none
	Birth int64        `json:"birth,omitempty"` // of this file, ns since the Unix epoch; 0: not known
	Open  bool         `json:"open"`            // a process has the store open, or died with it
	Files []ListedFile `json:"files,omitempty"` // Pebble's, at the orderly end
}

// maxPlace bounds the file, in bytes.
const maxPlace = 64 << 20

// readPlace returns nil if there is none.
func readPlace(fs FS, dir string) (*place, error) {
	text, err := readSmall(fs, fs.PathJoin(dir, placeName), "place", maxPlace)
	if text == nil || err != nil {
		return nil, err
	}
	p := new(place)
	if err := json.Unmarshal(text, p); err != nil {
		// Half a file is one that was caught while it was copied.
		return &place{Inode: ^uint64(0), Open: true}, nil
	}
	return p, nil
}

// isHere reports whether the directory is the one the place was written in.
func (p *place) isHere(fs FS, dir string) bool {
	if p.Inode == 0 {
		return true
	}
	inode, birth := identityOf(fs, fs.PathJoin(dir, placeName))
	return inode == 0 || inode == p.Inode && (birth == 0 || p.Birth == 0 || birth == p.Birth)
}

// isSound reports whether the files in dir are those of an orderly end.
func (p *place) isSound(fs FS, dir string) (bool, error) {
	if p.Open {
		return false, nil
	}
	files, err := engineFiles(fs, dir)
	if err != nil {
		return false, err
	}
	have := map[string]int64{}
	for _, f := range files {
		have[f.Name] = f.Size
	}
	for _, f := range p.Files {
		if size, is := have[f.Name]; !is || size != f.Size {
			return false, nil
		}
	}
	return len(have) == len(p.Files), nil
}

// write writes the place of dir. The file appears whole or not at all.
func (p *place) write(fs FS, dir string) error {
	name := fs.PathJoin(dir, placeName)
	temp := name + ".tmp"
	f, err := fs.Create(temp, vfs.WriteCategoryUnspecified)
	if err != nil {
		return fmt.Errorf("create place: %w", err)
	}
	p.Inode, p.Birth = identityOf(fs, temp) // which a rename keeps
	text, err := json.Marshal(p)
	if err == nil {
		_, err = f.Write(append(text, '\n'))
	}
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write place: %w", err)
	}
	if err := fs.Rename(temp, name); err != nil {
		return fmt.Errorf("rename place: %w", err)
	}
	return syncDir(fs, dir)
}

// isEngineFile reports whether a file with that name is Pebble's.
func isEngineFile(name string) bool {
	switch path.Ext(name) {
	case ".sst", ".log", ".blob":
		return !strings.HasPrefix(name, sealPrefix)
	}
	return strings.HasPrefix(name, "MANIFEST-") || strings.HasPrefix(name, "OPTIONS-") || strings.HasPrefix(name, "marker.")
}

// engineFiles returns Pebble's files in dir with their sizes.
func engineFiles(fs FS, dir string) ([]ListedFile, error) {
	names, err := fs.List(dir)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", dir, err)
	}
	var files []ListedFile
	for _, name := range names {
		if !isEngineFile(name) {
			continue
		}
		info, err := fs.Stat(fs.PathJoin(dir, name))
		if isNotExist(err) {
			continue // deleted meanwhile
		}
		if err != nil {
			return nil, err
		}
		files = append(files, ListedFile{Name: name, Size: info.Size()})
	}
	return files, nil
}

// tornBy returns why the files of dir do not belong together; nil if they do. p
// is of another directory, or nil where nobody has opened this one.
func tornBy(fs FS, dir string, p *place) (why, err error) {
	if p == nil {
		l, err := ReadListing(fs, dir)
		if err == nil && l != nil {
			err = l.CheckFiles(fs, dir)
		}
		if errors.Is(err, ErrTorn) {
			return err, nil
		}
		return nil, err
	}
	sound, err := p.isSound(fs, dir)
	if err == nil && !sound {
		why = fmt.Errorf("%w: %s was copied while weir wrote to it", ErrTorn, dir)
	}
	return why, err
}

// settlePlace finds out whether dir can be opened as it is, and makes it so if it is
// a copy that was made while weir wrote. The lock is held.
func (s *Store) settlePlace() error {
	fs := s.opts.FS
	p, err := readPlace(fs, s.dir)
	if err != nil {
		return err
	}
	unfinished, err := readRecovery(fs, s.dir)
	if err != nil {
		return err
	}
	here := p != nil && p.isHere(fs, s.dir)
	why := error(nil)
	if !here && unfinished == "" {
		if why, err = tornBy(fs, s.dir, p); err != nil {
			return err
		}
	}
	if why != nil || unfinished != "" {
		if err := s.settleTorn(p, unfinished, why); err != nil {
			return err
		}
		here = false
	}
	if s.opts.ReadOnly {
		return nil
	}
	next := &place{Life: randomID(), Open: true}
	if here {
		next.Life = p.Life
	}
	s.place = next
	return next.write(fs, s.dir)
}

// leavePlace notes an orderly end. Pebble has closed its files.
func (s *Store) leavePlace() error {
	files, err := engineFiles(s.opts.FS, s.dir)
	if err != nil {
		return err
	}
	s.place.Open, s.place.Files = false, files
	return s.place.write(s.opts.FS, s.dir)
}

// randomID returns 16 random bytes in hexadecimal.
func randomID() string {
	id := make([]byte, 16)
	_, _ = rand.Read(id) // never fails
	return hex.EncodeToString(id)
}

// secretKey is the state value from which what is the archive's own is derived:
// its name, and keys. Every copy of the archive has it.
const secretKey = "archive/secret"

// loadSecret reads the secret, and draws one where there is none yet.
func (s *Store) loadSecret() error {
	secret, err := s.GetState(secretKey)
	if err != nil {
		return err
	}
	if secret == nil && !s.opts.ReadOnly {
		secret = make([]byte, 32)
		_, _ = rand.Read(secret) // never fails
		if err := s.PutState(secretKey, secret); err != nil {
			return err
		}
	}
	s.secret = secret
	return nil
}

// ID names the archive: it is the same in every copy of it. "" for a store that
// was never opened for writing by a weir that gives names.
func (s *Store) ID() string {
	if s.secret == nil {
		return ""
	}
	key := s.Key("name")
	return hex.EncodeToString(key[:8])
}

// Key returns a key for some purpose that every copy of the archive has, and
// nobody else; nil where ID is "".
func (s *Store) Key(purpose string) []byte {
	if s.secret == nil {
		return nil
	}
	mac := hmac.New(sha256.New, s.secret)
	mac.Write([]byte(purpose))
	return mac.Sum(nil)
}

// Life names the time since the store went on in this directory. "" for a store
// that is open for reading.
func (s *Store) Life() string {
	if s.place == nil {
		return ""
	}
	return s.place.Life
}

// identityOf returns the number of a file and when it was made (ns since the
// Unix epoch), 0 for what the file system does not tell. One in memory tells
// nothing.
func identityOf(fs FS, name string) (inode uint64, birth int64) {
	if vfs.Root(fs) != vfs.Default {
		return 0, 0
	}
	return inodeOf(name)
}
