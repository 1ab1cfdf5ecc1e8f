package index

import (
	"encoding/binary"

	"weir/flow"
)

// A run is one block's dictionary of one field, or a part of it: ascending
// values as wide deltas, about two bytes a value, so that all of an hour's runs
// fit in memory where its dictionaries would not.
type run struct {
	block uint32
	data  []byte
}

// truncate drops the values after hi.
func (r *run) truncate(hi flow.Addr) {
	c := cursor{data: r.data}
	for at := 0; c.advance(); at = len(r.data) - len(c.data) {
		if hi.Less(c.value) {
			r.data = r.data[:at]
			return
		}
	}
}

// middle returns about the middle value of a run of some length.
func (r *run) middle() flow.Addr {
	c := cursor{data: r.data}
	for c.advance() && len(c.data) > len(r.data)/2 {
	}
	return c.value
}

// A cursor reads a run.
type cursor struct {
	value flow.Addr
	data  []byte // what follows value
	block uint32
	done  bool
}

func (c *cursor) advance() bool {
	if len(c.data) == 0 {
		c.done = true
		return false
	}
	if b := c.data[0]; b < 0x80 { // most deltas of a busy hour
		c.data = c.data[1:]
		c.bump(uint64(b))
		return true
	}
	if v, n := binary.Uvarint(c.data); n > 0 {
		c.data = c.data[n:]
		c.bump(v)
		return true
	}
	v, n := wide(c.data)
	c.data = c.data[n:]
	c.value, _ = add(c.value, v)
	return true
}

func (c *cursor) bump(delta uint64) {
	c.value.Lo += delta
	if c.value.Lo < delta {
		c.value.Hi++
	}
}

// A merger is a tournament tree of losers over runs: the smallest value, and
// among equal ones the lowest block, is at the top and a step costs one
// comparison a level.
type merger struct {
	cursors []cursor
	losers  []int32 // [0] is the winner
}

func newMerger(cursors []cursor) *merger {
	m := &merger{cursors: cursors, losers: make([]int32, max(1, len(cursors)))}
	if len(cursors) > 0 {
		m.losers[0] = m.play(1)
	}
	return m
}

// cursorsOf returns cursors at the first values of runs.
func cursorsOf(runs []run) []cursor {
	cursors := make([]cursor, len(runs))
	for i, r := range runs {
		cursors[i] = cursor{data: r.data, block: r.block}
		cursors[i].advance()
	}
	return cursors
}

// play fills the subtree below node and returns its winner. Nodes from
// len(cursors) on are the leaves.
func (m *merger) play(node int) int32 {
	if node >= len(m.cursors) {
		return int32(node - len(m.cursors))
	}
	a, b := m.play(2*node), m.play(2*node+1)
	if m.less(b, a) {
		a, b = b, a
	}
	m.losers[node] = b
	return a
}

func (m *merger) less(a, b int32) bool {
	x, y := &m.cursors[a], &m.cursors[b]
	if x.done != y.done {
		return y.done
	}
	if x.value.Lo == y.value.Lo && x.value.Hi == y.value.Hi {
		return x.block < y.block
	}
	return x.value.Hi < y.value.Hi || x.value.Hi == y.value.Hi && x.value.Lo < y.value.Lo
}

// top returns the smallest value and its block, and false when all is merged.
func (m *merger) top() (v flow.Addr, block uint32, ok bool) {
	if len(m.cursors) == 0 {
		return v, 0, false
	}
	c := &m.cursors[m.losers[0]]
	return c.value, c.block, !c.done
}

// step takes the smallest value away.
func (m *merger) step() {
	w := m.losers[0]
	m.cursors[w].advance()
	for node := (int(w) + len(m.cursors)) / 2; node > 0; node /= 2 {
		if m.less(m.losers[node], w) {
			w, m.losers[node] = m.losers[node], w
		}
	}
	m.losers[0] = w
}

// mergeRuns calls add for every distinct value with the blocks that have it,
// both ascending. The runs are by ascending block. blocks is reused.
func mergeRuns(runs []run, add func(v flow.Addr, blocks []uint32) error) error {
	cursors := cursorsOf(runs)
	if len(cursors) < 2 { // nothing to be sorted
		return mergeBefore(cursors, flow.Addr{}, add)
	}
	if err := mergeBefore(cursors, firstIPv4, add); err != nil {
		return err
	}
	w := windowMerger{cursors: cursors}
	if err := w.merge(add); err != nil {
		return err
	}
	return mergeBefore(cursors, flow.Addr{}, add)
}

// mergeBefore does what mergeRuns does for the values less than end; the zero
// Addr is after all of them.
func mergeBefore(cursors []cursor, end flow.Addr, add func(v flow.Addr, blocks []uint32) error) error {
	m := newMerger(cursors)
	var blocks []uint32
	v, b, ok := m.top()
	for ok && (end == flow.Addr{} || v.Less(end)) {
		blocks = append(blocks[:0], b)
		m.step()
		var w flow.Addr
		for w, b, ok = m.top(); ok && w == v; w, b, ok = m.top() {
			if b != blocks[len(blocks)-1] { // two runs may be of one block
				blocks = append(blocks, b)
			}
			m.step()
		}
		if err := add(v, blocks); err != nil {
			return err
		}
		v = w
	}
	return nil
}
