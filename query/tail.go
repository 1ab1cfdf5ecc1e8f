package query

import (
	"fmt"

	"weir/flow"
)

// A TailRequest asks for records as they arrive.
type TailRequest struct {
	Filter   string `json:"filter,omitempty"`   // files expanded (Filter.Source); "" matches all
	Exporter string `json:"exporter,omitempty"` // as in FlowsRequest
	Limit    int    `json:"limit,omitempty"`    // number of records after which it ends; 0: it does not
}

// A Tail picks the records that a TailRequest asks for out of batches. It
// belongs to one goroutine.
type Tail struct {
	root  node
	limit int // records still to come; with none left the tail is at its end
	open  bool
}

// NewTail returns a tail; o is what its filter may refer to.
func NewTail(req TailRequest, o ParseOptions) (*Tail, error) {
	root, err := conditions(req.Filter, req.Exporter, o)
	if err != nil {
		return nil, err
	}
	if req.Limit < 0 {
		return nil, &RequestError{Part: "limit", Text: fmt.Sprint(req.Limit), Expected: "a number of records, 0 for all"}
	}
	return &Tail{root: cheapestFirst(root), limit: req.Limit, open: req.Limit == 0}, nil
}

// Pick emits the records of a batch that match, in its order, and reports
// whether more are asked for. The record is the caller's until emit returns.
func (t *Tail) Pick(b *flow.Batch, emit func(*flow.Record) error) (more bool, err error) {
	for r := range b.Records {
		if !t.root.match(r) {
			continue
		}
		if err := emit(r); err != nil {
			return false, err
		}
		if t.open {
			continue
		}
		if t.limit--; t.limit == 0 {
			return false, nil
		}
	}
	return true, nil
}
