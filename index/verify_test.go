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
	putCount(t, w, 0, ledger.EndOpen, 3)
	r := verifyNow(t, w, false)
	if !r.Sound() || r.Buckets != 6 || r.Rows != rows || r.Terms != r.Blocks || r.Days != 1 || r.Ledger != 2 {
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

// putCount says in the ledger of an hour that a run counted so many records and
// how it ended.
func putCount(t *testing.T, w *dayWorld, hour int, end string, records uint64) {
	t.Helper()
	e := &ledger.Entry{}
	e.Counts[ledger.Records] = records
	h := uint32(w.first) + uint32(hour)
	rows := []ledger.Row{{Kind: ledger.KindEntry, Run: 1, Entry: e}, {Kind: ledger.KindHost, Run: 1, Host: &ledger.Host{End: end}}}
	if err := w.s.PutLedger(h, rows); err != nil {
		t.Fatal(err)
	}
}

// TestVerifyLedgerSums compares what ledgers count with the records: where no
// crash explains a difference it is a finding, and a repair notes what is lost.
func TestVerifyLedgerSums(t *testing.T) {
	w := newDayWorld(t)
	for hour := range 4 {
		w.write(hour, 200)
	}
	w.seal()
	putCount(t, w, 0, ledger.EndHour, 200)
	putCount(t, w, 1, ledger.EndHour, 230)
	putCount(t, w, 2, ledger.EndOpen, 190)
	putCount(t, w, 3, ledger.EndClean, 190)
	r := verifyNow(t, w, false)
	if r.Sound() || len(r.Unbalanced) != 2 || len(r.Notes) != 1 {
		t.Errorf("got %+v", r)
	}
	for i, want := range []string{"counts 230 records and it has 200", "has 200 records and its ledger counts 190"} {
		if i < len(r.Unbalanced) && !strings.Contains(r.Unbalanced[i], want) {
			t.Errorf("got %q, want %q", r.Unbalanced[i], want)
		}
	}
	if r = verifyNow(t, w, true); r.Sound() || len(r.Isolated) != 1 || len(r.Unbalanced) != 1 {
		t.Errorf("repair: got %+v", r)
	}
	if r = verifyNow(t, w, false); len(r.Unbalanced) != 1 || !strings.Contains(r.Unbalanced[0], "counts 190") {
		t.Errorf("after the repair: got %+v", r)
	}
}

// TestVerifyNotesWhatIsLost has hours of which records lack, in some of which it is
// known that so many could not be stored. A repair notes the others as lost, and
// then all hours agree with their ledgers.
func TestVerifyNotesWhatIsLost(t *testing.T) {
	tests := map[string]struct {
		host    ledger.Host
		counted uint64
		want    string // "": nothing is
	}{
		"lost":                          {ledger.Host{}, 230, ": 30 records that its ledger counts are not there"},
		"not stored":                    {ledger.Host{Counting: 30}, 230, ""},
		"not stored and lost":           {ledger.Host{Counting: 30}, 237, ": 7 records that its ledger counts are not there"},
		"together":                      {ledger.Host{Together: 2}, 230, ": 30 records that its ledger counts are not there"},
		"together, not stored and lost": {ledger.Host{Together: 2, Counting: 30}, 237, ": 7 records that its ledger counts are not there"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := newDayWorld(t)
			w.write(0, 200)
			w.seal()
			putCount(t, w, 0, ledger.EndHour, test.counted)
			test.host.End = ledger.EndHour
			if err := w.s.PutLedger(uint32(w.first), []ledger.Row{{Kind: ledger.KindHost, Run: 1, Host: &test.host}}); err != nil {
				t.Fatal(err)
			}
			if r := verifyNow(t, w, false); (test.want == "") != r.Sound() {
				t.Errorf("got %+v", r)
			}
			r := verifyNow(t, w, true)
			if got := strings.Join(r.Isolated, "; "); !strings.Contains(got, test.want) || (test.want == "") != (got == "") || len(r.Unbalanced) > 0 {
				t.Errorf("repair: got %q, unbalanced %q, want %q", got, r.Unbalanced, test.want)
			}
			if r = verifyNow(t, w, false); !r.Sound() {
				t.Errorf("after the repair: got %+v", r)
			}
		})
	}
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
