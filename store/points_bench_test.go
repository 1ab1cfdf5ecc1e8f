package store

import (
	"testing"

	"weir/flow"
)

// BenchmarkPoints looks for an address in a block and prints some of its rows:
// with no cache, with one that is empty, and with one that has the columns.
//
//	go test ./store -run '^$' -bench Points -benchtime 300x -cpu 1
func BenchmarkPoints(b *testing.B) {
	blk := blockOf(b, lastBlock(b, true))
	src := blk.src.(*storedBlock)
	set := make([]uint64, BlockRows/64)
	for row := 100; row < blk.Rows(); row += 3000 {
		set[row>>6] |= 1 << (row & 63)
	}
	fields := []flow.Field{flow.Received, flow.Start, flow.End, flow.SrcPort, flow.DstPort, flow.Proto, flow.Packets, flow.Bytes}
	for _, name := range []string{"none", "first", "again"} {
		b.Run(name, func(b *testing.B) {
			var dst []uint64
			var dicts [2]Dict
			cache := newColumnCache(64 << 20)
			cpu := cpuTime(b)
			for b.Loop() {
				s := &storedBlock{head: src.head, codecs: src.codecs, read: src.read}
				if name != "none" {
					s.cache = cache
				}
				if name == "first" {
					cache.empty()
				}
				for i, f := range []flow.Field{flow.SrcAddr, flow.DstAddr} {
					if _, err := s.dict(f, &dicts[i], true); err != nil {
						b.Fatal(err)
					}
				}
				dst = sized(dst, blk.Rows())
				for _, f := range fields {
					if err := s.numOf(f, set, dst); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(cpuTime(b)-cpu)/1e3/float64(b.N), "cpu-µs/op")
			b.ReportMetric(float64(cache.size), "B")
		})
	}
}
