package collector

import "testing"

// The kernel's count reaches us on two ways, and the older one may come later.
func TestKernelCountIsTakenOnce(t *testing.T) {
	s := &socket{overflow: ^uint32(0) - 1}
	for _, n := range []uint32{^uint32(0), 4, 2, 4, 5} { // over the wrap, 5 once back
		s.noteCount(n)
	}
	if got := s.dropped.Load(); got != 7 {
		t.Errorf("got %d drops, want 7", got)
	}
}
