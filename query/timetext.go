package query

import (
	"strconv"
	"time"
)

// timeLayouts are the forms of a time in a filter; without a zone they are UTC.
var timeLayouts = [...]string{
	"2006-01-02T15:04:05.999999999Z07:00", "2006-01-02T15:04Z07:00",
	"2006-01-02T15:04:05.999999999", "2006-01-02T15:04", "2006-01-02T15",
	"2006-01-02 15:04:05.999999999", "2006-01-02 15:04",
	"2006-01-02", "2006-01", "2006",
	"20060102T150405", "20060102T1504",
	"2006/01/02.15:04:05.999999999", "2006/01/02.15:04", "2006/01/02.15",
	"2006/01/02 15:04:05.999999999", "2006/01/02 15:04", "2006/01/02", "2006/01",
}

// Whole numbers count from the epoch: up to eleven digits seconds, else ms.
const secondsDigits = 11

// ParseTime reads a time as a filter may name it and returns ms since the Unix
// epoch: RFC 3339, the same with a space or with its end left out, nfdump's
// 2026/11/22.14:03:00, or a whole number of seconds (9 to 11 digits) or ms (12
// digits or more) since the epoch. Without a zone it is UTC.
func ParseTime(text string) (ms uint64, ok bool) {
	if len(text) >= 9 {
		if v, err := strconv.ParseUint(text, 10, 64); err == nil {
			if len(text) <= secondsDigits {
				v *= 1000
			}
			return v, true
		}
	}
	for _, layout := range timeLayouts {
		t, err := time.Parse(layout, text)
		if err == nil {
			if t.Before(time.Unix(0, 0)) {
				return 0, false
			}
			return uint64(t.UnixMilli()), true
		}
	}
	return 0, false
}
