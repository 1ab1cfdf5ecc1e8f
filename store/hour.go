package store

import (
	"fmt"
	"math"
	"time"
)

// BlockRows is the largest number of rows in a block: exactly one roaring
// container, so that a row's number fits 16 bits.
const BlockRows = 65536

// An Hour names a bucket: hours since the Unix epoch, UTC, of receipt.
type Hour uint32

const hourMS = 3600 * 1000

// HourOf returns the hour that ms since the Unix epoch lies in. Times past the
// last hour are in the last hour.
func HourOf(ms uint64) Hour { return Hour(min(ms/hourMS, math.MaxUint32)) }

// StartMS returns the first millisecond of the hour.
func (h Hour) StartMS() uint64 { return uint64(h) * hourMS }

// EndMS returns the first millisecond after the hour.
func (h Hour) EndMS() uint64 { return (uint64(h) + 1) * hourMS }

const hourLayout = "2006-01-02T15"

// String returns the hour as "2026-11-22T14", UTC.
func (h Hour) String() string { return time.UnixMilli(int64(h.StartMS())).UTC().Format(hourLayout) }

// ParseHour is the inverse of Hour.String for the years to 9999.
func ParseHour(s string) (Hour, error) {
	t, err := time.Parse(hourLayout, s)
	if err != nil {
		return 0, fmt.Errorf("parse hour %q: want the form 2026-11-22T14", s)
	}
	if n := t.Unix() / 3600; t.Unix() >= 0 && n <= math.MaxUint32 {
		return Hour(n), nil
	}
	return 0, fmt.Errorf("parse hour %q: outside the range of hours", s)
}
