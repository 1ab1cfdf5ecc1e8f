package collector

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"weir/flow/ledger"
)

// knownAs describes one exporter.
func knownAs(name, addr string, sampling uint32) ledger.Directory {
	return ledger.Directory{{Name: name, Sources: []netip.Prefix{netip.PrefixFrom(netip.MustParseAddr(addr), 32)}, Sampling: sampling}}
}

// flood sends datagrams of a record each to an address, a thousand a second,
// until stop is called, which returns how many it has sent.
func flood(t *testing.T, addr string) (stop func() int) {
	t.Helper()
	conn, err := net.Dial("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	end, sent := make(chan struct{}), make(chan int)
	go func() {
		n, payload := 0, datagram5(1)
		defer func() { conn.Close(); sent <- n }()
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-end:
				return
			case <-tick.C:
				if _, err := conn.Write(payload); err != nil {
					t.Errorf("datagram %d to %s: %v", n, addr, err) // nobody listens there
					return
				}
				n++
			}
		}
	}()
	return func() int { close(end); return <-sent }
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
		time.Sleep(3 * time.Millisecond)
	}
	for _, addr := range []string{fmt.Sprintf("0.0.0.0:%d", port), here, fmt.Sprintf("[::]:%d", port), here, fmt.Sprintf(":%d", port)} {
		time.Sleep(20 * time.Millisecond)
		if err := c.Relisten(t.Context(), []Listen{{"netflow", addr}}, nil); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(20 * time.Millisecond)
	want := sent()
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	st := c.Stats()
	// On a host that stalls the kernel may drop; it counts that. What is in a
	// socket that is closed, it does not.
	if got := sink.len(); uint64(got)+st.KernelDrops != uint64(want) || want < 100 {
		t.Errorf("%d of %d datagrams received, the kernel dropped %d", got, want, st.KernelDrops)
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
	if _, err := conn.Write(datagram5(1)); err == nil {
		if _, err = conn.Write(datagram5(1)); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("somebody listens on %s still: %v", gone, err)
		}
	}
	other, err := net.ListenPacket("udp", gone)
	if err != nil {
		t.Errorf("the address is not free: %v", err)
	} else {
		other.Close()
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if got := sink.len(); got != want {
		t.Errorf("%d records, want %d", got, want)
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
	time.Sleep(50 * time.Millisecond)
	want := sent()
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if sink.len() != want || want == 0 {
		t.Errorf("%d of %d datagrams received", sink.len(), want)
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
	for n := range 50 {
		o := PolicyOptions{Known: knownAs("lo", "127.0.0.1", uint32(n+1))}
		if n%2 == 1 {
			o = PolicyOptions{Known: testKnown, Only: true}
		}
		if err := p.Change(o); err != nil {
			t.Fatal(err)
		}
		c.Decoder().SetKnown(o.Known)
		time.Sleep(2 * time.Millisecond)
	}
	want := sent()
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	st := c.Stats()
	if got := uint64(sink.len()) + st.Refused; got != uint64(want) || st.Refused == 0 || sink.len() == 0 {
		t.Errorf("%d records and %d refused of %d", sink.len(), st.Refused, want)
	}
	if err := p.Change(PolicyOptions{Scope: &Scope{}}); err == nil {
		t.Error("a scope without networks was taken")
	}
}

// TestProgress checks that a sink that does not return is noticed.
func TestProgress(t *testing.T) {
	sink := &stuckSink{memorySink: newMemorySink(), goOn: make(chan struct{})}
	c, stop := startCollector(t, Options{Listen: []Listen{{"netflow", "127.0.0.1:0"}}, Sink: sink, Workers: 1})
	time.Sleep(3 * time.Second)
	if what, since := c.Progress(); since > 2500*time.Millisecond {
		t.Errorf("idle, and %s has stood still for %v", what, since)
	}
	sent := flood(t, c.Addrs()[0].String())
	waitFor(t, "the decoder to be named", func() bool {
		what, since := c.Progress()
		return since > 3*time.Second && strings.HasPrefix(what, "decoding")
	})
	close(sink.goOn)
	sent()
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}
