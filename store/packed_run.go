package store

import (
	"encoding/binary"
	"math/bits"
)

// runRows is how many rows a run takes. Few enough stay in the cache.
const runRows = 512

// A valueRun is values of rows, in order, that are put together at one go: plane
// by plane, without a branch that depends on which rows they are, so that the
// processor waits for many of them at a time.
type valueRun struct {
	at     [runRows]uint16 // the number of each row's value
	values [runRows]uint64

	which, where [runRows]uint16 // of values that are not frequent: places in the run, and among the others
	others       [runRows]uint64
}

// fill puts together the values of rows, a run at most, which have the field.
func (r *valueRun) fill(p *Packed, rows []uint16) []uint64 {
	values := r.values[:len(rows)]
	if p.present == nil {
		p.valuesAt(values, rows)
		return values
	}
	at, present, ranks := r.at[:len(rows)], p.present, &p.room.ranks
	for i, row := range rows {
		word := row >> 6
		at[i] = uint16(ranks[word] + bits.OnesCount64(present[word]&(1<<(row&63)-1)))
	}
	p.valuesAt(values, at)
	return values
}

// rank notes how many rows before each word have the field.
func (p *Packed) rank() {
	n := 0
	for i, present := range p.present {
		p.room.ranks[i] = n
		n += bits.OnesCount64(present)
	}
}

// valuesAt puts values by their numbers, of a run at most, into dst.
func (p *Packed) valuesAt(dst []uint64, at []uint16) {
	if !p.frequent {
		p.plain.valuesAt(dst, at)
		return
	}
	// Without a branch: which are frequent is anybody's guess.
	r := &p.room.run
	top, symbols, other, n := &p.top, p.symbols, uint32(p.topCount), uint32(0)
	dst = dst[:len(at)]
	for j, i := range at {
		symbol := symbols[i]
		dst[j] = top[symbol]
		r.which[n%runRows], r.where[n%runRows] = uint16(j), i
		n += (uint32(symbol) ^ other - 1) >> 31 // 1 if it is not frequent
	}
	which, where, values := r.which[:n], r.where[:n], r.others[:n]
	before, others := p.before, p.other
	for j, i := range where {
		word := i >> 6
		where[j] = uint16(int(before[word]) + bits.OnesCount64(others[word]&(1<<(i&63)-1)))
	}
	p.others.valuesAt(values, where)
	for j, v := range values {
		dst[which[j]] = v
	}
}

// valuesAt is Packed.valuesAt.
func (p *planes) valuesAt(dst []uint64, at []uint16) {
	dst = dst[:len(at)]
	base := p.base
	if p.width == 0 {
		for j := range dst {
			dst[j] = base
		}
		return
	}
	low := p.plane[0] // it is never sparse
	for j, i := range at {
		dst[j] = base + uint64(low[i])
	}
	for k := 1; k < p.width; k++ {
		plane, shift := p.plane[k], 8*k
		if plane == nil {
			p.sparse[k].addAt(dst, at, shift)
			continue
		}
		for j, i := range at {
			dst[j] += uint64(plane[i]) << (shift & 63)
		}
	}
}

// Gather puts the values of the rows in set into their places in dst, 0 where
// absent, and leaves the other places as they are. It reuses dst.
func (p *Packed) Gather(dst []uint64, set []uint64) []uint64 {
	dst = sized(dst, p.rows)
	for i := range p.present {
		for w := set[i] &^ p.present[i]; w != 0; w &= w - 1 {
			dst[i<<6+bits.TrailingZeros64(w)] = 0
		}
	}
	p.eachRun(p.listed(set), func(rows []uint16, values []uint64) {
		for i, row := range rows {
			dst[row] = values[i]
		}
	})
	return dst
}

// listed returns those rows of set that have the field.
func (p *Packed) listed(set []uint64) []uint16 {
	set = set[:(p.rows+63)/64]
	if p.present != nil {
		having := p.room.told[0][:len(set)]
		for i, w := range set {
			having[i] = w & p.present[i]
		}
		set = having
	}
	n := 0
	for _, w := range set {
		n += bits.OnesCount64(w)
	}
	return p.room.list.of(set, n)
}

// eachRun calls fn with rows, which have the field, and their values, a run at a
// time.
func (p *Packed) eachRun(rows []uint16, fn func(rows []uint16, values []uint64)) {
	p.rank()
	for len(rows) > 0 {
		run := rows[:min(runRows, len(rows))]
		rows = rows[len(run):]
		fn(run, p.room.run.fill(p, run))
	}
}

// Sum adds up the values of the rows in set, of which there are n.
func (p *Packed) Sum(set []uint64, n int) (sum uint64) {
	if n == p.rows {
		return p.sumAll()
	}
	p.eachRun(p.listed(set), func(_ []uint16, values []uint64) {
		for _, v := range values {
			sum += v
		}
	})
	return sum
}

// sumAll is Sum of all rows.
func (p *Packed) sumAll() (sum uint64) {
	if !p.frequent {
		return p.plain.sum()
	}
	top := p.top
	top[p.topCount] = 0 // the symbol of the others
	for _, symbol := range p.symbols {
		sum += top[symbol]
	}
	return sum + p.others.sum()
}

// sum adds up all values.
func (p *planes) sum() uint64 {
	sum := p.base * uint64(p.n)
	for k := range p.width {
		plane := p.plane[k]
		if plane == nil {
			plane = p.sparse[k].bytes
		}
		sum += sumBytes(plane) << (8 * k)
	}
	return sum
}

// sumBytes adds up bytes.
func sumBytes(b []byte) (sum uint64) {
	const even = 0x00ff_00ff_00ff_00ff
	for len(b) >= 8 {
		pairs := uint64(0) // four sums of 16 bits
		for n := min(len(b)>>3, 128); n > 0; n-- {
			x := binary.LittleEndian.Uint64(b)
			pairs += x&even + x>>8&even
			b = b[8:]
		}
		sum += pairs&0xffff + pairs>>16&0xffff + pairs>>32&0xffff + pairs>>48
	}
	for _, x := range b {
		sum += uint64(x)
	}
	return sum
}
