//go:build !linux

package query

// mapMemory returns no memory: the heap has to do.
func mapMemory(int) []byte { return nil }

func unmapMemory([]byte) {}
