package store

import "golang.org/x/sys/unix"

// inodeOf returns the number of a file and when it was made (ns since the Unix
// epoch), 0 for what the system does not tell.
func inodeOf(name string) (inode uint64, birth int64) {
	var st unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, name, 0, unix.STATX_INO|unix.STATX_BTIME, &st); err != nil {
		return 0, 0
	}
	if st.Mask&unix.STATX_BTIME != 0 {
		birth = st.Btime.Sec*1e9 + int64(st.Btime.Nsec)
	}
	return st.Ino, birth
}
