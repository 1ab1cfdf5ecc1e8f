package store

import (
	"math/rand/v2"
	"testing"
)

// TestIndexNote takes views while the index of an hour changes: those that see the
// same index have one note, and nobody else has it.
func TestIndexNote(t *testing.T) {
	s := openTest(t, "data", Options{FS: NewMemFS(), FlushEvery: -1, blockRows: 300})
	rng := rand.New(rand.NewPCG(1, 9))
	add := func() { appendTest(t, s, randomBatch(rng, 1000, testHour.StartMS())) }
	note := func() *IndexNote {
		t.Helper()
		v, err := s.View(testHour, testHour)
		if err != nil {
			t.Fatal(err)
		}
		defer v.Close()
		return v.Buckets()[0].IndexNote()
	}
	met := map[*IndexNote]string{}
	fresh := func(when string) {
		t.Helper()
		n := note()
		if n == nil || met[n] != "" || n != note() {
			t.Errorf("%s: note %p, which is %q", when, n, met[n])
		}
		met[n] = when
	}
	add()
	fresh("open")
	sealTest(t, s, testHour)
	fresh("sealed")
	last := note()
	add()
	if note() != last {
		t.Error("rows that the index does not have changed its note")
	}
	sealTest(t, s, testHour)
	fresh("sealed again")
	if n, err := s.Remove(testHour, numbersGone(2)); n == 0 || err != nil {
		t.Fatalf("removed %d rows: %v", n, err)
	}
	fresh("removed")
	sealTest(t, s, testHour)
	fresh("sealed after that")
	if err := s.Drop(testHour); err != nil {
		t.Fatal(err)
	}
	add()
	fresh("dropped and made anew")
}
