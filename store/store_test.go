package store

import (
	"math/rand/v2"
	"path/filepath"
	"testing"

	"weir/flow"
)

func openTest(t testing.TB, dir string, o Options) *Store {
	t.Helper()
	s, err := Open(dir, o)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

const testHour = Hour(490_000)

// TestStoreKeepsRows follows random rows through every state of a bucket.
func TestStoreKeepsRows(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	rng := rand.New(rand.NewPCG(1, 2))
	o := Options{FlushEvery: -1, blockRows: 7000}
	s := openTest(t, dir, o)
	want := flow.NewBatch(0)
	for i := range 10 {
		b := randomBatch(rng, 2000, testHour.StartMS()+uint64(i)*400_000)
		if err := s.Append(b); err != nil {
			t.Fatal(err)
		}
		want.AppendRows(b, 0, b.Len())
	}
	all := texts(want)
	compareTexts(t, "open", texts(storeRows(t, s)), all)
	if err := s.Flush(); err != nil {
		t.Fatal(err)
	}
	compareTexts(t, "flushed", texts(storeRows(t, s)), all)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openTest(t, dir, o)
	compareTexts(t, "reopened", texts(storeRows(t, s)), all)
	for _, info := range s.Buckets() {
		z, err := s.BeginSeal(info.Hour)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 100 {
			if err := z.Add([]byte{byte(i)}, []byte("value")); err != nil {
				t.Fatal(err)
			}
		}
		if err := z.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	compareTexts(t, "sealed", texts(storeRows(t, s)), all)
	copied := filepath.Join(t.TempDir(), "copy")
	if err := s.Checkpoint(copied); err != nil {
		t.Fatal(err)
	}
	c := openTest(t, copied, Options{ReadOnly: true})
	compareTexts(t, "checkpoint", texts(storeRows(t, c)), all)
	for _, info := range s.Buckets() {
		if err := s.Drop(info.Hour); err != nil {
			t.Fatal(err)
		}
	}
	compareTexts(t, "dropped", texts(storeRows(t, s)), nil)
}
