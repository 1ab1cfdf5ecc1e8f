package flow

// The functions here work on bit sets of 64-bit words, bit i%64 of word i/64.

// rangeMask returns the bits of word w that lie in lo to hi-1.
func rangeMask(w, lo, hi int) uint64 {
	mask := ^uint64(0)
	if w == lo>>6 {
		mask &= ^uint64(0) << (lo & 63)
	}
	if w == (hi-1)>>6 {
		mask &= ^uint64(0) >> (63 - (hi-1)&63)
	}
	return mask
}

func setBits(words []uint64, lo, hi int) {
	if lo >= hi {
		return
	}
	for w := lo >> 6; w <= (hi-1)>>6; w++ {
		words[w] |= rangeMask(w, lo, hi)
	}
}

func clearBits(words []uint64, lo, hi int) {
	if lo >= hi {
		return
	}
	for w := lo >> 6; w <= (hi-1)>>6; w++ {
		words[w] &^= rangeMask(w, lo, hi)
	}
}

func anyBits(words []uint64, lo, hi int) bool {
	if lo >= hi {
		return false
	}
	for w := lo >> 6; w <= (hi-1)>>6; w++ {
		if words[w]&rangeMask(w, lo, hi) != 0 {
			return true
		}
	}
	return false
}

// copyBits copies n bits of src from position from to dst at position to. The
// bits of dst there must be zero.
func copyBits(dst []uint64, to int, src []uint64, from, n int) {
	for n > 0 {
		chunk := min(n, 64-from&63, 64-to&63)
		bits := src[from>>6] >> (from & 63)
		if chunk < 64 {
			bits &= 1<<chunk - 1
		}
		dst[to>>6] |= bits << (to & 63)
		from, to, n = from+chunk, to+chunk, n-chunk
	}
}
