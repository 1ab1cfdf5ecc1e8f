//go:build !unix

package store

// fileLimit returns how many files the process may have open: as many as it
// likes.
func fileLimit() uint64 { return 1 << 20 }
