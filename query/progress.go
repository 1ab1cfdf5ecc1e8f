package query

import "context"

// A Progress says how far a query has come.
type Progress struct {
	Buckets int    `json:"buckets"` // planned
	Total   int    `json:"total"`   // buckets there are
	Rows    uint64 `json:"rows"`    // looked at
	Matched uint64 `json:"matched"` // of them

	Missed uint64 `json:"missed,omitempty"` // of a tail: records that arrived and were not looked at, since the last word
}

type progressKey struct{}

// WithProgress returns a context with which a query calls report after every
// block, on the goroutine that asked.
func WithProgress(ctx context.Context, report func(Progress)) context.Context {
	return context.WithValue(ctx, progressKey{}, report)
}

// ProgressOf returns the function of WithProgress, nil if there is none.
func ProgressOf(ctx context.Context) func(Progress) {
	report, _ := ctx.Value(progressKey{}).(func(Progress))
	return report
}
