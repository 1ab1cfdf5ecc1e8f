package collector

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// listenLoopback returns a socket and its address.
func listenLoopback(t *testing.T, host string) (*net.UDPConn, netip.AddrPort) {
	t.Helper()
	conn, err := net.ListenPacket("udp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Skipf("listen on %s: %v", host, err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn.(*net.UDPConn), conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

// receiveN reads n datagrams and returns them with their sources.
func receiveN(t *testing.T, conn *net.UDPConn, n int) (payloads [][]byte, sources []netip.AddrPort) {
	t.Helper()
	buf := make([]byte, maxDatagram)
	for len(payloads) < n {
		_ = conn.SetReadDeadline(time.Now().Add(patience))
		size, src, err := conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			t.Fatalf("after %d of %d datagrams: %v", len(payloads), n, err)
		}
		payloads, sources = append(payloads, bytes.Clone(buf[:size])), append(sources, src)
	}
	return payloads, sources
}

// runRelay starts a relay and returns what ends it.
func runRelay(t *testing.T, r *Relay) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// Every datagram that the collector receives comes to both targets, byte for
// byte, also those that it cannot decode; a third target is nobody and costs
// nothing.
func TestForward(t *testing.T) {
	one, oneAddr := listenLoopback(t, "127.0.0.1")
	two, twoAddr := listenLoopback(t, "127.0.0.1")
	gone, goneAddr := listenLoopback(t, "127.0.0.1")
	gone.Close()
	relay, err := NewRelay(RelayOptions{To: []netip.AddrPort{oneAddr, goneAddr, twoAddr}, ownSource: true})
	if err != nil {
		t.Fatal(err)
	}
	stopRelay := runRelay(t, relay)
	sink := newMemorySink()
	c, stop := startCollector(t, Options{Listen: []Listen{{"netflow", "127.0.0.1:0"}}, Sink: sink, Forward: relay.Send})
	var want [][]byte
	for i := range 50 {
		p := datagram5(1 + i%3)
		if i%7 == 0 {
			p = fmt.Appendf(nil, "no flow %d", i)
		}
		want = append(want, p)
		send(t, c, p)
	}
	for _, conn := range []*net.UDPConn{one, two} {
		got, _ := receiveN(t, conn, len(want))
		slices.SortFunc(got, bytes.Compare) // several sockets receive
		sorted := slices.SortedFunc(slices.Values(want), bytes.Compare)
		for i := range sorted {
			if !bytes.Equal(got[i], sorted[i]) {
				t.Fatalf("got %x, want %x", got[i], sorted[i])
			}
		}
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	stopRelay()
	for _, s := range relay.Stats() {
		if s.Sent+s.Failed != 50 || s.Full != 0 || s.To != goneAddr && s.Failed != 0 {
			t.Errorf("got %+v", s)
		}
	}
}

// A queue without room drops and counts, and Send returns at once; what fitted
// arrives.
func TestRelayQueueIsBounded(t *testing.T) {
	conn, addr := listenLoopback(t, "127.0.0.1")
	relay, err := NewRelay(RelayOptions{To: []netip.AddrPort{addr}, QueueBytes: 10 * (100 + queuedBytes), ownSource: true})
	if err != nil {
		t.Fatal(err)
	}
	src := netip.MustParseAddrPort("127.0.0.1:4711")
	for range 25 { // nobody sends yet
		relay.Send(src, make([]byte, 100))
	}
	if s := relay.Stats()[0]; s.Full != 15 || s.Sent != 0 {
		t.Errorf("got %+v, want 15 dropped", s)
	}
	stop := runRelay(t, relay)
	receiveN(t, conn, 10)
	stop()
	if s := relay.Stats()[0]; s.Full != 15 || s.Sent != 10 || s.Failed != 0 {
		t.Errorf("got %+v, want 10 sent", s)
	}
}

// With the capability the source stays that of the exporter.
func TestRelayKeepsTheSource(t *testing.T) {
	for _, c := range []struct{ host, src string }{{"127.0.0.1", "127.5.6.7:4711"}, {"::1", "[2001:db8::7]:4711"}, {"::1", "127.5.6.7:4711"}} {
		t.Run(c.host+" "+c.src, func(t *testing.T) {
			conn, addr := listenLoopback(t, c.host)
			raw, err := openRawSender(addr)
			if err != nil {
				t.Skipf("no raw socket: %v", err)
			}
			raw.close()
			relay, err := NewRelay(RelayOptions{To: []netip.AddrPort{addr}})
			if err != nil {
				t.Fatal(err)
			}
			stop := runRelay(t, relay)
			defer stop()
			src := netip.MustParseAddrPort(c.src)
			want := [][]byte{{}, {1}, datagram5(3), bytes.Repeat([]byte{0xff}, 1001)}
			for _, p := range want {
				relay.Send(src, p)
			}
			got, sources := receiveN(t, conn, len(want))
			for i := range want {
				if !bytes.Equal(got[i], want[i]) {
					t.Errorf("got %x, want %x", got[i], want[i])
				}
				kept := netip.AddrPortFrom(sources[i].Addr().Unmap(), sources[i].Port()) == src
				if same := src.Addr().Is4() == addr.Addr().Is4(); kept != same {
					t.Errorf("%d: source %s, kept %t, want %t", i, sources[i], kept, same)
				}
			}
		})
	}
}

func TestRelayRefusesLoops(t *testing.T) {
	for _, c := range []struct {
		to, listen string
		loop       bool
	}{
		{"127.0.0.1:2055", ":2055", true},
		{"127.0.0.1:2055", "0.0.0.0:2055", true},
		{"127.0.0.1:2055", "[::]:2055", true},
		{"127.0.0.1:2055", "127.0.0.1:2055", true},
		{"127.0.0.1:2055", "127.0.0.2:2055", false},
		{"127.0.0.1:2056", ":2055", false},
		{"192.0.2.1:2055", ":2055", false},
	} {
		r, err := NewRelay(RelayOptions{To: []netip.AddrPort{netip.MustParseAddrPort(c.to)}, Listen: []Listen{{"netflow", c.listen}}, ownSource: true})
		if err == nil {
			r.Close()
		}
		if (err != nil) != c.loop || err != nil && !strings.Contains(err.Error(), "round for ever") {
			t.Errorf("%s to %s: got %v, want a loop %t", c.listen, c.to, err, c.loop)
		}
	}
}

// A target that stays through changes of the others gets every datagram, once;
// one that comes later gets those from then on, and one that goes none after.
func TestRetarget(t *testing.T) {
	stays, stayAddr := listenLoopback(t, "127.0.0.1")
	later, lateAddr := listenLoopback(t, "127.0.0.1")
	r, err := NewRelay(RelayOptions{To: []netip.AddrPort{stayAddr}, ownSource: true})
	if err != nil {
		t.Fatal(err)
	}
	stop := runRelay(t, r)
	src := netip.MustParseAddrPort("192.0.2.1:4711")
	const rounds = 40
	for n := range rounds {
		to := []netip.AddrPort{stayAddr}
		if n%2 == 1 {
			to = append(to, lateAddr)
		}
		if err := r.Retarget(to, nil); err != nil {
			t.Fatal(err)
		}
		r.Send(src, fmt.Append(nil, n))
	}
	if err := r.Retarget([]netip.AddrPort{lateAddr, stayAddr}, []Listen{{"netflow", lateAddr.String()}}); err == nil {
		t.Error("a target that is listened on was taken")
	}
	payloads, _ := receiveN(t, stays, rounds)
	for n, p := range payloads {
		if string(p) != fmt.Sprint(n) {
			t.Errorf("datagram %d is %q", n, p)
		}
	}
	payloads, _ = receiveN(t, later, rounds/2)
	odd := map[string]bool{} // what waited when it was left out may come after what came next
	for _, p := range payloads {
		odd[string(p)] = true
	}
	for n := 1; n < rounds; n += 2 {
		if !odd[fmt.Sprint(n)] {
			t.Errorf("the later one lacks datagram %d", n)
		}
	}
	stop() // what arrived may not be counted yet
	if st := r.Stats(); len(st) != 2 || st[0].Sent != rounds || st[0].dropped() != 0 {
		t.Errorf("got %+v", st)
	}
}
