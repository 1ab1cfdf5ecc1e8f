package store

import (
	"cmp"
	"slices"
)

// An hourTable holds the states of the buckets of a store, by hour and in order:
// questions go through all of them, and there are thousands.
type hourTable struct {
	of    map[Hour]*hourState
	order []*hourState // ascending
}

func newHourTable() hourTable { return hourTable{of: map[Hour]*hourState{}} }

// get returns the state of an hour, or nil.
func (t *hourTable) get(h Hour) *hourState { return t.of[h] }

// put takes in the state of an hour that has none.
func (t *hourTable) put(hs *hourState) {
	t.of[hs.hour] = hs
	t.order = slices.Insert(t.order, t.find(hs.hour), hs)
}

// drop lets go of an hour, if it is there.
func (t *hourTable) drop(h Hour) {
	if t.of[h] == nil {
		return
	}
	delete(t.of, h)
	at := t.find(h)
	t.order = slices.Delete(t.order, at, at+1)
}

// find returns the place of the first hour that is not before h.
func (t *hourTable) find(h Hour) int {
	at, _ := slices.BinarySearchFunc(t.order, h, func(hs *hourState, h Hour) int { return cmp.Compare(hs.hour, h) })
	return at
}

// all returns the states, ascending. It is good until the next put or drop.
func (t *hourTable) all() []*hourState { return t.order }

// between returns the states of the hours from from to to, both inclusive, as all
// does.
func (t *hourTable) between(from, to Hour) []*hourState {
	if to < from {
		return nil
	}
	first, after := t.find(from), len(t.order)
	if to < ^Hour(0) {
		after = t.find(to + 1)
	}
	return t.order[first:after]
}
