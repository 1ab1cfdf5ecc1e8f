package store

import (
	"errors"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"weir/flow"
)

// flushParts appends three tail segments of 100 rows each.
func flushParts(t *testing.T, s *Store) (part uint64) {
	t.Helper()
	for i := range 3 {
		appendTest(t, s, numbered(testHour, 100*i, 100))
		if err := s.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hours.get(testHour).open.id
}

func TestDamagedTail(t *testing.T) {
	for name, hurt := range map[string]func(t *testing.T, s *Store, part uint64){
		"changed": func(t *testing.T, s *Store, part uint64) {
			if err := s.db.Set(tailKey(testHour, part, 100), []byte("not a tail segment"), pebble.Sync); err != nil {
				t.Fatal(err)
			}
		},
		"missing": func(t *testing.T, s *Store, part uint64) {
			if err := s.db.Delete(tailKey(testHour, part, 100), pebble.Sync); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			fs := NewMemFS()
			o := Options{FS: fs, FlushEvery: -1, blockRows: 1000}
			s := openTest(t, "data", o)
			part := flushParts(t, s)
			hurt(t, s, part)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}

			s = openTest(t, "data", o)
			bad := s.Damage()
			var d *DamageError
			if len(bad) != 1 || !errors.As(bad[0], &d) || d.Hour != testHour {
				t.Fatalf("Damage() = %v, want one of bucket %v", bad, testHour)
			}
			if n := storeRows(t, s).Len(); n != 200 {
				t.Fatalf("%d rows, want the 200 of the other segments", n)
			}
			appendTest(t, s, numbered(testHour, 300, 50))
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}

			s = openTest(t, "data", o)
			if bad := s.Damage(); len(bad) != 0 {
				t.Errorf("damage that was reported is there again: %v", bad)
			}
			got := map[uint64]int{}
			for _, id := range storeRows(t, s).Num(flow.Bytes) {
				got[id]++
			}
			for id := range uint64(350) {
				want := 1
				if id >= 100 && id < 200 {
					want = 0
				}
				if got[id] != want {
					t.Fatalf("row %d is there %d times, want %d", id, got[id], want)
				}
			}
		})
	}
}

// TestDamageStaysWhereItIs damages one value of each kind in a bucket of several
// blocks: the rest must be readable.
func TestDamageStaysWhereItIs(t *testing.T) {
	fs := NewMemFS()
	o := Options{FS: fs, FlushEvery: -1, blockRows: 100}
	s := openTest(t, "data", o)
	appendTest(t, s, numbered(testHour, 0, 500))
	appendTest(t, s, numbered(testHour+1, 0, 500))
	sealTest(t, s, testHour)
	for _, key := range [][]byte{metaKey(testHour), headerKey(testHour, 1), columnKey(testHour, flow.Bytes, 2)} {
		if err := s.db.Set(key, []byte("this is not what was written"), pebble.Sync); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.db.Delete(columnKey(testHour, flow.Bytes, 3), pebble.Sync); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	s = openTest(t, "data", o)
	if n := len(s.Damage()); n != 2 {
		t.Errorf("Damage() = %v, want totals and a header", s.Damage())
	}
	v, err := s.View(testHour, testHour+1)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	if b := v.Buckets()[0]; b.Indexed() != 0 || b.Blocks() != 5 {
		t.Errorf("the bucket without totals has %d blocks, %d indexed, want 5 and none", b.Blocks(), b.Indexed())
	}
	rows := []int{0, 0}
	damaged := 0
	for k, b := range v.Buckets() {
		for i := range b.Blocks() {
			blk, err := b.Block(i)
			if err == nil {
				_, err = blk.Num(flow.Bytes, nil)
			}
			switch {
			case IsDamage(err):
				damaged++
			case err != nil:
				t.Errorf("block %d: %v, want damage", i, err)
			default:
				rows[k] += blk.Rows()
			}
		}
	}
	if rows[0] != 200 || rows[1] != 500 || damaged != 3 {
		t.Errorf("%d and %d rows are readable, %d blocks damaged, want 200, 500 and 3", rows[0], rows[1], damaged)
	}
}
