package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"weir/flow"
	"weir/flow/ledger"
)

// filesWith returns the names of the files in dir that hold some bytes.
func filesWith(t *testing.T, dir string, mark []byte) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if isNotExist(err) {
			return nil // deleted meanwhile
		}
		if bytes.Contains(text, mark) {
			found = append(found, d.Name())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestScrub writes an address into logs, tables and an index, removes its rows
// and looks for its bytes in every file.
func TestScrub(t *testing.T) {
	addr, err := flow.ParseAddr("2001:db8:c0de:f00d:9a3b:71c5:e2d4:6f88")
	if err != nil {
		t.Fatal(err)
	}
	mark := addr.As16()
	for _, sealed := range []bool{false, true} {
		t.Run(fmt.Sprint("sealed ", sealed), func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			s := openTest(t, dir, Options{FlushEvery: -1, MemTableSize: 64 << 10, blockRows: 500})
			rng := rand.New(rand.NewPCG(3, 5))
			marked := int64(0)
			for turn := range 60 { // many logs, written over again and again
				b := randomBatch(rng, 100, testHour.StartMS())
				b.SetAddr(flow.SrcAddr, turn, addr)
				marked++
				appendTest(t, s, b)
				if err := s.Flush(); err != nil {
					t.Fatal(err)
				}
				if turn%20 == 19 && sealed {
					sealTest(t, s, testHour)
				}
			}
			if err := s.PutState("purge/test", mark[:]); err != nil {
				t.Fatal(err)
			}
			if err := s.Flush(); err != nil {
				t.Fatal(err)
			}
			before := filesWith(t, dir, mark[:])
			logs := slices.ContainsFunc(before, func(name string) bool { return filepath.Ext(name) == ".log" })
			tables := slices.ContainsFunc(before, func(name string) bool { return filepath.Ext(name) == ".sst" })
			if !logs || !tables {
				t.Fatalf("the address is in the files %v before, want logs and tables", before)
			}
			note := ledger.Row{Kind: ledger.KindPurge, Run: 7, Purge: &ledger.Purge{At: 7, Records: uint64(marked), Case: "C-1"}}
			n, err := s.RemoveNoted(testHour, func(b *Block) ([]uint64, error) {
				values, err := b.Addr(flow.SrcAddr, nil)
				bits := make([]uint64, (len(values)+63)/64)
				for row, v := range values {
					if v == addr {
						bits[row>>6] |= 1 << (row & 63)
					}
				}
				return bits, err
			}, func() []ledger.Row { return []ledger.Row{note} })
			if n != marked || err != nil {
				t.Fatalf("removed %d rows, %v, want %d", n, err, marked)
			}
			if err := s.DeleteState("purge/test"); err != nil {
				t.Fatal(err)
			}
			if left, err := s.Scrub(context.Background(), "purge/"); left != 0 || err != nil {
				t.Fatalf("scrub leaves %d files, %v", left, err)
			}
			if after := filesWith(t, dir, mark[:]); len(after) > 0 {
				t.Errorf("the address is still in the files %v", after)
			}
			if got, want := storeRows(t, s).Len(), 60*100-int(marked); got != want {
				t.Errorf("%d rows are left, want %d", got, want)
			}
		})
	}
}

// TestScrubView checks that a view keeps its files, and that this is said.
func TestScrubView(t *testing.T) {
	s := openTest(t, filepath.Join(t.TempDir(), "data"), Options{FlushEvery: -1})
	appendTest(t, s, numbered(testHour, 0, 100))
	sealTest(t, s, testHour)
	v, err := s.View(testHour, testHour)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Remove(testHour, numbersGone(2)); err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
	defer cancel()
	if left, err := s.Scrub(short, ""); left == 0 || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("scrub under a view leaves %d files, %v", left, err)
	}
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	if left, err := s.Scrub(context.Background(), ""); left != 0 || err != nil {
		t.Errorf("scrub leaves %d files, %v", left, err)
	}
}

// TestRemoveNoted checks that notes take their places among the rows of a ledger.
func TestRemoveNoted(t *testing.T) {
	s := openTest(t, "data", Options{FS: NewMemFS(), FlushEvery: -1})
	appendTest(t, s, numbered(testHour, 0, 10))
	putLedger(t, s, testHour, ledgerRow(1, 2, 3))
	purge := func(run ledger.Run, n uint64) ledger.Row {
		return ledger.Row{Kind: ledger.KindPurge, Run: run, Purge: &ledger.Purge{At: uint64(run), Records: n}}
	}
	putLedger(t, s, testHour, purge(5, 1))
	putLedger(t, s, testHour, purge(9, 2))
	noted := 0
	note := func() []ledger.Row { noted++; return []ledger.Row{purge(7, 3), purge(9, 4), purge(11, 5)} }
	if n, err := s.RemoveNoted(testHour, func(*Block) ([]uint64, error) { return nil, nil }, note); n != 0 || err != nil || noted != 0 {
		t.Errorf("removing nothing: %d rows, %v, noted %d times", n, err, noted)
	}
	if n, err := s.RemoveNoted(testHour, numbersGone(1), note); n != 10 || err != nil || noted != 1 {
		t.Errorf("removing all: %d rows, %v, noted %d times", n, err, noted)
	}
	var got []uint64
	rows := 0
	err := s.ScanLedger(testHour, testHour, func(_ Hour, row ledger.Row) error {
		if rows++; row.Kind == ledger.KindPurge {
			got = append(got, row.Purge.Records)
		}
		return nil
	})
	if want := []uint64{1, 3, 4, 5}; !slices.Equal(got, want) || rows != len(want)+1 || err != nil {
		t.Errorf("purges %v of %d rows, %v, want %v", got, rows, err, want)
	}
}
