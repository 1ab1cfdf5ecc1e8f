//go:build unix

package command

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// closeFiles takes the data directory's files, and those that this process makes
// from now on, out of the reach of all but their owner: once others may pass
// through the directory, its mode no longer protects them.
func closeFiles(dir string) error {
	syscall.Umask(0o077)
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir || d.Type()&(fs.ModeSymlink|fs.ModeSocket) != 0 {
			return err
		}
		if d.IsDir() {
			return os.Chmod(path, 0o700)
		}
		err = os.Chmod(path, 0o600)
		if errors.Is(err, fs.ErrNotExist) { // a table that was deleted meanwhile
			return nil
		}
		return err
	})
}

// ownerOf returns who owns a file, and false if that cannot be told.
func ownerOf(path string) (uid int, known bool) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(stat.Uid), true
}
