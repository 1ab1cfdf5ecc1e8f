package store

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"weir/flow"
)

// numbersGone names the rows whose number, in Bytes, leaves one over when
// divided by n; all of them for 1.
func numbersGone(n uint64) func(b *Block) ([]uint64, error) {
	return func(b *Block) ([]uint64, error) {
		numbers, err := b.Num(flow.Bytes, nil)
		if err != nil {
			return nil, err
		}
		bits := make([]uint64, (len(numbers)+63)/64)
		for row, number := range numbers {
			if number%n == 1%n {
				bits[row>>6] |= 1 << (row & 63)
			}
		}
		return bits, nil
	}
}

// TestRemove removes rows of buckets in every state, and looks at what is left
// at once, from a view that was taken before, after a seal and after reopening.
func TestRemove(t *testing.T) {
	const rows = 1234
	states := map[string]func(s *Store, b *flow.Batch){
		"in memory": func(s *Store, b *flow.Batch) { appendTest(t, s, b) },
		"flushed": func(s *Store, b *flow.Batch) {
			appendTest(t, s, b)
			if err := s.Flush(); err != nil {
				t.Fatal(err)
			}
		},
		"sealed": func(s *Store, b *flow.Batch) { appendTest(t, s, b); sealTest(t, s, testHour) },
		"sealed, with late rows": func(s *Store, b *flow.Batch) {
			early := flow.NewBatch(0)
			early.AppendRows(b, 0, 900)
			appendTest(t, s, early)
			sealTest(t, s, testHour)
			late := flow.NewBatch(0)
			late.AppendRows(b, 900, rows)
			appendTest(t, s, late)
		},
	}
	for state, prepare := range states {
		for _, n := range []uint64{1, 2, 500, 5000} {
			t.Run(fmt.Sprint(state, " 1 of ", n), func(t *testing.T) {
				o := Options{FS: NewMemFS(), FlushEvery: -1, blockRows: 300}
				s := openTest(t, "data", o)
				b := randomBatch(rand.New(rand.NewPCG(n, 7)), rows, testHour.StartMS())
				for row := range rows {
					b.SetNum(flow.Bytes, row, uint64(row))
				}
				other := numbered(testHour+1, 0, 10)
				appendTest(t, s, other)
				putLedger(t, s, testHour, ledgerRow(1, 2, 3))
				prepare(s, b)
				before, err := s.View(testHour, testHour)
				if err != nil {
					t.Fatal(err)
				}
				defer before.Close()
				left := flow.NewBatch(0)
				for row := range rows {
					if uint64(row)%n != 1%n {
						left.AppendRows(b, row, row+1)
					}
				}
				got, err := s.Remove(testHour, numbersGone(n))
				if err != nil || got != int64(rows-left.Len()) {
					t.Errorf("removed %d, %v, want %d", got, err, rows-left.Len())
				}
				left.AppendRows(other, 0, other.Len())
				want := texts(left)
				check := func(when string, s *Store) {
					t.Helper()
					compareTexts(t, when, texts(storeRows(t, s)), want)
					for _, info := range s.Buckets() {
						if err := verifyAll(t, s, info.Hour); err != nil {
							t.Errorf("%s: %v", when, err)
						}
					}
					if got, want := ledgerText(t, s, testHour, testHour+1), " 0:1 0.0.0.2=3"; got != want {
						t.Errorf("%s: the ledger is%s, want%s", when, got, want)
					}
				}
				check("at once", s)
				if n := len(viewNumbers(t, before)); n != rows {
					t.Errorf("the view of before has %d rows", n)
				}
				for _, info := range s.Buckets() {
					if info.Hour == testHour && got > 0 && (info.Indexed != 0 || info.State != StateOpen) {
						t.Errorf("the bucket still has an index: %+v", info)
					}
				}
				if left.Len() > other.Len() {
					sealTest(t, s, testHour)
					check("sealed", s)
				}
				copied := "copy"
				if err := s.Checkpoint(copied); err != nil {
					t.Fatal(err)
				}
				check("reopened", openTest(t, copied, Options{FS: o.FS, ReadOnly: true}))
			})
		}
	}
}

func TestRemoveRefuses(t *testing.T) {
	s := openTest(t, "data", Options{FS: NewMemFS(), FlushEvery: -1, blockRows: 100})
	if n, err := s.Remove(testHour, numbersGone(1)); n != 0 || err != nil {
		t.Errorf("of no bucket: %d, %v", n, err)
	}
	appendTest(t, s, numbered(testHour, 0, 250))
	z, err := s.BeginSeal(testHour)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Remove(testHour, numbersGone(1)); !errors.Is(err, ErrSealing) {
		t.Errorf("of a bucket that is being sealed: %v", err)
	}
	if err := z.Commit(); err != nil {
		t.Fatal(err)
	}
	wrong := errors.New("cannot say")
	if n, err := s.Remove(testHour, func(*Block) ([]uint64, error) { return nil, wrong }); n != 0 || !errors.Is(err, wrong) {
		t.Errorf("got %d, %v, want %v", n, err, wrong)
	}
	if b := s.Buckets(); len(b) != 1 || b[0].Rows != 250 || b[0].State != StateSealed {
		t.Errorf("what failed left %+v", b)
	}
}

// TestRemoveBesideAppends removes while rows come: none of them is lost, and all
// that were there before the call are gone if they are meant.
func TestRemoveBesideAppends(t *testing.T) {
	s := openTest(t, "data", Options{FS: NewMemFS(), FlushEvery: 5 * time.Millisecond, blockRows: 200})
	const workers, rounds, rows = 2, 40, 25
	var working sync.WaitGroup
	for w := range workers {
		working.Go(func() {
			for i := range rounds {
				b := numbered(testHour, 0, rows)
				for row := range rows {
					b.SetNum(flow.Bytes, row, 2*uint64((w*rounds+i)*rows+row)) // even numbers are never removed
				}
				if err := s.Append(b); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range 10 {
		b := numbered(testHour, 0, 10)
		for row := range 10 {
			b.SetNum(flow.Bytes, row, uint64(20*i+2*row+1))
		}
		appendTest(t, s, b)
		n, err := s.Remove(testHour, numbersGone(2))
		if errors.Is(err, ErrMoved) {
			continue // rows come faster than they do anywhere; the next round gets them
		}
		if err != nil || n == 0 {
			t.Errorf("removed %d, %v", n, err)
		}
	}
	working.Wait()
	if _, err := s.Remove(testHour, numbersGone(2)); err != nil {
		t.Fatal(err)
	}
	seen := map[uint64]bool{}
	got := storeRows(t, s)
	for _, number := range got.Num(flow.Bytes) {
		if number%2 == 1 || seen[number] {
			t.Fatalf("row %d is there, or there twice", number)
		}
		seen[number] = true
	}
	if len(seen) != workers*rounds*rows {
		t.Errorf("%d rows, want %d", len(seen), workers*rounds*rows)
	}
}

// TestRemoveReadsEachHour removes rows of several hours by columns that are not
// put together: what is read of one hour must not be taken for another's.
func TestRemoveReadsEachHour(t *testing.T) {
	const hours, rows = 4, 700
	s := openTest(t, "data", Options{FS: NewMemFS(), FlushEvery: -1, blockRows: 300})
	want := [hours]int{}
	for i := range hours {
		rng := rand.New(rand.NewPCG(uint64(i), 9))
		b := randomBatch(rng, rows, (testHour + Hour(i)).StartMS())
		for row := range rows {
			b.SetNum(flow.Bytes, row, rng.Uint64N(1<<20))
		}
		for _, n := range b.Num(flow.Bytes) {
			if n&1 == 0 {
				want[i]++
			}
		}
		appendTest(t, s, b)
		sealTest(t, s, testHour+Hour(i))
	}
	for i := range hours {
		removed, err := s.Remove(testHour+Hour(i), func(b *Block) ([]uint64, error) {
			p, err := b.PackedIn(flow.Bytes, nil)
			if err != nil || p == nil {
				return nil, errors.Join(err, fmt.Errorf("column: %v", p))
			}
			bits := make([]uint64, (b.Rows()+63)/64)
			for row, n := range p.Fill(nil) {
				if n&1 == 0 {
					bits[row>>6] |= 1 << (row & 63)
				}
			}
			return bits, nil
		})
		if err != nil || removed != int64(want[i]) {
			t.Errorf("hour %d: %d rows were removed, want %d: %v", i, removed, want[i], err)
		}
		if left := len(hourNumbers(t, s, testHour+Hour(i), flow.Bytes, 0)); left != 0 {
			t.Errorf("hour %d: %d rows are left that were to go", i, left)
		}
	}
}

// hourNumbers returns the rows of an hour whose number in a field is even or odd.
func hourNumbers(t *testing.T, s *Store, h Hour, f flow.Field, odd uint64) (list []uint64) {
	t.Helper()
	v, err := s.View(h, h)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	for _, bucket := range v.Buckets() {
		for i := range bucket.Blocks() {
			b, err := bucket.Block(i)
			if err != nil {
				t.Fatal(err)
			}
			numbers, err := b.Num(f, nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range numbers {
				if n&1 == odd {
					list = append(list, n)
				}
			}
		}
	}
	return list
}
