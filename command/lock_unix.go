//go:build unix

package command

import (
	"os"

	"golang.org/x/sys/unix"
)

// lockFile locks a file until it is closed, or returns an error at once if
// another process has it locked.
func lockFile(f *os.File) error { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) }
