package query

import (
	"fmt"
	"strconv"
)

// SpanText writes a length of time for people, in its two largest units.
func SpanText(ms Moment) string {
	s := (ms + 500) / 1000
	switch {
	case ms < 10_000:
		return fmt.Sprintf("%d.%ds", ms/1000, ms%1000/100)
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 3600:
		return fmt.Sprintf("%dm%02ds", s/60, s%60)
	case s < 48*3600:
		return fmt.Sprintf("%dh%02dm", s/3600, s/60%60)
	}
	return fmt.Sprintf("%dd%02dh", s/86400, s/3600%24)
}

// ShareText writes a share from 0 to 1 for people, in per cent: what is more than
// nothing is not 0, and what is less than all is not 100.
func ShareText(share float64) string {
	switch p := 100 * share; {
	case p == 0:
		return "0 %"
	case p < 0.1:
		return "<0.1 %"
	case p < 9.95:
		return fmt.Sprintf("%.1f %%", p)
	case p >= 99.5 && share < 1:
		return "nearly 100 %"
	default:
		return fmt.Sprintf("%.0f %%", p)
	}
}

// Things writes a number of things for people: "1 hour", "2.40M records".
func Things[N int | uint64](n N, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return CountText(uint64(n)) + " " + thing + "s"
}

// CountText writes n for people: up to 9999 as it is, else with three digits and
// a decimal unit (k = 1000), as nfdump does.
func CountText(n uint64) string { return string(AppendCount(nil, n)) }

// AppendCount appends what CountText returns.
func AppendCount(dst []byte, n uint64) []byte {
	const units = "kMGTPE"
	if n < 10_000 {
		return strconv.AppendUint(dst, n, 10)
	}
	v, u := float64(n)/1000, 0
	for v >= 999.5 && u < len(units)-1 {
		v, u = v/1000, u+1
	}
	digits := 0
	switch {
	case v < 9.995:
		digits = 2
	case v < 99.95:
		digits = 1
	}
	return append(strconv.AppendFloat(dst, v, 'f', digits, 64), units[u])
}
