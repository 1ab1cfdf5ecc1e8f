package command

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/flow"
	"weir/flow/ledger"
	"weir/index"
	"weir/query"
	"weir/retention"
	"weir/store"
)

var holdSeeds = flag.Int("hold.seeds", 12, "how many seeds TestHoldCrash runs")

// heldHour is the first hour of the archives that holds are tested on.
const heldHour = store.Hour(498_000)

// A heldArchiveTest is an archive in memory, with what is to be held of it.
type heldArchiveTest struct {
	t       *testing.T
	fs      *store.MemFS
	main    *store.Store
	holds   *holds
	records []flow.Record
	next    uint64
}

// openHeldTest opens the archive that is on a file system, with its holds.
func openHeldTest(t *testing.T, fs *store.MemFS) *heldArchiveTest {
	t.Helper()
	s, err := store.Open("data", store.Options{FS: fs, FlushEvery: -1})
	if err != nil {
		t.Fatal(err)
	}
	now := func() time.Time { return time.UnixMilli(int64((heldHour + 3000).StartMS())) }
	h, err := newHolds(context.Background(), s, fs, now, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	return &heldArchiveTest{t: t, fs: fs, main: s, holds: h}
}

func (a *heldArchiveTest) close() {
	a.t.Helper()
	if err := errors.Join(a.holds.close(), a.main.Close()); err != nil {
		a.t.Error(err)
	}
}

// fill adds records of an hour, each with a number of its own in Bytes, in a
// mixture of sealed and open blocks, and a ledger.
func (a *heldArchiveTest) fill(rng *rand.Rand, h store.Hour, n int) {
	a.t.Helper()
	batch := flow.NewBatch(n)
	for range n {
		var r flow.Record
		a.next++
		received := h.StartMS() + rng.Uint64N(3_600_000)
		r.SetNum(flow.Received, received)
		r.SetNum(flow.End, received-rng.Uint64N(60_000))
		r.SetNum(flow.Start, r.Num(flow.End)-rng.Uint64N(3*3_600_000)) // some began hours before
		r.SetNum(flow.Bytes, a.next)
		r.SetAddr(flow.SrcAddr, flow.AddrFrom4(0x0a000000|rng.Uint32N(8)))
		r.SetAddr(flow.DstAddr, flow.AddrFrom4(0x0a000000|rng.Uint32N(8)))
		r.SetAddr(flow.Exporter, flow.AddrFrom4(0x7f000000|rng.Uint32N(3)))
		if rng.IntN(2) == 0 {
			r.SetNum(flow.DstPort, uint64(rng.IntN(5)))
		}
		a.records = append(a.records, r)
		batch.AppendRecord(&r)
	}
	entry := &ledger.Entry{}
	entry.Counts[ledger.Records] = uint64(n)
	err := errors.Join(a.main.Append(batch), a.main.PutLedger(uint32(h), []ledger.Row{{Kind: ledger.KindEntry, Run: ledger.Run(a.next), Entry: entry}}), a.main.Flush())
	if err == nil && rng.IntN(2) == 0 {
		err = index.Seal(context.Background(), a.main, h)
	}
	if err != nil {
		a.t.Fatal(err)
	}
}

// hold makes a hold.
func (a *heldArchiveTest) hold(ref string, scopes ...holdScope) {
	a.t.Helper()
	if err := a.holds.write(&hold{Case: ref, Until: (heldHour + 9000).StartMS(), Added: 1, Scopes: scopes}); err != nil {
		a.t.Fatal(err)
	}
}

// drop lets an hour go, and reports whether it did.
func (a *heldArchiveTest) drop(h store.Hour) (bool, error) {
	b, there := a.holds.mainBucket(h)
	if !there {
		return true, nil
	}
	err := a.holds.Drop(context.Background(), b, func() error { return nil })
	if errors.Is(err, retention.ErrStays) {
		return false, nil
	}
	return err == nil, err
}

// wanted returns the numbers of the records that the scopes are about.
func (a *heldArchiveTest) wanted(scopes ...holdScope) (list []uint64) {
	a.t.Helper()
	for i := range a.records {
		r := &a.records[i]
		for _, s := range scopes {
			f, err := query.Parse(s.Filter, query.ParseOptions{})
			if err != nil {
				a.t.Fatal(err)
			}
			if f.Match(r) && s.Window.Holds(r.Span()) {
				list = append(list, r.Num(flow.Bytes))
				break
			}
		}
	}
	slices.Sort(list)
	return list
}

// asked returns the numbers of the records of a hold's scopes in the archive as a
// question for its case sees it.
func (a *heldArchiveTest) asked(ref string, scopes ...holdScope) (list []uint64) {
	a.t.Helper()
	l := &local{store: a.main, holds: a.holds, now: a.holds.now}
	at, err := l.archive(withCase(context.Background(), ref), query.Window{})
	if err != nil {
		a.t.Fatal(err)
	}
	defer at.end()
	numbers := map[uint64]int{}
	for _, s := range scopes {
		one := map[uint64]int{}
		_, err := query.Flows(context.Background(), at, query.FlowsRequest{Filter: s.Filter, Window: s.Window}, func(r *flow.Record) error {
			one[r.Num(flow.Bytes)]++
			return nil
		})
		if err != nil {
			a.t.Fatal(err)
		}
		for number, n := range one {
			numbers[number] = max(numbers[number], n)
		}
	}
	for number, n := range numbers {
		for range n {
			list = append(list, number)
		}
	}
	slices.Sort(list)
	return list
}

// compare checks what a question for a case sees.
func (a *heldArchiveTest) compare(when, ref string, scopes ...holdScope) {
	a.t.Helper()
	got, want := a.asked(ref, scopes...), a.wanted(scopes...)
	if !slices.Equal(got, want) {
		a.t.Fatalf("%s, case %s: %d records, want %d: %v, want %v", when, ref, len(got), len(want), got, want)
	}
}

func windowOf(from, to store.Hour) query.Window {
	return query.Window{From: from.StartMS() + 600_000, To: to.EndMS() - 600_000}
}

// TestHoldCarvesRecordForRecord drops hours under three holds of filters, two of
// which are of one case, and compares what is held with what should be.
func TestHoldCarvesRecordForRecord(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	a := openHeldTest(t, store.NewMemFS())
	defer a.close()
	for h := range store.Hour(6) {
		a.fill(rng, heldHour+h, 300)
	}
	one := []holdScope{
		{Filter: "ip 10.0.0.1", Window: windowOf(heldHour, heldHour+3)},
		{Filter: "dst port 2 or ip 10.0.0.2", Window: windowOf(heldHour+2, heldHour+4)},
	}
	two := holdScope{Filter: "src ip 10.0.0.1", Window: windowOf(heldHour+1, heldHour+1)}
	a.hold("A", one...)
	a.hold("../B", two)
	for h := range store.Hour(6) {
		a.compare(fmt.Sprint("before hour ", h), "A", one...)
		if gone, err := a.drop(heldHour + h); !gone || err != nil {
			t.Fatalf("hour %d: %v, %v", h, gone, err)
		}
		a.compare(fmt.Sprint("after hour ", h), "A", one...)
		a.compare(fmt.Sprint("after hour ", h), "../B", two)
	}
	if left := a.main.Buckets(); len(left) > 0 {
		t.Errorf("the archive still has %v", left)
	}
	// An hour that is filled again adds to what is held of it.
	a.fill(rng, heldHour+2, 200)
	a.compare("filled again", "A", one...)
	if gone, err := a.drop(heldHour + 2); !gone || err != nil {
		t.Fatal(gone, err)
	}
	a.compare("gone again", "A", one...)
	// The ledger of each hour went along, of both times.
	err := a.holds.with("A", func(s *heldStore) error {
		counted := uint64(0)
		err := s.ScanLedger(heldHour+2, heldHour+2, func(_ store.Hour, row ledger.Row) error {
			counted += row.Entry.Get(ledger.Records)
			return nil
		})
		if counted != 500 {
			t.Errorf("the ledger that was carried along counts %d records, want 500", counted)
		}
		report, verr := index.Verify(context.Background(), s.Store, index.VerifyOptions{Excerpt: true})
		if verr == nil && !report.Sound() {
			t.Errorf("what is held is not sound: %+v", report)
		}
		return errors.Join(err, verr)
	})
	if err != nil {
		t.Error(err)
	}
}

// TestHoldKeepsHoursWhole checks which hours a hold without a filter keeps, and
// that records of another case are taken out of them all the same, once.
func TestHoldKeepsHoursWhole(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 1))
	a := openHeldTest(t, store.NewMemFS())
	defer a.close()
	for h := range store.Hour(8) {
		a.fill(rng, heldHour+h, 100)
	}
	whole := holdScope{Window: query.Window{From: (heldHour + 2).StartMS(), To: (heldHour + 3).StartMS()}}
	part := holdScope{Filter: "ip 10.0.0.1", Window: windowOf(heldHour, heldHour+7)}
	a.hold("W", whole)
	a.hold("P", part)
	for range 2 { // the second time, what stays is not taken out again
		for h := range store.Hour(8) {
			gone, err := a.drop(heldHour + h)
			// Flows last up to three hours: records of the window came until three hours after it.
			if want := h < 2 || h > 5; err != nil || gone != want {
				t.Errorf("hour %d: gone %v, %v, want %v", h, gone, err, want)
			}
		}
		if buckets, err := a.holds.buckets("P"); err != nil || len(buckets) != 8 {
			t.Errorf("case P has %d hours, %v, want 8", len(buckets), err)
		}
		held := int64(0)
		err := a.holds.with("P", func(s *heldStore) error {
			for _, b := range s.Buckets() {
				held += b.Rows
			}
			return nil
		})
		if want := len(a.wanted(part)); err != nil || held != int64(want) {
			t.Errorf("case P has %d records, %v, want %d", held, err, want)
		}
	}
	if err := a.holds.finish(context.Background(), a.holds.of("W"), holdReleased); err != nil {
		t.Fatal(err)
	}
	for h := range store.Hour(8) {
		if gone, err := a.drop(heldHour + h); err != nil || !gone {
			t.Errorf("hour %d, released: gone %v, %v", h, gone, err)
		}
	}
	a.compare("released", "P", part)
}

// TestHoldCrash stops the machine at any moment while hours pass to their holds,
// are filled again and pass again, or a hold is released. After it nothing of
// what is held is missing or there twice.
func TestHoldCrash(t *testing.T) {
	seeds := *holdSeeds
	if testing.Short() {
		seeds = 3
	}
	for seed := range uint64(seeds) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { holdCrash(t, rand.New(rand.NewPCG(seed, 11))) })
	}
}

func holdCrash(t *testing.T, rng *rand.Rand) {
	a := openHeldTest(t, store.NewMemFS())
	one := []holdScope{{Filter: "ip 10.0.0.1", Window: windowOf(heldHour, heldHour+3)}, {Filter: "dst port 2", Window: windowOf(heldHour, heldHour+1)}}
	two := holdScope{Filter: "src ip 10.0.0.1", Window: windowOf(heldHour, heldHour+3)}
	a.hold("A", one...)
	a.hold("B", two)
	a.hold("C", two)
	for h := range store.Hour(4) {
		a.fill(rng, heldHour+h, 60)
	}
	refill := rng.IntN(2) == 0
	if refill { // so that the second passage of this hour is the one that is cut short
		if gone, err := a.drop(heldHour); !gone || err != nil {
			t.Fatal(gone, err)
		}
		a.fill(rng, heldHour, 60)
	}
	var passing sync.WaitGroup
	passing.Go(func() {
		for h := range store.Hour(4) {
			_, _ = a.drop(heldHour + h) // what it leaves is what counts
		}
		_ = a.holds.finish(context.Background(), a.holds.of("C"), holdReleased)
	})
	time.Sleep(time.Duration(rng.IntN(60_000)) * time.Microsecond)
	crashed := a.fs.Crash(rng, rng.IntN(101))
	passing.Wait()
	a.close()

	b := openHeldTest(t, crashed)
	defer b.close()
	t.Logf("after the crash %d hours are left; filled again: %v; case C: %v", len(b.main.Buckets()), refill, b.holds.of("C") != nil)
	b.records, b.next = a.records, a.next
	if rng.IntN(2) == 0 { // an import, before anybody asked what is held
		for h := range store.Hour(4) {
			if _, there := b.holds.mainBucket(heldHour + h); !there {
				b.fill(rng, heldHour+h, 20)
			}
		}
	}
	b.compare("after the crash", "A", one...)
	b.compare("after the crash", "B", two)
	for h := range store.Hour(4) {
		if gone, err := b.drop(heldHour + h); !gone || err != nil {
			t.Fatalf("hour %d after the crash: %v, %v", h, gone, err)
		}
		b.compare("gone after the crash", "A", one...)
		b.compare("gone after the crash", "B", two)
	}
	if b.holds.of("C") != nil {
		b.compare("not released", "C", two)
	} else if dirs, err := crashed.List("data/held"); err != nil || slices.ContainsFunc(dirs, func(d string) bool { return strings.HasPrefix(d, "C-") }) {
		t.Errorf("what was released is still there: %v, %v", dirs, err)
	}
}

// TestHoldSlug checks that no reference leads out of its directory, and that no
// two have the same.
func TestHoldSlug(t *testing.T) {
	seen := map[string]string{}
	for _, ref := range []string{"C-17", "c-17", "C/17", "C.17", "../../etc", "..", ".", "a b", "ä", "-", strings.Repeat("x", 200), strings.Repeat("x", 199)} {
		slug := holdSlug(ref)
		if strings.ContainsAny(slug, "/\\. \x00") || len(slug) > 60 {
			t.Errorf("%q: %q", ref, slug)
		}
		if other, twice := seen[strings.ToLower(slug)]; twice {
			t.Errorf("%q and %q have the directory %s", ref, other, slug)
		}
		seen[strings.ToLower(slug)] = ref
	}
}

// FuzzReadHold reads what may stand in the state: it is refused, or a hold that
// can be asked for all that is asked of one.
func FuzzReadHold(f *testing.F) {
	f.Add([]byte(`{"case":"x","until":1,"scopes":[{"filter":"ip 10.0.0.1","window":{"from":1,"to":2}}]}`))
	f.Add([]byte(`{"case":"x","scopes":[{"window":{"from":5}},{"filter":"(","window":{"to":18446744073709551615}}]}`))
	f.Add([]byte(`{"case":"y","scopes":[]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		h, err := readHold(holdPrefix+"x", text)
		if err != nil {
			return
		}
		b := store.BucketInfo{Hour: heldHour, Rows: 1, MinStart: heldHour.StartMS(), MaxEnd: heldHour.EndMS()}
		_, _, _, _, _ = h.whole(b), h.partly(b), h.window(), h.filterText(), h.lapses()
		if p, err := h.picker(nil); err == nil && len(p.matchers) > len(h.Scopes) {
			t.Errorf("%d matchers of %d scopes", len(p.matchers), len(h.Scopes))
		}
	})
}

// FuzzParseUntil checks that an end of a hold parses to a time that can be shown
// and parsed again, or is refused as a mistake of the user's.
func FuzzParseUntil(f *testing.F) {
	for _, text := range []string{"3y", "156w", "2029-11-26", "2029-11-26T12:00:00+01:00", "now", "-2h", "0y", "999999999999y", ""} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		end, err := parseUntil(text, testNow)
		if err != nil {
			if exitStatus(err) != exitUsage {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		if again, err := parseUntil(showTime(end), testNow); err != nil || !again.Equal(end.Truncate(time.Second)) && end.Year() < 9999 {
			t.Errorf("%q is %v, and that %v, %v", text, end, again, err)
		}
	})
}
