package store

import (
	"slices"

	"golang.org/x/sys/unix"
)

// lasting are the file systems on which a file keeps its number for good. On
// others the number after a restart of the machine says nothing.
func lasting() []int64 {
	const (
		zfs      = 0x2fc12fc1
		bcachefs = 0xca451a4e
	)
	return []int64{unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.F2FS_SUPER_MAGIC, unix.TMPFS_MAGIC,
		unix.OVERLAYFS_SUPER_MAGIC, zfs, bcachefs}
}

// inodeOf returns the number of a file and when it was made (ns since the Unix
// epoch), 0 for what the system does not tell.
func inodeOf(name string) (inode uint64, birth int64) {
	var fs unix.Statfs_t
	if err := unix.Statfs(name, &fs); err != nil || !slices.Contains(lasting(), int64(uint32(fs.Type))) {
		return 0, 0
	}
	var st unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, name, 0, unix.STATX_INO|unix.STATX_BTIME, &st); err != nil {
		return 0, 0
	}
	if st.Mask&unix.STATX_BTIME != 0 {
		birth = st.Btime.Sec*1e9 + int64(st.Btime.Nsec)
	}
	return st.Ino, birth
}
