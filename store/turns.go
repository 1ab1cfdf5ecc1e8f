package store

import "sync/atomic"

// turns counts when an hour turns into something else.
type turns struct {
	sealed, gone atomic.Uint64
	signal       chan struct{}
}

// Turns returns how often since Open an hour was sealed, and how often records
// went: hours that were dropped, and removals.
func (s *Store) Turns() (sealed, gone uint64) { return s.turns.sealed.Load(), s.turns.gone.Load() }

// Turned is signalled after either count of Turns has grown; several may come as
// one. It is for one receiver.
func (s *Store) Turned() <-chan struct{} { return s.turns.signal }

// noteTurn adds to one of the counts.
func (s *Store) noteTurn(count *atomic.Uint64) {
	count.Add(1)
	select {
	case s.turns.signal <- struct{}{}:
	default: // it is signalled already
	}
}
