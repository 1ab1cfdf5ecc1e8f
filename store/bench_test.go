package store

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"weir/flow"
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

// go test ./store -run '^$' -bench Decode -benchtime 200x -cpu 1
func BenchmarkDecode(b *testing.B) {
	enc, c := newEncoder().encode(lastBlock(b, true)), newCodecs()
	for _, f := range enc.fields {
		b.Run(f.String(), func(b *testing.B) {
			var nums []uint64
			var addrs []flow.Addr
			cpu := cpuTime(b)
			for b.Loop() {
				blk, err := openEncoded(enc, c)
				if err == nil && f.IsAddr() {
					addrs, err = blk.Addr(f, addrs)
				} else if err == nil {
					nums, err = blk.Num(f, nums)
				}
				if err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(cpuTime(b)-cpu)/(float64(b.N)*BlockRows), "cpu-ns/row")
		})
	}
}

// go test ./store -run '^$' -bench Dict -benchtime 200x -cpu 1
func BenchmarkDict(b *testing.B) {
	enc, c := newEncoder().encode(lastBlock(b, true)), newCodecs()
	for _, f := range []flow.Field{flow.SrcAddr, flow.DstPort} {
		for _, rows := range []bool{false, true} {
			b.Run(fmt.Sprintf("%v/rows=%v", f, rows), func(b *testing.B) {
				cpu := cpuTime(b)
				for b.Loop() {
					blk, err := openEncoded(enc, c)
					if err != nil {
						b.Fatal(err)
					}
					d, err := blk.Dict(f)
					if err != nil {
						b.Fatal(err)
					}
					if rows {
						d.Rows(0)
					}
				}
				b.ReportMetric(float64(cpuTime(b)-cpu)/(float64(b.N)*BlockRows), "cpu-ns/row")
			})
		}
	}
}

// BenchmarkAppend measures all that a row costs until its block is in Pebble, in
// batches as a collector makes them.
//
//	go test ./store -run '^$' -bench Append -benchtime 40x
func BenchmarkAppend(b *testing.B) {
	rows := lastBlock(b, true)
	var batches []*flow.Batch
	for lo := 0; lo < BlockRows; lo += 1024 {
		batch := flow.NewBatch(1024)
		batch.AppendRows(rows, lo, lo+1024)
		batches = append(batches, batch)
	}
	s := openTest(b, b.TempDir(), Options{})
	cpu := cpuTime(b)
	for b.Loop() {
		for _, batch := range batches {
			if err := s.Append(batch); err != nil {
				b.Fatal(err)
			}
		}
	}
	if err := s.Flush(); err != nil {
		b.Fatal(err)
	}
	n := float64(b.N) * BlockRows
	b.ReportMetric(float64(cpuTime(b)-cpu)/n, "cpu-ns/row")
	b.ReportMetric(n/b.Elapsed().Seconds(), "rows/s")
}

// go test ./store -run '^$' -bench Seal -benchtime 5x
func BenchmarkSeal(b *testing.B) {
	rows := lastBlock(b, true)
	for b.Loop() {
		b.StopTimer()
		s := openTest(b, b.TempDir(), Options{FlushEvery: -1})
		for range 20 {
			if err := s.Append(rows); err != nil {
				b.Fatal(err)
			}
		}
		h := s.Buckets()[0].Hour
		b.StartTimer()
		z, err := s.BeginSeal(h)
		if err != nil {
			b.Fatal(err)
		}
		if err := z.Commit(); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := s.Drop(h); err != nil {
			b.Fatal(err)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/(float64(b.N)*20*BlockRows), "ns/row")
}

// BenchmarkDrop drops a sealed bucket of 10 million rows, and waits for its space.
// The time of an operation is that of Drop; freed-ms is when the disk has the
// bytes back, counted from its beginning.
//
//	go test ./store -run '^$' -bench Drop -benchtime 3x
func BenchmarkDrop(b *testing.B) {
	rows := lastBlock(b, true)
	s := openTest(b, b.TempDir(), Options{FlushEvery: -1})
	var freed time.Duration
	for b.Loop() {
		b.StopTimer()
		for range 153 {
			if err := s.Append(rows); err != nil {
				b.Fatal(err)
			}
		}
		h := s.Buckets()[0].Hour
		z, err := s.BeginSeal(h)
		if err != nil {
			b.Fatal(err)
		}
		if err := z.Commit(); err != nil {
			b.Fatal(err)
		}
		if err := s.db.Flush(); err != nil {
			b.Fatal(err)
		}
		full := tableBytes(b, s)
		b.StartTimer()
		began := time.Now()
		if err := s.Drop(h); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		for tableBytes(b, s) > full/10 {
			if time.Since(began) > time.Minute {
				b.Fatal("the space is not back after a minute")
			}
			time.Sleep(time.Millisecond)
		}
		freed += time.Since(began)
		b.StartTimer()
	}
	b.ReportMetric(float64(freed.Milliseconds())/float64(b.N), "freed-ms")
}

// BenchmarkOpen opens a store of 2,160 sealed buckets: 90 days.
//
//	go test ./store -run '^$' -bench Open -benchtime 3x
func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	s, err := Open(dir, Options{FlushEvery: -1})
	if err != nil {
		b.Fatal(err)
	}
	const buckets = 2160
	for h := range Hour(buckets) {
		appendTest(b, s, numbered(testHour+h, 0, 1000))
		z, err := s.BeginSeal(testHour + h)
		if err != nil {
			b.Fatal(err)
		}
		if err := z.Commit(); err != nil {
			b.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	b.Run("open", func(b *testing.B) {
		for b.Loop() {
			s, err := Open(dir, Options{FlushEvery: -1})
			if err != nil {
				b.Fatal(err)
			}
			if n := len(s.Buckets()); n != buckets {
				b.Fatalf("%d buckets", n)
			}
			if err := s.Close(); err != nil {
				b.Fatal(err)
			}
		}
	})
	s = openTest(b, dir, Options{FlushEvery: -1})
	b.Run("view", func(b *testing.B) {
		for b.Loop() {
			v, err := s.View(0, ^Hour(0))
			if err != nil {
				b.Fatal(err)
			}
			if err := v.Close(); err != nil {
				b.Fatal(err)
			}
		}
	})
}
