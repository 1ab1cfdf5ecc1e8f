package store

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/cockroachdb/pebble/v2"

	"weir/flow"
)

// verifyAll verifies the blocks of a bucket.
func verifyAll(t *testing.T, s *Store, h Hour) error {
	t.Helper()
	v, err := s.View(h, h)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	b := v.Buckets()[0]
	var bad error
	for i := range b.Blocks() {
		blk, err := b.Block(i)
		if err != nil {
			bad = errors.Join(bad, err)
			continue
		}
		bad = errors.Join(bad, blk.Verify())
	}
	return bad
}

func TestVerify(t *testing.T) {
	s := openTest(t, t.TempDir(), Options{FlushEvery: -1, blockRows: 5000})
	batch := traffic(t, 12000, false)
	appendTest(t, s, batch)
	hour := HourOf(batch.GetNum(flow.Received, 0))
	if err := verifyAll(t, s, hour); err != nil {
		t.Fatalf("before the seal: %v", err)
	}
	for _, b := range s.Buckets() {
		z, err := s.BeginSeal(b.Hour)
		if err != nil {
			t.Fatal(err)
		}
		if err := z.Commit(); err != nil {
			t.Fatal(err)
		}
		if err := verifyAll(t, s, b.Hour); err != nil {
			t.Errorf("%v sealed: %v", b.Hour, err)
		}
	}
}

// TestVerifyFinds changes one thing at a time and puts it back.
func TestVerifyFinds(t *testing.T) {
	s := openTest(t, t.TempDir(), Options{FlushEvery: -1, blockRows: 100})
	appendTest(t, s, numbered(testHour, 0, 100))
	waitBlocks(t, s, testHour, 1)
	if err := verifyAll(t, s, testHour); err != nil {
		t.Fatal(err)
	}
	change := func(name string, key []byte, edit func(value []byte), want ...string) {
		t.Helper()
		value, closer, err := s.db.Get(key)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		was := append([]byte(nil), value...)
		closer.Close()
		now := append([]byte(nil), was...)
		edit(now)
		put := func(value []byte) {
			if err := s.db.Set(key, value, pebble.NoSync); err != nil {
				t.Fatal(err)
			}
		}
		put(now)
		err = verifyAll(t, s, testHour)
		for _, w := range want {
			if err == nil || !strings.Contains(err.Error(), w) || !IsDamage(err) {
				t.Errorf("%s: got %v, want %q in it", name, err, w)
			}
		}
		put(was)
	}
	resum := func(value []byte) { binary.BigEndian.PutUint64(value, xxhash.Sum64(value[8:])) }
	change("a flipped bit", columnKey(testHour, flow.Bytes, 0), func(v []byte) { v[len(v)-1] ^= 1 }, "column bytes of block 0", "checksum")
	change("a header with other times", headerKey(testHour, 0), func(v []byte) {
		v[8+1+1+7] ^= 1 // the last byte of the first receipt
		resum(v)
	}, "header of block 0", "times")
	change("a header with another maximum", headerKey(testHour, 0), func(v []byte) {
		v[len(v)-1] ^= 1
		resum(v)
	}, "the header says otherwise")
	if err := verifyAll(t, s, testHour); err != nil {
		t.Errorf("put back: %v", err)
	}
}

// waitBlocks waits until the parts of a bucket are blocks on disk.
func waitBlocks(t *testing.T, s *Store, h Hour, n int) {
	t.Helper()
	if err := s.Flush(); err != nil { // waits for what is being written
		t.Fatal(err)
	}
	if b := s.Buckets(); len(b) != 1 || b[0].Hour != h || b[0].Blocks != n {
		t.Fatalf("buckets are %+v, want %d blocks", b, n)
	}
}
