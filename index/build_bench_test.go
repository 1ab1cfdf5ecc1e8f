package index

import (
	"context"
	"slices"
	"testing"

	"weir/bench"
	"weir/flow"
)

// trafficDicts returns the dictionaries of n full blocks of generated traffic.
func trafficDicts(n int) fakeBlocks {
	const rows = 65536
	g := bench.New(bench.Options{Seed: 1, Records: int64(n+1) * rows, Rate: n * rows / 3600})
	src := make(fakeBlocks, n)
	b := flow.NewBatch(rows + 1000)
	for i := range src {
		for b.Len() < rows {
			if _, ok := g.Next(b); !ok {
				break
			}
		}
		src[i] = map[flow.Field]fakeDict{}
		for _, f := range orderedFields() {
			d := make(fakeDict, 0, rows)
			for row := range rows {
				switch {
				case !b.Has(f, row):
				case f.IsAddr():
					d = append(d, b.GetAddr(f, row))
				default:
					d = append(d, flow.Addr{Lo: b.GetNum(f, row)})
				}
			}
			slices.SortFunc(d, flow.Addr.Compare)
			src[i][f] = slices.Clip(slices.Compact(d))
		}
		b.Reset()
	}
	return src
}

// BenchmarkBuild merges an hour's dictionaries into pages, without the store.
//
//	go test ./index -run '^$' -bench Build -count 5
func BenchmarkBuild(b *testing.B) {
	for _, blocks := range []int{16, 64} {
		src := trafficDicts(blocks)
		for _, f := range orderedFields() {
			b.Run(f.String()+"/blocks="+string(flow.AppendNum(nil, flow.Bytes, uint64(blocks))), func(b *testing.B) {
				terms := 0
				for _, dicts := range src {
					terms += len(dicts[f])
				}
				var w *pageWriter
				for b.Loop() {
					w = &pageWriter{emit: func(_, _ []byte) error { return nil }, field: f, n: blocks}
					var err error
					if f.IsAddr() {
						err = buildRuns(context.Background(), src, w, runBudget)
					} else {
						err = buildTable(context.Background(), src, w)
					}
					if err == nil {
						err = w.flush()
					}
					if err != nil {
						b.Fatal(err)
					}
				}
				rows := float64(blocks) * 65536
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows, "ns/row")
				b.ReportMetric(float64(w.totalBytes)/rows, "B/row")
				b.ReportMetric(float64(w.totalTerms)/rows, "terms/row")
				b.ReportMetric(float64(terms)/rows, "entries/row")
				b.ReportMetric(float64(w.totalPages), "pages")
			})
		}
	}
}
