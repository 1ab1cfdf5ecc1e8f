package command

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"weir/store"
)

// A heldBucket is a bucket of the archive, or what was taken out of one for a
// case.
type heldBucket struct {
	store.BucketInfo
	cases []string // that hold it whole or, if it was taken out, have it
	parts []string // that will take records out of it
	taken bool     // it is what was taken out
}

func (b *heldBucket) state() string {
	if b.taken {
		return "held"
	}
	return b.State.String()
}

// heldBuckets returns the buckets of the archive and what is held of those that
// have gone, by hour; of a case that has a hold, only its own.
func heldBuckets(ctx context.Context, b backend) ([]heldBucket, error) {
	infos, err := b.Buckets(ctx)
	if err != nil {
		return nil, err
	}
	holding, knows := b.(holding)
	if !knows {
		return listBuckets(infos, nil, ""), nil
	}
	holds, err := holding.Holds(ctx, true)
	if errors.Is(err, errUnknownQuestion) {
		err = nil // it has none
	}
	if err != nil {
		return nil, err
	}
	return listBuckets(infos, holds, callerOf(ctx).ticket), nil
}

// listBuckets joins buckets with what is held.
func listBuckets(infos []store.BucketInfo, holds []holdReport, ref string) []heldBucket {
	only := slices.ContainsFunc(holds, func(r holdReport) bool { return r.Case == ref })
	whole := map[store.Hour][]string{}
	archive := map[store.Hour]store.BucketInfo{}
	var list []heldBucket
	for i := range holds {
		r := &holds[i]
		for _, b := range r.Whole {
			whole[b.Hour], archive[b.Hour] = append(whole[b.Hour], r.Case), b
		}
		if only && r.Case != ref {
			continue
		}
		for _, b := range r.Buckets {
			list = append(list, heldBucket{b, []string{r.Case}, []string{}, true})
		}
	}
	for _, b := range infos {
		if !slices.ContainsFunc(list, func(h heldBucket) bool { return h.taken && h.BucketInfo == b }) { // the case's own are in the union
			archive[b.Hour] = b
		}
	}
	for h, b := range archive {
		bucket := heldBucket{b, append([]string{}, whole[h]...), []string{}, false}
		for i := range holds {
			if r := &holds[i]; r.partly(b) && !r.whole(b) {
				bucket.parts = append(bucket.parts, r.Case)
			}
		}
		if !only || slices.Contains(bucket.cases, ref) || slices.Contains(bucket.parts, ref) {
			list = append(list, bucket)
		}
	}
	slices.SortFunc(list, func(a, b heldBucket) int {
		return cmp.Or(cmp.Compare(a.Hour, b.Hour), cmp.Compare(a.order(), b.order()))
	})
	return list
}

// holds names the cases for people.
func (b *heldBucket) holds() string {
	words := slices.Clone(b.cases)
	for _, ref := range b.parts {
		words = append(words, ref+" (part)")
	}
	return strings.Join(words, ", ")
}

// order orders what is of the same hour: the archive's bucket first.
func (b *heldBucket) order() string {
	if b.taken {
		return b.cases[0]
	}
	return ""
}
