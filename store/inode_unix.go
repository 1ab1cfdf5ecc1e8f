//go:build unix && !linux

package store

import "syscall"

// inodeOf returns the number of a file, 0 if the system does not tell.
func inodeOf(name string) (inode uint64, birth int64) {
	var st syscall.Stat_t
	if err := syscall.Stat(name, &st); err != nil {
		return 0, 0
	}
	return uint64(st.Ino), 0
}
