package store

import (
	"fmt"
	"syscall"
	"testing"
	"time"
)

// cpuTime returns the processor time that the process has used: unlike the time
// of day it means the same on a machine that does other work.
func cpuTime(tb testing.TB) time.Duration {
	tb.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatalf("getrusage: %v", err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// go test ./store -run '^$' -bench Encode -benchtime 2s -cpu 1
func BenchmarkEncode(b *testing.B) {
	for _, uniform := range []bool{true, false} {
		rows := lastBlock(b, uniform)
		b.Run(fmt.Sprintf("uniform=%v", uniform), func(b *testing.B) {
			e := newEncoder()
			size := 0
			cpu := cpuTime(b)
			for b.Loop() {
				size = e.encode(rows).size()
			}
			perRow := float64(b.N) * BlockRows
			b.ReportMetric(float64(cpuTime(b)-cpu)/perRow, "cpu-ns/row")
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
