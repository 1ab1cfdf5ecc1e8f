package query

import "testing"

// TestAndOrder has the parts of an "and" come in the order that takes the least.
func TestAndOrder(t *testing.T) {
	yield := func(blocks int, rows, some float64) *partYield { return &partYield{blocks, rows, some} }
	for _, c := range []struct {
		what            string
		first, second   *partYield
		size, otherSize int
	}{
		{"the smaller, of which nothing is known", new(partYield), new(partYield), 10, 1000},
		{"what leaves few rows, though it is larger", yield(8, 0.07, 1), yield(8, 0.4, 1), 30_000, 10_000},
		{"what leaves most blocks empty, though it leaves more rows of the others", yield(8, 0.1, 0.1), yield(8, 0.001, 1), 10_000, 200_000},
	} {
		if !c.first.before(c.second, c.size, c.otherSize) || c.second.before(c.first, c.otherSize, c.size) {
			t.Errorf("%s: does not come first", c.what)
		}
	}
	var y partYield
	for range 100 {
		y.noted(1000, 0)
	}
	for range 20 {
		y.noted(1000, 500)
	}
	if y.rows < 0.4 || y.rows > 0.5 || y.some < 0.8 {
		t.Errorf("after blocks of which half the rows were left: %.2f of the rows, %.2f of the blocks", y.rows, y.some)
	}
}

// TestAndOrderOfNoRows looks at a block of which the window leaves no row: nothing
// is learnt from it, and what is known stays a number.
func TestAndOrderOfNoRows(t *testing.T) {
	e := &evaluator{orders: map[*andNode]*andOrder{}}
	n := &andNode{kids: []node{constNode(true), constNode(true)}}
	if err := e.restrictAnd(n, new(rowSet)); err != nil {
		t.Fatal(err)
	}
	if y := e.orderOf(n).parts[0]; y != (partYield{}) {
		t.Errorf("learnt %+v", y)
	}
}
