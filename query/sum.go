package query

import (
	"weir/flow"
	"weir/store"
)

// An acc is the sums of one number, a rareAcc those that few blocks have: apart,
// so that those of a block stay in the cache.
type (
	acc struct {
		records, bytes, packets uint64
	}
	rareAcc struct {
		flows                uint64 // where the block has them
		estBytes, estPackets uint64 // where intervals differ in the block
	}
)

func (a *acc) add(b acc) {
	a.records += b.records
	a.bytes = plus(a.bytes, b.bytes)
	a.packets = plus(a.packets, b.packets)
}

// sums returns a as the sums of records that each stand for one flow and are not
// sampled.
func (a *acc) sums() Sums {
	return Sums{
		Records: a.records, Flows: a.records,
		Bytes: a.bytes, Packets: a.packets,
		EstimatedBytes: a.bytes, EstimatedPackets: a.packets,
	}
}

// addWhole adds rows to the one group that there is.
func (t *top) addWhole(v *visit, w *topWorker, c *counters, rows *rowSet) error {
	w.codes = resize(w.codes, v.columns.rows)
	clear(w.codes)
	w.add(c, 1, w.codes, rows)
	c.varianceByCode(w, 1, w.codes, rows)
	return t.addAccs(v, w, c, func([]uint64, int) {})
}

// onlySums reports whether the rows of a visit add no more than their number and
// what their counters come to, as exported.
func (t *top) onlySums(v *visit) bool {
	return len(t.layout.groupers) == 0 && t.distinct == nil && t.canWait(&counters{factor: 1}) &&
		!v.exists(flow.Flows) && v.blk.Stat(flow.SamplingInterval).MaxNum <= 1
}

// addSums adds such rows without putting the columns together.
func (t *top) addSums(v *visit, w *topWorker) (err error) {
	total := Sums{Records: uint64(v.matched), Flows: uint64(v.matched)}
	if !t.request.CountOnly {
		if total.Bytes, err = v.sumOf(flow.Bytes, v.rows, v.matched); err != nil {
			return err
		}
		if total.Packets, err = v.sumOf(flow.Packets, v.rows, v.matched); err != nil {
			return err
		}
	}
	total.EstimatedBytes, total.EstimatedPackets = total.Bytes, total.Packets
	w.total.Join(total)
	return w.pending.add(0, &acc{total.Records, total.Bytes, total.Packets})
}

// addByCode is the fast way for groups of one field whose values in this block
// are few enough to be numbered: it sums by number, without hashing rows, and
// adds what each number comes to. It reports whether it could be used.
func (t *top) addByCode(v *visit, w *topWorker, c *counters, rows *rowSet) (bool, error) {
	if len(t.layout.groupers) != 1 || t.distinct != nil {
		return false, nil
	}
	g := &t.layout.groupers[0]
	if g.field == 0 || !v.exists(g.field) {
		return false, nil
	}
	codes, n, put, err := t.codes(v, w, g)
	if err != nil || codes == nil {
		return false, err
	}
	w.add(c, n+1, codes, rows)
	if t.addrs != nil {
		if d := v.dicts[g.field]; d != nil && t.canWait(c) {
			return true, t.addAddrs(w, d, g)
		}
		t.addrs.mixed.Store(true)
	}
	c.varianceByCode(w, n+1, codes, rows)
	w.addSpans(c, n+1, codes, rows)
	return true, t.addAccs(v, w, c, func(key []uint64, code int) {
		if code < n {
			put(key, code)
		}
	})
}

// addAccs adds what each number came to; put writes the key of a number.
func (t *top) addAccs(v *visit, w *topWorker, c *counters, put func(key []uint64, code int)) error {
	if t.canWait(c) {
		for code := range w.accs {
			a := &w.accs[code]
			if a.records == 0 {
				continue
			}
			w.key = [1]uint64{}
			put(w.key[:], code)
			if err := w.pending.add(w.key[0], a); err != nil {
				return err
			}
		}
		return nil
	}
	n := len(w.accs)
	p := &w.partial
	p.size(t, n)
	if c.flows != nil {
		p.flows = make([]uint64, n)
	}
	if c.interval != nil {
		p.estBytes, p.estPackets = make([]uint64, n), make([]uint64, n)
	}
	at := 0
	for code := range w.accs {
		a := &w.accs[code]
		if a.records == 0 {
			continue
		}
		put(p.key(t, at), code)
		p.records[at], p.bytes[at], p.packets[at] = a.records, a.bytes, a.packets
		if p.flows != nil {
			p.flows[at] = w.rare[code].flows
		}
		if p.estBytes != nil {
			p.estBytes[at], p.estPackets[at] = w.rare[code].estBytes, w.rare[code].estPackets
		}
		if c.sampled() {
			w.variances[at] = w.variances[code] // at is not above code
		}
		if c.span != nil {
			w.first[at], w.last[at] = w.first[code], w.last[code]
		}
		at++
	}
	p.n = at
	if c.span != nil {
		p.first, p.last = w.first[:at], w.last[:at]
	}
	p.estimate(c.factor)
	p.vary(w, c)
	return t.table.add(p, t.firstShard(v.worker))
}

// canWait reports whether the groups of a block may wait to be added with others.
func (t *top) canWait(c *counters) bool {
	return t.table.plain() && c.flows == nil && c.interval == nil && c.factor == 1
}

// firstShard returns the shard that a worker begins at.
func (t *top) firstShard(worker int) int { return worker * shardCount / len(t.workers) }

// codes returns a number for each row, n where the field is absent, and what
// puts the value of a number into a key; nil if the field is not numbered so.
func (t *top) codes(v *visit, w *topWorker, g *grouper) (codes []uint16, n int, put func(key []uint64, code int), err error) {
	d, codes, err := v.dict(g.field)
	if err != nil {
		return nil, 0, nil, err
	}
	if d != nil {
		if g.labels != nil {
			return codes, d.Len(), func(key []uint64, code int) {
				if label := g.labels.Find(d.Addr(code)); label != 0 {
					t.layout.putNum(key, 0, uint64(label))
				}
			}, nil
		}
		if g.isAddr() && t.addrs == nil && v.matched > d.Len()/2 {
			w.parts = resize(w.parts, d.Len())
			t.layout.numbers.packAll(w.parts, d, g)
			return codes, d.Len(), func(key []uint64, code int) { t.layout.putNum(key, 0, w.parts[code]) }, nil
		}
		if g.isAddr() {
			return codes, d.Len(), func(key []uint64, code int) { t.layout.putAddr(key, 0, g.cut(d.Addr(code))) }, nil
		}
		return codes, d.Len(), func(key []uint64, code int) { t.layout.putNum(key, 0, g.round(d.Num(code))) }, nil
	}
	if g.isAddr() || g.labels != nil || g.field.IsText() {
		return nil, 0, nil, nil
	}
	s := v.blk.Stat(g.field)
	if s.MaxNum-s.MinNum >= 0xffff {
		return nil, 0, nil, nil
	}
	values, err := v.num(g.field)
	if err != nil {
		return nil, 0, nil, err
	}
	present, err := v.has(g.field)
	if err != nil {
		return nil, 0, nil, err
	}
	n = int(s.MaxNum-s.MinNum) + 1
	w.codes = resize(w.codes, len(values))
	for row, value := range values {
		w.codes[row] = uint16(value - s.MinNum)
	}
	if present != nil {
		for row := range values {
			if !inWords(present, row) {
				w.codes[row] = uint16(n)
			}
		}
	}
	return w.codes, n, func(key []uint64, code int) { t.layout.putNum(key, 0, g.round(s.MinNum+uint64(code))) }, nil
}

// size makes room for n groups with zeroed keys.
func (p *partial) size(t *top, n int) {
	p.sizeKeys(t, n)
	p.sizeSums(n)
}

// sizeKeys makes room for n zeroed keys.
func (p *partial) sizeKeys(t *top, n int) {
	p.n = n
	p.keys = resize(p.keys, n*t.layout.words)
	clear(p.keys)
}

// sizeSums makes room for the sums of n groups.
func (p *partial) sizeSums(n int) {
	p.hashes = resize(p.hashes, n)
	p.records = resize(p.records, n)
	p.bytes = resize(p.bytes, n)
	p.packets = resize(p.packets, n)
	p.flows, p.estBytes, p.estPackets, p.variances, p.first, p.last, p.values, p.hasValue = nil, nil, nil, nil, nil, nil, nil, nil
}

// key returns the key of group i for writing.
func (p *partial) key(t *top, i int) []uint64 {
	return p.keys[i*t.layout.words : (i+1)*t.layout.words]
}

// estimate sets the estimates of groups whose records have one interval.
func (p *partial) estimate(factor uint64) {
	if factor == 1 {
		return
	}
	p.estBytes, p.estPackets = make([]uint64, p.n), make([]uint64, p.n)
	for i := range p.n {
		p.estBytes[i], p.estPackets[i] = times(p.bytes[i], factor), times(p.packets[i], factor)
	}
}

// addByRow adds rows one by one.
func (t *top) addByRow(v *visit, w *topWorker, c *counters, set *rowSet) error {
	if t.addrs != nil && v.exists(t.layout.groupers[0].field) {
		t.addrs.mixed.Store(true)
	}
	w.rows = w.rows[:0]
	each(set, func(row int) { w.rows = append(w.rows, uint16(row)) })
	rows := w.rows
	p := &w.partial
	p.sizeKeys(t, len(rows))
	for i := range t.layout.groupers {
		if err := t.fillKeys(v, w, rows, i); err != nil {
			return err
		}
	}
	if t.canWait(c) {
		return w.pending.addRecords(p.keys, rows, c)
	}
	p.sizeSums(len(rows))
	for i, row := range rows {
		p.records[i], p.bytes[i], p.packets[i] = 1, c.bytes[row], c.packets[row]
	}
	if c.flows != nil {
		p.flows = make([]uint64, len(rows))
		for i, row := range rows {
			p.flows[i] = c.flowsOf(int(row))
		}
	}
	if c.interval != nil {
		p.estBytes, p.estPackets = make([]uint64, len(rows)), make([]uint64, len(rows))
		for i, row := range rows {
			factor := c.factorOf(int(row))
			p.estBytes[i], p.estPackets[i] = times(c.bytes[row], factor), times(c.packets[row], factor)
		}
	} else {
		p.estimate(c.factor)
	}
	c.varianceByRow(w, rows)
	p.vary(w, c)
	if c.span != nil {
		p.first, p.last = make([]uint64, len(rows)), make([]uint64, len(rows))
		for i, row := range rows {
			p.first[i], p.last[i] = c.span(int(row))
		}
	}
	if t.distinct != nil {
		if err := t.fillValues(v, p, rows); err != nil {
			return err
		}
	}
	return t.table.add(p, t.firstShard(v.worker))
}

// fillKeys writes the values of one grouper into the keys.
func (t *top) fillKeys(v *visit, w *topWorker, rows []uint16, i int) error {
	g, p := &t.layout.groupers[i], &w.partial
	if g.field != 0 && g.labels == nil && v.exists(g.field) {
		d, codes, err := v.dict(g.field)
		if err != nil {
			return err
		}
		if d != nil && len(rows) > d.Len() {
			t.fillByCode(w, d, codes, rows, i)
			return nil
		}
	}
	if g.isAddr() {
		return t.eachAddr(v, g, rows, func(at int, a flow.Addr) { t.layout.putAddr(p.key(t, at), i, a) })
	}
	return t.eachNum(v, g, rows, func(at int, value uint64) { t.layout.putNum(p.key(t, at), i, value) })
}

// fillByCode is fillKeys for a dictionary that has fewer values than there are
// rows: each value is made part of a key once.
func (t *top) fillByCode(w *topWorker, d *store.Dict, codes []uint16, rows []uint16, i int) {
	g, p := &t.layout.groupers[i], &w.partial
	w.parts = resize(w.parts, d.Len()+1)
	parts := w.parts
	if g.isAddr() {
		t.layout.numbers.packAll(parts, d, g)
	} else {
		for code, v := range d.Nums() {
			parts[code] = g.round(v)
		}
	}
	for code := range d.Len() {
		parts[code] <<= g.slot.shift
	}
	parts[d.Len()] = 0
	has := uint64(1) << i
	if t.layout.words == 1 {
		for code := range d.Len() {
			parts[code] |= has
		}
		for at, row := range rows {
			p.keys[at] |= parts[codes[row]]
		}
		return
	}
	for at, row := range rows {
		if code := codes[row]; int(code) < d.Len() {
			key := p.key(t, at)
			key[0] |= has
			key[g.slot.word] |= parts[code]
		}
	}
}

// fillValues writes the values whose number is counted.
func (t *top) fillValues(v *visit, p *partial, rows []uint16) error {
	p.hasValue = make([]bool, len(rows))
	p.values = make([]uint64, len(rows)*t.table.pairs)
	if t.distinct.isAddr() {
		return t.eachAddr(v, t.distinct, rows, func(at int, a flow.Addr) {
			p.hasValue[at], p.values[2*at], p.values[2*at+1] = true, a.Hi, a.Lo
		})
	}
	return t.eachNum(v, t.distinct, rows, func(at int, value uint64) { p.hasValue[at], p.values[at] = true, value })
}

// eachAddr calls yield with the position in rows and the group's address of
// every row that has one.
func (t *top) eachAddr(v *visit, g *grouper, rows []uint16, yield func(at int, a flow.Addr)) error {
	if !v.exists(g.field) {
		return nil
	}
	d, codes, err := v.dict(g.field)
	if err != nil {
		return err
	}
	present, err := v.has(g.field)
	if err != nil {
		return err
	}
	if d != nil {
		for at, row := range rows {
			if inWords(present, int(row)) {
				yield(at, g.cut(d.Addr(int(codes[row]))))
			}
		}
		return nil
	}
	values, err := v.addr(g.field)
	if err != nil {
		return err
	}
	for at, row := range rows {
		if inWords(present, int(row)) {
			yield(at, g.cut(values[row]))
		}
	}
	return nil
}

// eachNum calls yield with the position in rows and the group's number of every
// row that has one.
func (t *top) eachNum(v *visit, g *grouper, rows []uint16, yield func(at int, value uint64)) error {
	if g.labels != nil {
		return t.eachLabel(v, g, rows, yield)
	}
	if g.field == 0 {
		defined := new(rowSet)
		*defined = *v.rows
		value, err := v.computed(g.computed, defined)
		if err != nil {
			return err
		}
		for at, row := range rows {
			if inWords(defined[:], int(row)) {
				yield(at, value(int(row)))
			}
		}
		return nil
	}
	if !v.exists(g.field) {
		return nil
	}
	values, err := v.num(g.field)
	if err != nil {
		return err
	}
	present, err := v.has(g.field)
	if err != nil {
		return err
	}
	for at, row := range rows {
		if inWords(present, int(row)) {
			yield(at, g.round(values[row]))
		}
	}
	return nil
}
