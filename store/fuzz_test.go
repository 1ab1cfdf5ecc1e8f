package store

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/cespare/xxhash/v2"

	"weir/flow"
)

// resum puts the right checksum on a value: without it a fuzzer never gets past
// the checksum.
func resum(value []byte) []byte {
	if len(value) < 8 {
		return value
	}
	out := bytes.Clone(value)
	binary.BigEndian.PutUint64(out, xxhash.Sum64(out[8:]))
	return out
}

// go test ./store -run '^$' -fuzz FuzzHeader -fuzztime 1m
func FuzzHeader(f *testing.F) {
	f.Add(newEncoder().encode(traffic(f, 300, false)).head)
	f.Add(newEncoder().encode(flow.NewBatch(0)).head)
	f.Fuzz(func(t *testing.T, value []byte) {
		h, err := parseHeader(resum(value))
		if err != nil {
			return
		}
		again, err := parseHeader(h.append(nil))
		if err != nil {
			t.Fatalf("what was parsed, written again, does not parse: %v", err)
		}
		if *again != *h {
			t.Fatalf("written again: %+v, want %+v", again, h)
		}
	})
}

// tailOf returns all of b as a tail segment.
func tailOf(b *flow.Batch) []byte {
	g := segmentOf(b, 0, b.Len())
	return appendTail(nil, &g)
}

// go test ./store -run '^$' -fuzz FuzzTail -fuzztime 1m
func FuzzTail(f *testing.F) {
	f.Add(tailOf(withTexts(traffic(f, 100, false))))
	f.Add(tailOf(randomBatch(rand.New(rand.NewPCG(1, 1)), 9, 1)))
	f.Fuzz(func(t *testing.T, value []byte) {
		b, err := parseTail(resum(value))
		if err != nil {
			return
		}
		again, err := parseTail(tailOf(b))
		if err != nil {
			t.Fatalf("what was parsed, written again, does not parse: %v", err)
		}
		compareTexts(t, "written again", texts(again), texts(b))
	})
}

// go test ./store -run '^$' -fuzz FuzzMeta -fuzztime 1m
func FuzzMeta(f *testing.F) {
	f.Add((&hourState{blocks: 3, indexed: 2, bytes: 1000}).appendMeta(nil))
	f.Fuzz(func(t *testing.T, value []byte) {
		var h hourState
		if err := h.parseMeta(resum(value)); err != nil {
			return
		}
		if h.blocks < 0 || h.blocks > maxBlocks || h.indexed > h.blocks {
			t.Fatalf("believed: %+v", h)
		}
	})
}

// fuzzFields are columns of every layout and mode.
var fuzzFields = []flow.Field{
	flow.Received, flow.Start, flow.End, flow.Exporter, flow.SrcAddr, flow.DstAddr, flow.SrcPort, flow.Bytes,
	flow.Proto, flow.SrcAS, flow.NextHop, flow.DstMask, flow.NATSrcAddr, flow.Agent, flow.FirstKeptText,
}

// FuzzColumn replaces one column of a block.
//
//	go test ./store -run '^$' -fuzz FuzzColumn -fuzztime 1m
func FuzzColumn(f *testing.F) {
	enc := newEncoder().encode(withTexts(traffic(f, 2000, false)))
	for _, field := range fuzzFields {
		for i, have := range enc.fields {
			if have == field {
				f.Add(byte(field), enc.columns[i])
			}
		}
	}
	f.Fuzz(func(t *testing.T, field byte, value []byte) {
		if !flow.Field(field).Valid() {
			return
		}
		readAll(t, enc, flow.Field(field), resum(value), dependents(flow.Field(field)))
	})
}

// FuzzBlockDecode changes bytes of a whole block, and puts checksums right.
//
//	go test ./store -run '^$' -fuzz FuzzBlockDecode -fuzztime 1m
func FuzzBlockDecode(f *testing.F) {
	enc := newEncoder().encode(withTexts(traffic(f, 1000, false)))
	f.Add(uint64(1), uint16(1))
	f.Add(uint64(2), uint16(100))
	f.Fuzz(func(t *testing.T, seed uint64, changes uint16) {
		rng := rand.New(rand.NewPCG(seed, 5))
		broken := *enc
		broken.columns = make([][]byte, len(enc.columns))
		for i := range enc.columns {
			broken.columns[i] = bytes.Clone(enc.columns[i])
		}
		for range changes % 512 {
			c := broken.columns[rng.IntN(len(broken.columns))]
			c[8+rng.IntN(len(c)-8)] ^= byte(1 << rng.IntN(8))
		}
		for i := range broken.columns {
			broken.columns[i] = resum(broken.columns[i])
		}
		readAll(t, &broken, 0, nil, broken.header.columns)
	})
}

// dependents returns f and a field that is decoded from it.
func dependents(f flow.Field) flow.FieldSet {
	switch f {
	case flow.Received, flow.End:
		return flow.SetOf(f, flow.Start)
	case flow.Exporter, flow.SrcAddr:
		return flow.SetOf(f, flow.SrcAS)
	case flow.DstAddr:
		return flow.SetOf(f, flow.NextHop)
	}
	return flow.SetOf(f)
}

// TestDamagedColumns changes columns at random, and puts checksums right: what a
// fuzzer would begin with, in every run of the tests.
func TestDamagedColumns(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 5))
	for _, n := range []int{40, 3000} {
		enc := newEncoder().encode(withTexts(traffic(t, n, false)))
		for i, f := range enc.fields {
			for range 40 {
				value := bytes.Clone(enc.columns[i])
				switch rng.IntN(5) {
				case 0:
					value = value[:8+rng.IntN(len(value)-8)]
				case 1:
					value = append(value, byte(rng.Uint32()))
				default:
					for range 1 + rng.IntN(3) {
						// The front has the counts and lengths.
						value[8+rng.IntN(min(len(value)-8, 1+rng.IntN(len(value)-8)))] = byte(rng.Uint32())
					}
				}
				readAll(t, enc, f, resum(value), dependents(f))
			}
		}
	}
}

// TestDamageIsFound flips a bit of each column without putting the checksum
// right.
func TestDamageIsFound(t *testing.T) {
	enc := newEncoder().encode(withTexts(traffic(t, 500, false)))
	rng := rand.New(rand.NewPCG(2, 5))
	for i, f := range enc.fields {
		enc.columns[i][rng.IntN(len(enc.columns[i]))] ^= 1 << rng.IntN(8)
		blk, err := openEncoded(enc, newCodecs())
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case f.IsAddr():
			_, err = blk.Addr(f, nil)
		case f.IsText():
			_, err = blk.Text(f, nil)
		default:
			_, err = blk.Num(f, nil)
		}
		if !IsDamage(err) {
			t.Errorf("a changed bit of %v: error %v, want damage", f, err)
		}
	}
	enc.head[len(enc.head)/2] ^= 4
	if _, err := parseHeader(enc.head); err == nil {
		t.Error("a changed bit of the header: no error")
	}
}

// readAll reads every column of a block in every way, with the value of one
// column replaced. Errors are expected, and must be of damage; panics are not.
func readAll(t *testing.T, enc *encodedBlock, replaced flow.Field, value []byte, fields flow.FieldSet) {
	t.Helper()
	blk, pointed := openReplaced(t, enc, replaced, value), openReplaced(t, enc, replaced, value)
	check := func(err error) {
		if err != nil && !IsDamage(err) {
			t.Fatalf("error is not of damage: %v", err)
		}
	}
	set := make([]uint64, BlockRows/64)
	for row := 0; row < blk.Rows(); row += 7 {
		set[row>>6] |= 1 << (row & 63)
	}
	cache := newColumnCache(64 << 20)
	pointed, again := throughCache(pointed, cache), throughCache(pointed, cache)
	for f := range fields.All {
		_, err := pointed.NumOf(f, set, nil)
		check(err)
		_, kept := again.NumOf(f, set, nil)
		check(kept)
		if (err == nil) != (kept == nil) {
			t.Fatalf("%v: read %v, and again %v", f, err, kept)
		}
		_, err = pointed.Dict(f)
		check(err)
		_, err = again.Dict(f)
		check(err)
		switch {
		case f.IsAddr():
			_, err = blk.Addr(f, nil)
		case f.IsText():
			_, err = blk.Text(f, nil)
		default:
			_, err = blk.Num(f, nil)
			check(err)
			var p *Packed
			if p, err = blk.PackedIn(f, nil); p != nil {
				usePacked(p, blk.Rows())
			}
		}
		check(err)
		_, err = blk.Present(f, nil)
		check(err)
		d, err := blk.Dict(f)
		check(err)
		if d != nil && d.HasPostings() && d.Len() > 0 {
			d.Rows(d.Len() - 1)
		}
	}
}

// openReplaced opens an encoded block with the value of one column replaced.
func openReplaced(t *testing.T, enc *encodedBlock, replaced flow.Field, value []byte) *Block {
	t.Helper()
	blk, err := openEncoded(enc, newCodecs())
	if err != nil {
		t.Fatalf("read header: %v", err)
	}
	src := blk.src.(*storedBlock)
	read := src.read
	src.read = func(f flow.Field, dst []byte) ([]byte, error) {
		if f == replaced {
			return append(dst[:0], value...), nil
		}
		return read(f, dst)
	}
	return blk
}

// usePacked calls all there is to a packed column, for its panics.
func usePacked(p *Packed, rows int) {
	set := make([]uint64, BlockRows/64)
	fillBits(set[:(rows+63)/64], rows)
	if !p.HasDict() {
		p.Gather(nil, set)
		p.Fill(nil)
	}
	p.Restrict(func([]uint64) uint64 { return ^uint64(0) }, set)
}
