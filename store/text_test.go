package store

import (
	"encoding/binary"
	"math/rand/v2"
	"strings"
	"testing"

	"weir/flow"
)

// TestLargestTexts stores a block of as many different texts as it can have, each
// as long as it can be and of bytes that do not compress.
func TestLargestTexts(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	b := flow.NewBatch(BlockRows)
	b.Grow(BlockRows)
	want := make([]string, BlockRows)
	for row := range want {
		text := make([]byte, flow.MaxText)
		for i := 0; i+8 <= len(text); i += 8 {
			binary.BigEndian.PutUint64(text[i:], rng.Uint64())
		}
		want[row] = string(text)
		b.SetText(flow.FieldCount-1, row, want[row])
		b.SetNum(flow.Received, row, testHour.StartMS())
	}
	blk := blockOf(t, b)
	got, err := blk.Text(flow.FieldCount-1, nil)
	if err != nil {
		t.Fatalf("Text: %v", err)
	}
	for row := range want {
		if got[row] != want[row] {
			t.Fatalf("row %d has another text", row)
		}
	}
	if size := blk.Stat(flow.FieldCount - 1).Size; size < len(want)*flow.MaxText || size > maxTextColumn {
		t.Errorf("the column takes %d bytes", size)
	}
}

// TestTextsOutOfOrder is of a dictionary that claims an order which it has not,
// or texts that are longer than they may be.
func TestTextsOutOfOrder(t *testing.T) {
	for _, texts := range [][]string{{"b", "a"}, {"a", "a"}, {strings.Repeat("x", flow.MaxText+1)}} {
		e, d := newEncoder(), newDecoder()
		dict := Dict{n: len(texts)}
		src := e.textDict(nil, texts)
		if _, err := dict.takeTexts(d, src[1:]); err == nil {
			t.Errorf("a dictionary of %d texts from %.5q: no error", len(texts), texts[0])
		}
	}
}

// TestUseSlots is of the version that a store with slots has, also as a copy.
func TestUseSlots(t *testing.T) {
	fs := NewMemFS()
	s, err := Open("data", Options{FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	version := func(dir string, want int) {
		t.Helper()
		if got, err := readIdentity(fs, dir); err != nil || got != want {
			t.Errorf("%s has format %d, error %v, want %d", dir, got, err, want)
		}
	}
	version("data", 1)
	for range 2 {
		if err := s.UseSlots(); err != nil {
			t.Fatalf("UseSlots: %v", err)
		}
		version("data", 2)
	}
	if err := s.Checkpoint("copy"); err != nil {
		t.Fatalf("Checkpoint: %v", err)
	}
	version("copy", 2)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = Open("data", Options{FS: fs}); err != nil {
		t.Fatalf("open again: %v", err)
	}
	if s.version != 2 {
		t.Errorf("opened again it has format %d, want 2", s.version)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
