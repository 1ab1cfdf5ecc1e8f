package query

import "weir/store"

// An Extent says what there was to look at: an answer without rows is only worth
// something if there were records.
type Extent struct {
	From     uint64 `json:"from"`      // ms, the first moment of any flow in the archive
	To       uint64 `json:"to"`        // ms, the last; 0: the archive is empty
	InWindow bool   `json:"in_window"` // some record may be in the window
}

// ExtentOf returns what buckets hold, as far as their headers tell, beside a
// window.
func ExtentOf(buckets []store.BucketInfo, w Window) *Extent {
	e := new(Extent)
	for _, b := range buckets {
		if b.Rows == 0 {
			continue
		}
		if e.To == 0 || b.MinStart < e.From {
			e.From = b.MinStart
		}
		e.To = max(e.To, b.MaxEnd)
		e.InWindow = e.InWindow || (w.To == 0 || b.MinStart < w.To) && b.MaxEnd >= w.From
	}
	return e
}
