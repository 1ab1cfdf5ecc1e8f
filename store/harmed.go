package store

import (
	"errors"
	"fmt"
)

// A harmed copy is one of a directory that weir had stopped on, of which files are
// missing or have another size. weir did not write meanwhile, so the files belong
// together, and what is wrong with them is damage like any other.

// harmed returns what is wrong with the files of an orderly end in dir, a text for
// each, and whether only tables are concerned. Where there are files besides, weir
// went on while the directory was copied, and it returns nothing.
func (p *place) harmed(fs FS, dir string) (what []string, tablesOnly bool, err error) {
	files, err := engineFiles(fs, dir)
	if err != nil || p == nil || p.Open {
		return nil, false, err
	}
	have := make(map[string]int64, len(files))
	for _, f := range files {
		have[f.Name] = f.Size
	}
	known := 0
	tablesOnly = true
	for _, f := range p.Files {
		size, is := have[f.Name]
		if is {
			known++
		}
		switch {
		case is && size == f.Size:
			continue
		case is:
			what = append(what, fmt.Sprintf("%s has %d bytes and had %d", f.Name, size, f.Size))
		default:
			what = append(what, f.Name+" is missing")
		}
		tablesOnly = tablesOnly && f.IsTable()
	}
	if known < len(have) {
		return nil, false, nil
	}
	return what, tablesOnly, nil
}

// Harmed returns in what a copy of a directory on which weir had stopped was not
// as weir left it when it was opened, a text for each file.
func (s *Store) Harmed() []string { return s.harm }

// settleTorn makes dir fit to be opened, of which the files do not belong together
// because of why, or in which that was begun. p is the place it was copied from. A
// log that is cut off would lose records without a word, so a checkpoint is better
// than that; where there is none, it is said.
func (s *Store) settleTorn(p *place, unfinished string, why error) error {
	if unfinished != "" {
		return s.recover(unfinished, why)
	}
	what, tablesOnly, err := p.harmed(s.opts.FS, s.dir)
	if err != nil {
		return err
	}
	if len(what) == 0 || !tablesOnly {
		err := s.recover("", why)
		if len(what) == 0 || !errors.Is(err, ErrTorn) {
			return err
		}
	}
	s.harm = what
	s.opts.Logger.Warn("this copy is not as weir left the directory", "dir", s.dir, "files", len(what), "first", what[0])
	return nil
}
