package flow

import "time"

// TimeFormat is how times are written: RFC 3339 in UTC with milliseconds.
const TimeFormat = "2006-01-02T15:04:05.000Z07:00"

// timeLimit is the year 10000 in ms since the Unix epoch.
const timeLimit = 253402300800_000

// AppendTime appends ms since the Unix epoch in TimeFormat. Answers hold three
// times a record, so it does what time.AppendFormat does in a fifth of the time.
func AppendTime(dst []byte, ms uint64) []byte {
	if ms >= timeLimit {
		return time.UnixMilli(int64(ms)).UTC().AppendFormat(dst, TimeFormat)
	}
	const dayMS = 86400_000
	year, month, day := civil(ms / dayMS)
	ms %= dayMS
	hour, minute, second := ms/3600_000, ms/60_000%60, ms/1000%60
	ms %= 1000
	return append(dst,
		byte('0'+year/1000), byte('0'+year/100%10), byte('0'+year/10%10), byte('0'+year%10), '-',
		byte('0'+month/10), byte('0'+month%10), '-',
		byte('0'+day/10), byte('0'+day%10), 'T',
		byte('0'+hour/10), byte('0'+hour%10), ':',
		byte('0'+minute/10), byte('0'+minute%10), ':',
		byte('0'+second/10), byte('0'+second%10), '.',
		byte('0'+ms/100), byte('0'+ms/10%10), byte('0'+ms%10), 'Z')
}

// civil returns the date that is days after 1970-01-01. It counts in years that
// begin in March, so that the leap day is the last day of its year, and in eras
// of 400 years, which all have the same number of days.
func civil(days uint64) (year, month, day uint64) {
	const (
		era    = 146097 // days in 400 years
		offset = 719468 // days from 0000-03-01 to 1970-01-01
	)
	days += offset
	eras := days / era
	d := days % era
	y := (d - d/1460 + d/36524 - d/146096) / 365
	d -= 365*y + y/4 - y/100
	m := (5*d + 2) / 153 // months since March
	day = d - (153*m+2)/5 + 1
	month = m + 3
	if month > 12 {
		month -= 12
		y++
	}
	return 400*eras + y, month, day
}
