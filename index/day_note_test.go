package index

import (
	"maps"
	"testing"

	"weir/flow"
	"weir/store"
)

// absentOf asks for an address as a plan does, and returns what was said of each hour.
func (w *dayWorld) absentOf(v *store.View, a flow.Addr) map[store.Hour]bool {
	w.t.Helper()
	days, said, key := NewDays(v.Buckets()), map[store.Hour]bool{}, 0
	defer days.Close()
	for _, b := range v.Buckets() {
		absent, err := days.Absent(b, &key, func() []ValueRange { return []ValueRange{{a, a}} })
		if err != nil {
			w.t.Fatal(err)
		}
		said[b.Hour()] = absent
	}
	return said
}

// isIn reports in which hours of a view an address is, by its records.
func (w *dayWorld) isIn(v *store.View, a flow.Addr) map[store.Hour]bool {
	in := map[store.Hour]bool{}
	for _, b := range v.Buckets() {
		for _, f := range []flow.Field{flow.SrcAddr, flow.DstAddr} {
			_, blocks := bruteForce(column(w.t, b, f), []ValueRange{{a, a}})
			in[b.Hour()] = in[b.Hour()] || len(blocks) > 0
		}
	}
	return in
}

// TestDayNotes asks for the same addresses through views from before and after the
// summary was made again, in turn: each has the answer of its own summary, also
// when that is not read any more.
func TestDayNotes(t *testing.T) {
	w := newDayWorld(t)
	for hour := range hoursPerDay {
		w.write(hour, 50)
	}
	w.seal()
	view := func() *store.View {
		v, err := w.s.View(w.first, w.first+hoursPerDay-1)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { v.Close() })
		return v
	}
	views := []*store.View{view()}
	w.write(5, 50)
	w.write(0, 50)
	w.seal()
	views = append(views, view())
	if err := w.s.Drop(w.first + 9); err != nil {
		t.Fatal(err)
	}
	views = append(views, view()) // with a summary that speaks of an hour that is gone
	w.seal()
	views = append(views, view())

	var some []flow.Addr
	for _, b := range []*store.Bucket{views[0].Buckets()[3], views[1].Buckets()[0], views[1].Buckets()[5]} {
		for _, block := range column(t, b, flow.SrcAddr) {
			for _, a := range block[:min(8, len(block))] {
				if a != nil {
					some = append(some, *a)
				}
			}
		}
	}
	for round := range 3 {
		for _, a := range some {
			for i, v := range views {
				in, said := w.isIn(v, a), w.absentOf(v, a)
				for h := range in {
					if said[h] == in[h] {
						t.Fatalf("round %d, view %d, hour %v: %v is absent: %v", round, i, h, a, said[h])
					}
				}
				if again := w.absentOf(v, a); !maps.Equal(again, said) {
					t.Fatalf("view %d: %v is said to be elsewhere the second time", i, a)
				}
			}
		}
	}
}

// TestDayNoteIsBounded asks for more addresses than a note keeps.
func TestDayNoteIsBounded(t *testing.T) {
	var n dayNote
	of := func(i int) []ValueRange { a := flow.AddrFrom4(uint32(i)); return []ValueRange{{a, a}} }
	for i := range 3 * notedRanges {
		if _, known := n.hours(of(i)); known {
			t.Errorf("%d is known before it was asked for", i)
		}
		n.add(of(i), uint32(i))
	}
	for i := range 3 * notedRanges {
		hours, known := n.hours(of(i))
		if known != (i >= 2*notedRanges) || known && hours != uint32(i) {
			t.Errorf("%d: %d, known: %v", i, hours, known)
		}
	}
	if _, known := n.hours(append(of(2*notedRanges), of(2*notedRanges+1)...)); known {
		t.Error("a list is known")
	}
	if _, known := n.hours(nil); known {
		t.Error("no range is known")
	}
}
