package store

import (
	"fmt"
	"testing"
)

// go test ./store -run '^$' -bench Encode -benchtime 2s -cpu 1
func BenchmarkEncode(b *testing.B) {
	for _, uniform := range []bool{true, false} {
		rows := lastBlock(b, uniform)
		b.Run(fmt.Sprintf("uniform=%v", uniform), func(b *testing.B) {
			e := newEncoder()
			size := 0
			for b.Loop() {
				size = e.encode(rows).size()
			}
			perRow := float64(b.N) * BlockRows
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/perRow, "ns/row")
			b.ReportMetric(float64(size)/BlockRows, "B/row")
		})
	}
}

// TestColumnSizes logs what each column costs:
//
//	go test ./store -run ColumnSizes -v
func TestColumnSizes(t *testing.T) {
	for _, uniform := range []bool{true, false} {
		blk := newEncoder().encode(lastBlock(t, uniform))
		t.Logf("uniform=%v: %.3f bytes/row", uniform, float64(blk.size())/BlockRows)
		for i, f := range blk.fields {
			t.Logf("  %-18v layout %d %6.3f", f, blk.columns[i][8], float64(len(blk.columns[i]))/BlockRows)
		}
	}
}
