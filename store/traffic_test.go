package store

import (
	"fmt"
	"testing"

	"weir/bench"
	"weir/flow"
)

// traffic returns n rows of generated traffic. uniform is four NetFlow v9
// exporters that send the same fields; else every kind of exporter.
func traffic(tb testing.TB, n int, uniform bool) *flow.Batch {
	tb.Helper()
	o := bench.Options{Seed: 1, Records: int64(n)}
	if uniform {
		o.Exporters = bench.UniformExporters(4, bench.NetFlow9)
	}
	g, b := bench.New(o), flow.NewBatch(n+64)
	for b.Len() < n {
		if _, ok := g.Next(b); !ok {
			break
		}
	}
	if b.Len() < n {
		tb.Fatalf("generator made %d rows, want %d", b.Len(), n)
	}
	b.Truncate(n)
	return b
}

// lastBlock returns the last block's worth of a longer run: the generator's
// caches are warm by then.
func lastBlock(tb testing.TB, uniform bool) *flow.Batch {
	tb.Helper()
	all := traffic(tb, 4*BlockRows, uniform)
	b := flow.NewBatch(BlockRows)
	b.AppendRows(all, 3*BlockRows, 4*BlockRows)
	return b
}

// withTexts gives most rows of b texts, and some a kept number.
func withTexts(b *flow.Batch) *flow.Batch {
	for row := range b.Len() {
		if row%5 > 0 {
			b.SetText(flow.FirstKeptText, row, fmt.Sprintf("host-%d.example", row*row%777))
		}
		if row%3 > 0 {
			b.SetNum(flow.FirstKeptNumber, row, 1<<63+uint64(row%40))
		}
	}
	return b
}
