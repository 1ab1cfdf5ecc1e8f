package store

import (
	"math/rand/v2"
	"sync"
	"testing"

	"weir/flow"
)

// TestColumnCacheFollows reads columns through the cache while blocks are added,
// removed, dropped and made anew, and compares them with what is read past it.
func TestColumnCacheFollows(t *testing.T) {
	s := openTest(t, "data", Options{FS: NewMemFS(), FlushEvery: -1, blockRows: 300})
	rng := rand.New(rand.NewPCG(1, 9))
	add := func() {
		b := randomBatch(rng, 1000, testHour.StartMS())
		for row := range b.Len() {
			b.SetNum(flow.Bytes, row, uint64(row))
		}
		appendTest(t, s, b)
	}
	check := func(when string) {
		t.Helper()
		for round := range 2 { // the second from the cache
			v, err := s.View(testHour, testHour)
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range v.Buckets() {
				for i := range b.Blocks() {
					compareCached(t, when, b, i)
				}
			}
			v.Close()
			if n := len(s.columns.ring); round == 1 && n < 20 {
				t.Errorf("%s: %d columns are kept", when, n)
			}
		}
	}
	add()
	check("blocks")
	add()
	check("more blocks")
	old, err := s.View(testHour, testHour)
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	if n, err := s.Remove(testHour, numbersGone(2)); n == 0 || err != nil {
		t.Fatalf("removed %d rows: %v", n, err)
	}
	if n := len(s.columns.ring); n != 0 {
		t.Errorf("%d columns are kept of what was removed", n)
	}
	check("removed")
	compareCached(t, "the view of before", old.Buckets()[0], 1)
	sealTest(t, s, testHour)
	check("sealed")
	if err := s.Drop(testHour); err != nil {
		t.Fatal(err)
	}
	add()
	check("dropped and made anew")
	giveBack := s.Lend(true)
	if len(s.columns.ring) != 0 || s.columns.size != 0 {
		t.Errorf("%d columns are left of a cache that is lent", len(s.columns.ring))
	}
	v, err := s.View(testHour, testHour)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	compareCached(t, "lent", v.Buckets()[0], 0)
	if len(s.columns.ring) != 0 {
		t.Errorf("%d columns are kept while the cache is lent", len(s.columns.ring))
	}
	giveBack()
	giveBack() // does nothing
	check("given back")
}

// compareCached compares the columns of a block as they may be in the cache with
// those that never are.
func compareCached(t *testing.T, when string, b *Bucket, number int) {
	t.Helper()
	blk, err := b.Block(number)
	if err != nil {
		t.Fatal(err)
	}
	for f := range blk.Columns().All {
		p, err := blk.PackedIn(f, nil)
		if err != nil {
			t.Fatal(err)
		}
		if p == nil || p.HasDict() {
			continue
		}
		want, err := blk.Num(f, nil)
		if err != nil {
			t.Fatal(err)
		}
		for row, got := range p.Fill(nil) {
			if got != want[row] {
				t.Fatalf("%s: %v of row %d of block %d is %d, want %d", when, f, row, number, got, want[row])
			}
		}
	}
}

// TestColumnCacheBound offers more than fits, from several goroutines: the cache
// keeps to its size, and a part of what comes again and again stays.
func TestColumnCacheBound(t *testing.T) {
	const columns, size = 400, 10_000
	column := &packedColumn{plain: planes{n: size, width: 1}}
	column.plain.plane[0] = make([]byte, size)
	c := newColumnCache(columns / 2 * column.size())
	var wg sync.WaitGroup
	found := make([]int, 4)
	for worker := range found {
		wg.Go(func() {
			for round := range 50 {
				for block := range columns / 4 {
					name := columnName{1, worker*columns/4 + block, flow.Bytes}
					if p := c.get(name, uint64(round)); p == nil {
						c.offer(name, uint64(round), column.size(), func() cached { return column })
					} else if round >= 10 {
						found[worker]++
					}
				}
			}
		})
	}
	wg.Wait()
	total := int64(0)
	for i, e := range c.ring {
		if total += e.column.size(); e.place != i || c.at[e.name] != e {
			t.Fatalf("entry %d is at %d", i, e.place)
		}
	}
	if total != c.size || c.size > c.max || len(c.ring) != len(c.at) {
		t.Errorf("%d bytes in %d columns, counted as %d in %d, at most %d", total, len(c.ring), c.size, len(c.at), c.max)
	}
	if n := found[0] + found[1] + found[2] + found[3]; n < columns*40*4/10 {
		t.Errorf("%d of %d looks found a column, half of which fit", n, columns*40)
	}
	none := newColumnCache(-1)
	none.offer(columnName{}, 1, column.size(), func() cached { return column })
	if len(none.ring) != 0 {
		t.Error("a cache of no size keeps a column")
	}
}

// TestColumnCacheKeepsFirst has one view after the other go over more than fits.
// What a view brings makes no room for what it brings later, which would be copied
// in vain; what another view brought does.
func TestColumnCacheKeepsFirst(t *testing.T) {
	const columns, size = 40, 10_000
	column := &packedColumn{plain: planes{n: size, width: 1}}
	column.plain.plane[0] = make([]byte, size)
	c := newColumnCache(columns / 2 * column.size())
	read := func(view uint64, f flow.Field) (found []int) {
		for block := range columns {
			name := columnName{1, block, f}
			if c.get(name, view) != nil {
				found = append(found, block)
			} else {
				c.offer(name, view, column.size(), func() cached { return column })
			}
		}
		return found
	}
	read(1, flow.Bytes)
	for view := range uint64(3) {
		if found := read(2+view, flow.Bytes); len(found) != columns/2 || found[len(found)-1] != columns/2-1 {
			t.Errorf("view %d found blocks %v, not the first %d", 2+view, found, columns/2)
		}
	}
	for view := range uint64(usedCredit) {
		read(10+view, flow.Packets)
	}
	if found := read(20, flow.Packets); len(found) != columns/2 {
		t.Errorf("blocks %v of %d are found of what came after", found, columns)
	}
}

// TestPackedClone compares copies with what they were made of.
func TestPackedClone(t *testing.T) {
	rng, sparse := rand.New(rand.NewPCG(3, 3)), 0
	for _, b := range []*flow.Batch{lastBlock(t, true), randomBatch(rng, 300, 1_700_000_000_000), skewed(rng, 1000)} {
		blk := blockOf(t, b)
		var p *Packed
		for f := range blk.Columns().All {
			got, err := blk.PackedIn(f, p)
			if err != nil {
				t.Fatal(err)
			}
			if got == nil {
				continue
			}
			p = got
			kept := p.clone()
			if kept.size() > p.size() {
				t.Errorf("%v: %d bytes, the copy %d", f, p.size(), kept.size())
			}
			for k := range kept.plain.width {
				sparse += boolInt(!kept.frequent && kept.plain.plane[k] == nil)
			}
			p.packedColumn = kept
			clear(p.value) // a copy shares nothing with it
			checkPacked(t, rng, blk, f, p)
		}
	}
	if sparse == 0 {
		t.Error("no plane is sparse")
	}
}
