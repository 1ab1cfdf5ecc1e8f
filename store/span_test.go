package store

import (
	"testing"
	"time"
)

// TestTablesEndWithTheirBucket writes buckets, state and audit entries side by
// side, has Pebble flush and compact them, and looks at every table.
func TestTablesEndWithTheirBucket(t *testing.T) {
	s := openTest(t, t.TempDir(), Options{FlushEvery: -1, blockRows: 200})
	round := func(n int) {
		chain(t, s, 1)
		for h := testHour; h < testHour+5; h++ {
			appendTest(t, s, numbered(h, n*500, 500))
			putLedger(t, s, h, ledgerRow(1, uint32(n), 1))
		}
		if err := s.PutState("clock", []byte{byte(n)}); err != nil {
			t.Fatal(err)
		}
		if err := s.Flush(); err != nil {
			t.Fatal(err)
		}
		if err := s.db.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 6 {
		round(n)
	}
	checkTables(t, s)
	if err := s.db.Compact(t.Context(), []byte{0}, []byte{0xff}, false); err != nil {
		t.Fatal(err)
	}
	checkTables(t, s)

	// What is dropped is gone from the disk, though others were written with it.
	before := tableBytes(t, s)
	for h := testHour; h < testHour+4; h++ {
		if err := s.Drop(h); err != nil {
			t.Fatal(err)
		}
	}
	deadline := time.Now().Add(time.Minute)
	for tableBytes(t, s) > before/3 {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d bytes are left of a fifth of the buckets", tableBytes(t, s), before)
		}
		time.Sleep(5 * time.Millisecond)
	}
	v, err := s.View(0, ^Hour(0))
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	if n := len(viewNumbers(t, v)); n != 3000 {
		t.Errorf("%d rows are left, want 3000", n)
	}
}

// checkTables refuses tables that reach over the end of a bucket.
func checkTables(t *testing.T, s *Store) {
	t.Helper()
	levels, err := s.db.SSTables()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, tables := range levels {
		for _, table := range tables {
			n++
			first, last := table.Smallest.UserKey, table.Largest.UserKey
			a, _, _, inA := splitBucketKey(first)
			b, _, _, inB := splitBucketKey(last)
			end, _ := bucketSpan(a+1, a+1)
			if inA && (!inB || a != b) && string(last) != string(end) || !inA && inB {
				t.Errorf("a table goes from %x to %x", first, last)
			}
		}
	}
	if n < 6 {
		t.Fatalf("%d tables, want one of each bucket and more", n)
	}
}

// tableBytes returns the size of all tables on disk.
func tableBytes(t testing.TB, s *Store) (total uint64) {
	t.Helper()
	names, err := s.opts.FS.List(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if info, err := s.opts.FS.Stat(s.opts.FS.PathJoin(s.dir, name)); err == nil && len(name) > 4 && name[len(name)-4:] == ".sst" {
			total += uint64(info.Size())
		}
	}
	return total
}
