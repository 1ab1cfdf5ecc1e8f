package index

import (
	"context"
	"strings"
	"testing"

	"weir/flow"
	"weir/flow/ledger"
)

func verifyNow(t *testing.T, w *dayWorld, repair bool) *Report {
	t.Helper()
	o := VerifyOptions{Workers: 2}
	if repair {
		o.Repair = w.r
	}
	buckets := 0
	o.Progress = func(done, total, _ int) { buckets = total - done }
	r, err := Verify(context.Background(), w.s, o)
	if err != nil {
		t.Fatal(err)
	}
	if buckets != 0 {
		t.Errorf("%d buckets were left out of the progress", buckets)
	}
	return r
}

// TestVerify finds a wrong index, leaves it alone, and makes it again when told.
func TestVerify(t *testing.T) {
	w := newDayWorld(t)
	rows := int64(0)
	for hour := range 6 {
		w.write(hour, 200)
		rows += 200
	}
	w.seal()
	e := &ledger.Entry{}
	e.Counts[ledger.Records] = 3
	if err := w.s.PutLedger(uint32(w.first), []ledger.Row{{Kind: ledger.KindEntry, Run: 1, Entry: e}}); err != nil {
		t.Fatal(err)
	}
	r := verifyNow(t, w, false)
	if !r.Sound() || r.Buckets != 6 || r.Rows != rows || r.Terms != r.Blocks || r.Days != 1 || r.Ledger != 1 {
		t.Errorf("sound archive: got %+v", r)
	}
	if len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "200 records and its ledger counts 3") {
		t.Errorf("notes are %q", r.Notes)
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
	for range 2 {
		if r = verifyNow(t, w, false); r.Sound() || len(r.Stale) != 1 || !strings.Contains(r.Stale[0], (w.first+2).String()) {
			t.Fatalf("wrong index: got %+v", r)
		}
	}
	if r = verifyNow(t, w, true); !r.Sound() || len(r.Repaired) != 1 || len(r.Stale) != 1 {
		t.Errorf("repair: got %+v", r)
	}
	if r = verifyNow(t, w, false); !r.Sound() || len(r.Stale) != 0 || r.Days != 1 {
		t.Errorf("after the repair: got %+v", r)
	}
	checkAll(t, w.s)
}

func TestVerifyStops(t *testing.T) {
	w := newDayWorld(t)
	w.write(0, 200)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if r, err := Verify(ctx, w.s, VerifyOptions{}); err == nil {
		t.Errorf("a cancelled verification gave %+v", r)
	}
}
