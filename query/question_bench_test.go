package query

import (
	"context"
	"testing"
)

// BenchmarkSums sums over every row of an archive. Run it with
//
//	go test ./query -run '^$' -bench Sums -benchtime 5x
func BenchmarkSums(b *testing.B) {
	const hours, perHour = 16, 65_536
	s := seenArchive(b, hours, perHour)
	ctx := context.Background()
	for _, c := range []struct {
		name string
		ask  func() error
	}{
		{"stats", func() error { _, _, err := Stats(ctx, s, StatsRequest{Hourly: true}); return err }},
		{"series", func() error { _, _, err := Series(ctx, s, SeriesRequest{}); return err }},
		{"series-group", func() error { _, _, err := Series(ctx, s, SeriesRequest{Group: "src_addr"}); return err }},
		{"series-distinct", func() error {
			_, _, err := Series(ctx, s, SeriesRequest{Distinct: "src_addr", Step: 3600_000})
			return err
		}},
		{"peers", func() error { _, _, err := Peers(ctx, s, PeersRequest{Addr: "10.0.0.7"}); return err }},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				if err := c.ask(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/(hours*perHour), "ns/row")
		})
	}
}
