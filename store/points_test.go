package store

import (
	"math/rand/v2"
	"testing"

	"weir/flow"
)

// TestPointsAreNum compares single values of columns with all of them, and that
// all ways of writing numbers occur.
func TestPointsAreNum(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 5))
	blocks := []*flow.Batch{lastBlock(t, true), lastBlock(t, false)}
	for _, n := range []int{1, 63, 64, 65, 300, 1000, 5000} {
		blocks = append(blocks, randomBatch(rng, n, 1_700_000_000_000), skewed(rng, n))
	}
	met := map[string]bool{}
	for _, b := range blocks {
		blk, whole := blockOf(t, b), blockOf(t, b)
		for _, share := range []int{1, 3, 100, 10_000} {
			set := make([]uint64, BlockRows/64)
			for row := range blk.Rows() {
				if rng.IntN(share) == 0 {
					set[row>>6] |= 1 << (row & 63)
				}
			}
			for _, f := range shuffled(rng, flow.Fields()) {
				if !f.IsAddr() && !f.IsText() {
					comparePoints(t, blk, whole, f, set)
					noteWay(t, met, blk, f)
				}
			}
		}
	}
	for _, way := range []string{"planes", "frequent", "from", "dictionary", "against", "by source", "by exporter", "by exporter and source", "some rows"} {
		if !met[way] {
			t.Errorf("no column is written %s", way)
		}
	}
}

func shuffled[T any](rng *rand.Rand, list []T) []T {
	rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

func comparePoints(t *testing.T, blk, whole *Block, f flow.Field, set []uint64) {
	t.Helper()
	want, err := whole.Num(f, nil)
	if err != nil {
		t.Fatalf("%v of %d rows: Num: %v", f, blk.Rows(), err)
	}
	got, err := blk.NumOf(f, set, nil)
	if err != nil {
		t.Fatalf("%v of %d rows: NumOf: %v", f, blk.Rows(), err)
	}
	for row, v := range want {
		if set[row>>6]>>(row&63)&1 != 0 && got[row] != v {
			t.Fatalf("%v of %d rows: row %d is %d, want %d", f, blk.Rows(), row, got[row], v)
		}
	}
}

// noteWay notes in what way a column is written.
func noteWay(t *testing.T, met map[string]bool, blk *Block, f flow.Field) {
	s := blk.src.(*storedBlock)
	if !s.head.columns.Has(f) {
		return
	}
	err := s.with(f, func(_ *decoder, c *column, _ parentSource) error {
		met["some rows"] = met["some rows"] || c.present != nil
		switch c.layout {
		case layoutDict:
			met["dictionary"] = true
		case layoutAgainst:
			met["against"] = true
		default:
			way := map[byte]string{modePlanes: "planes", modeFrequent: "frequent", modeFrom: "from"}[c.body[0]]
			if c.body[0] == modeByParent {
				way = map[byte]string{parentExporter: "by exporter", parentSrc: "by source", parentExporterSrc: "by exporter and source"}[c.body[1]]
			}
			met[way] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestPointsOfOddColumns reads columns that no encoder writes so but any reader
// takes: differences of differences, and such as earlier builds wrote.
func TestPointsOfOddColumns(t *testing.T) {
	want := []uint64{7, 9, 9, 1 << 40, 3, 0, ^uint64(0), 12}
	d, e := newDecoder(), newEncoder()
	once, last := make([]uint64, len(want)), uint64(0)
	for i, v := range want {
		once[i], last = zigzagOf(v-last), v
	}
	twice, last := make([]uint64, len(want)), uint64(5)
	for i, v := range once {
		twice[i], last = zigzagOf(v-last), v
	}
	for what, src := range map[string][]byte{
		"differences":                e.numbers([]byte{modeDifferences}, once),
		"differences of differences": e.numbers([]byte{modeDifferences, modeFrom, 5}, twice),
	} {
		places := []uint32{6, 0, 3, 3, 7}
		got := make([]uint64, len(places))
		c := column{layout: layoutNumbers, rows: len(want), count: len(want), body: src}
		if err := d.picked.take(d, &c, flow.Bytes); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		d.picked.at(got, places)
		for i, place := range places {
			if got[i] != want[place] {
				t.Errorf("%s: number %d is %d, want %d", what, place, got[i], want[place])
			}
		}
	}
}
