package command

import "golang.org/x/sys/unix"

// diskSpace returns the size of the file system that dir is on and how much of
// it is free for users other than root, in bytes; 0, 0 if the system does not
// tell.
func diskSpace(dir string) (size, free uint64) {
	var fs unix.Statfs_t
	if unix.Statfs(dir, &fs) != nil || fs.Bsize <= 0 {
		return 0, 0
	}
	return fs.Blocks * uint64(fs.Bsize), fs.Bavail * uint64(fs.Bsize)
}
