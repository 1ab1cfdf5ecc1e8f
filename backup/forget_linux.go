package backup

import (
	"os"

	"golang.org/x/sys/unix"
)

// forget has the system drop what it keeps of a file that is synced, so that it
// is read from the disk next.
func forget(f *os.File) {
	_ = unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED) // a hint
}
