package flow

// Span returns the time a flow covers, in ms since the Unix epoch, for the
// purpose of selecting by time. It is the one place where that rule is kept:
// zone maps and query windows must agree on it.
//
//   - from is the start; without one the end; with neither the receipt.
//   - to is the end; without one it is from.
//   - A pair that is the wrong way round (a broken exporter clock) is swapped.
//
// A query window [From, To) selects a flow when from < To and to >= From.
func Span(received, start, end uint64, hasStart, hasEnd bool) (from, to uint64) {
	switch {
	case hasStart && hasEnd:
		return min(start, end), max(start, end)
	case hasStart:
		return start, start
	case hasEnd:
		return end, end
	}
	return received, received
}

// Span returns the time the record covers; see the function Span.
func (r *Record) Span() (from, to uint64) {
	return Span(r.Num(Received), r.Num(Start), r.Num(End), r.Has(Start), r.Has(End))
}

// Span returns the time that one row covers; see the function Span.
func (b *Batch) Span(row int) (from, to uint64) {
	return Span(b.GetNum(Received, row), b.GetNum(Start, row), b.GetNum(End, row), b.Has(Start, row), b.Has(End, row))
}
