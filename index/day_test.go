package index

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/flow"
	"weir/store"
)

// dayWorld is a store with a day of random hours and a Sealer of it.
type dayWorld struct {
	t     *testing.T
	rng   *rand.Rand
	s     *store.Store
	r     *Sealer
	now   time.Time
	log   bytes.Buffer
	first store.Hour // of the day
	pool  []flow.Addr
}

func newDayWorld(t *testing.T) *dayWorld {
	w := &dayWorld{t: t, rng: newRand(t), first: DayOf(testHour)}
	w.s = openStore(t, "archive", store.NewMemFS())
	t.Cleanup(func() {
		if err := w.s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	w.pool = randPool(w.rng)
	w.now = time.UnixMilli(int64((w.first + hoursPerDay).StartMS()) + 60_000)
	w.r = NewSealer(w.s, Options{
		Now: func() time.Time { return w.now }, Logger: slog.New(slog.NewTextHandler(&w.log, nil)),
	})
	return w
}

// write puts rows in an hour of the day.
func (w *dayWorld) write(hour, rows int) {
	w.t.Helper()
	if err := w.s.Append(randBatch(w.rng, w.first+store.Hour(hour), rows, w.pool)); err != nil {
		w.t.Fatalf("append: %v", err)
	}
}

// seal seals what is over and returns how often something was sealed.
func (w *dayWorld) seal() int {
	w.t.Helper()
	w.log.Reset()
	if err := w.r.SealOver(context.Background()); err != nil {
		w.t.Fatalf("seal: %v", err)
	}
	return strings.Count(w.log.String(), "bucket sealed")
}

// verify compares the day's summary with all records of the covered hours, and
// returns how many those are, -1 without a summary.
func (w *dayWorld) verify(tries int) int {
	w.t.Helper()
	v, err := w.s.View(w.first, w.first+hoursPerDay-1)
	if err != nil {
		w.t.Fatalf("view: %v", err)
	}
	defer v.Close()
	d, err := OpenDay(v.Buckets()[0])
	if err != nil {
		w.t.Fatalf("open day: %v", err)
	}
	if d == nil {
		return -1
	}
	defer d.Close()
	days := NewDays(v.Buckets())
	defer days.Close()
	covered := 0
	cols := map[store.Hour][2][][]*flow.Addr{}
	for _, b := range v.Buckets() {
		if d.Covers(b) {
			covered++
		}
		cols[b.Info().Hour] = [2][][]*flow.Addr{column(w.t, b, flow.SrcAddr), column(w.t, b, flow.DstAddr)}
	}
	for range tries {
		some := cols[v.Buckets()[w.rng.IntN(len(v.Buckets()))].Info().Hour][w.rng.IntN(2)]
		ranges := somewhere(w.rng, flow.SrcAddr, some)
		mask, err := d.Hours(ranges)
		if err != nil {
			w.t.Fatalf("hours of %v: %v", ranges, err)
		}
		for _, b := range v.Buckets() {
			h := b.Info().Hour
			_, src := bruteForce(cols[h][0], ranges)
			_, dst := bruteForce(cols[h][1], ranges)
			has := len(src)+len(dst) > 0
			if got := mask>>(h-w.first)&1 != 0; d.Covers(b) && got != has {
				w.t.Fatalf("hour %v has an address of %v: got %v, want %v", h, ranges, got, has)
			}
			absent, err := days.Absent(b, &ranges, func() []ValueRange { return ranges })
			if err != nil || absent != (d.Covers(b) && !has) {
				w.t.Fatalf("hour %v lacks %v: got %v, %v, want %v", h, ranges, absent, err, !has)
			}
		}
	}
	return covered
}

// checkNoticesChange checks the summary against an address that is said to be in no hour.
func (w *dayWorld) checkNoticesChange() {
	w.t.Helper()
	v, err := w.s.View(w.first, w.first+hoursPerDay-1)
	if err != nil {
		w.t.Fatalf("view: %v", err)
	}
	defer v.Close()
	d, err := OpenDay(v.Buckets()[0])
	if err != nil || d == nil {
		w.t.Fatalf("open day: %v, %v", d, err)
	}
	defer d.Close()
	terms := dayTerms{day: d, covered: 1<<hoursPerDay - 1}
	if err := terms.expect(flow.Addr{}, nil); err == nil {
		w.t.Error("an address in no hour is right")
	}
}

func TestDaySummary(t *testing.T) {
	w := newDayWorld(t)
	for hour := range hoursPerDay {
		if hour != 7 { // an outage
			w.write(hour, 1+w.rng.IntN(500))
		}
	}
	if got, want := w.seal(), hoursPerDay-1+1; got != want {
		t.Errorf("sealed %d times, want each hour once and the first again with the summary: %d", got, want)
	}
	if got := w.verify(100); got != hoursPerDay-1 {
		t.Errorf("summary covers %d hours, want %d", got, hoursPerDay-1)
	}
	if got := w.seal(); got != 0 {
		t.Errorf("sealed %d times when nothing was to do", got)
	}
	checkAll(t, w.s)
	w.checkNoticesChange()

	w.write(3, 100) // late
	if got := w.verify(30); got != hoursPerDay-2 {
		t.Errorf("summary covers %d hours after a late row, want one less", got)
	}
	if got := w.seal(); got != 2 {
		t.Errorf("sealed %d times after a late row, want that hour and the first", got)
	}
	if got := w.verify(30); got != hoursPerDay-1 {
		t.Errorf("summary covers %d hours after sealing again", got)
	}
}

// TestDaySummaryOfOtherRecords has rows removed from an hour, and as many others
// come with the same times: it looks as it did, and no summary speaks of it before
// it was made anew.
func TestDaySummaryOfOtherRecords(t *testing.T) {
	const hour = 3
	for _, c := range []struct {
		name   string
		stay   int // blocks of two
		sealed func(w *dayWorld) error
		want   int // hours that are covered then
	}{
		{"all rows", 0, func(w *dayWorld) error { return w.r.SealOver(t.Context()) }, 6},
		{"a block", 1, func(w *dayWorld) error { return w.r.SealOver(t.Context()) }, 6},
		{"a block, and a crash before the new summary", 1, func(w *dayWorld) error { return Seal(t.Context(), w.s, w.first+hour) }, -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newDayWorld(t)
			for other := range 6 {
				if other != hour {
					w.write(other, 200)
				}
			}
			var times [2][]uint64
			// write puts two blocks in the hour, from the first that did not stay.
			write := func(first int) {
				pool := randPool(w.rng)
				for i := first; i < len(times); i++ {
					b := randBatch(w.rng, w.first+hour, 50, pool)
					if times[i] == nil {
						times[i] = slices.Clone(b.Num(flow.Received)[:50])
					}
					copy(b.Num(flow.Received), times[i])
					if err := w.s.Append(b); err != nil {
						t.Fatal(err)
					}
					if i < len(times)-1 {
						if err := Seal(t.Context(), w.s, w.first+hour); err != nil {
							t.Fatal(err)
						}
					}
				}
			}
			write(0)
			w.seal()
			before := markOf(w.s.Buckets()[hour])
			n := 0
			_, err := w.s.Remove(w.first+hour, func(b *store.Block) ([]uint64, error) {
				if n++; n <= c.stay {
					return nil, nil
				}
				return []uint64{1<<50 - 1}, nil
			})
			if err != nil || n != len(times) {
				t.Fatalf("%v, with %d blocks", err, n)
			}
			write(c.stay)
			if err := c.sealed(w); err != nil {
				t.Fatal(err)
			}
			if after := markOf(w.s.Buckets()[hour]); after != before {
				t.Fatalf("the hour has the mark %v, and had %v: this test shows nothing", after, before)
			}
			if got := w.verify(50); got != c.want {
				t.Errorf("summary covers %d hours, want %d", got, c.want)
			}
			checkAll(t, w.s)
		})
	}
}

func TestDaySummaryAndDrops(t *testing.T) {
	w := newDayWorld(t)
	for hour := range 10 {
		w.write(hour, 300)
	}
	w.seal()
	w.now = w.now.Add(30 * 24 * time.Hour)
	if err := w.s.Drop(w.first + 4); err != nil {
		t.Fatalf("drop: %v", err)
	}
	if got := w.verify(20); got != 9 {
		t.Errorf("summary covers %d hours after one was dropped, want 9", got)
	}
	// Another process finds what is left to do.
	w.r = NewSealer(w.s, w.r.o)
	if got := w.seal(); got != 1 {
		t.Errorf("sealed %d times after a drop, want the first hour", got)
	}
	v, err := w.s.View(w.first, w.first)
	if err != nil {
		t.Fatalf("view: %v", err)
	}
	d, err := OpenDay(v.Buckets()[0])
	if err != nil || d == nil {
		t.Fatalf("open day: %v, %v", d, err)
	}
	mask, err := d.Hours([]ValueRange{{flow.Addr{}, lastValue()}})
	if err != nil || mask != 0x3ff&^(1<<4) || d.marks[4] != (hourMark{}) {
		t.Errorf("the summary still speaks of the dropped hour: mask %x, %v", mask, err)
	}
	if err := errors.Join(d.Close(), v.Close()); err != nil {
		t.Error(err)
	}

	if err := w.s.Drop(w.first); err != nil {
		t.Fatalf("drop: %v", err)
	}
	if got := w.verify(1); got != -1 {
		t.Errorf("a summary of %d hours outlives its first", got)
	}
	if got := w.seal(); got != 0 || w.verify(1) != -1 {
		t.Errorf("sealed %d times for a day that is being dropped", got)
	}
}

func TestDaySummaryWaitsForTheDaysEnd(t *testing.T) {
	w := newDayWorld(t)
	for hour := range 10 {
		w.write(hour, 10)
	}
	w.now = time.UnixMilli(int64((w.first + 12).StartMS()))
	if w.seal(); w.verify(1) != -1 {
		t.Error("a day that is not over has a summary")
	}
	w.now = time.UnixMilli(int64((w.first + hoursPerDay).StartMS()) + 11_000)
	if got := w.seal(); got != 1 || w.verify(5) != 10 {
		t.Errorf("sealed %d times at the day's end, want once", got)
	}
}

func TestDayMarksDamage(t *testing.T) {
	rng := newRand(t)
	var marks dayMarks
	for i := range marks {
		if rng.IntN(3) > 0 {
			marks[i] = hourMark{1 + rng.Uint64N(1e9), rng.Uint64N(100), rng.Uint64N(1 << 42), rng.Uint64N(1 << 42)}
		}
	}
	p := marks.encode()
	var got dayMarks
	if err := got.decode(p); err != nil || got != marks {
		t.Fatalf("decode: got %v, %v, want %v", got, err, marks)
	}
	for bit := range 8 * len(p) {
		bad := bytes.Clone(p)
		bad[bit/8] ^= 1 << (bit % 8)
		if err := new(dayMarks).decode(bad); err == nil {
			t.Fatalf("decoded with bit %d flipped", bit)
		}
	}
	for n := range p {
		if err := new(dayMarks).decode(p[:n]); err == nil {
			t.Fatalf("decoded %d bytes of %d", n, len(p))
		}
	}
}

// TestDamageCostsTheSummaryOnly puts a page that is none in the index of one
// hour: the day has no summary then, and everything else goes on.
func TestDamageCostsTheSummaryOnly(t *testing.T) {
	w := newDayWorld(t)
	for hour := range 6 {
		w.write(hour, 200)
	}
	z, err := w.s.BeginSeal(w.first + 2)
	if err != nil {
		t.Fatal(err)
	}
	if err := z.Add(appendKey(nil, flow.SrcAddr, flow.Addr{}), []byte("no page at all")); err != nil {
		t.Fatal(err)
	}
	if err := z.Commit(); err != nil {
		t.Fatal(err)
	}
	// The first hour without and with a summary, which fails, and again without.
	if got := w.seal(); got != 6 || !strings.Contains(w.log.String(), "left without a summary") {
		t.Errorf("sealed %d times, want 6; log:\n%s", got, w.log.String())
	}
	if got := w.verify(1); got != -1 {
		t.Errorf("a summary of %d hours out of a damaged index", got)
	}
	if got := w.seal(); got != 0 {
		t.Errorf("sealed %d times with nothing new", got)
	}
	w.write(2, 10)
	if got := w.seal(); got != 2 || w.verify(10) != 6 {
		t.Errorf("sealed %d times when the damaged hour was indexed again, want that and the first", got)
	}
	checkAll(t, w.s)
}
