package store

// Dict returns the column of a dictionary as Block.DictIn does, in the memory of
// one that is no longer used, which may be nil; nil if it has a code that is not
// in the dictionary: then Block.DictIn says where the damage is.
func (p *Packed) Dict(old *Dict) *Dict {
	if old == nil {
		old = new(Dict)
	}
	n := p.codes()
	old.reset()
	old.n, old.postings = n, true // of numbers only PostingFields have a dictionary
	old.nums = sized(old.nums, n+1)[:n]
	if p.dict != nil {
		copy(old.nums, p.dict.Nums())
	} else {
		p.values.join(old.nums, 0)
	}
	old.codes = sized(old.codes, p.rows)
	if !p.fillCodes(old.codes, n) {
		return nil
	}
	return old
}

// fillCodes puts the codes together, one a row, n where absent, and reports
// whether all are below n.
func (p *Packed) fillCodes(dst []uint16, n int) bool {
	var values [64]uint64
	most := uint64(0)
	for from := 0; from < p.count; from += 64 {
		run := values[:min(64, p.count-from)]
		p.join(run, from)
		for i, code := range run {
			most = max(most, code)
			dst[from+i] = uint16(code)
		}
	}
	c := column{rows: p.rows, count: p.count, present: p.present}
	spread(dst, &c, uint16(n))
	return p.count == 0 || most < uint64(n)
}
