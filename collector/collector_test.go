package collector

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"weir/flow"
)

// memorySink keeps everything.
type memorySink struct {
	mu      sync.Mutex
	batch   *flow.Batch
	fail    error
	appends int
}

func newMemorySink() *memorySink { return &memorySink{batch: flow.NewBatch(0)} }

func (s *memorySink) Append(b *flow.Batch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.appends++
	if s.fail != nil {
		return s.fail
	}
	s.batch.AppendRows(b, 0, b.Len())
	return nil
}

func (s *memorySink) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.batch.Len()
}

// datagram5 makes a v5 datagram of n records.
func datagram5(n int) []byte {
	p := make([]byte, 24+48*n)
	binary.BigEndian.PutUint16(p, 5)
	binary.BigEndian.PutUint16(p[2:], uint16(n))
	binary.BigEndian.PutUint32(p[4:], 1_000_000)
	binary.BigEndian.PutUint32(p[8:], 1_700_000_000)
	for i := range n {
		r := p[24+48*i:]
		binary.BigEndian.PutUint32(r, 0x0a000001+uint32(i))
		binary.BigEndian.PutUint32(r[4:], 0xc0a80001)
		binary.BigEndian.PutUint32(r[16:], 10)
		binary.BigEndian.PutUint32(r[20:], 1000)
		binary.BigEndian.PutUint32(r[24:], 900_000)
		binary.BigEndian.PutUint32(r[28:], 990_000)
		binary.BigEndian.PutUint16(r[32:], 40000)
		binary.BigEndian.PutUint16(r[34:], 443)
		r[38] = protoTCP
	}
	return p
}

// startCollector runs a collector until stop is called, which returns Run's
// error.
func startCollector(t *testing.T, o Options) (c *Collector, stop func() error) {
	t.Helper()
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	go func() { result <- c.Run(ctx) }()
	var once sync.Once
	stop = func() error {
		var err error
		once.Do(func() { cancel(); err = <-result })
		return err
	}
	t.Cleanup(func() { _ = stop() })
	return c, stop
}

// patience is how long tests wait for what must come: for longer than any busy
// machine takes, as nobody waits when it has come.
const patience = time.Minute

func waitFor(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !cond(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func TestCollectorReceivesBothFamilies(t *testing.T) {
	sink := newMemorySink()
	c, stop := startCollector(t, Options{Listen: []Listen{{"netflow", ":0"}}, Sink: sink})
	port := c.Addrs()[0].(*net.UDPAddr).Port
	hosts := []string{"127.0.0.1"}
	if probe, err := net.ListenPacket("udp6", "[::1]:0"); err == nil {
		probe.Close()
		hosts = append(hosts, "::1")
	} else {
		t.Logf("left out: IPv6, which this machine does not have: %v", err)
	}
	for _, host := range hosts {
		conn, err := net.DialUDP("udp", nil, &net.UDPAddr{IP: net.ParseIP(host), Port: port})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := conn.Write(datagram5(3)); err != nil {
			t.Fatal(err)
		}
	}
	waitFor(t, "records", func() bool { return sink.len() == 3*len(hosts) }) // far too few for a batch: time brings them
	if err := stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
	st := c.Stats()
	if got, want := len(st.Exporters), len(hosts); got != want {
		t.Fatalf("got %d exporters, want %d", got, want)
	}
	if got := st.Exporters[0].Exporter.String(); got != "127.0.0.1" {
		t.Errorf("got exporter %s, want 127.0.0.1", got)
	}
	if got, want := st.Total.Records, uint64(3*len(hosts)); got != want {
		t.Errorf("got %d records counted, want %d", got, want)
	}
}

// What the kernel holds when the context ends is stored, not lost.
func TestCollectorDrainsAtTheEnd(t *testing.T) {
	sink := newMemorySink()
	c, err := New(Options{Listen: []Listen{{"netflow", "127.0.0.1:0"}}, Sink: sink})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("udp", c.Addrs()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	const datagrams = 500
	for range datagrams {
		if _, err := conn.Write(datagram5(30)); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // before Run has read anything
	if err := c.Run(ctx); err != nil {
		t.Fatalf("Run: %v", err)
	}
	if got, want := uint64(sink.len())+30*c.Stats().KernelDrops, uint64(datagrams*30); got != want {
		t.Errorf("got %d records and known drops, want %d", got, want)
	}
}

func TestCollectorCountsWhatTheSinkRefuses(t *testing.T) {
	sink := newMemorySink()
	sink.fail = errors.New("disk full")
	c, stop := startCollector(t, Options{Listen: []Listen{{"netflow", "127.0.0.1:0"}}, Sink: sink})
	conn, err := net.Dial("udp", c.Addrs()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write(datagram5(7)); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the refusal", func() bool { return c.Stats().LostRecords == 7 })
	if err := stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
}

// A kernel buffer that is too small loses datagrams, and they are counted.
func TestCollectorCountsKernelDrops(t *testing.T) {
	if !reusePort {
		t.Skip("left out: this system does not tell about dropped datagrams")
	}
	sink := newMemorySink()
	c, err := New(Options{Listen: []Listen{{"netflow", "127.0.0.1:0"}}, Sink: sink, Workers: 1, ReceiveBuffer: 16 << 10})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("udp", c.Addrs()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	const datagrams = 400
	for range datagrams {
		if _, err := conn.Write(datagram5(30)); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	go func() { result <- c.Run(ctx) }()
	waitFor(t, "the count", func() bool { return 30*(c.Stats().KernelDrops)+uint64(sink.len()) == 30*datagrams })
	if c.Stats().KernelDrops == 0 {
		t.Error("a buffer of 16 KB took 400 datagrams")
	}
	cancel()
	if err := <-result; err != nil {
		t.Fatal(err)
	}
}

func TestParseListen(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"netflow://:2055", "netflow://:2055"},
		{"sflow://[::]:6343", "sflow://[::]:6343"},
		{"netflow://192.0.2.1:9995", "netflow://192.0.2.1:9995"},
		{"netflow://192.0.2.1", "netflow://192.0.2.1:2055"},
		{"sflow://[2001:db8::1]", "sflow://[2001:db8::1]:6343"},
		{"http://:2055", ""}, {":2055", ""}, {"netflow://:port70000x", ""}, {"netflow://:70000", ""}, {"", ""},
	} {
		got, err := ParseListen(c.in)
		if c.want == "" {
			if err == nil {
				t.Errorf("ParseListen(%q) = %v, want an error", c.in, got)
			}
			continue
		}
		if err != nil || got.String() != c.want {
			t.Errorf("ParseListen(%q) = %v, %v, want %s", c.in, got, err, c.want)
		}
	}
}

func TestNewRefusesThePortOfAnotherCollector(t *testing.T) {
	first, err := New(Options{Listen: []Listen{{"netflow", "127.0.0.1:0"}}, Sink: newMemorySink()})
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	second, err := New(Options{Listen: []Listen{{"netflow", first.Addrs()[0].String()}}, Sink: newMemorySink()})
	if err == nil {
		second.Close()
		t.Fatal("two collectors share a port")
	}
}

func TestNewRefusesAPortInUse(t *testing.T) {
	busy, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	_, err = New(Options{Listen: []Listen{{"netflow", busy.LocalAddr().String()}}, Sink: newMemorySink()})
	if err == nil {
		t.Fatal("New bound a port in use")
	}
}

// send sends a datagram to the collector's first address.
func send(t *testing.T, c *Collector, p []byte) {
	t.Helper()
	conn, err := net.Dial("udp", c.Addrs()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write(p); err != nil {
		t.Fatal(err)
	}
}
