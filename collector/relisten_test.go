package collector

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"weir/flow/ledger"
)

// knownAs describes one exporter.
func knownAs(name, addr string, sampling uint32) ledger.Directory {
	return ledger.Directory{{Name: name, Sources: []netip.Prefix{netip.PrefixFrom(netip.MustParseAddr(addr), 32)}, Sampling: sampling}}
}

// A flooding sends datagrams of a record each to an address, a thousand a second
// if the machine has time.
type flooding struct {
	n          atomic.Int64 // datagrams sent
	end, ended chan struct{}
}

// flood sends until stop is called.
func flood(t *testing.T, addr string) *flooding {
	t.Helper()
	conn, err := net.Dial("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	f := &flooding{end: make(chan struct{}), ended: make(chan struct{})}
	go func() {
		payload := datagram5(1)
		defer func() { conn.Close(); close(f.ended) }()
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-f.end:
				return
			case <-tick.C:
				if _, err := conn.Write(payload); err != nil {
					t.Errorf("datagram %d to %s: %v", f.n.Load(), addr, err) // nobody listens there
					return
				}
				f.n.Add(1)
			}
		}
	}()
	return f
}

// more waits until so many more datagrams have been sent.
func (f *flooding) more(t *testing.T, n int64) {
	t.Helper()
	want := f.n.Load() + n
	waitFor(t, "datagrams to be sent", func() bool { return f.n.Load() >= want })
}

// stop ends it and returns how many datagrams were sent.
func (f *flooding) stop() uint64 {
	close(f.end)
	<-f.ended
	return uint64(f.n.Load())
}

// arrived returns how many datagrams of a record each the sink has, or the kernel
// dropped: a host that stalls makes it drop, and it counts that.
func arrived(c *Collector, sink *memorySink) uint64 {
	return uint64(sink.len()) + c.Stats().KernelDrops
}

// TestRelisten floods an address while others come and go, and then while the
// address itself becomes wider and narrower: every datagram is received.
func TestRelisten(t *testing.T) {
	sink := newMemorySink()
	c, stop := startCollector(t, Options{Listen: []Listen{{"netflow", "127.0.0.1:0"}}, Sink: sink})
	here := c.Addrs()[0].String()
	port := c.Addrs()[0].(*net.UDPAddr).Port
	first := Listen{"netflow", "127.0.0.1:0"}
	sent := flood(t, here)
	for round := range 30 {
		list := []Listen{first}
		if round%2 == 0 {
			list = append(list, Listen{"sflow", "127.0.0.1:0"}, Listen{"ipfix+tcp", "127.0.0.1:0"})
		}
		if err := c.Relisten(t.Context(), list, nil); err != nil {
			t.Fatal(err)
		}
		if got := c.Addrs()[0].String(); got != here {
			t.Fatalf("round %d: the address moved to %s", round, got)
		}
		sent.more(t, 3)
	}
	for _, addr := range []string{fmt.Sprintf("0.0.0.0:%d", port), here, fmt.Sprintf("[::]:%d", port), here, fmt.Sprintf(":%d", port)} {
		sent.more(t, 20)
		if err := c.Relisten(t.Context(), []Listen{{"netflow", addr}}, nil); err != nil {
			t.Fatal(err)
		}
	}
	sent.more(t, 20)
	want := sent.stop()
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	// What is in a socket that is closed, the kernel does not count.
	if got := arrived(c, sink); got != want {
		t.Errorf("%d of %d datagrams received or known to be dropped", got, want)
	}
}

// TestRelistenReadsToTheEnd checks that what came to an address before it is
// left out is received, and that the address is free afterwards.
func TestRelistenReadsToTheEnd(t *testing.T) {
	sink := newMemorySink()
	c, stop := startCollector(t, Options{Listen: []Listen{{"netflow", "127.0.0.1:0"}, {"sflow", "127.0.0.1:0"}}, Sink: sink})
	gone := c.Addrs()[1].String()
	conn, err := net.Dial("udp", gone)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	const want = 500
	for range want {
		if _, err := conn.Write(datagram5(1)); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Relisten(t.Context(), []Listen{{"netflow", "127.0.0.1:0"}}, nil); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "nobody to listen on "+gone, func() bool { // the system answers a datagram when it has time
		_, err := conn.Write(datagram5(1))
		return errors.Is(err, syscall.ECONNREFUSED)
	})
	other, err := net.ListenPacket("udp", gone)
	if err != nil {
		t.Errorf("the address is not free: %v", err)
	} else {
		other.Close()
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if got := arrived(c, sink); got != want {
		t.Errorf("%d of %d datagrams received or known to be dropped", got, want)
	}
}

// TestRelistenRefuses checks that what cannot be had leaves all as it was.
func TestRelistenRefuses(t *testing.T) {
	busy, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	sink := newMemorySink()
	o := Options{Listen: []Listen{{"netflow", "127.0.0.1:0"}}, Sink: sink}
	idle, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := idle.Relisten(ended, o.Listen, nil); !errors.Is(err, errNotRunning) {
		t.Errorf("before Run: %v", err)
	}
	idle.Close()
	c, stop := startCollector(t, o)
	here := c.Addrs()[0].String()
	for _, tt := range []struct {
		list []Listen
		want string
	}{
		{nil, "no address"},
		{[]Listen{{"sflow", "127.0.0.1:7"}, {"netflow", "127.0.0.1:7"}}, "named twice"},
		{[]Listen{{"ipfix+tls", "127.0.0.1:0"}}, "without a certificate"},
		{[]Listen{{"netflow", "[::1]:0"}, {"ipfix+tcp", "127.0.0.1:0"}, {"netflow", busy.LocalAddr().String()}}, "in use"},
	} {
		if err := c.Relisten(t.Context(), tt.list, nil); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v: got %v, want %q", tt.list, err, tt.want)
		}
		if a := c.Addrs(); len(a) != 1 || a[0].String() != here {
			t.Errorf("%v: listens on %v, want %s", tt.list, a, here)
		}
	}
	sent := flood(t, here)
	sent.more(t, 30)
	want := sent.stop()
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if got := arrived(c, sink); got != want {
		t.Errorf("%d of %d datagrams received or known to be dropped", got, want)
	}
	if err := c.Relisten(t.Context(), o.Listen, nil); !errors.Is(err, errNotRunning) {
		t.Errorf("after Run: %v", err)
	}
}

// TestPolicyChange changes a policy while datagrams come, and checks that each
// is treated by one set of rules, and the overrides by the last.
func TestPolicyChange(t *testing.T) {
	p, _ := newPolicy(t, PolicyOptions{})
	sink := newMemorySink()
	c, stop := startCollector(t, Options{Listen: []Listen{{"netflow", "127.0.0.1:0"}}, Sink: sink, Policy: p})
	sent := flood(t, c.Addrs()[0].String())
	treated := func() uint64 { st := c.Stats(); return st.Total.Records + st.Refused }
	for n := range 50 {
		o := PolicyOptions{Known: knownAs("lo", "127.0.0.1", uint32(n+1))}
		if n%2 == 1 {
			o = PolicyOptions{Known: testKnown, Only: true}
		}
		if err := p.Change(o); err != nil {
			t.Fatal(err)
		}
		c.Decoder().SetKnown(o.Known)
		before := treated()
		waitFor(t, "datagrams under these rules", func() bool { return treated() > before+1 })
	}
	want := sent.stop()
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	st := c.Stats()
	if got := arrived(c, sink) + st.Refused; got != want || st.Refused < 25 || sink.len() < 25 {
		t.Errorf("%d records and %d refused of %d", sink.len(), st.Refused, want)
	}
	if err := p.Change(PolicyOptions{Scope: &Scope{}}); err == nil {
		t.Error("a scope without networks was taken")
	}
}

// TestProgress checks that a sink that does not return is noticed.
func TestProgress(t *testing.T) {
	t.Parallel()
	sink := &stuckSink{memorySink: newMemorySink(), goOn: make(chan struct{})}
	c, stop := startCollector(t, Options{Listen: []Listen{{"netflow", "127.0.0.1:0"}}, Sink: sink, Workers: 1})
	time.Sleep(3 * time.Second) // whatever does not go round shows by now, and for ever
	waitFor(t, "all to go round while it is idle", func() bool {
		_, since := c.Progress()
		return since < 2500*time.Millisecond
	})
	sent := flood(t, c.Addrs()[0].String())
	waitFor(t, "the decoder to be named", func() bool {
		what, since := c.Progress()
		return since > 3*time.Second && strings.HasPrefix(what, "decoding")
	})
	close(sink.goOn)
	sent.stop()
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}
