package query

import (
	"context"
	"math"
	"strings"
	"time"

	"weir/flow"
	"weir/store"
)

// An ExplainRequest asks how a filter would be answered.
type ExplainRequest struct {
	Filter string `json:"filter,omitempty"`
	Window
	Exporter string `json:"exporter,omitempty"`
}

// A Plan is how a filter is answered: what is left out, and what remains to be
// read.
type Plan struct {
	Filter  string   `json:"filter"`  // in canonical form, with the exporter
	Indexed []string `json:"indexed"` // its conditions that the index looks up
	Scanned []string `json:"scanned"` // those that blocks are read for
	Fields  []string `json:"fields"`  // columns that the filter and the window read

	Buckets []BucketPlan  `json:"buckets"`
	Total   BucketPlan    `json:"total"`   // sums over buckets
	Pruned  int           `json:"pruned"`  // buckets left out whole
	Took    time.Duration `json:"took_ns"` // planning, look-ups included
	Damaged []string      `json:"damaged,omitempty"`
}

// A BucketPlan is what happens to one bucket.
type BucketPlan struct {
	Hour       string `json:"hour,omitempty"`
	Sealed     bool   `json:"sealed,omitempty"`
	Rows       int64  `json:"rows"`
	Blocks     int    `json:"blocks"`
	Unindexed  int    `json:"unindexed"`  // blocks that the index does not cover yet
	Candidates int    `json:"candidates"` // blocks that the index leaves
	Read       int    `json:"read"`       // of them, blocks whose header does not tell that nothing matches
	ReadRows   int64  `json:"read_rows"`
	Pruned     string `json:"pruned,omitempty"` // why nothing is read: empty, window, filter times or index

	Seeks     int `json:"seeks"`      // in the index
	Pages     int `json:"pages"`      // of the index that were read
	PageBytes int `json:"page_bytes"` // their bytes
	Terms     int `json:"terms"`      // values in the index that the filter names
}

// Explain plans a request and answers with the plan. It reads the index and the
// headers of blocks, no columns.
func Explain(ctx context.Context, s Archive, req ExplainRequest) (*Plan, error) {
	return ExplainWith(ctx, s, req, ParseOptions{})
}

// ExplainWith is Explain with what the filter may refer to.
func ExplainWith(ctx context.Context, s Archive, req ExplainRequest, o ParseOptions) (*Plan, error) {
	start := time.Now()
	sc, err := newScan(s, req.Filter, req.Exporter, req.Window, o)
	if err != nil {
		return nil, err
	}
	plan := &Plan{
		Filter: string(sc.root.appendText(nil)), Indexed: []string{}, Scanned: []string{}, Fields: []string{}, Buckets: []BucketPlan{},
	}
	plan.conditions(sc.root)
	plan.nameSlots(o.Kept)
	f := Filter{root: sc.root}
	set := f.Fields()
	if req.Window != (Window{}) {
		set = set.Union(spanFields)
	}
	for field := range set.All {
		plan.Fields = append(plan.Fields, o.Kept.Name(field))
	}
	view, err := s.View(0, math.MaxUint32)
	if err != nil {
		return nil, err
	}
	defer view.Close()
	plan.Damaged = hiddenDamage(view, req.Window)
	e := newEvaluator(sc.root, req.Window)
	for _, b := range view.Buckets() {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := plan.addBucket(b, sc, e); err != nil {
			return nil, err
		}
	}
	plan.Took = time.Since(start)
	return plan, nil
}

// nameSlots puts names in place of slots of addresses, which conditions on
// addresses know by their slot.
func (p *Plan) nameSlots(kept *flow.Kept) {
	for _, e := range kept.All() {
		if !e.Field.IsAddr() {
			continue
		}
		named := func(text string) string { return strings.ReplaceAll(text, e.Field.String(), e.Name) }
		p.Filter = named(p.Filter)
		for _, list := range [][]string{p.Indexed, p.Scanned} {
			for i := range list {
				list[i] = named(list[i])
			}
		}
	}
}

// conditions sorts the filter's conditions by how they are answered.
func (p *Plan) conditions(n node) {
	switch n := n.(type) {
	case *andNode:
		for _, kid := range n.kids {
			p.conditions(kid)
		}
	case constNode:
	default:
		text := string(n.appendText(nil))
		if usesIndex(n) {
			p.Indexed = append(p.Indexed, text)
		} else {
			p.Scanned = append(p.Scanned, text)
		}
	}
}

func (p *Plan) addBucket(b *store.Bucket, sc *scan, e *evaluator) error {
	planned := planBucket(b, sc.root, sc.window)
	blocks, info := planned.candidates(), b.Info()
	out := BucketPlan{
		Hour: b.Hour().String(), Sealed: info.State == store.StateSealed, Rows: info.Rows,
		Blocks: b.Blocks(), Unindexed: b.Blocks() - b.Indexed(), Candidates: len(blocks), Pruned: planned.pruned,
		Seeks: planned.stats.Seeks, Pages: planned.stats.PagesRead, PageBytes: planned.stats.PageBytes, Terms: planned.stats.Terms,
	}
	if planned.damage != nil {
		p.Damaged = append(p.Damaged, planned.damage.Error())
	}
	for _, i := range blocks {
		blk, err := b.Block(int(i))
		if store.IsDamage(err) {
			p.Damaged = append(p.Damaged, err.Error())
			continue
		}
		if err != nil {
			return err
		}
		if !e.skip(blk) {
			out.Read++
			out.ReadRows += int64(blk.Rows())
		}
	}
	if out.Pruned != "" {
		p.Pruned++
	}
	p.Buckets = append(p.Buckets, out)
	p.Total.add(&out)
	return nil
}

func (p *BucketPlan) add(q *BucketPlan) {
	p.Rows += q.Rows
	p.Blocks += q.Blocks
	p.Unindexed += q.Unindexed
	p.Candidates += q.Candidates
	p.Read += q.Read
	p.ReadRows += q.ReadRows
	p.Seeks += q.Seeks
	p.Pages += q.Pages
	p.PageBytes += q.PageBytes
	p.Terms += q.Terms
}
