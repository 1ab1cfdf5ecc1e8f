package query

import (
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"weir/bench"
	"weir/flow"
	"weir/index"
	"weir/store"
)

var (
	benchRecords = flag.Int64("records", 1_000_000, "records in the benchmarks' archive")
	benchArchive = flag.String("archive", "", "directory that keeps the benchmarks' archive between runs")
)

// benchStore opens an archive of generated traffic, six hours, sealed. With
// -archive it is made once.
func benchStore(b *testing.B) *store.Store {
	b.Helper()
	dir := *benchArchive
	if dir == "" {
		dir = b.TempDir()
	}
	_, err := os.Stat(filepath.Join(dir, "WEIR"))
	made := !errors.Is(err, os.ErrNotExist)
	s, err := store.Open(dir, store.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	if made {
		return s
	}
	g := bench.New(bench.Options{Seed: 1, Records: *benchRecords, Rate: int(*benchRecords / (6 * 3600))})
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
	for _, bucket := range s.Buckets() {
		if err := index.Seal(context.Background(), s, bucket.Hour); err != nil {
			b.Fatal(err)
		}
	}
	return s
}

// processorTime returns what all threads have used so far, which other work on
// the machine does not lengthen as it does the time of day.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// BenchmarkTop groups all records of an archive.
//
//	go test ./query -run '^$' -bench 'Top$' -records 10000000 -archive /tmp/weir-bench -count 5
func BenchmarkTop(b *testing.B) {
	s := benchStore(b)
	for _, c := range []struct{ name, fields, filter string }{
		{"total", "", ""},
		{"src_addr", "src_addr", ""},
		{"dst_port", "dst_port", ""},
		{"proto", "proto", ""},
		{"src_as", "src_as", ""},
		{"src_addr,dst_port", "src_addr,dst_port", ""},
		{"src_addr,dst_addr", "src_addr,dst_addr", ""},
		{"src_addr,src_port", "src_addr,src_port", ""},
		{"addr", "addr", ""},
		{"filtered", "dst_port", "proto tcp and flags S and not flags AFRPU and packets < 4"},
		{"scan", "", "src port > 50000 and flags F and packets > 20"},
	} {
		b.Run(c.name, func(b *testing.B) {
			req := TopRequest{Filter: c.filter, Limit: 10}
			if c.fields != "" {
				req.Fields = strings.Split(c.fields, ",")
			}
			rows, before := uint64(0), processorTime(b)
			for b.Loop() {
				_, summary, err := Top(context.Background(), s, req)
				if err != nil {
					b.Fatal(err)
				}
				rows = summary.RowsScanned
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(max(rows, 1)), "ns/row")
			b.ReportMetric(float64(processorTime(b)-before)/float64(b.N)/float64(max(rows, 1)), "cpu-ns/row")
		})
	}
}

// BenchmarkFlows finds records: few by the index, many by a scan.
//
//	go test ./query -run '^$' -bench 'Flows$' -records 10000000 -archive /tmp/weir-bench -count 5
func BenchmarkFlows(b *testing.B) {
	s := benchStore(b)
	top, _, err := Top(context.Background(), s, TopRequest{Fields: []string{"src_addr"}, By: "records"})
	if err != nil {
		b.Fatal(err)
	}
	rare, busy := top.Rows[len(top.Rows)*9/10].Key[0].String(), top.Rows[0].Key[0].String()
	for _, c := range []struct {
		name string
		req  FlowsRequest
	}{
		{"absent address", FlowsRequest{Filter: "ip 203.0.113.77"}},
		{"rare address", FlowsRequest{Filter: "ip " + rare}},
		{"busy address", FlowsRequest{Filter: "ip " + busy}},
		{"first 10", FlowsRequest{Filter: "port 53", Limit: 10}},
		{"ten by bytes", FlowsRequest{Order: "bytes", Limit: 10}},
		{"scan", FlowsRequest{Filter: "proto tcp and dst port > 1023 and flags R and packets > 100"}},
	} {
		b.Run(c.name, func(b *testing.B) {
			matched := uint64(0)
			for b.Loop() {
				summary, err := Flows(context.Background(), s, c.req, func(*flow.Record) error { return nil })
				if err != nil {
					b.Fatal(err)
				}
				matched = summary.Emitted
			}
			b.ReportMetric(float64(matched), "records")
		})
	}
}

// BenchmarkSteps sums all records of an archive by the hour and by the minute.
//
//	go test ./query -run '^$' -bench 'Steps$' -records 10000000 -archive /tmp/weir-bench -count 5
func BenchmarkSteps(b *testing.B) {
	s := benchStore(b)
	for _, c := range []struct {
		name string
		ms   uint64
	}{{"hours", 3600_000}, {"minutes", 60_000}} {
		b.Run(c.name, func(b *testing.B) {
			before := processorTime(b)
			for b.Loop() {
				if _, _, err := Series(context.Background(), s, SeriesRequest{Step: c.ms}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(processorTime(b)-before)/float64(b.N)/1e6, "cpu-ms/op")
		})
	}
}
