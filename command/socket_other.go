//go:build !linux

package command

import (
	"fmt"
	"os"
	"path/filepath"
)

// shortPath returns a path of the same file that fits a socket address: a long
// one goes by way of a symbolic link to its directory. release removes that and
// must be called once the path has been used.
func shortPath(path string) (short string, release func(), err error) {
	if len(path) <= maxSocketPath {
		return path, func() {}, nil
	}
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return "", nil, err
	}
	temp, err := os.MkdirTemp("", "weir")
	if err != nil {
		return "", nil, err
	}
	release = func() { os.RemoveAll(temp) }
	link := filepath.Join(temp, "d")
	if err := os.Symlink(dir, link); err != nil {
		release()
		return "", nil, err
	}
	short = filepath.Join(link, filepath.Base(path))
	if len(short) > maxSocketPath {
		release()
		return "", nil, fmt.Errorf("the path %s is too long for a socket; give --data a shorter one", path)
	}
	return short, release, nil
}
