package index

import (
	"context"
	"slices"
	"testing"

	"weir/bench"
	"weir/flow"
	"weir/store"
)

const benchRows = 1_000_000

// fillTraffic appends generated records, all of one hour.
func fillTraffic(t testing.TB, s *store.Store, records int64) store.Hour {
	t.Helper()
	g := bench.New(bench.Options{Seed: 1, Records: records - 2000, Rate: int(records / 3500)})
	b := flow.NewBatch(5000)
	for more := true; more; {
		b.Reset()
		for more && b.Len() < 4000 {
			_, more = g.Next(b)
		}
		if err := s.Append(b); err != nil {
			t.Fatalf("append: %v", err)
		}
	}
	return store.HourOf(uint64(bench.DefaultStart.UnixMilli()))
}

// BenchmarkSeal seals an hour of a million records.
//
//	go test ./index -run '^$' -bench 'Seal$' -count 5
func BenchmarkSeal(b *testing.B) {
	s, err := store.Open(b.TempDir(), store.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	h := fillTraffic(b, s, benchRows)
	for b.Loop() {
		if err := Seal(context.Background(), s, h); err != nil {
			b.Fatal(err)
		}
	}
	info := s.Buckets()[0]
	rows := float64(info.Rows)
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows, "ns/row")
	b.ReportMetric(float64(info.IndexBytes)/rows, "index-B/row")
	b.ReportMetric(float64(info.Bytes)/rows, "B/row")
}

// BenchmarkIndexOnly builds the same hour's entries without writing them.
//
//	go test ./index -run '^$' -bench IndexOnly -count 5
func BenchmarkIndexOnly(b *testing.B) {
	s, h := sealedTraffic(b)
	defer s.Close()
	v, err := s.View(h, h)
	if err != nil {
		b.Fatal(err)
	}
	defer v.Close()
	bucket := v.Buckets()[0]
	for b.Loop() {
		err := build(context.Background(), bucketBlocks{bucket}, bucket.Blocks(), runBudget, func(_, _ []byte) error { return nil })
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(bucket.Info().Rows), "ns/row")
}

func sealedTraffic(b *testing.B) (*store.Store, store.Hour) {
	b.Helper()
	s, err := store.Open(b.TempDir(), store.Options{})
	if err != nil {
		b.Fatal(err)
	}
	h := fillTraffic(b, s, benchRows)
	if err := Seal(context.Background(), s, h); err != nil {
		b.Fatal(err)
	}
	return s, h
}

// BenchmarkBlocks looks up values of a sealed hour of a million records.
//
//	go test ./index -run '^$' -bench 'Blocks|Rows' -count 5
func BenchmarkBlocks(b *testing.B) {
	s, h := sealedTraffic(b)
	defer s.Close()
	v, err := s.View(h, h)
	if err != nil {
		b.Fatal(err)
	}
	defer v.Close()
	bucket := v.Buckets()[0]
	frequent, rare, list := benchValues(b, bucket)
	cases := []struct {
		name   string
		ranges []ValueRange
	}{
		{"frequent", []ValueRange{{frequent, frequent}}},
		{"rare", []ValueRange{{rare, rare}}},
		{"absent", []ValueRange{AddrRange(flow.AddrFrom4(1<<24+7), flow.AddrFrom4(1<<24+7))}},
		{"prefix/16", []ValueRange{PrefixRange(mustPrefix(frequent, 16))}},
		{"list of 10000 absent", absentList(10_000)},
		{"list of 10000 present", list},
	}
	for _, c := range cases {
		b.Run(c.name, func(b *testing.B) {
			var st Stats
			for b.Loop() {
				st = Stats{}
				if _, err := BlocksStats(bucket, flow.SrcAddr, c.ranges, &st); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(st.PagesRead), "pages")
			b.ReportMetric(float64(st.Terms), "terms")
		})
	}
	for _, c := range cases[:4] {
		b.Run("rows/"+c.name, func(b *testing.B) {
			n := 0
			for b.Loop() {
				set, err := Rows(bucket, flow.SrcAddr, c.ranges, nil)
				if err != nil {
					b.Fatal(err)
				}
				n = set.Len()
			}
			b.ReportMetric(float64(n), "rows")
		})
	}
}

// benchValues returns the most frequent source address, one that occurs once,
// and up to 10,000 that occur.
func benchValues(b *testing.B, bucket *store.Bucket) (frequent, rare flow.Addr, list []ValueRange) {
	b.Helper()
	counts := map[flow.Addr]int{}
	for i := range bucket.Blocks() {
		blk, err := bucket.Block(i)
		if err != nil {
			b.Fatal(err)
		}
		addrs, err := blk.Addr(flow.SrcAddr, nil)
		if err != nil {
			b.Fatal(err)
		}
		for _, a := range addrs {
			counts[a]++
		}
	}
	var all []flow.Addr
	for a, n := range counts {
		if n > counts[frequent] {
			frequent = a
		}
		if n == 1 && (rare == flow.Addr{} || a.Less(rare)) {
			rare = a
		}
		all = append(all, a)
	}
	slices.SortFunc(all, flow.Addr.Compare)
	for i := 0; i < len(all) && len(list) < 10_000; i += max(1, len(all)/10_000) {
		list = append(list, AddrRange(all[i], all[i]))
	}
	return frequent, rare, list
}

func mustPrefix(a flow.Addr, length int) flow.Prefix {
	p, err := flow.PrefixFrom(a, length)
	if err != nil {
		panic(err)
	}
	return p
}

// absentList returns n addresses of 240.0.0.0/4 and above, which do not occur,
// and of everywhere else, which hardly do.
func absentList(n int) []ValueRange {
	list := make([]ValueRange, n)
	for i := range list {
		a := flow.AddrFrom4(uint32(uint64(i)*(1<<32)/uint64(n)) | 1)
		list[i] = AddrRange(a, a)
	}
	return list
}
