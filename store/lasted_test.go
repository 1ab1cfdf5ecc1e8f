package store

import (
	"math/rand/v2"
	"testing"

	"weir/flow"
)

// TestLasted compares how long rows lasted, as it is decoded and as the cache keeps
// it, with their start and end: of clocks that are right, wrong, and far apart.
func TestLasted(t *testing.T) {
	s := openTest(t, "data", Options{FS: NewMemFS(), FlushEvery: -1, blockRows: 300})
	rng := rand.New(rand.NewPCG(5, 2))
	const perKind = 300
	for kind := range 3 {
		b := flow.NewBatch(perKind)
		b.Grow(perKind)
		for row := range perKind {
			received := testHour.StartMS() + uint64(row)
			start, end := received-uint64(rng.IntN(100_000)), received
			switch kind {
			case 1:
				start, end = received+uint64(rng.IntN(2000)), received+uint64(rng.IntN(2000))
			case 2:
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
	b := v.Buckets()[0]
	for number := range b.Info().Blocks {
		for _, when := range []string{"decoded", "from the cache"} {
			blk, err := b.Block(number)
			if err != nil {
				t.Fatal(err)
			}
			p, err := blk.Lasted(nil)
			if err != nil || p == nil {
				t.Fatalf("Lasted: %v, %v", p, err)
			}
			start, _ := blk.Num(flow.Start, nil)
			end, err := blk.Num(flow.End, nil)
			if err != nil {
				t.Fatal(err)
			}
			for row, got := range p.Fill(nil) {
				if want := end[row] - min(start[row], end[row]); got != want {
					t.Fatalf("%s: row %d of block %d, from %d to %d, lasted %d, want %d", when, row, number, start[row], end[row], got, want)
				}
			}
		}
	}
	kept := 0
	for name := range s.columns.at {
		kept += boolInt(name.field == lastedName)
	}
	if kept == 0 {
		t.Error("none is kept")
	}
}
