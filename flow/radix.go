package flow

// SortByBits sorts keys by their bits from shift on, width of them, by counting
// 11 at a time; keys that are alike there keep their order. tmp is as long as
// keys. The result is keys itself.
func SortByBits(keys, tmp []uint64, shift, width int) {
	from, to := keys, tmp
	for done := 0; done < width; done += radixBits {
		if radixPass(to, from, shift+done, min(radixBits, width-done)) {
			from, to = to, from
		}
	}
	if len(keys) > 0 && &from[0] != &keys[0] {
		copy(keys, from)
	}
}

const radixBits = 11

// radixPass moves from to to in the order of some bits, radixBits at most; false
// if these are the same in all keys, and nothing moved.
func radixPass(to, from []uint64, shift, width int) bool {
	var count [1 << radixBits]uint32
	mask := uint64(1)<<width - 1
	for _, k := range from {
		count[k>>shift&mask&(1<<radixBits-1)]++
	}
	next := uint32(0)
	for i, c := range count[:mask+1] {
		if int(c) == len(from) {
			return false
		}
		count[i] = next
		next += c
	}
	for _, k := range from {
		digit := k >> shift & mask & (1<<radixBits - 1)
		to[count[digit]] = k
		count[digit]++
	}
	return true
}
