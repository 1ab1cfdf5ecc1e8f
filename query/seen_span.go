package query

import (
	"math"
	"sync/atomic"
)

// A seenSpan is from when to when an address was seen. All workers have it in
// common, so that times which one has read spare the others theirs.
type seenSpan struct {
	first, last atomic.Uint64 // ms: the earliest start, the latest end
}

// newSeenSpans returns spans of n addresses that nobody has seen.
func newSeenSpans(n int) []seenSpan {
	spans := make([]seenSpan, n)
	for i := range spans {
		spans[i].first.Store(math.MaxUint64)
	}
	return spans
}

// covers reports whether records from first to last change neither end.
func (s *seenSpan) covers(first, last uint64) bool {
	return s.first.Load() <= first && s.last.Load() >= last
}

// see makes the span reach from first to last.
func (s *seenSpan) see(first, last uint64) {
	for was := s.first.Load(); first < was && !s.first.CompareAndSwap(was, first); {
		was = s.first.Load()
	}
	for was := s.last.Load(); last > was && !s.last.CompareAndSwap(was, last); {
		was = s.last.Load()
	}
}
