package flow

import (
	"bytes"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestRecordBinary parses one record after the other into the same, which must
// keep nothing of the one before.
func TestRecordBinary(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	widest := randomRecord(rng)
	for f := range AllFields().All {
		switch {
		case f.IsText():
			widest.SetText(f, strings.Repeat("\xff", MaxText))
		case f.IsAddr():
			widest.SetAddr(f, Addr{math.MaxUint64, math.MaxUint64})
		default:
			widest.SetNum(f, math.MaxUint64)
		}
	}
	want := []Record{{}, widest, {}}
	for range 500 {
		want = append(want, randomRecord(rng))
	}
	var got Record
	for i := range want {
		data := want[i].AppendBinary([]byte("before"))[len("before"):]
		if err := got.ParseBinary(data); err != nil || got != want[i] {
			t.Fatalf("%x: got %s, %v, want %s", data, got.AppendJSON(nil), err, want[i].AppendJSON(nil))
		}
		for n := range data {
			if err := got.ParseBinary(data[:n]); err == nil {
				t.Fatalf("the first %d bytes of %x are a record", n, data)
			}
		}
		if err := got.ParseBinary(append(data, 0)); err == nil {
			t.Fatalf("%x is a record with a byte behind it", data)
		}
	}
}

// binaryMistakes are nearly records.
var binaryMistakes = map[string][]byte{
	"a field that is none":        binaryOf(fieldNone, 1),
	"a number that never ends":    binaryOf(Bytes, bytes.Repeat([]byte{0x80}, 12)...),
	"a number of more than 64":    binaryOf(Bytes, append(bytes.Repeat([]byte{0xff}, 9), 2)...),
	"an address of 5 bytes":       binaryOf(SrcAddr, 5, 1, 2, 3, 4, 5),
	"an address of no bytes":      binaryOf(SrcAddr, 0),
	"an address of 255 bytes":     binaryOf(SrcAddr, 255, 1),
	"a text that is too long":     binaryOf(FirstKeptText, append([]byte{0x80, 2}, make([]byte, 256)...)...),
	"a text longer than the data": binaryOf(FirstKeptText, 3, 'a', 'b'),
	"a text of 2^63 bytes":        binaryOf(FirstKeptText, append(bytes.Repeat([]byte{0xff}, 9), 1)...),
}

func binaryOf(f Field, value ...byte) []byte {
	head := make([]byte, binaryHead)
	head[f/8] |= 1 << (f % 8)
	return append(head, value...)
}

func TestRecordBinaryMistakes(t *testing.T) {
	for name, data := range binaryMistakes {
		var r Record
		if err := r.ParseBinary(data); err == nil {
			t.Errorf("%s: %x is a record: %s", name, data, r.AppendJSON(nil))
		}
		if err := r.ParseBinary(binaryOf(Proto, 6)); err != nil || r.Num(Proto) != 6 || r.Present != SetOf(Proto) {
			t.Errorf("after %s: got %s, %v", name, r.AppendJSON(nil), err)
		}
	}
}

func FuzzParseBinary(f *testing.F) {
	r := randomRecord(rand.New(rand.NewPCG(6, 6)))
	f.Add(r.AppendBinary(nil))
	for _, data := range binaryMistakes {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var r, again Record
		if r.ParseBinary(data) != nil {
			return
		}
		if r.Present.without(AllFields()) != (FieldSet{}) {
			t.Fatalf("%x has fields that are none", data)
		}
		if err := again.ParseBinary(r.AppendBinary(nil)); err != nil || again != r {
			t.Fatalf("%x: %v, %s is not %s", data, err, again.AppendJSON(nil), r.AppendJSON(nil))
		}
	})
}

func BenchmarkRecordBinary(b *testing.B) { // go test -bench RecordBinary ./flow
	r := randomRecord(rand.New(rand.NewPCG(7, 7)))
	data := r.AppendBinary(nil)
	b.ReportAllocs()
	for b.Loop() {
		if err := r.ParseBinary(data); err != nil {
			b.Fatal(err)
		}
		data = r.AppendBinary(data[:0])
	}
}
