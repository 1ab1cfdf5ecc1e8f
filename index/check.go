package index

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"weir/flow"
	"weir/store"
)

// errDiffers ends a comparison; checkEntries says where.
var errDiffers = errors.New("index does not agree with the records")

// Check rebuilds the index of b from its records and compares it with the one
// that is there. It returns nil if they agree, else an error that names the
// first term where they part. It reads all dictionaries of the bucket.
func Check(ctx context.Context, b *store.Bucket) (err error) {
	fields := orderedFields()
	it, err := b.IndexIter([]byte{byte(fields[0])}, []byte{byte(fields[len(fields)-1]) + 1})
	if err != nil {
		return fmt.Errorf("open index: %w", err)
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	if err := checkForms(ctx, bucketBlocks{b}, b.Indexed(), it); err != nil {
		return fmt.Errorf("check index of %v: %w", b.Info().Hour, err)
	}
	return nil
}

type orderedEntries interface {
	entries
	First() bool
}

// checkForms compares an index in the form in which it is written, and that of a
// bucket with one block in the form in which it was written before, too.
func checkForms(ctx context.Context, src blockSource, n int, it orderedEntries) error {
	err := checkEntries(ctx, src, pageWriter{n: n}, it)
	if n == 1 && errors.Is(err, errDiffers) && checkEntries(ctx, src, pageWriter{n: n, sets: true}, it) == nil {
		return nil
	}
	return err
}

func checkEntries(ctx context.Context, src blockSource, form pageWriter, it orderedEntries) error {
	more := it.First()
	form.emit = func(key, value []byte) error {
		if !more {
			return fmt.Errorf("%w: entry %s is missing", errDiffers, describeKey(key))
		}
		if !bytes.Equal(it.Key(), key) {
			return fmt.Errorf("%w: got entry %s, want %s", errDiffers, describeKey(it.Key()), describeKey(key))
		}
		if !bytes.Equal(it.Value(), value) {
			if _, err := openPage(key, it.Value()); err != nil {
				return fmt.Errorf("%w: entry %s: %w", errDiffers, describeKey(key), err)
			}
			return fmt.Errorf("%w: entry %s says something else", errDiffers, describeKey(key))
		}
		more = it.Next()
		return nil
	}
	err := buildForm(ctx, src, runBudget, form)
	if err = errors.Join(err, it.Err()); err != nil {
		return err
	}
	if more {
		return fmt.Errorf("%w: entry %s is one too many", errDiffers, describeKey(it.Key()))
	}
	return nil
}

func describeKey(key []byte) string {
	f, v, ok := parseKey(key)
	switch {
	case ok && f == dayField:
		return "day summary from " + v.String()
	case !ok || !f.Valid():
		return fmt.Sprintf("%x", key)
	case f.IsAddr():
		return f.String() + " from " + v.String()
	}
	return string(flow.AppendNum([]byte(f.String()+" from "), f, v.Lo))
}
