//go:build unix

package command

import (
	"io/fs"
	"syscall"
)

// fileOf returns which file it is, and the bytes that it takes on the disk.
func fileOf(info fs.FileInfo) (fileID, uint64) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fileID{}, uint64(info.Size())
	}
	return fileID{uint64(stat.Dev), stat.Ino}, uint64(stat.Blocks) * 512
}
