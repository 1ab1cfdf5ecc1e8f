package query

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"weir/flow"
	"weir/index"
	"weir/store"
)

// An againRow is a record of the test below, told from others by its bytes.
type againRow struct {
	src, dst                             flow.Addr
	received, start, end, port, id, asNo uint64
}

// An againWorld is a store and, apart from it, what it should hold.
type againWorld struct {
	t     *testing.T
	rng   *rand.Rand
	store *store.Store
	seal  func()
	first store.Hour
	rows  map[store.Hour][]againRow
	ids   uint64
}

const againHours = 72

func newAgainWorld(t *testing.T) *againWorld {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	s, err := store.Open("archive", store.Options{FS: store.NewMemFS()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	w := &againWorld{t: t, rng: rand.New(rand.NewPCG(seed, 0)), store: s, first: 494_400, rows: map[store.Hour][]againRow{}}
	now := time.UnixMilli(int64((w.first + againHours).StartMS()) + 60_000)
	sealer := index.NewSealer(s, index.Options{Now: func() time.Time { return now }, Logger: slog.New(slog.DiscardHandler)})
	w.seal = func() {
		if err := sealer.SealOver(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func (w *againWorld) addr() flow.Addr {
	if w.rng.IntN(4) == 0 {
		return flow.Addr{Hi: 0x2001_0db8 << 32, Lo: w.rng.Uint64N(200)}
	}
	return flow.AddrFrom4(10<<24 | w.rng.Uint32N(800))
}

// write adds records to an hour.
func (w *againWorld) write(h store.Hour) {
	b := flow.NewBatch(0)
	for range 300 {
		w.ids++
		r := againRow{src: w.addr(), dst: w.addr(), received: h.StartMS() + w.rng.Uint64N(3_600_000), port: w.rng.Uint64N(5000), id: w.ids}
		r.end = r.received - w.rng.Uint64N(2000)
		r.start = r.end - w.rng.Uint64N(60_000)
		r.asNo = r.src.Lo % 7
		row := b.Grow(1)
		for f, v := range map[flow.Field]uint64{flow.Received: r.received, flow.Start: r.start, flow.End: r.end,
			flow.SrcPort: r.port, flow.Bytes: r.id, flow.SrcAS: r.asNo} {
			b.SetNum(f, row, v)
		}
		b.SetAddr(flow.SrcAddr, row, r.src)
		b.SetAddr(flow.DstAddr, row, r.dst)
		w.rows[h] = append(w.rows[h], r)
	}
	if err := w.store.Append(b); err != nil {
		w.t.Fatal(err)
	}
}

// purge removes a share of an hour's records.
func (w *againWorld) purge(h store.Hour) {
	gone := func(id uint64) bool { return id%5 == uint64(h)%5 }
	_, err := w.store.Remove(h, func(b *store.Block) ([]uint64, error) {
		ids, err := b.Num(flow.Bytes, nil)
		set := make([]uint64, (b.Rows()+63)/64)
		for row, id := range ids {
			if gone(id) {
				set[row>>6] |= 1 << (row & 63)
			}
		}
		return set, err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.rows[h] = slices.DeleteFunc(w.rows[h], func(r againRow) bool { return gone(r.id) })
}

func (w *againWorld) drop(h store.Hour) {
	if err := w.store.Drop(h); err != nil {
		w.t.Fatal(err)
	}
	delete(w.rows, h)
}

// ask compares the flows of an address with those that there should be.
func (w *againWorld) ask(when string, a flow.Addr) {
	w.t.Helper()
	var got, want []againRow
	summary, err := Flows(context.Background(), w.store, FlowsRequest{Filter: fmt.Sprintf("ip %v", a)}, func(r *flow.Record) error {
		got = append(got, againRow{r.Addr(flow.SrcAddr), r.Addr(flow.DstAddr), r.Num(flow.Received), r.Num(flow.Start),
			r.Num(flow.End), r.Num(flow.SrcPort), r.Num(flow.Bytes), r.Num(flow.SrcAS)})
		return nil
	})
	if err != nil || len(summary.Damaged)+len(summary.Notes) > 0 {
		w.t.Fatalf("%s, ip %v: %v, damaged %v, notes %v", when, a, err, summary.Damaged, summary.Notes)
	}
	for _, rows := range w.rows {
		for _, r := range rows {
			if r.src == a || r.dst == a {
				want = append(want, r)
			}
		}
	}
	byID := func(a, b againRow) int { return cmp.Compare(a.id, b.id) }
	slices.SortFunc(got, byID)
	slices.SortFunc(want, byID)
	if !slices.Equal(got, want) {
		w.t.Fatalf("%s, ip %v: %d flows, want %d, or others", when, a, len(got), len(want))
	}
}

// TestAskedAgain asks for the same addresses, and for others, again and again while
// hours are written to, sealed, purged and dropped: what is kept in memory of an
// hour never outlives it.
func TestAskedAgain(t *testing.T) {
	w := newAgainWorld(t)
	for h := range store.Hour(againHours) {
		w.write(w.first + h)
	}
	same := []flow.Addr{w.addr(), w.addr(), w.addr(), flow.AddrFrom4(192<<24 | 1)} // of the last there is none
	w.seal()
	for step := range 60 {
		h, what := w.first+store.Hour(w.rng.IntN(againHours)), "written to"
		if w.rng.IntN(3) == 0 {
			h = index.DayOf(h) // the hour that has the day's summary
		}
		switch w.rng.IntN(4) {
		case 0:
			w.write(h)
		case 1:
			what = "purged"
			w.purge(h)
		case 2:
			what = "dropped"
			w.drop(h)
		default:
			what = "sealed"
			w.seal()
		}
		when := fmt.Sprintf("step %d, %v %s", step, h, what)
		for range 2 {
			for _, a := range same {
				w.ask(when, a)
			}
		}
		w.ask(when, w.addr())
	}
}
