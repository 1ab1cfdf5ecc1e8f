package store

import (
	"math/rand/v2"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// FS is the file system a store lives in.
type FS = vfs.FS

// A MemFS is a file system in memory for tests. It remembers what was synced,
// so that a crash can be played.
type MemFS struct{ *vfs.MemFS }

// NewMemFS returns an empty file system in memory.
func NewMemFS() *MemFS { return &MemFS{vfs.NewCrashableMem()} }

// Crash returns the file system as it may be after the machine stopped at this
// moment: all that was synced, and of the rest each piece with a probability of
// percent. The original goes on unharmed.
func (m *MemFS) Crash(rng *rand.Rand, percent int) *MemFS {
	return &MemFS{m.MemFS.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rng})}
}

// A SizedFS has a size and room of its own, whatever the file system beneath has:
// what a test says of a disk must not depend on the one it runs on.
type SizedFS struct {
	FS
	Free, Size uint64 // bytes
}

// GetDiskUsage returns the size and the room, wherever path is.
func (f SizedFS) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{AvailBytes: f.Free, TotalBytes: f.Size, UsedBytes: f.Size - f.Free}, nil
}

// Disk returns the file system of the operating system.
func Disk() FS { return vfs.Default }
