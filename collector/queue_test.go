package collector

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"weir/flow"
	"weir/flow/ledger"
)

// stuckSink takes nothing until it is told to go on.
type stuckSink struct {
	*memorySink
	goOn  chan struct{}
	stuck atomic.Bool
}

func (s *stuckSink) Append(b *flow.Batch) error {
	s.stuck.Store(true)
	<-s.goOn
	return s.memorySink.Append(b)
}

// While the sink does not take records, what arrives is read all the same: the
// kernel's buffer, which is far too small for it here, loses nothing.
func TestQueueStandsInForASlowSink(t *testing.T) {
	sink := &stuckSink{memorySink: newMemorySink(), goOn: make(chan struct{})}
	var read atomic.Int64
	c, stop := startCollector(t, Options{
		Listen: []Listen{{"netflow", "127.0.0.1:0"}}, Sink: sink, Workers: 1, ReceiveBuffer: 64 << 10, BatchRows: 30,
		Forward: func(netip.AddrPort, []byte) { read.Add(1) },
	})
	conn, err := net.Dial("udp", c.Addrs()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	const rounds, perRound = 100, 10
	for i := range rounds {
		for range perRound {
			if _, err := conn.Write(datagram5(30)); err != nil {
				t.Fatal(err)
			}
		}
		// However long the machine lets the reader wait, the buffer holds a round.
		waitFor(t, "the reader", func() bool { return read.Load() == int64(i+1)*perRound })
		if i == 0 {
			waitFor(t, "the sink to be asked", sink.stuck.Load)
		}
	}
	if got := sink.len(); got > 0 {
		t.Errorf("the sink took %d records: nothing stood still", got)
	}
	close(sink.goOn)
	waitFor(t, "all records", func() bool { return sink.len() == rounds*perRound*30 })
	if err := stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
	if drops := c.Stats().KernelDrops; drops > 0 {
		t.Errorf("the kernel dropped %d of %d datagrams", drops, rounds*perRound)
	}
}

// A full queue makes the reader wait, which is counted, and the kernel counts
// what it drops then: every record is accounted for.
func TestFullQueueIsCounted(t *testing.T) {
	sink := &stuckSink{memorySink: newMemorySink(), goOn: make(chan struct{})}
	book, now := newMemoryLedger(), uint64(testHour)*hourMS
	c, err := New(Options{
		Ledger: book, Now: func() time.Time { return time.UnixMilli(int64(now)) },
		Listen: []Listen{{"netflow", "127.0.0.1:0"}}, Sink: sink, Workers: 1, ReceiveBuffer: 64 << 10, QueueBytes: 1, BatchRows: 30,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	go func() { result <- c.Run(ctx) }()
	conn, err := net.Dial("udp", c.Addrs()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	sent := 0
	waitFor(t, "a full queue", func() bool {
		for range 20 {
			if _, err := conn.Write(datagram5(30)); err != nil {
				t.Fatal(err)
			}
			sent++
		}
		return c.Stats().QueueFull > 0
	})
	close(sink.goOn)
	waitFor(t, "all records", func() bool { return sink.len()/30+int(c.Stats().KernelDrops) == sent })
	cancel()
	if err := <-result; err != nil {
		t.Fatal(err)
	}
	st, hosts := c.Stats(), book.hosts(testHour)
	want := []ledger.Drop{{Where: c.Addrs()[0].String(), Count: st.QueueFull}}
	if len(hosts) != 1 || !slices.Equal(hosts[0].Waits, want) || !slices.Equal(st.Waits, want) {
		t.Fatalf("waits: got %v and in the ledger %+v, want %v", st.Waits, hosts, want)
	}
	if kernel, behind := hosts[0].Dropped(); kernel != st.KernelDrops || behind != kernel {
		t.Errorf("the ledger has %d drops, %d of them as we did not keep up; want %d", kernel, behind, st.KernelDrops)
	}
}

// Memory is taken when it is needed, and most of it given back after a burst.
func TestQueueKeepsLittleMemory(t *testing.T) {
	q := newQueue(64 * chunkBytes)
	for range 100 {
		q.giveBack(q.take())
	}
	if got := q.made.Load(); got != 1 {
		t.Errorf("one chunk at a time: %d were made", got)
	}
	var burst []*chunk
	for range 64 {
		burst = append(burst, q.take())
	}
	for _, c := range burst {
		q.giveBack(c)
	}
	if got := q.made.Load(); got != spareChunks {
		t.Errorf("after a burst %d chunks are kept, want %d", got, spareChunks)
	}
	if got := q.full.Load(); got != 0 {
		t.Errorf("the reader had to wait %d times for room that there was", got)
	}
}
