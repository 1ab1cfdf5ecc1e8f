package store

import (
	"math/rand/v2"
	"testing"

	"weir/flow"
)

// checkSketches looks for every address of the bucket's blocks in their sketches,
// and for many that are nowhere. It returns how many blocks have a sketch.
func checkSketches(t *testing.T, s *Store, rng *rand.Rand) (sketched int) {
	t.Helper()
	v, err := s.View(testHour, testHour)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	const tries = 2000
	seem, asked := 0, 0
	for _, b := range v.Buckets() {
		for i := range b.Blocks() {
			blk, err := b.Block(i)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range []flow.Field{flow.SrcAddr, flow.DstAddr} {
				if !blk.Columns().Has(f) {
					continue
				}
				d, err := blk.Dict(f)
				if err != nil {
					t.Fatal(err)
				}
				for c := range d.Len() {
					if b.LacksAddr(i, d.Addr(c)) {
						t.Fatalf("block %d has %v as %v, and is said to lack it", i, d.Addr(c), f)
					}
				}
			}
			if i >= len(b.sketches) || b.sketches[i] == nil {
				continue
			}
			sketched++
			for range tries {
				asked++
				if !b.LacksAddr(i, flow.Addr{Hi: rng.Uint64(), Lo: rng.Uint64()}) {
					seem++
				}
			}
		}
	}
	if seem*8 > asked {
		t.Errorf("%d of %d addresses that are nowhere seem to be there", seem, asked)
	}
	return sketched
}

// TestSketches follows the sketches of an hour: there as long as its blocks are
// not indexed, right after rows were removed, and gone with the hour.
func TestSketches(t *testing.T) {
	for seed := range uint64(10) {
		rng := rand.New(rand.NewPCG(seed, 11))
		s := openTest(t, "data", Options{FS: NewMemFS(), FlushEvery: -1, blockRows: 300})
		add := func(rows int) {
			b := randomBatch(rng, rows, testHour.StartMS())
			for row := range rows {
				b.SetAddr(flow.SrcAddr, row, flow.AddrFrom4(rng.Uint32()))
				b.SetNum(flow.Bytes, row, uint64(row))
			}
			appendTest(t, s, b)
		}
		add(1500)
		s.waitWrites()
		if n := checkSketches(t, s, rng); n == 0 || s.sketched == 0 {
			t.Errorf("seed %d: %d sketches of %d bytes", seed, n, s.sketched)
		}
		sealTest(t, s, testHour)
		if n := checkSketches(t, s, rng); n != 0 || s.sketched != 0 {
			t.Errorf("seed %d: sealed: %d sketches of %d bytes", seed, n, s.sketched)
		}
		add(700)
		s.waitWrites()
		if n := checkSketches(t, s, rng); n == 0 {
			t.Errorf("seed %d: late rows have no sketch", seed)
		}
		if _, err := s.Remove(testHour, numbersGone(3)); err != nil {
			t.Fatal(err)
		}
		add(700)
		s.waitWrites()
		checkSketches(t, s, rng)
		if err := s.Drop(testHour); err != nil {
			t.Fatal(err)
		}
		if s.sketched != 0 {
			t.Errorf("seed %d: dropped: %d bytes of sketches", seed, s.sketched)
		}
	}
}

// TestSketchesAreBounded fills what sketches may take.
func TestSketchesAreBounded(t *testing.T) {
	s := openTest(t, "data", Options{FS: NewMemFS(), FlushEvery: -1, blockRows: 300})
	s.sketched = mostSketchSize
	appendTest(t, s, numbered(testHour, 0, 700))
	s.waitWrites()
	if n := checkSketches(t, s, rand.New(rand.NewPCG(1, 2))); n != 0 {
		t.Errorf("%d sketches", n)
	}
	s.sketched = 0
	appendTest(t, s, numbered(testHour, 0, 700))
	s.waitWrites()
	if n := checkSketches(t, s, rand.New(rand.NewPCG(1, 2))); n == 0 {
		t.Error("no sketch, though there is room")
	}
}
