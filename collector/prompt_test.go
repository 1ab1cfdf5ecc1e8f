package collector

import (
	"bytes"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// syncedState is a StateStore that counts how often it was made durable.
type syncedState struct {
	*memoryState
	syncs atomic.Int64

	mu      sync.Mutex // guards durable
	durable []byte     // all values that are, one behind the other
}

// SyncState makes what was put durable. Only the collector's goroutine that puts
// calls it.
func (s *syncedState) SyncState() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.durable = s.durable[:0]
	for _, value := range s.values {
		s.durable = append(s.durable, value...)
	}
	s.syncs.Add(1)
	return nil
}

// has reports whether a text is on disk.
func (s *syncedState) has(text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.Contains(s.durable, []byte(text))
}

// A template is on disk long before it is time to save, and a refresh of it
// costs nothing.
func TestTemplateIsSavedAtOnce(t *testing.T) {
	state := &syncedState{memoryState: newMemoryState()}
	c, _ := startCollector(t, Options{Listen: []Listen{{"netflow", "127.0.0.1:0"}}, Sink: newMemorySink(), State: state, SaveEvery: time.Hour})
	send(t, c, v9(0, set(0, templateUsual)))
	waitFor(t, "a template on disk", func() bool { return state.syncs.Load() == 1 })
	for n := range uint64(5) {
		send(t, c, v9(0, set(0, templateUsual)))
		waitFor(t, "a refresh", func() bool { return c.Stats().Total.Templates == 2+n })
	}
	time.Sleep(3 * promptRest)
	if n := state.syncs.Load(); n != 1 {
		t.Errorf("saved %d times, want once", n)
	}
}

// A flood of new templates is saved every now and then, the last one too.
func TestTemplatesAreSavedBounded(t *testing.T) {
	state := &syncedState{memoryState: newMemoryState()}
	c, _ := startCollector(t, Options{Listen: []Listen{{"netflow", "127.0.0.1:0"}}, Sink: newMemorySink(), State: state, SaveEvery: time.Hour})
	begun := time.Now()
	send(t, c, v9(9, set(0, templateUsual)))
	waitFor(t, "the first template on disk", func() bool { return state.syncs.Load() == 1 })
	for i := range 300 {
		send(t, c, v9(uint32(i%8), set(0, templateOf(256+i, 8, 4))))
		time.Sleep(time.Millisecond)
	}
	waitFor(t, "all templates", func() bool { return c.Stats().Total.Templates == 301 })
	waitFor(t, "the last template on disk", func() bool { return state.has(`"id":555,`) })
	if n, most := state.syncs.Load(), int64(time.Since(begun)/promptRest)+2; n > most { // the time is looked at last
		t.Errorf("saved %d times in %v, want at most %d", n, time.Since(begun), most)
	}
}
