package query

// A codeSums is the sums of a block by the numbers of its rows.
type codeSums struct {
	accs []acc
	rare []rareAcc // good where there is anything rare

	first, last []uint64 // the times of each number's rows, where they are asked for
}

// add sets the sums to those of rows whose numbers are below n.
func (w *codeSums) add(c *counters, n int, codes []uint16, rows *rowSet) {
	w.accs = resize(w.accs, n)
	clear(w.accs)
	accs, bytes, packets := w.accs, c.bytes[:len(codes)], c.packets[:len(codes)]
	if c.huge {
		w.addHuge(c, codes, rows)
	} else if count(rows) == len(codes) {
		for row, code := range codes {
			a := &accs[code]
			a.records++
			a.bytes += bytes[row]
			a.packets += packets[row]
		}
	} else {
		each(rows, func(row int) {
			a := &accs[codes[row]]
			a.records++
			a.bytes += bytes[row]
			a.packets += packets[row]
		})
	}
	if c.flows == nil && c.interval == nil {
		return
	}
	w.rare = resize(w.rare, n)
	clear(w.rare)
	if c.flows != nil {
		each(rows, func(row int) {
			a := &w.rare[codes[row]]
			a.flows = plus(a.flows, c.flowsOf(row))
		})
	}
	if c.interval != nil {
		each(rows, func(row int) {
			a := &w.rare[codes[row]]
			factor := max(c.interval[row], 1)
			a.estBytes = plus(a.estBytes, times(bytes[row], factor))
			a.estPackets = plus(a.estPackets, times(packets[row], factor))
		})
	}
}

// addHuge adds bytes and packets whose sums may be above 2^64-1.
func (w *codeSums) addHuge(c *counters, codes []uint16, rows *rowSet) {
	each(rows, func(row int) { w.accs[codes[row]].add(acc{1, c.bytes[row], c.packets[row]}) })
}

// addSpans sets the times to those of rows whose numbers are below n, if c has
// them.
func (w *codeSums) addSpans(c *counters, n int, codes []uint16, rows *rowSet) {
	if c.span == nil {
		return
	}
	w.first, w.last = resize(w.first, n), resize(w.last, n)
	for code := range n {
		w.first[code], w.last[code] = ^uint64(0), 0
	}
	each(rows, func(row int) {
		from, to := c.span(row)
		code := codes[row]
		w.first[code], w.last[code] = min(w.first[code], from), max(w.last[code], to)
	})
}
