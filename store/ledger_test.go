package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"weir/flow"
	"weir/flow/ledger"
)

// ledgerRow returns a row about one exporter.
func ledgerRow(run ledger.Run, exporter uint32, datagrams uint64) ledger.Row {
	e := &ledger.Entry{}
	e.Counts[ledger.Datagrams] = datagrams
	return ledger.Row{Kind: ledger.KindEntry, Run: run, Key: ledger.Key{Exporter: flow.AddrFrom4(exporter)}, Entry: e}
}

func putLedger(t *testing.T, s *Store, h Hour, rows ...ledger.Row) {
	t.Helper()
	if err := s.PutLedger(uint32(h), rows); err != nil {
		t.Fatal(err)
	}
}

// ledgerText writes the ledger of the hours from from to to on one line.
func ledgerText(t *testing.T, s *Store, from, to Hour) string {
	t.Helper()
	text := ""
	err := s.ScanLedger(from, to, func(h Hour, r ledger.Row) error {
		if r.Kind == ledger.KindHost {
			text += fmt.Sprintf(" %d:%d host", h-testHour, r.Run)
			return nil
		}
		text += fmt.Sprintf(" %d:%d %v=%d", h-testHour, r.Run, r.Key.Exporter, r.Entry.Get(ledger.Datagrams))
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	return text
}

// TestLedger follows a ledger through seal, late rows, reopening and drop.
func TestLedger(t *testing.T) {
	fs := NewMemFS()
	o := Options{FS: fs, FlushEvery: -1, blockRows: 100}
	s := openTest(t, "data", o)
	putLedger(t, s, testHour, ledgerRow(1, 2, 5), ledger.Row{Kind: ledger.KindHost, Run: 1, Host: &ledger.Host{}})
	putLedger(t, s, testHour+2, ledgerRow(1, 2, 7))
	appendTest(t, s, numbered(testHour, 0, 250))
	putLedger(t, s, testHour, ledgerRow(1, 2, 6), ledgerRow(1, 1, 1))
	const want = " 0:1 host 0:1 0.0.0.1=1 0:1 0.0.0.2=6 2:1 0.0.0.2=7"
	check := func(when, want string) {
		t.Helper()
		if got := ledgerText(t, s, testHour, testHour+9); got != want {
			t.Errorf("%s: got %s\nwant %s", when, got, want)
		}
		v, err := s.View(testHour, testHour+9)
		if err != nil {
			t.Fatal(err)
		}
		defer v.Close()
		if n := len(viewNumbers(t, v)); n != 250 {
			t.Errorf("%s: %d records, want 250", when, n)
		}
	}
	check("at first", want)
	if err := sealOnce(s); err != nil {
		t.Fatal(err)
	}
	check("sealed", want)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openTest(t, "data", o)
	check("reopened", want)
	if b := s.BareBuckets(); len(b) != 1 || b[0].Hour != testHour+2 {
		t.Errorf("bare buckets are %+v, want that of hour 2", b)
	}
	if b := s.Buckets(); len(b) != 1 || b[0].Hour != testHour || b[0].State != StateSealed {
		t.Errorf("buckets are %+v, want the sealed one", b)
	}
	putLedger(t, s, testHour, ledgerRow(2, 2, 3))
	check("another run", " 0:1 host 0:1 0.0.0.1=1 0:1 0.0.0.2=6 0:2 0.0.0.2=3 2:1 0.0.0.2=7")
	if got := ledgerText(t, s, testHour+1, testHour+2); got != " 2:1 0.0.0.2=7" {
		t.Errorf("part of the hours: got %s", got)
	}
	if err := s.Drop(testHour + 2); err != nil {
		t.Fatal(err)
	}
	check("bare bucket dropped", " 0:1 host 0:1 0.0.0.1=1 0:1 0.0.0.2=6 0:2 0.0.0.2=3")
	if err := s.Drop(testHour); err != nil {
		t.Fatal(err)
	}
	if got := ledgerText(t, s, 0, ^Hour(0)); got != "" {
		t.Errorf("all dropped: got %s", got)
	}
}

// TestLedgerIsDurable loses what was not synced.
func TestLedgerIsDurable(t *testing.T) {
	fs := NewMemFS()
	o := Options{FS: fs, FlushEvery: -1}
	s := openTest(t, "data", o)
	putLedger(t, s, testHour, ledgerRow(1, 2, 5))
	if err := s.Flush(); err != nil {
		t.Fatal(err)
	}
	crashed := fs.Crash(rand.New(rand.NewPCG(1, 2)), 0)
	s = openTest(t, "data", Options{FS: crashed, FlushEvery: -1})
	if got := ledgerText(t, s, testHour, testHour); got != " 0:1 0.0.0.2=5" {
		t.Errorf("after a crash: got %q", got)
	}
}

func TestLedgerDamage(t *testing.T) {
	s := openTest(t, "data", Options{FS: NewMemFS(), FlushEvery: -1})
	putLedger(t, s, testHour, ledgerRow(1, 2, 5), ledgerRow(1, 3, 5))
	putLedger(t, s, testHour+1, ledgerRow(1, 2, 5))
	row := ledgerRow(1, 2, 5)
	if err := s.db.Set(ledgerKey(testHour, row.AppendKey(nil)), []byte("?"), pebble.NoSync); err != nil {
		t.Fatal(err)
	}
	rows := 0
	err := s.ScanLedger(testHour, testHour+1, func(Hour, ledger.Row) error { rows++; return nil })
	var d *DamageError
	if rows != 2 || !errors.As(err, &d) || d.Hour != testHour {
		t.Errorf("%d rows and %v, want 2 and damage in the first hour", rows, err)
	}
	stop := errors.New("stop")
	if err := s.ScanLedger(testHour, testHour+1, func(Hour, ledger.Row) error { return stop }); err != stop {
		t.Errorf("got %v, want the error of fn", err)
	}
}

// TestCloseUnderLedgerScan closes the store while its ledgers are read.
func TestCloseUnderLedgerScan(t *testing.T) {
	s := openTest(t, t.TempDir(), Options{FlushEvery: -1})
	for h := range Hour(3) {
		putLedger(t, s, testHour+h, ledgerRow(1, 1, 5), ledgerRow(1, 2, 5))
	}
	closed := make(chan error, 1)
	var seen []Hour
	err := s.ScanLedger(testHour, testHour+2, func(h Hour, _ ledger.Row) error {
		seen = append(seen, h)
		if len(seen) > 1 {
			return nil
		}
		go func() { closed <- s.Close() }()
		for !s.isClosed() {
			time.Sleep(time.Millisecond)
		}
		select {
		case err := <-closed:
			t.Errorf("closed under the scan: %v", err)
		case <-time.After(20 * time.Millisecond):
		}
		return nil
	})
	if want := []Hour{testHour, testHour}; !errors.Is(err, ErrClosed) || !slices.Equal(seen, want) {
		t.Errorf("saw rows of %v and %v, want those of the hour begun and ErrClosed", seen, err)
	}
	if err := <-closed; err != nil {
		t.Errorf("Close: %v", err)
	}
	if err := s.ScanLedger(testHour, testHour, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("scan of a closed store: %v", err)
	}
}

// TestLedgerBesideSeals writes ledgers while the bucket is sealed again and again.
func TestLedgerBesideSeals(t *testing.T) {
	s := openTest(t, t.TempDir(), Options{FlushEvery: -1, blockRows: 50})
	appendTest(t, s, numbered(testHour, 0, 100))
	ctx, cancel := context.WithCancel(context.Background())
	sealed := make(chan error, 1)
	go func() {
		var err error
		for ctx.Err() == nil && err == nil {
			err = sealOnce(s)
		}
		sealed <- err
	}()
	for i := range uint32(300) {
		putLedger(t, s, testHour, ledgerRow(1, i, uint64(i)))
	}
	cancel()
	if err := <-sealed; err != nil {
		t.Fatal(err)
	}
	n := 0
	if err := s.ScanLedger(testHour, testHour, func(_ Hour, r ledger.Row) error { n++; return nil }); err != nil || n != 300 {
		t.Errorf("%d rows and %v, want 300", n, err)
	}
}

// TestLedgerHours checks that a change of an hour's ledger shows.
func TestLedgerHours(t *testing.T) {
	s := openTest(t, "data", Options{FS: NewMemFS(), FlushEvery: -1})
	appendTest(t, s, numbered(testHour+1, 0, 10)) // without a ledger
	putLedger(t, s, testHour+2, ledgerRow(1, 2, 5))
	putLedger(t, s, testHour, ledgerRow(1, 2, 5))
	before := s.LedgerHours()
	if len(before) != 2 || before[0].Hour != testHour || before[1].Hour != testHour+2 {
		t.Fatalf("got %+v, want the hours 0 and 2", before)
	}
	if again := s.LedgerHours(); !slices.Equal(again, before) {
		t.Errorf("got %+v, want %+v: nothing has changed", again, before)
	}
	putLedger(t, s, testHour+2, ledgerRow(1, 2, 6))
	after := s.LedgerHours()
	if after[0] != before[0] || after[1] == before[1] {
		t.Errorf("got %+v, before %+v: the second hour has changed", after, before)
	}
	if err := s.Drop(testHour + 2); err != nil {
		t.Fatal(err)
	}
	putLedger(t, s, testHour+2, ledgerRow(1, 2, 5))
	if again := s.LedgerHours(); again[1] == before[1] || again[1] == after[1] {
		t.Errorf("got %+v, want another change after a drop", again)
	}
}
