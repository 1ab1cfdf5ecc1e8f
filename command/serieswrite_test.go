package command

import (
	"math"
	"testing"

	"weir/query"
)

// TestSeriesOfLargeSums checks what a table says of sums that a float64 does not
// hold, and of rates above 2^64-1.
func TestSeriesOfLargeSums(t *testing.T) {
	p := query.SeriesPoint{Flows: math.MaxUint64, Bytes: math.MaxUint64, Packets: math.MaxUint64 - 1,
		EstimatedBytes: math.MaxUint64, EstimatedPackets: math.MaxUint64 - 1, Distinct: 3}
	for _, c := range []struct {
		by   string
		step uint64 // ms
		want uint64
	}{
		{"bytes", 1000, math.MaxUint64}, {"packets", 1000, math.MaxUint64 - 1}, {"flows", 1000, math.MaxUint64}, {"distinct", 1000, 3},
		{"bps", 1000, math.MaxUint64}, {"bps", 16_000, math.MaxUint64 / 2}, {"pps", 1, math.MaxUint64}, {"pps", 2000, math.MaxUint64 / 2},
	} {
		o := seriesOptions{by: c.by}
		if got := o.whole(p, c.step); got != c.want {
			t.Errorf("%s in steps of %d ms: got %d, want %d", c.by, c.step, got, c.want)
		}
	}
}
