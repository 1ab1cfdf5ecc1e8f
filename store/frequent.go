package store

import "encoding/binary"

// frequentOrPlanes appends v, whose planes take about plain bytes a value.
func (e *encoder) frequentOrPlanes(dst []byte, v []uint64, r valueRange, plain float64) []byte {
	if r.hi-r.lo >= 256 && plain > 0.25 && e.tryFrequent(v, r, plain) {
		return e.frequent(dst, v)
	}
	return e.planes(dst, v, r)
}

// tryFrequent is pickFrequent, but for a long column of which it was no use a few
// blocks ago: it is much like it was, and to find out takes as long as to write it.
func (e *encoder) tryFrequent(v []uint64, r valueRange, plain float64) bool {
	if len(v) < longStream {
		return e.pickFrequent(v, r, plain)
	}
	left := &e.refused[e.field][min(e.streams, maxChoices-1)]
	if *left > 0 {
		*left--
		return false
	}
	if e.pickFrequent(v, r, plain) {
		return true
	}
	*left = trustFor
	return false
}

// frequencyRange is how far from the smallest value frequent ones are looked
// for.
const frequencyRange = 1 << 16

// pickFrequent finds the most frequent values of v, and reports whether to write
// v by them is about smaller than plain bytes a value. If so, e.top, e.symbols
// and e.others are what is to be written.
func (e *encoder) pickFrequent(v []uint64, r valueRange, plain float64) bool {
	size := int(min(r.hi-r.lo+1, frequencyRange))
	count := grow(&e.counts, size)
	clear(count)
	for _, x := range v {
		if x-r.lo < uint64(size) {
			count[x-r.lo]++
		}
	}
	e.listTop(count, len(v), r.lo)
	if len(e.top) == 0 {
		return false
	}
	e.splitFrequent(v, r.lo)
	var symbols [256]uint32
	sample := takeBytesSample(grow(&e.sampleBytes, 0), e.symbols[:len(v)])
	e.sampleBytes = sample
	for _, symbol := range sample {
		symbols[symbol]++
	}
	e.sample = takeSample(e.sample[:0], e.others)
	others := e.estimate(e.sample, rangeOf(e.others)) * float64(len(e.others)) / float64(len(v))
	perSymbol := e.entropy.of(&symbols, len(sample)) / float64(len(sample))
	return perSymbol+others+2*float64(len(e.top))/float64(len(v)) < 0.97*plain
}

// listTop puts the at most 255 most frequent values in e.top, ascending. count
// has how often each comes, from lo on.
func (e *encoder) listTop(count []uint32, n int, lo uint64) {
	const most = 1<<12 - 1 // all that come as often or more are alike
	tally := grow(&e.tally, most+1)
	clear(tally)
	rare := uint32(max(3, n/8192))
	for _, c := range count {
		if c > rare { // few do: to count the others, too, would take most of the time
			tally[min(c, most)]++
		}
	}
	// The least count that is taken, such that 255 values suffice.
	least, taken := uint32(most), 0
	for ; least > rare; least-- {
		if taken += int(tally[least]); taken > 255 {
			break
		}
	}
	e.top = e.top[:0]
	for i, c := range count {
		if c > least && len(e.top) < 255 {
			e.top = append(e.top, lo+uint64(i))
		}
	}
}

// splitFrequent fills e.symbols with the place of each value in e.top, and
// e.others with the values that are not in it. It uses e.counts up.
func (e *encoder) splitFrequent(v []uint64, lo uint64) {
	place, none := e.counts, uint32(len(e.top))
	for i := range place {
		place[i] = none
	}
	for i, x := range e.top {
		place[x-lo] = uint32(i)
	}
	symbols, others := grow(&e.symbols, len(v)), grow(&e.others, len(v)+1)
	n := 0
	for i, x := range v {
		symbol := none
		if x-lo < uint64(len(place)) {
			symbol = place[x-lo]
		}
		symbols[i] = byte(symbol)
		others[n] = x // stays only if it is one; a branch would be mispredicted
		n -= int((int64(symbol^none) - 1) >> 63)
	}
	e.others = others[:n]
}

// frequent appends v by what pickFrequent has found.
func (e *encoder) frequent(dst []byte, v []uint64) []byte {
	dst = append(dst, modeFrequent, byte(len(e.top)))
	dst = e.planes(dst, e.top, rangeOf(e.top))
	dst = e.stream(dst, e.symbols[:len(v)])
	dst = binary.AppendUvarint(dst, uint64(len(e.others)))
	return e.planes(dst, e.others, rangeOf(e.others))
}
