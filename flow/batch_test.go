package flow

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// randomRecord returns a record in which about every third field is present.
func randomRecord(rng *rand.Rand) Record {
	var r Record
	for f := range AllFields().All {
		if rng.IntN(3) != 0 {
			continue
		}
		if f.IsText() {
			r.SetText(f, fmt.Sprint("text ", rng.IntN(5)))
		} else if f.IsAddr() {
			a := Addr{rng.Uint64(), rng.Uint64()}
			if rng.IntN(2) == 0 {
				a = AddrFrom4(rng.Uint32())
			}
			r.SetAddr(f, a)
		} else {
			r.SetNum(f, rng.Uint64()>>(64-f.Bits()))
		}
	}
	return r
}

// checkBatch compares every row of b with want.
func checkBatch(t *testing.T, b *Batch, want []Record) {
	t.Helper()
	if b.Len() != len(want) {
		t.Fatalf("Len() = %d, want %d", b.Len(), len(want))
	}
	var got Record // keeps nothing of the row before
	for row := range want {
		if b.Record(row, &got); got != want[row] {
			t.Fatalf("row %d is %s, want %s", row, got.AppendJSON(nil), want[row].AppendJSON(nil))
		}
	}
	row := 0
	for got := range b.Records {
		if *got != want[row] {
			t.Fatalf("Records gives %s as row %d, want %s", got.AppendJSON(nil), row, want[row].AppendJSON(nil))
		}
		got.SetNum(Field(1+row%3), 7) // the next is not to have it
		row++
	}
	if row != len(want) {
		t.Fatalf("Records gives %d rows, want %d", row, len(want))
	}
	for f := range AllFields().All {
		count := 0
		for row := range want {
			if want[row].Has(f) {
				count++
			} else if f.IsText() && b.GetText(f, row) == "" {
				continue
			} else if f.IsText() || !f.IsAddr() && b.GetNum(f, row) != 0 || f.IsAddr() && b.GetAddr(f, row) != (Addr{}) {
				t.Fatalf("row %d has a value of the absent %s", row, f)
			}
		}
		if got := b.PresentCount(f); got != count {
			t.Fatalf("PresentCount(%s) = %d, want %d", f, got, count)
		}
	}
}

// TestBatchKeepsRecords appends, copies and truncates at random and compares
// with a plain slice of records.
func TestBatchKeepsRecords(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint("seed", seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 1))
			b, other := NewBatch(rng.IntN(200)), NewBatch(1)
			var want, wantOther []Record
			for range 400 {
				r := randomRecord(rng)
				b.AppendRecord(&r)
				want = append(want, r)
				switch rng.IntN(20) {
				case 0:
					lo := rng.IntN(len(want))
					hi := lo + rng.IntN(len(want)-lo)
					other.AppendRows(b, lo, hi)
					wantOther = append(wantOther, want[lo:hi]...)
				case 1:
					n := rng.IntN(len(want) + 1)
					b.Truncate(n)
					want = want[:n]
				case 2:
					n := rng.IntN(len(wantOther) + 1)
					other.Truncate(n)
					wantOther = wantOther[:n]
				}
			}
			checkBatch(t, b, want)
			checkBatch(t, other, wantOther)
			b.Reset()
			checkBatch(t, b, nil)
		})
	}
}

func TestBatchMark(t *testing.T) {
	b := NewBatch(10)
	b.Grow(300)
	for _, c := range []struct{ lo, hi, want int }{{0, 0, 0}, {5, 6, 1}, {60, 70, 11}, {64, 128, 69}, {0, 300, 300}} {
		b.Mark(Bytes, c.lo, c.hi)
		if got := b.PresentCount(Bytes); got != c.want {
			t.Errorf("after Mark(%d, %d) PresentCount is %d, want %d", c.lo, c.hi, got, c.want)
		}
	}
	b.Num(Bytes)[10] = 7
	b.Unmark(Bytes, 10, 11)
	if b.Has(Bytes, 10) || b.GetNum(Bytes, 10) != 0 || b.PresentCount(Bytes) != 299 {
		t.Errorf("after Unmark(10, 11): has %v, value %d, count %d; want false, 0, 299", b.Has(Bytes, 10), b.GetNum(Bytes, 10), b.PresentCount(Bytes))
	}
}

func TestAppendRowsRefusesBadRange(t *testing.T) {
	b := NewBatch(1)
	b.Grow(3)
	defer func() {
		if recover() == nil {
			t.Error("AppendRows(2, 4) of 3 rows did not panic")
		}
	}()
	NewBatch(1).AppendRows(b, 2, 4)
}
