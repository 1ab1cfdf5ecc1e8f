package store

import "math/bits"

// A rowList is the rows of a set, in order. To list rows takes about as long as to
// put their values together, and what is asked of one column after the other is
// mostly the same rows, or some of them: they are listed once, and the list is
// shortened.
type rowList struct {
	set  []uint64 // that the list is of
	rows []uint16
}

// of returns the rows of a set, of which there are n. They are good until the next
// call.
func (l *rowList) of(set []uint64, n int) []uint16 {
	switch {
	case n > len(l.rows) || n < len(l.rows)/worthShortening || !l.covers(set):
		l.list(set, n)
	case n < len(l.rows):
		l.shorten(set)
	}
	return l.rows
}

// worthShortening is how many times more rows than are wanted a list may have to
// be looked through rather than made anew.
const worthShortening = 8

// covers reports whether the list has all rows of a set of the same block.
func (l *rowList) covers(set []uint64) bool {
	if len(l.set) != len(set) {
		return false
	}
	for i, w := range l.set {
		if set[i]&^w != 0 {
			return false
		}
	}
	return true
}

// list makes l the list of a set of n rows.
func (l *rowList) list(set []uint64, n int) {
	l.note(set)
	l.rows = sized(l.rows, n+1) // and one that is void
	n = 0
	for i, w := range set {
		base, at := i<<6, n
		n += bits.OnesCount64(w)
		for w != 0 {
			for range 2 { // without a branch; what is past the last is overwritten by the next
				l.rows[at] = uint16(base + bits.TrailingZeros64(w))
				w &= w - 1
				at++
			}
		}
	}
	l.rows = l.rows[:n]
}

// shorten leaves the rows in the list that are in set.
func (l *rowList) shorten(set []uint64) {
	l.note(set)
	n := 0
	for _, row := range l.rows {
		l.rows[n] = row
		n += int(set[row>>6] >> (row & 63) & 1)
	}
	l.rows = l.rows[:n]
}

// cut leaves the first n rows, which have been moved there, in the list and in set,
// that it is of.
func (l *rowList) cut(set []uint64, n int) {
	if n == len(l.rows) {
		return
	}
	l.rows = l.rows[:n]
	clear(set)
	for _, row := range l.rows {
		set[row>>6] |= 1 << (row & 63)
	}
	l.note(set)
}

func (l *rowList) note(set []uint64) {
	l.set = sized(l.set, len(set))
	copy(l.set, set)
}
