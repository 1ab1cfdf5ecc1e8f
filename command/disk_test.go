package command

import (
	"testing"
	"time"

	"weir/store"
)

// even returns one bucket an hour of so many bytes before now.
func even(now store.Hour, n int, bytes int64) (list []store.BucketInfo) {
	for h := now - store.Hour(n); h < now; h++ {
		list = append(list, store.BucketInfo{Hour: h, Rows: 1, Bytes: bytes})
	}
	return list
}

func TestBytesPerHour(t *testing.T) {
	const now = store.Hour(500_000)
	gap := append(even(now-10, 10, 100), store.BucketInfo{Hour: now, Bytes: 1 << 40}) // and the open hour
	for _, tt := range []struct {
		name    string
		buckets []store.BucketInfo
		want    float64
	}{
		{"nothing", nil, 0},
		{"only the open hour", even(now+1, 1, 100), 0},
		{"even", even(now, 90*24, 100), 100},
		{"less than a day", even(now, 3, 100), 100},
		{"silent since", gap, 50},
		{"long ago", even(now-1000, 100, 100), 0},
		{"more lately", append(even(now-168, 1000, 1), even(now, 168, 100)...), 100},
	} {
		if got := bytesPerHour(tt.buckets, now); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestOutlook(t *testing.T) {
	const now, day, keep = store.Hour(500_000), 24, 90 * 24 * time.Hour
	for _, tt := range []struct {
		name    string
		buckets []store.BucketInfo
		keep    time.Duration
		free    uint64
		perHour float64
		want    diskOutlook
	}{
		{"nothing comes", even(now, 10, 100), keep, 5, 0, diskOutlook{settled: true}},
		{"for ever", even(now, 10, 100), 0, 2400, 100, diskOutlook{full: true, left: day * time.Hour}},
		{"for longer than anybody asks", nil, 0, 1 << 62, 1, diskOutlook{full: true, left: 1 << 20 * time.Hour}},
		{"full archive", even(now, 90*day, 100), keep, 1000, 100, diskOutlook{settled: true}},
		{"full archive and disk, of more than before", even(now, 90*day, 99), keep, 10, 100, diskOutlook{full: true, left: 11 * time.Hour}},
		{"half full, it fits", even(now, 45*day, 100), keep, 45*day*100 + 1, 100, diskOutlook{growth: 45 * day * 100}},
		{"half full, it does not fit", even(now, 45*day, 100), keep, 4500, 100, diskOutlook{full: true, left: 46 * time.Hour}},
		{"less than before", even(now, 90*day, 500), keep, 0, 100, diskOutlook{settled: true}},
	} {
		if got := outlook(tt.buckets, now, tt.keep, tt.free, tt.perHour); got != tt.want {
			t.Errorf("%s: got %+v, want %+v", tt.name, got, tt.want)
		}
	}
}
