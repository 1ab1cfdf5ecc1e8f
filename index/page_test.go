package index

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"weir/flow"
)

// pages is a bucket's entries in memory.
type pages struct {
	keys, values [][]byte
	at           int
}

func (p *pages) add(key, value []byte) error {
	if n := len(p.keys); n > 0 && bytes.Compare(p.keys[n-1], key) >= 0 {
		return fmt.Errorf("key %x does not follow %x", key, p.keys[n-1])
	}
	p.keys = append(p.keys, bytes.Clone(key))
	p.values = append(p.values, bytes.Clone(value))
	return nil
}

func (p *pages) First() bool { p.at = 0; return p.valid() }
func (p *pages) Next() bool  { p.at++; return p.valid() }
func (p *pages) SeekGE(key []byte) bool {
	p.at, _ = slices.BinarySearchFunc(p.keys, key, bytes.Compare)
	return p.valid()
}
func (p *pages) SeekLT(key []byte) bool {
	p.at, _ = slices.BinarySearchFunc(p.keys, key, bytes.Compare)
	p.at--
	return p.valid()
}
func (p *pages) valid() bool   { return p.at >= 0 && p.at < len(p.keys) }
func (p *pages) Key() []byte   { return p.keys[p.at] }
func (p *pages) Value() []byte { return p.values[p.at] }
func (p *pages) Err() error    { return nil }

// bytes returns how long all pages are.
func (p *pages) bytes() int {
	n := 0
	for _, v := range p.values {
		n += len(v)
	}
	return n
}

// ofField returns the entries that a lookup of f sees.
func (p *pages) ofField(f flow.Field) *pages {
	q := &pages{}
	for i, key := range p.keys {
		if key[0] == byte(f) {
			q.keys, q.values = append(q.keys, key), append(q.values, p.values[i])
		}
	}
	return q
}

// randBlocks returns some of n blocks, ascending, at least one.
func randBlocks(rng *rand.Rand, n int) []uint32 {
	var blocks []uint32
	p := []float64{0, 0.02, 0.5, 0.98, 1}[rng.IntN(5)]
	for b := range n {
		if rng.Float64() < p {
			blocks = append(blocks, uint32(b))
		}
	}
	if len(blocks) == 0 {
		blocks = append(blocks, uint32(rng.IntN(n)))
	}
	return blocks
}

func members(words []uint64) []uint32 {
	var list []uint32
	for b := range 64 * len(words) {
		if words[b>>6]>>(b&63)&1 != 0 {
			list = append(list, uint32(b))
		}
	}
	return list
}

func TestBlockSet(t *testing.T) {
	rng := newRand(t)
	for range 3000 {
		n := 1 + rng.IntN(1<<rng.IntN(13))
		want := randBlocks(rng, n)
		data := appendBlockSet([]byte{7}, want, n)[1:]
		if most := (n+7)/8 + 1; len(data) > max(most, 3) {
			t.Errorf("%d of %d blocks take %d bytes, want at most %d", len(want), n, len(data), most)
		}
		words := make([]uint64, (n+63)/64)
		used, err := orBlockSet(append(slices.Clone(data), 0xff), n, words)
		if err != nil || used != len(data) {
			t.Fatalf("orBlockSet(%x, %d) = %d, %v, want %d", data, n, used, err, len(data))
		}
		if got := members(words); !slices.Equal(got, want) {
			t.Fatalf("orBlockSet(%x, %d) found %v, want %v", data, n, got, want)
		}
		if used, err := orBlockSet(data, n, nil); err != nil || used != len(data) {
			t.Fatalf("skipping %x took %d, %v", data, used, err)
		}
	}
}

func TestPageDamage(t *testing.T) {
	rng := newRand(t)
	p := &pages{}
	w := &pageWriter{emit: p.add, field: flow.SrcAddr, n: 40}
	v := flow.Addr{}
	for range 5000 {
		v, _ = add(v, flow.Addr{Lo: 1 + rng.Uint64N(1000)})
		if err := w.add(v, randBlocks(rng, w.n)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.flush(); err != nil {
		t.Fatal(err)
	}
	if len(p.keys) < 3 {
		t.Fatalf("%d pages, want several", len(p.keys))
	}
	for range 2000 {
		i := rng.IntN(len(p.keys))
		key, value := bytes.Clone(p.keys[i]), bytes.Clone(p.values[i])
		if bit := rng.IntN(8 * (len(key) + len(value))); bit < 8*len(key) {
			key[bit/8] ^= 1 << (bit % 8)
		} else {
			value[bit/8-len(key)] ^= 1 << (bit % 8)
		}
		if _, err := openPage(key, value); err == nil {
			t.Fatalf("page %d opened with a bit flipped", i)
		}
	}
	if _, err := openPage(p.keys[0], p.values[1]); err == nil {
		t.Error("a page opened under another's key")
	}
}

func FuzzPage(f *testing.F) {
	p := &pages{}
	w := &pageWriter{emit: p.add, field: flow.DstPort, n: 20}
	for v := range uint64(300) {
		_ = w.add(flow.Addr{Lo: v * v}, []uint32{uint32(v % 20)})
	}
	_ = w.flush()
	_ = w.addTable(slices.Repeat([]byte{1, 2, 3}, 500))
	w = &pageWriter{emit: p.add, field: flow.SrcAddr, n: 1}
	for v := range uint64(300) {
		_ = w.add(flow.Addr{Lo: v * v}, []uint32{0})
	}
	_ = w.flush()
	for i := range p.keys {
		f.Add(p.keys[i], p.values[i][4:])
	}
	f.Fuzz(func(t *testing.T, key, body []byte) {
		// The checksum is made right: what stands behind it must be safe too.
		page := binary.LittleEndian.AppendUint32(nil, pageChecksum(key, body))
		r, err := openPage(key, append(page, body...))
		if err != nil {
			return
		}
		words := make([]uint64, (r.n+63)/64)
		last, terms := r.value, 0
		for more := true; more; {
			if r.value.Less(last) {
				t.Fatalf("value %v follows %v", r.value, last)
			}
			last = r.value
			if more, err = r.next(words); err != nil {
				return
			}
			if terms++; terms > len(body) {
				t.Fatalf("more than %d terms in %d bytes", terms, len(body))
			}
		}
		for _, b := range members(words) {
			if int(b) >= r.n {
				t.Fatalf("block %d of %d", b, r.n)
			}
		}
	})
}
