package store

import (
	"encoding/binary"
	"math/bits"
)

// runRows is how many rows a run takes. Few enough stay in the cache.
const runRows = 512

// A valueRun is rows of a column, in order, whose values are put together at one
// go: plane by plane, without a branch that depends on which rows they are, so
// that the processor waits for many of them at a time.
type valueRun struct {
	n      int
	rows   [runRows]uint16
	at     [runRows]uint16 // the number of each row's value
	values [runRows]uint64

	which, where [runRows]uint16 // of values that are not frequent: places in the run, and among the others
	others       [runRows]uint64
}

// fits reports whether the rows of another word fit.
func (r *valueRun) fits() bool { return r.n <= runRows-64 }

// add appends the rows of a word whose first row is base.
func (r *valueRun) add(base int, w uint64) {
	n := r.n
	r.n += bits.OnesCount64(w)
	for w != 0 {
		for range 2 { // without a branch; what is past the last goes when the next are added
			r.rows[n%runRows] = uint16(base + bits.TrailingZeros64(w))
			w &= w - 1
			n++
		}
	}
}

// fill puts together the values of the run's rows, which have the field.
func (r *valueRun) fill(p *Packed) []uint64 {
	rows, values := r.rows[:r.n], r.values[:r.n]
	if p.present == nil {
		p.valuesAt(values, rows)
		return values
	}
	at := r.at[:len(rows)]
	for i, row := range rows {
		word := row >> 6
		at[i] = uint16(p.room.ranks[word] + bits.OnesCount64(p.present[word]&(1<<(row&63)-1)))
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
	symbols, other, n := p.symbols, uint32(p.topCount), uint32(0)
	for j, i := range at {
		symbol := symbols[i]
		dst[j] = p.top[symbol]
		r.which[n%runRows], r.where[n%runRows] = uint16(j), i
		n += (uint32(symbol) ^ other - 1) >> 31 // 1 if it is not frequent
	}
	where, values := r.where[:n], r.others[:n]
	for j, i := range where {
		where[j] = uint16(p.othersBefore(int(i)))
	}
	p.others.valuesAt(values, where)
	for j, v := range values {
		dst[r.which[j]] = v
	}
}

// valuesAt is Packed.valuesAt.
func (p *planes) valuesAt(dst []uint64, at []uint16) {
	for j := range dst {
		dst[j] = p.base
	}
	for k := range p.width {
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
	p.eachRun(set, func(rows []uint16, values []uint64) {
		for i, row := range rows {
			dst[row] = values[i]
		}
	})
	return dst
}

// eachRun calls fn with those rows of set that have the field and their values, a
// run at a time.
func (p *Packed) eachRun(set []uint64, fn func(rows []uint16, values []uint64)) {
	p.rank()
	r := &p.room.run
	r.n = 0
	for i, w := range set[:(p.rows+63)/64] {
		if p.present != nil {
			w &= p.present[i]
		}
		if w == 0 {
			continue
		}
		if r.add(i<<6, w); !r.fits() {
			fn(r.rows[:r.n], r.fill(p))
			r.n = 0
		}
	}
	fn(r.rows[:r.n], r.fill(p))
}

// Sum adds up the values of the rows in set, of which there are n.
func (p *Packed) Sum(set []uint64, n int) (sum uint64) {
	if n == p.rows {
		return p.sumAll()
	}
	p.eachRun(set, func(_ []uint16, values []uint64) {
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
