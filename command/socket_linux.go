package command

import (
	"fmt"
	"os"
	"path/filepath"
)

// shortPath returns a path of the same file that fits a socket address: a long
// one goes by way of an open descriptor of its directory. release closes that
// and must be called once the path has been used.
func shortPath(path string) (short string, release func(), err error) {
	if len(path) <= maxSocketPath {
		return path, func() {}, nil
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return "", nil, err
	}
	short = fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path))
	return short, func() { dir.Close() }, nil
}
