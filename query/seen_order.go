package query

import "iter"

// fromBothEnds yields 0 to n-1 from both ends towards the middle: 0, n-1, 1, n-2
// and so on. Over hours or blocks in their order, what was seen first and last is
// then known soon, and times need to be read of few of those that are left.
func fromBothEnds(n int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := range n {
			at := i / 2
			if i%2 != 0 {
				at = n - 1 - at
			}
			if !yield(at) {
				return
			}
		}
	}
}

// byHour splits buckets, which ascend, into those of each hour: archives that are
// asked as one have several.
func byHour(buckets []seenBucket) [][]seenBucket {
	var hours [][]seenBucket
	start := 0
	for i := range buckets {
		if i+1 == len(buckets) || buckets[i+1].Hour() != buckets[i].Hour() {
			hours = append(hours, buckets[start:i+1])
			start = i + 1
		}
	}
	return hours
}
