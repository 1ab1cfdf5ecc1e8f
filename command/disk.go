package command

import (
	"time"

	"weir/store"
)

// rateDays is over how many days the growth of an archive is measured.
const rateDays = 7

// bytesPerHour returns how much the archive grew in an hour, on average over the
// last days: the hour that is still open tells nothing yet, and hours without
// records count. 0 if there is no hour to judge by.
func bytesPerHour(buckets []store.BucketInfo, now store.Hour) float64 {
	from := now - min(now, rateDays*24)
	first, sum := now, int64(0)
	for _, b := range buckets {
		if b.Hour >= from && b.Hour < now {
			first = min(first, b.Hour)
			sum += b.Bytes
		}
	}
	if first == now || sum == 0 {
		return 0
	}
	return float64(sum) / float64(now-first)
}

// A diskOutlook says what becomes of the free disk if things go on as they do.
type diskOutlook struct {
	left    time.Duration // until it is full
	full    bool          // it gets full; else left means nothing
	growth  int64         // bytes that the archive grows by until retention frees as much as comes in
	settled bool          // it does so already
}

// outlook looks ahead: each hour brings as much as the last ones did, and takes
// away the hour that has then expired. keep is 0 for ever, and where nothing is
// dropped. Past keep, what goes is what came at the same rate, so that the free
// space does not change any more.
func outlook(buckets []store.BucketInfo, now store.Hour, keep time.Duration, free uint64, perHour float64) diskOutlook {
	if perHour <= 0 {
		return diskOutlook{settled: true}
	}
	if keep == 0 {
		return diskOutlook{full: true, left: hours(float64(free) / perHour)}
	}
	size := map[store.Hour]int64{}
	for _, b := range buckets {
		size[b.Hour] = b.Bytes
	}
	grown, most := 0.0, 0.0
	kept := store.Hour(keep / time.Hour)
	for h := range kept {
		grown += perHour
		if now+h >= kept {
			grown -= float64(size[now+h-kept])
		}
		if grown > float64(free) {
			return diskOutlook{full: true, left: time.Duration(h+1) * time.Hour}
		}
		most = max(most, grown)
	}
	return diskOutlook{growth: int64(most), settled: most < perHour*24}
}

// hours returns a number of hours, as many as there can be.
func hours(n float64) time.Duration {
	const most = 1 << 20 // a century
	return time.Duration(min(n, most) * float64(time.Hour))
}
