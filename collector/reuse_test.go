package collector

import (
	"os"
	"path/filepath"
	"testing"

	"weir/flow"
)

// TestDecodeIntoUsedBatch decodes captures into new batches and into one that was
// full of other values before: what was removed must not shine through.
func TestDecodeIntoUsedBatch(t *testing.T) {
	paths, err := filepath.Glob("../testdata/*.pcap")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no captures: %v", err)
	}
	used := flow.NewBatch(0)
	for _, path := range paths {
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		onNew, onUsed := NewDecoder(DecoderOptions{}), NewDecoder(DecoderOptions{})
		if err := ReadCapture(file, func(g Datagram) error {
			fresh := flow.NewBatch(0)
			soil(used)
			ms := uint64(g.Time.UnixMilli())
			_ = onNew.Decode(fresh, ms, g.Src, g.Payload)
			_ = onUsed.Decode(used, ms, g.Src, g.Payload)
			sameRecords(t, path, used, fresh)
			return nil
		}); err != nil {
			t.Fatalf("read %s: %v", path, err)
		}
	}
}

// soil fills a batch with values in all columns, and removes them.
func soil(b *flow.Batch) {
	b.Reset()
	for row := range 80 {
		b.Grow(1)
		for f := range flow.AllFields().All {
			switch {
			case f.IsAddr():
				b.SetAddr(f, row, flow.Addr{Hi: ^uint64(0), Lo: ^uint64(0)})
			case f.IsText():
				b.SetText(f, row, "removed")
			default:
				b.SetNum(f, row, ^uint64(0))
			}
		}
	}
	b.Reset()
}

// sameRecords compares presence and values, of which absent ones are zero.
func sameRecords(t *testing.T, path string, got, want *flow.Batch) {
	t.Helper()
	if got.Len() != want.Len() {
		t.Fatalf("%s: %d records, want %d", path, got.Len(), want.Len())
	}
	for row := range want.Len() {
		for f := range flow.AllFields().All {
			same := got.Has(f, row) == want.Has(f, row)
			switch {
			case f.IsAddr():
				same = same && got.GetAddr(f, row) == want.GetAddr(f, row)
			case f.IsText():
				same = same && got.GetText(f, row) == want.GetText(f, row)
			default:
				same = same && got.GetNum(f, row) == want.GetNum(f, row)
			}
			if !same {
				t.Fatalf("%s: %v of record %d differs in a batch that was used", path, f, row)
			}
		}
	}
}
