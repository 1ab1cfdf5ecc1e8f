package command

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// unfinishedName is a file that is in a package's directory from the first
// moment until the package is whole, and locked as long as somebody writes it. By
// it what an export that was killed left is told from other people's files.
const unfinishedName = "export" + packagePart

// packageNames are the files that an export writes.
var packageNames = []string{"records.csv", "records.ndjson", "records.parquet", "statistics.csv", readmeName, coverName, sumsName, manifestName}

// checkNewDir refuses a directory in which there is something, but for what an
// export left that was killed: left says so.
func checkNewDir(dir string) (left bool, err error) {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, usagef("-o: %v", err)
	case len(entries) == 0:
		return false, nil
	}
	names := map[string]bool{}
	foreign := ""
	for _, e := range entries {
		names[e.Name()] = true
		if !e.Type().IsRegular() || e.Name() != unfinishedName && !slices.Contains(packageNames, strings.TrimSuffix(e.Name(), packagePart)) {
			foreign = e.Name()
		}
	}
	unfinished := names[unfinishedName] || names[manifestName+packagePart]
	switch {
	case names[manifestName]:
		return false, usagef("-o: %s is a package already", dir).withHint("name a new directory")
	case unfinished && foreign != "":
		return false, usagef("-o: in %s an export was interrupted, and now there is %s as well", dir, printable(foreign)).withHint("name a new directory")
	case unfinished:
		return true, nil
	}
	return false, usagef("-o: %s is not empty", dir).withHint("name a new directory")
}

// newPackage makes the directory, which must be empty or not there. What an
// export left there that was killed is removed first, and said.
func newPackage(dir string, says io.Writer) (*exportPackage, error) {
	_, err := os.Stat(dir)
	p := &exportPackage{dir: dir, made: errors.Is(err, fs.ErrNotExist)}
	// Flows are personal data: nobody else is let in.
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the package: %w", err)
	}
	left, err := checkNewDir(dir)
	if err != nil {
		return nil, err
	}
	flags := os.O_CREATE | os.O_WRONLY
	if !left {
		flags |= os.O_EXCL // one of two that begin at once
	}
	f, err := os.OpenFile(filepath.Join(dir, unfinishedName), flags, 0o600)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("make the package: %w", err)
	}
	if err != nil || !owns(f) {
		if f != nil {
			f.Close()
		}
		return nil, usagef("-o: another export writes to %s at this moment", dir).withHint("name a new directory")
	}
	p.lock = f
	if !left {
		return p, nil
	}
	for _, name := range packageNames {
		for _, name := range []string{name, name + packagePart} {
			if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				f.Close()
				return nil, fmt.Errorf("remove what an interrupted export left: %w", err)
			}
		}
	}
	fmt.Fprintf(says, "weir: an export to %s was interrupted; what it left is removed, and this one begins anew\n", dir)
	return p, nil
}

// owns locks an open file, and reports whether it then still has its name: whoever
// had it locked until now may have finished.
func owns(f *os.File) bool {
	if lockFile(f) != nil {
		return false
	}
	open, err := f.Stat()
	if err != nil {
		return false
	}
	named, err := os.Lstat(f.Name())
	return err == nil && os.SameFile(open, named)
}

// unlock removes the mark that the package is not whole.
func (p *exportPackage) unlock() error {
	if p.lock == nil {
		return nil
	}
	name := p.lock.Name()
	err := os.Remove(name)
	p.lock.Close()
	if p.lock = nil; err != nil { // some systems remove no open file
		err = os.Remove(name)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
