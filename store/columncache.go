package store

import (
	"runtime/debug"
	"sync"

	"weir/flow"
)

// A columnCache keeps columns as they are when their streams are decoded, for the
// next question about the same blocks: numbers, and the addresses that flows are
// looked for by. It is safe for use by several goroutines; columns in it are
// never changed.
//
// A question that goes over more than the cache holds would, if the least
// recently used made room, leave nothing that the next one like it finds, and
// copy every column for that. So a column makes no room for others of the view
// that had it last, and for those of other views only once it has been passed
// over as often as it was worth: a part of the columns stays, and that part is
// found.
type columnCache struct {
	mu      sync.Mutex
	max     int64
	size    int64 // of all
	busy    int   // questions that need the memory themselves
	lean    int   // of them, those for which garbage is collected sooner
	percent int   // garbage that there may be when there are none of those
	at      map[columnName]*cachedColumn
	ring    []*cachedColumn
	hand    int // the next in ring to be passed over
}

// A columnName says which column it is. Blocks of one incarnation of an hour keep
// their numbers and their rows.
type columnName struct {
	incarnation uint64
	block       int
	field       flow.Field
}

type cachedColumn struct {
	name   columnName
	place  int    // in ring
	credit int    // times that it is passed over
	view   uint64 // that had it last
	column cached
}

// A cached is what the cache keeps of a column.
type cached interface {
	size() int64 // bytes of memory, about
}

const (
	newCredit  = 1
	usedCredit = 2
)

func newColumnCache(size int64) *columnCache {
	return &columnCache{max: size, at: map[columnName]*cachedColumn{}}
}

// get returns a column to a view, nil if it is not there.
func (c *columnCache) get(name columnName, view uint64) cached {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.at[name]
	if e == nil {
		return nil
	}
	e.credit, e.view = usedCredit, view
	return e.column
}

// offer keeps a copy of a view's column, of about the given size, if there is room
// for it or room is made.
func (c *columnCache) offer(name columnName, view uint64, size int64, copied func() cached) {
	c.mu.Lock()
	room := c.busy == 0 && c.room(view, size)
	c.mu.Unlock()
	if !room {
		return
	}
	kept := copied()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.at[name] != nil || c.busy > 0 {
		return
	}
	e := &cachedColumn{name: name, place: len(c.ring), credit: newCredit, view: view, column: kept}
	c.at[name], c.ring = e, append(c.ring, e)
	c.size += kept.size()
}

// passedOver is how many columns are passed over at a time.
const passedOver = 64

// room reports whether so many bytes of a view's column fit. If not it passes over
// columns of other views, which go if their credit is used up, up to the first
// that stays. mu is held.
func (c *columnCache) room(view uint64, size int64) bool {
	for range min(len(c.ring), passedOver) {
		if c.size+size <= c.max {
			break
		}
		c.hand %= len(c.ring)
		e := c.ring[c.hand]
		if e.view == view {
			c.hand++
			continue
		}
		if e.credit--; e.credit > 0 {
			c.hand++
			break
		}
		c.remove(e)
	}
	return c.size+size <= c.max
}

// remove takes a column out. mu is held.
func (c *columnCache) remove(e *cachedColumn) {
	last := c.ring[len(c.ring)-1]
	c.ring[e.place], last.place = last, e.place
	c.ring[len(c.ring)-1] = nil
	c.ring = c.ring[:len(c.ring)-1]
	delete(c.at, e.name)
	c.size -= e.column.size()
}

// forget takes out the columns of an hour that is no longer what it was.
func (c *columnCache) forget(incarnation uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := len(c.ring) - 1; i >= 0; i-- {
		if e := c.ring[i]; e.name.incarnation == incarnation {
			c.remove(e)
		}
	}
}

// leanPercent is how much garbage there may be while the cache is lent, as a
// percentage of what is in use: that is much then, without pointers and so soon
// passed over.
const leanPercent = 15

// Lend gives the memory of the cache of columns to a question that needs much
// itself, until the question calls what is returned. If it is lean, the process
// collects its garbage sooner meanwhile.
func (s *Store) Lend(lean bool) (giveBack func()) {
	c := s.columns
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy++
	if !lean {
		c.empty()
		return sync.OnceFunc(func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.busy--
		})
	}
	if c.lean++; c.lean == 1 {
		if c.percent = debug.SetGCPercent(leanPercent); c.percent >= 0 && c.percent < leanPercent {
			debug.SetGCPercent(c.percent)
		}
	}
	c.empty()
	return sync.OnceFunc(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.busy--
		if c.lean--; c.lean == 0 {
			debug.SetGCPercent(c.percent)
		}
	})
}

// empty takes all columns out. mu is held.
func (c *columnCache) empty() {
	c.size, c.ring = 0, nil
	clear(c.at)
}
