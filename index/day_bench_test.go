package index

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"weir/bench"
	"weir/flow"
	"weir/store"
)

// BenchmarkDay asks in which of a day's hours an address occurs that does not
// occur, by the hours' own indexes and by the day summary.
//
//	go test ./index -run '^$' -bench Day -count 5
func BenchmarkDay(b *testing.B) {
	const perHour = 100_000
	s, err := store.Open(b.TempDir(), store.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	start := bench.DefaultStart.Truncate(24 * time.Hour)
	g := bench.New(bench.Options{Seed: 1, Start: start, Records: hoursPerDay * perHour, Rate: perHour / 3600})
	batch := flow.NewBatch(5000)
	for more := true; more; {
		batch.Reset()
		for more && batch.Len() < 4000 {
			_, more = g.Next(batch)
		}
		if err := s.Append(batch); err != nil {
			b.Fatal(err)
		}
	}
	r := NewSealer(s, Options{Now: func() time.Time { return start.Add(24*time.Hour + time.Minute) }, Logger: slog.New(slog.DiscardHandler)})
	if err := r.SealOver(context.Background()); err != nil {
		b.Fatal(err)
	}
	h := store.HourOf(uint64(start.UnixMilli()))
	v, err := s.View(h, h+hoursPerDay-1)
	if err != nil {
		b.Fatal(err)
	}
	defer v.Close()
	buckets := v.Buckets()
	var summary, all int64
	for i, bucket := range buckets {
		all += bucket.Info().IndexBytes
		if i == 0 {
			summary = bucket.Info().IndexBytes - buckets[1].Info().IndexBytes // about
		}
	}
	absent := []ValueRange{AddrRange(flow.AddrFrom4(1<<24+7), flow.AddrFrom4(1<<24+7))}
	b.Run("by hours", func(b *testing.B) {
		for b.Loop() {
			for _, bucket := range buckets {
				for _, f := range sideFields {
					if set, err := Blocks(bucket, f, absent); err != nil || !set.Empty() {
						b.Fatal(set, err)
					}
				}
			}
		}
	})
	b.Run("by summary", func(b *testing.B) {
		for b.Loop() {
			days := NewDays(buckets)
			for _, bucket := range buckets {
				if ok, err := days.Absent(bucket, "it", func() []ValueRange { return absent }); err != nil || !ok {
					b.Fatal(ok, err)
				}
			}
			if err := days.Close(); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(summary)/float64(all-summary), "of-index")
	})
}
