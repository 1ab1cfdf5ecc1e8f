package query

import (
	"context"
	"fmt"
	"sync"

	"weir/flow"
)

// MaxSortBytes bounds the memory that records take while they are sorted other
// than by receipt. An answer of more is refused: with a limit, memory is that
// of the records in the limit.
const MaxSortBytes = 1 << 30

// Flows emits the records that a request asks for, in its order. The record is
// the caller's until emit returns. An error of emit ends the query and is
// returned as it is.
//
// In the order received, records come as soon as the first block has been read
// and memory does not grow with their number; buckets and blocks follow each
// other as they were written, and the rows of a block by receipt. In other
// orders records with equal keys keep that order, and records without the key
// come last.
func Flows(ctx context.Context, s Archive, req FlowsRequest, emit func(*flow.Record) error) (Summary, error) {
	return FlowsWith(ctx, s, req, ParseOptions{}, emit)
}

// FlowsWith is Flows with what the filter may refer to.
func FlowsWith(ctx context.Context, s Archive, req FlowsRequest, o ParseOptions, emit func(*flow.Record) error) (Summary, error) {
	sc, err := newScan(s, req.Filter, req.Exporter, req.Window, o)
	if err != nil {
		return Summary{}, err
	}
	order, err := ParseOrder(req.Order)
	if err != nil {
		return Summary{}, err
	}
	fields, err := fieldSet(req.Fields, o.Kept)
	if err != nil {
		return Summary{}, err
	}
	if req.Limit < 0 {
		return Summary{}, &RequestError{Part: "limit", Text: fmt.Sprint(req.Limit), Expected: "a number of records, 0 for all"}
	}
	if req.Dedup {
		sc.dedup = newDedup()
	}
	f := &flows{scan: sc, fields: fields, limit: req.Limit, order: order, emit: emit}
	if order == (Order{Key: "received"}) {
		err = f.stream(ctx)
	} else {
		err = f.sorted(ctx)
	}
	return sc.summary, err
}

// fieldSet returns the fields of that name, all if there are none. MPLS labels
// go together: they are one list.
func fieldSet(names []string, kept *flow.Kept) (flow.FieldSet, error) {
	if len(names) == 0 {
		return flow.AllFields(), nil
	}
	var set flow.FieldSet
	for _, name := range names {
		f, ok := kept.Field(name)
		if name == "mpls_labels" {
			f, ok = flow.MPLSLabel1, true
		}
		if !ok {
			return set, unknownField(name, kept)
		}
		set.Add(f)
		if f == flow.MPLSLabel1 {
			set = set.Union(computedEOS.needs())
		}
	}
	return set, nil
}

func unknownField(name string, kept *flow.Kept) error {
	var all []string
	for _, f := range flow.Fields() {
		all = append(all, f.String())
	}
	return &RequestError{"field", name, "the name of a field, as in the JSON output", nearest(name, append(all, kept.Names()...))}
}

// A flows is the work on one FlowsRequest.
type flows struct {
	*scan
	fields flow.FieldSet
	limit  int
	order  Order
	emit   func(*flow.Record) error
}

// stream emits records in the order of receipt.
func (f *flows) stream(ctx context.Context) error {
	scratch := make([][]uint16, workers())
	spare := sync.Pool{New: func() any { return flow.NewBatch(0) }} // 11 MB for a block with all that a router sends
	look := func(v *visit) (*flow.Batch, error) {
		rows := v.selected(scratch[v.worker])
		scratch[v.worker] = rows
		if err := v.byReceived(rows); err != nil {
			return nil, err
		}
		if f.limit > 0 && len(rows) > f.limit {
			rows = rows[:f.limit]
		}
		b := spare.Get().(*flow.Batch)
		return b, v.gather(b, rows, f.fields)
	}
	return scanBlocks(ctx, f.scan, look, func(b *flow.Batch) error {
		for r := range b.Records {
			if f.summary.Emitted&0xfff == 0xfff && ctx.Err() != nil {
				return ctx.Err()
			}
			if err := f.emit(r); err != nil {
				return err
			}
			f.summary.Emitted++
			if f.limit > 0 && f.summary.Emitted == uint64(f.limit) {
				f.summary.Limited = true
				return errEnough
			}
		}
		spare.Put(b)
		return nil
	})
}

// A SortTooLargeError says that an answer is too large to be sorted.
type SortTooLargeError struct {
	Records int64 // that matched when memory was used up
	Bytes   int64 // the bound
}

// Error says what to do instead.
func (e *SortTooLargeError) Error() string {
	return fmt.Sprintf("more than %d records would have to be sorted, over the bound of %d MiB: "+
		"give a limit, a narrower filter or window, fewer fields, or the order received", e.Records, e.Bytes>>20)
}
