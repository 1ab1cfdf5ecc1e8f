package command

import (
	"fmt"
	"math"
	"strconv"

	"weir/query"
)

// Estimates stand with their margin: in tables as a part of the estimate, in
// json and csv as the number that it is off by, rounded up. What is no estimate
// has none.

// marginHead is the head of a column of margins.
const marginHead = "±"

// humanMargin writes a margin as a part of its estimate, "" where there is none.
func humanMargin(margin float64, estimate uint64) string {
	if margin == 0 || estimate == 0 {
		return ""
	}
	switch percent := 100 * margin / float64(estimate); {
	case percent < 0.1:
		return "±<0.1%"
	case percent < 99.95:
		return fmt.Sprintf("±%.1f%%", percent)
	default:
		return fmt.Sprintf("±%.0f%%", percent)
	}
}

// csvMargin writes a margin for programs, "" where there is none.
func csvMargin(margin float64) string {
	if margin == 0 {
		return ""
	}
	return strconv.FormatFloat(math.Ceil(margin), 'f', 0, 64)
}

// jsonMargin is csvMargin with null for none.
func jsonMargin(margin float64) string {
	if margin == 0 {
		return "null"
	}
	return csvMargin(margin)
}

// hasMargins reports whether sums have a margin, so that a table has columns for
// it.
func hasMargins(v query.Variance, raw bool) bool { return !raw && v != query.Variance{} }
