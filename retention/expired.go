package retention

import (
	"cmp"
	"slices"
	"time"

	"weir/store"
)

// Expired returns the hours of the buckets that may be kept no longer at now:
// those whose end is at least keep ago. A keep of zero or less keeps all.
func Expired(buckets []store.BucketInfo, now time.Time, keep time.Duration) []store.Hour {
	var hours []store.Hour
	for _, b := range expiredOf(buckets, now, keep) {
		hours = append(hours, b.Hour)
	}
	return hours
}

// expiredOf returns the buckets of Expired, ascending.
func expiredOf(buckets []store.BucketInfo, now time.Time, keep time.Duration) []store.BucketInfo {
	var list []store.BucketInfo
	for _, b := range buckets {
		if due, ok := dueMS(b.Hour, keep); ok && due <= now.UnixMilli() {
			list = append(list, b)
		}
	}
	slices.SortStableFunc(list, func(a, b store.BucketInfo) int { return cmp.Compare(a.Hour, b.Hour) })
	return list
}

// dueMS returns the time in ms at which hour h expires, and false if it never
// does. Parts of a millisecond in keep count as a whole one: never too early.
func dueMS(h store.Hour, keep time.Duration) (int64, bool) {
	if keep <= 0 {
		return 0, false
	}
	ms := keep.Milliseconds()
	if keep%time.Millisecond != 0 {
		ms++
	}
	return int64(h.EndMS()) + ms, true
}

// future returns the hours that begin after now. Records get there by a clock
// that was ahead once; they are kept, and longer than the policy means.
func future(buckets []store.BucketInfo, now time.Time) []store.Hour {
	var hours []store.Hour
	for _, b := range buckets {
		if int64(b.Hour.StartMS()) > now.UnixMilli() {
			hours = append(hours, b.Hour)
		}
	}
	return hours
}
