package index

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"weir/flow"
)

// fakeDict is a dictionary in memory.
type fakeDict []flow.Addr

func (d fakeDict) Len() int             { return len(d) }
func (d fakeDict) Num(i int) uint64     { return d[i].Lo }
func (d fakeDict) Addr(i int) flow.Addr { return d[i] }

// fakeBlocks is a bucket's dictionaries: per block, per field.
type fakeBlocks []map[flow.Field]fakeDict

func (s fakeBlocks) dictionary(i int, f flow.Field) (dictionary, error) {
	if d := s[i][f]; len(d) > 0 {
		return d, nil
	}
	return nil, nil
}

// randDicts returns n blocks whose dictionaries share many values.
func randDicts(rng *rand.Rand, n int) fakeBlocks {
	pool := make([]flow.Addr, 1+rng.IntN(3000))
	for i := range pool {
		pool[i] = randValue(rng)
	}
	blocks := make(fakeBlocks, n)
	for i := range blocks {
		blocks[i] = map[flow.Field]fakeDict{}
		for _, f := range orderedFields() {
			size := rng.IntN(500)
			if !f.IsAddr() && rng.IntN(3) == 0 {
				size *= 40
			}
			var d fakeDict
			for range size {
				v := pool[rng.IntN(len(pool))]
				if !f.IsAddr() {
					v = flow.Addr{Lo: uint64(rng.IntN(1 << 16))}
				}
				d = append(d, v)
			}
			slices.SortFunc(d, flow.Addr.Compare)
			blocks[i][f] = slices.Compact(d)
		}
	}
	return blocks
}

func buildPages(t testing.TB, src fakeBlocks, budget int) *pages {
	t.Helper()
	p := &pages{}
	if err := build(context.Background(), src, len(src), budget, p.add); err != nil {
		t.Fatalf("build: %v", err)
	}
	return p
}

// holders is the brute force: the blocks that hold a value of the ranges.
func (s fakeBlocks) holders(f flow.Field, ranges []ValueRange) []uint32 {
	var list []uint32
	for i, b := range s {
		if slices.ContainsFunc(b[f], func(v flow.Addr) bool {
			return slices.ContainsFunc(ranges, func(r ValueRange) bool { return !v.Less(r.Lo) && !r.Hi.Less(v) })
		}) {
			list = append(list, uint32(i))
		}
	}
	return list
}

// randRanges returns ranges that often hit the blocks' values.
func (s fakeBlocks) randRanges(rng *rand.Rand, f flow.Field) []ValueRange {
	var ranges []ValueRange
	for range 1 + rng.IntN(1<<rng.IntN(8)) {
		v := randValue(rng)
		if d := s[rng.IntN(len(s))][f]; len(d) > 0 && rng.IntN(4) > 0 {
			v = d[rng.IntN(len(d))]
		}
		if !f.IsAddr() {
			v = flow.Addr{Lo: v.Lo & 0xffff}
		}
		hi := v
		if rng.IntN(3) == 0 {
			if sum, ok := add(v, flow.Addr{Lo: rng.Uint64N(1 << rng.IntN(60))}); ok {
				hi = sum
			}
		}
		ranges = append(ranges, ValueRange{v, hi})
	}
	return ranges
}

func TestLookupEqualsBruteForce(t *testing.T) {
	rng := newRand(t)
	rounds := 50
	if testing.Short() {
		rounds = 15
	}
	for range rounds {
		src := randDicts(rng, 1+rng.IntN(1<<rng.IntN(8)))
		p := buildPages(t, src, runBudget)
		for range 60 {
			f := orderedFields()[rng.IntN(4)]
			ranges := src.randRanges(rng, f)
			l := lookup{it: p.ofField(f), field: f, n: len(src), words: make([]uint64, (len(src)+63)/64), stats: &Stats{}}
			if err := l.run(Normalize(ranges)); err != nil {
				t.Fatalf("lookup of %d ranges of %v: %v", len(ranges), f, err)
			}
			if got, want := members(l.words), src.holders(f, ranges); !slices.Equal(got, want) {
				t.Fatalf("blocks of %v in %v: got %v, want %v", f, ranges, got, want)
			}
			if most := 2*len(ranges) + len(l.it.(*pages).keys); l.stats.PagesRead > most {
				t.Errorf("%d ranges read %d pages", len(ranges), l.stats.PagesRead)
			}
		}
	}
}

func TestAbsentValueReadsOnePage(t *testing.T) {
	rng := newRand(t)
	src := randDicts(rng, 200)
	p := buildPages(t, src, runBudget).ofField(flow.SrcAddr)
	for range 200 {
		v := randValue(rng)
		l := lookup{it: p, field: flow.SrcAddr, n: len(src), words: make([]uint64, 4), stats: &Stats{}}
		if err := l.run([]ValueRange{{v, v}}); err != nil {
			t.Fatal(err)
		}
		if l.stats.PagesRead > 2 {
			t.Errorf("looking for %v read %d pages, want at most 2", v, l.stats.PagesRead)
		}
	}
}

func TestBudgetChangesNothing(t *testing.T) {
	rng := newRand(t)
	for range 6 {
		src := randDicts(rng, 1+rng.IntN(40))
		want := buildPages(t, src, runBudget)
		for _, budget := range []int{0, 100, 5000} {
			got := buildPages(t, src, budget)
			if !slices.EqualFunc(got.values, want.values, slices.Equal[[]byte]) {
				t.Fatalf("budget %d gives other pages", budget)
			}
		}
	}
}

func TestCheckEntries(t *testing.T) {
	rng := newRand(t)
	src := randDicts(rng, 30)
	p := buildPages(t, src, runBudget)
	if err := checkForms(context.Background(), src, len(src), p); err != nil {
		t.Errorf("check of a good index: %v", err)
	}
	for block, f := range map[int]flow.Field{3: flow.SrcAddr, 7: flow.DstPort} {
		saved := src[block][f]
		src[block][f] = slices.Delete(slices.Clone(saved), 1, 2)
		err := checkForms(context.Background(), src, len(src), p)
		if err == nil || !strings.Contains(err.Error(), f.String()) {
			t.Errorf("check after a value left %v of block %d: got %v", f, block, err)
		}
		src[block][f] = saved
	}
	p.keys, p.values = p.keys[:len(p.keys)-1], p.values[:len(p.values)-1]
	if err := checkForms(context.Background(), src, len(src), p); err == nil {
		t.Error("check did not miss the last entry")
	}
}

// TestOneBlockHasNoSets looks values up in the index of a single block, as it is
// written and as it was before pages had a kind for it, and checks both.
func TestOneBlockHasNoSets(t *testing.T) {
	rng := newRand(t)
	for range 20 {
		src := randDicts(rng, 1)
		now, before := buildPages(t, src, runBudget), &pages{}
		if err := buildForm(context.Background(), src, runBudget, pageWriter{emit: before.add, n: 1, sets: true}); err != nil {
			t.Fatalf("build as before: %v", err)
		}
		if got, most := now.bytes(), before.bytes(); got > most {
			t.Errorf("without sets it takes %d bytes, with them %d", got, most)
		}
		for _, p := range []*pages{now, before} {
			if err := checkForms(context.Background(), src, 1, p); err != nil {
				t.Fatalf("check of a good index: %v", err)
			}
			for range 60 {
				f := orderedFields()[rng.IntN(4)]
				ranges := src.randRanges(rng, f)
				l := lookup{it: p.ofField(f), field: f, n: 1, words: make([]uint64, 1), stats: &Stats{}}
				if err := l.run(Normalize(ranges)); err != nil {
					t.Fatalf("lookup of %d ranges of %v: %v", len(ranges), f, err)
				}
				if got, want := members(l.words), src.holders(f, ranges); !slices.Equal(got, want) {
					t.Fatalf("blocks of %v in %v: got %v, want %v", f, ranges, got, want)
				}
			}
		}
	}
}

// TestOneBlockPagesOfOthersAreDamage: a page without sets says nothing of a bucket
// with several blocks.
func TestOneBlockPagesOfOthersAreDamage(t *testing.T) {
	p := &pages{}
	w := &pageWriter{emit: p.add, field: flow.SrcAddr, n: 1}
	if err := errors.Join(w.add(flow.AddrFrom4(7), []uint32{0}), w.flush()); err != nil {
		t.Fatal(err)
	}
	page := p.values[0]
	page[5] = 2 // blocks
	binary.LittleEndian.PutUint32(page, pageChecksum(p.keys[0], page[4:]))
	if _, err := openPage(p.keys[0], page); !errors.Is(err, errPageForm) {
		t.Errorf("open: got %v, want %v", err, errPageForm)
	}
}
