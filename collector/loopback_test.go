package collector

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"weir/flow"
)

// countingSink costs nothing.
type countingSink struct{ rows atomic.Uint64 }

func (s *countingSink) Append(b *flow.Batch) error {
	s.rows.Add(uint64(b.Len()))
	return nil
}

// BenchmarkLoopback sends v9 over the loopback interface as fast as one sender
// can, from four source ports, and reports what arrives and what the kernel
// drops. Generator and collector share the machine. Run with
//
//	go test -run xxx -bench Loopback -benchtime 3s ./collector
func BenchmarkLoopback(b *testing.B) {
	for _, workers := range []int{1, 2} {
		b.Run(map[int]string{1: "workers=1", 2: "workers=2"}[workers], func(b *testing.B) { benchmarkLoopback(b, workers) })
	}
}

func benchmarkLoopback(b *testing.B, workers int) {
	sink := &countingSink{}
	c, err := New(Options{Listen: []Listen{{"netflow", "127.0.0.1:0"}}, Sink: sink, Workers: workers})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	var conns []net.Conn
	template := v9(1, set(0, templateOf(300, usualFields...)))
	for range 4 {
		conn, err := net.Dial("udp", c.Addrs()[0].String())
		if err != nil {
			b.Fatal(err)
		}
		defer conn.Close()
		if _, err := conn.Write(template); err != nil {
			b.Fatal(err)
		}
		conns = append(conns, conn)
	}
	data := v9(1, set(300, repeat(24, usualRecord)))
	start := time.Now()
	sent := 0
	for b.Loop() {
		if _, err := conns[sent%4].Write(data); err != nil {
			b.Fatal(err)
		}
		sent++
	}
	cancel()
	if err := <-done; err != nil {
		b.Fatal(err)
	}
	took := time.Since(start).Seconds()
	b.ReportMetric(float64(sink.rows.Load())/took, "records/s")
	b.ReportMetric(100*float64(c.Stats().KernelDrops)/float64(sent), "%dropped")
}
