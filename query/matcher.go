package query

import (
	"weir/flow"
	"weir/index"
	"weir/store"
)

// A Matcher finds the rows of blocks that a request is about, for what is no
// question: to delete them. It belongs to one goroutine.
type Matcher struct {
	root  node
	evals *evaluator
	rows  index.RowSet
}

// NewMatcher returns a Matcher of the records that match a filter and an
// exporter, as in a FlowsRequest, and lie in a window.
func NewMatcher(filter, exporter string, w Window, o ParseOptions) (*Matcher, error) {
	root, err := conditions(filter, exporter, o)
	if err != nil {
		return nil, err
	}
	return &Matcher{root: root, evals: newEvaluator(root, w)}, nil
}

// String returns the filter with the exporter in it, in the canonical form that
// parses without names.
func (m *Matcher) String() string { return string(m.root.appendText(nil)) }

// Fields returns the fields that the filter looks at.
func (m *Matcher) Fields() flow.FieldSet {
	var set flow.FieldSet
	m.root.fields(&set)
	return set
}

// Rows returns the rows of a block that match, which are good until the next
// call, and how many they are.
func (m *Matcher) Rows(blk *store.Block) (*index.RowSet, int, error) {
	if m.evals.skip(blk) {
		m.rows = index.RowSet{}
		return &m.rows, 0, nil
	}
	n, err := m.evals.evaluate(blk, &m.rows)
	return &m.rows, n, err
}
