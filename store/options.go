package store

import (
	"log/slog"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Options says how a store is opened. The zero value is good for a collector.
type Options struct {
	// ReadOnly refuses every change and leaves the directory as it is. The
	// directory must exist. It is locked all the same.
	ReadOnly bool

	// Existing opens what is a store already and makes none.
	Existing bool

	// FlushEvery is how often appended rows are written to the log and synced:
	// what a crash or a power cut can lose at most. Default 500 ms; negative
	// leaves it to Flush.
	FlushEvery time.Duration

	// MaxOpenHours bounds the hours with rows in memory at a time, and MaxOpenRows the
	// rows that these have memory for. One more makes another hour's rows a short
	// block. Default 64, and four full blocks, about 20 MB each; up to four parts more
	// are being encoded, and two kept for reuse.
	MaxOpenHours int
	MaxOpenRows  int

	// CacheSize is the size of Pebble's block cache in bytes. Default 24 MB; the
	// operating system's page cache serves large values anyway.
	CacheSize int64

	// ColumnCacheSize is how many bytes of decoded columns are kept for the next
	// question. Default 96 MB; negative keeps none.
	ColumnCacheSize int64

	// MemTableSize is the size of Pebble's memtable in bytes. Default 32 MB.
	MemTableSize uint64

	// MinFree is how many bytes of the file system are kept free: below, Append
	// and BeginSeal return ErrDiskFull. It must have room for what is on its way:
	// memtables, parts in memory and one compaction. Default 256 MB; negative
	// takes what there is.
	MinFree int64

	// Logger takes what nobody is left to return to. Default: nothing.
	Logger *slog.Logger

	// FS is the file system. Default: the disk.
	FS FS

	// Fatal is called when Pebble cannot go on (its log cannot be written, most
	// often because the disk is full) and must not return. Default: the process
	// ends with status 1, after the reason has gone to Logger.
	Fatal func(error)

	blockRows int // rows of a full block; tests make it small. Default BlockRows
}

// withDefaults fills in the zero values.
func (o Options) withDefaults() Options {
	if o.FlushEvery == 0 {
		o.FlushEvery = 500 * time.Millisecond
	}
	if o.MaxOpenHours <= 0 {
		o.MaxOpenHours = 64
	}
	if o.blockRows == 0 {
		o.blockRows = BlockRows
	}
	if o.MaxOpenRows <= 0 {
		o.MaxOpenRows = 4 * o.blockRows
	}
	if o.CacheSize <= 0 {
		o.CacheSize = 24 << 20
	}
	if o.ColumnCacheSize == 0 {
		o.ColumnCacheSize = 96 << 20
	}
	if o.MinFree == 0 {
		o.MinFree = 256 << 20
	}
	if o.MemTableSize == 0 {
		o.MemTableSize = 32 << 20
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.FS == nil {
		o.FS = vfs.Default
	}
	return o
}
