package index

import (
	"context"
	"errors"
	"fmt"

	"weir/store"
)

// runBudget is the most bytes of runs that are held at once while a field is
// merged. An hour whose runs are longer is merged in several passes over ranges
// of values. 100 million records of an hour make about 90 MB of runs.
const runBudget = 96 << 20

// Seal indexes all records of hour h and makes it a sealed bucket, whether or
// not it was one before. Records that arrive meanwhile stay, as blocks that the
// index does not cover. When Seal fails the hour is as it was.
func Seal(ctx context.Context, s *store.Store, h store.Hour) error { return seal(ctx, s, h, false) }

// seal seals hour h, and with it, if day is set, the summary of the day that
// begins with h.
func seal(ctx context.Context, s *store.Store, h store.Hour, day bool) error {
	z, err := s.BeginSeal(h)
	if err != nil {
		return err // it names the bucket
	}
	b := z.Bucket()
	err = unsay(ctx, s, b)
	if err == nil {
		err = build(ctx, bucketBlocks{b}, b.Blocks(), runBudget, z.Add)
	}
	if err == nil && day {
		err = addDay(ctx, s, b, z.Add)
	}
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("seal bucket %v: %w", h, errors.Join(err, z.Abort()))
	}
	return z.Commit()
}
