package query

import "syscall"

// mapMemory returns memory that is not of the heap, in large pages where the system
// has them: to get it in small ones takes longer. nil if it has none.
func mapMemory(bytes int) []byte {
	const private = syscall.MAP_PRIVATE | syscall.MAP_ANON | syscall.MAP_NORESERVE
	b, err := syscall.Mmap(-1, 0, bytes, syscall.PROT_READ|syscall.PROT_WRITE, private)
	if err != nil {
		return nil // the heap may have it
	}
	_ = syscall.Madvise(b, syscall.MADV_HUGEPAGE) // a hint
	return b
}

// unmapMemory gives back what mapMemory returned.
func unmapMemory(b []byte) { _ = syscall.Munmap(b) } // fails only for what is not mapped
