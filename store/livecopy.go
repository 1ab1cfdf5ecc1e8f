package store

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// The names of what recovery leaves in the directory.
const (
	// CheckpointName is the directory with copies at a fixed place.
	CheckpointName = "checkpoint"
	// TornName is where files are set aside that do not belong together.
	TornName = "torn"
	// recoveryName is there while files are being moved.
	recoveryName = "RECOVER"
)

// CheckpointNames are the two copies in the checkpoint directory. They are renewed
// in turn, so that a tool which copies both while one of them changes has the
// other whole, whatever order it goes in.
func CheckpointNames() []string { return []string{"1", "2"} }

// A Recovery says that a store was a copy which a tool made while weir wrote, and
// that a checkpoint in it was taken in place of files that do not belong together.
type Recovery struct {
	From   string    // the checkpoint, relative: checkpoint/1
	Made   time.Time // of the checkpoint: what came later is not in it
	Copied time.Time // about when the tool copied; zero if that cannot be told
}

// Recovered returns nil if the directory was opened as it is.
func (s *Store) Recovered() *Recovery { return s.recovered }

// readRecovery returns how far a recovery is, "" for none.
func readRecovery(fs FS, dir string) (string, error) {
	text, err := readSmall(fs, fs.PathJoin(dir, recoveryName), "recovery", 256)
	return strings.TrimSpace(string(text)), err
}

// recover puts the newest whole checkpoint in dir in place of the files that do
// not belong together, which are set aside. It can be cut short at any moment and
// goes on at the next Open: unfinished says how far it was. A store that is
// opened for reading is opened in the checkpoint instead.
func (s *Store) recover(unfinished string, why error) error {
	fs := s.opts.FS
	step, from, _ := strings.Cut(unfinished, " ")
	if step == "" {
		found, l, err := s.wholeCheckpoint(why)
		if err != nil {
			return err
		}
		step, from = "aside", found
		s.recovered = &Recovery{From: found, Made: l.Made, Copied: lastWrite(fs, s.dir)}
	} else if s.opts.ReadOnly {
		return fmt.Errorf("%w: %s was about to be put in order; open it once for writing", ErrTorn, s.dir)
	} else {
		s.recovered = &Recovery{From: from}
	}
	if s.opts.ReadOnly {
		s.dir = fs.PathJoin(s.dir, from)
		return nil
	}
	s.opts.Logger.Warn("files do not belong together; a checkpoint takes their place", "dir", s.dir, "checkpoint", from)
	if step == "aside" {
		if err := s.setLiveAside(from); err != nil {
			return fmt.Errorf("set files aside: %w", err)
		}
	}
	if err := s.moveUp(from); err != nil {
		return fmt.Errorf("put %s in place: %w", from, err)
	}
	return nil
}

// wholeCheckpoint returns the newest checkpoint that is whole.
func (s *Store) wholeCheckpoint(torn error) (rel string, l *Listing, err error) {
	fs := s.opts.FS
	why := []error{torn}
	for _, name := range CheckpointNames() {
		at := fs.PathJoin(CheckpointName, name)
		found, err := s.completeCheckpoint(fs.PathJoin(s.dir, at))
		if err != nil {
			why = append(why, err)
		} else if l == nil || found.Made.After(l.Made) {
			rel, l = at, found
		}
	}
	if l == nil {
		return "", nil, fmt.Errorf("no whole checkpoint is in %s; take a copy of weir backup, or copy the directory again: %w", s.dir, errors.Join(why...))
	}
	return rel, l, nil
}

// completeCheckpoint checks a checkpoint. A table that the tool missed there may
// lie elsewhere in the copy: a table never changes, nor is its name used again.
func (s *Store) completeCheckpoint(at string) (*Listing, error) {
	fs := s.opts.FS
	l, err := ReadListing(fs, at)
	if err == nil && l == nil {
		err = fmt.Errorf("%w: there is no list of files in %s", ErrTorn, at)
	}
	if err != nil {
		return nil, err
	}
	if p, err := readPlace(fs, at); p != nil || err != nil {
		if err != nil || p.isHere(fs, at) {
			return l, err // it was opened since, and goes on
		}
		why, err := tornBy(fs, at, p)
		return l, errors.Join(why, err)
	}
	places := []string{s.dir}
	for _, name := range CheckpointNames() {
		places = append(places, fs.PathJoin(s.dir, CheckpointName, name))
	}
	for i := range l.Files {
		f := &l.Files[i]
		if s.opts.ReadOnly || !f.IsTable() || !isNotExist(statError(fs, fs.PathJoin(at, f.Name))) {
			continue
		}
		for _, place := range places {
			if info, err := fs.Stat(fs.PathJoin(place, f.Name)); err != nil || info.Size() != f.Size {
				continue
			}
			if err := fs.Link(fs.PathJoin(place, f.Name), fs.PathJoin(at, f.Name)); err == nil {
				break
			}
		}
	}
	return l, l.CheckFiles(fs, at)
}

func statError(fs FS, name string) error {
	_, err := fs.Stat(name)
	return err
}

// lastWrite returns when the newest of Pebble's files was written: about when
// they were copied, if the tool keeps times.
func lastWrite(fs FS, dir string) (t time.Time) {
	files, err := engineFiles(fs, dir)
	if err != nil {
		return t
	}
	for _, f := range files {
		if info, err := fs.Stat(fs.PathJoin(dir, f.Name)); err == nil && info.ModTime().After(t) {
			t = info.ModTime()
		}
	}
	return t
}

// setLiveAside moves away what the live directory had, and what is no part of a
// copy: all but what belongs to the directory itself.
func (s *Store) setLiveAside(from string) error {
	fs := s.opts.FS
	if err := s.markRecovery("aside " + from); err != nil {
		return err
	}
	torn := fs.PathJoin(s.dir, TornName)
	if err := fs.MkdirAll(torn, 0o700); err != nil {
		return err
	}
	names, err := fs.List(s.dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		switch name {
		case "LOCK", identityName, CheckpointName, TornName, recoveryName, "weir.sock", "purges.json", "lost+found":
			continue
		}
		to := fs.PathJoin(torn, name)
		if err := fs.RemoveAll(to); err != nil { // of a recovery before
			return err
		}
		if err := fs.Rename(fs.PathJoin(s.dir, name), to); err != nil {
			return err
		}
	}
	if err := syncDir(fs, torn); err != nil {
		return err
	}
	return s.markRecovery("up " + from)
}

// moveUp moves the files of a checkpoint to where they are used.
func (s *Store) moveUp(from string) error {
	fs := s.opts.FS
	at := fs.PathJoin(s.dir, from)
	names, err := fs.List(at)
	if err != nil && !isNotExist(err) {
		return err
	}
	for _, name := range names {
		switch name {
		case "LOCK", placeName, ListingName, identityName:
			continue
		}
		if err := fs.Rename(fs.PathJoin(at, name), fs.PathJoin(s.dir, name)); err != nil {
			return err
		}
	}
	if err := syncDir(fs, s.dir); err != nil {
		return err
	}
	// The other one is older, or not whole.
	if err := fs.RemoveAll(fs.PathJoin(s.dir, CheckpointName)); err != nil {
		return err
	}
	if err := fs.Remove(fs.PathJoin(s.dir, recoveryName)); err != nil {
		return err
	}
	return syncDir(fs, s.dir)
}

func (s *Store) markRecovery(text string) error {
	fs := s.opts.FS
	if err := writeSmall(fs, fs.PathJoin(s.dir, recoveryName), "recovery", []byte(text+"\n")); err != nil {
		return err
	}
	return syncDir(fs, s.dir)
}
