package query

import (
	"weir/flow"
	"weir/index"
	"weir/store"
)

// indexedField reports whether the hour's index covers a field.
func indexedField(f flow.Field) bool { return index.Indexed(f) }

// A bucketPlan is what has to be read of one bucket.
type bucketPlan struct {
	bucket *store.Bucket
	days   *index.Days // summaries of days, asked first; nil: not to be asked
	blocks *index.Set  // candidates; nil: all
	stats  index.Stats // what the index took
	pruned string      // why nothing has to be read, or ""
	damage error       // damage in the index, which was left out, or nil
}

// planBucket finds out which blocks of a bucket may hold an answer.
func planBucket(b *store.Bucket, root node, w Window) bucketPlan {
	p := bucketPlan{bucket: b}
	p.plan(root, w)
	return p
}

// plan fills in what is to be read of the bucket. Buckets are planned day by day
// where there are days.
func (p *bucketPlan) plan(root node, w Window) {
	info := p.bucket.Info()
	if p.pruned = prunedByInfo(&info, root, w); p.pruned != "" {
		return
	}
	if p.absent(root) {
		p.pruned = "index"
		return
	}
	set, ok, err := p.lookup(root)
	switch {
	case err != nil: // the blocks themselves can still answer
		p.damage = err
	case ok:
		p.blocks = set
		if set.Empty() {
			p.pruned = "index"
		}
	}
}

// prunedByInfo returns why a bucket's meta data tells that no record of it
// matches, or "".
func prunedByInfo(info *store.BucketInfo, root node, w Window) string {
	if info.Rows == 0 {
		return "empty"
	}
	if w.classify(info.MinStart, info.MaxEnd) == classNone {
		return "window"
	}
	if classify(root, func(f flow.Field) knowledge { return bucketKnowledge(info, f) }) == classNone {
		return "filter times"
	}
	return ""
}

// usesIndex reports whether the index narrows a node down.
func usesIndex(n node) bool {
	switch n := n.(type) {
	case constNode:
		return !bool(n)
	case *andNode:
		for _, kid := range n.kids {
			if usesIndex(kid) {
				return true
			}
		}
	case *orNode:
		for _, kid := range n.kids {
			if !usesIndex(kid) {
				return false
			}
		}
		return true
	case *numNode:
		return len(n.ranges) == 0 || indexedField(n.field) && n.shift == 0 && n.mask == 0 && !n.wide()
	case *addrNode:
		return len(n.ranges) == 0 || indexedField(n.field)
	}
	return false
}

// wideRange is from how many ports on every block is taken to have one of them:
// to find that out in the index takes longer than to read the small block that
// has none.
const wideRange = 2048

// wide reports whether so many values are in n's ranges that the index is not
// worth asking.
func (n *numNode) wide() bool {
	values := uint64(0)
	for _, r := range n.ranges {
		if r.hi-r.lo >= wideRange {
			return true
		}
		values += r.hi - r.lo + 1
	}
	return values >= wideRange
}

// lookup returns the blocks that may hold rows that match n, and false if the
// index does not tell.
func (p *bucketPlan) lookup(n node) (*index.Set, bool, error) {
	if !usesIndex(n) {
		return nil, false, nil
	}
	switch n := n.(type) {
	case *andNode:
		return p.lookupAnd(n.kids)
	case *orNode:
		union := index.NewSet()
		for _, kid := range n.kids {
			set, _, err := p.lookup(kid)
			if err != nil {
				return nil, false, err
			}
			union = union.Or(set)
		}
		return union, true, nil
	case *numNode:
		ranges := make([]index.ValueRange, len(n.ranges))
		for i, r := range n.ranges {
			ranges[i] = index.NumRange(r.lo, r.hi)
		}
		return p.term(n.field, ranges)
	case *addrNode:
		if p.absent(n) {
			return index.NewSet(), true, nil
		}
		return p.term(n.field, n.valueRanges())
	}
	return index.NewSet(), true, nil // never true
}

// lookupAnd intersects what the index tells of the kids, up to the first that
// leaves nothing.
func (p *bucketPlan) lookupAnd(kids []node) (*index.Set, bool, error) {
	var both *index.Set
	for _, kid := range kids {
		set, ok, err := p.lookup(kid)
		if err != nil {
			return nil, false, err
		}
		if !ok {
			continue
		}
		if both == nil {
			both = set
		} else {
			both = both.And(set)
		}
		if both.Empty() {
			break
		}
	}
	return both, true, nil
}

// absent reports whether the summary of the bucket's day proves that no record of
// the bucket matches n. Over weeks that is asked of thousands of buckets, so it
// makes no sets.
func (p *bucketPlan) absent(n node) bool {
	switch n := n.(type) {
	case *andNode:
		for _, kid := range n.kids {
			if p.absent(kid) {
				return true
			}
		}
	case *orNode:
		for _, kid := range n.kids {
			if !p.absent(kid) {
				return false
			}
		}
		return true
	case *addrNode:
		return p.absentThatDay(n)
	}
	return false
}

// absentThatDay is absent for addresses. Source and destination have their ranges
// in common, which are looked up once.
func (p *bucketPlan) absentThatDay(n *addrNode) bool {
	if p.days == nil || len(n.ranges) == 0 || !indexedField(n.field) {
		return false
	}
	absent, err := p.days.Absent(p.bucket, &n.ranges[0], n.valueRanges)
	if err != nil { // the hour's own index can still answer
		p.damage = err
		return false
	}
	return absent
}

// valueRanges returns the node's addresses as the index takes them.
func (n *addrNode) valueRanges() []index.ValueRange {
	ranges := make([]index.ValueRange, len(n.ranges))
	for i, r := range n.ranges {
		ranges[i] = index.AddrRange(r.lo, r.hi)
	}
	return ranges
}

// term looks one field up.
func (p *bucketPlan) term(f flow.Field, ranges []index.ValueRange) (*index.Set, bool, error) {
	if len(ranges) == 0 {
		return index.NewSet(), true, nil
	}
	set, err := index.BlocksStats(p.bucket, f, ranges, &p.stats)
	return set, err == nil, err
}

// candidates returns the numbers of the blocks to be looked at, ascending.
func (p *bucketPlan) candidates() []uint32 {
	if p.pruned != "" {
		return nil
	}
	if p.blocks != nil {
		return p.blocks.Slice()
	}
	all := make([]uint32, p.bucket.Blocks())
	for i := range all {
		all[i] = uint32(i)
	}
	return all
}
