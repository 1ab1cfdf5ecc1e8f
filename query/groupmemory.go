package query

import (
	"runtime"
	"runtime/debug"
	"sync"
	"time"
)

// groupMemory is what the groups of questions took and left.
var groupMemory memoryLeft

// A memoryLeft has memory collected that a question has left: until something else
// needs that much, which may be never, the collector would not do it by itself, and
// what the next question takes would come on top.
type memoryLeft struct {
	collecting sync.Mutex // held meanwhile

	mu   sync.Mutex
	idle *time.Timer // to give it back to the system
}

const (
	// largeLeft is how much is collected at once, and muchLeft how much is given
	// back to the system, once nobody has asked such a question for restAfter: to
	// have it from the system again is a sixth of the next one.
	largeLeft = 32 << 20
	muchLeft  = 40 << 20
	restAfter = 30 * time.Second
)

// leave is called when a question has let go of so many bytes. The answer does not
// wait for what is done about them.
func (m *memoryLeft) leave(bytes int64) {
	if bytes <= largeLeft {
		return
	}
	m.collecting.Lock()
	go func() {
		defer m.collecting.Unlock()
		runtime.GC()
	}()
	if bytes <= muchLeft {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.idle == nil {
		m.idle = time.AfterFunc(restAfter, debug.FreeOSMemory)
		return
	}
	m.idle.Reset(restAfter)
}

// settled returns when nothing is being collected.
func (m *memoryLeft) settled() {
	m.collecting.Lock()
	defer m.collecting.Unlock()
}
