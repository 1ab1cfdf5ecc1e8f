package store

import (
	"math/rand/v2"
	"testing"

	"weir/flow"
)

// TestFromIsSpan compares when rows begin, as it is decoded and as the cache keeps
// it, with flow.Span: of clocks that are right, wrong, and far apart.
func TestFromIsSpan(t *testing.T) {
	s := openTest(t, "data", Options{FS: NewMemFS(), FlushEvery: -1, blockRows: 300})
	rng := rand.New(rand.NewPCG(5, 2))
	const perKind = 300
	for kind := range 4 {
		b := flow.NewBatch(perKind)
		b.Grow(perKind)
		for row := range perKind {
			received := testHour.StartMS() + uint64(row)
			end := received - uint64(rng.IntN(1000))
			start := end - uint64(rng.IntN(100))
			switch {
			case kind == 1 && rng.IntN(10) == 0:
				start = end - uint64(rng.IntN(1<<20))
			case kind == 2:
				start, end = received+uint64(rng.IntN(2000)), received+uint64(rng.IntN(2000))
			case kind == 3:
				start, end = rng.Uint64()>>rng.IntN(64), rng.Uint64()>>rng.IntN(64)
			}
			b.SetNum(flow.Received, row, received)
			b.SetNum(flow.Start, row, start)
			b.SetNum(flow.End, row, end)
		}
		appendTest(t, s, b)
	}
	sealTest(t, s, testHour)
	v, err := s.View(testHour, testHour)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	for _, b := range v.Buckets() {
		for number := range b.Info().Blocks {
			for _, when := range []string{"decoded", "from the cache"} {
				compareFrom(t, when, b, number)
			}
		}
	}
	sparse := 0
	for name, e := range s.columns.at {
		if name.field != fromName {
			continue
		}
		kept := e.column.(*fromColumn)
		for _, plane := range kept.plane[:kept.width] {
			sparse += boolInt(plane == nil)
		}
	}
	if sparse == 0 {
		t.Error("no high plane is sparse")
	}
}

func compareFrom(t *testing.T, when string, b *Bucket, number int) {
	t.Helper()
	blk, err := b.Block(number)
	if err != nil {
		t.Fatal(err)
	}
	got, err := blk.From(nil)
	if err != nil || got == nil {
		t.Fatalf("block %d, %s: From returned %d times, %v", number, when, len(got), err)
	}
	var nums [3][]uint64
	for i, f := range []flow.Field{flow.Received, flow.Start, flow.End} {
		if nums[i], err = blk.Num(f, nil); err != nil {
			t.Fatal(err)
		}
	}
	for row, from := range got {
		if want, _ := flow.Span(nums[0][row], nums[1][row], nums[2][row], true, true); from != want {
			t.Fatalf("block %d, row %d, %s: begins at %d, want %d", number, row, when, from, want)
		}
	}
}
