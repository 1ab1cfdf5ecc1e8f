package collector

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"weir/flow"
	"weir/flow/ledger"
)

// listenTCP runs a collector for IPFIX over TCP.
func listenTCP(t *testing.T, o Options) (c *Collector, sink *memorySink, stop func() error) {
	t.Helper()
	sink = newMemorySink()
	o.Listen, o.Sink = []Listen{{schemeTCP, "127.0.0.1:0"}}, sink
	c, stop = startCollector(t, o)
	return c, sink, stop
}

func dialTCP(t *testing.T, c *Collector) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", c.Addrs()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func write(t *testing.T, conn net.Conn, messages ...[]byte) {
	t.Helper()
	if _, err := conn.Write(bytes.Join(messages, nil)); err != nil {
		t.Fatal(err)
	}
}

// waitRecords waits for so many records in all.
func waitRecords(t *testing.T, sink *memorySink, want int) {
	t.Helper()
	waitFor(t, "records", func() bool { return sink.len() >= want })
	if got := sink.len(); got != want {
		t.Fatalf("got %d records, want %d", got, want)
	}
}

// wantClosed waits until the collector has closed a connection.
func wantClosed(t *testing.T, conn net.Conn) {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	_, err := conn.Read(make([]byte, 1))
	if timeout, ok := err.(net.Error); err == nil || ok && timeout.Timeout() {
		t.Fatalf("the connection stays open: %v", err)
	}
}

func waitClosed(t *testing.T, c *Collector) {
	t.Helper()
	waitFor(t, "the connections to end", func() bool { return c.Stats().Connections == 0 })
}

// Messages are what their lengths say, however they are cut on the way.
func TestStreamFraming(t *testing.T) {
	c, sink, stop := listenTCP(t, Options{})
	conn := dialTCP(t, c)
	for _, b := range bytes.Join([][]byte{ipfix(3, set(2, templateUsual)), ipfix(3, dataUsual)}, nil) {
		write(t, conn, []byte{b})
	}
	waitRecords(t, sink, 5)
	write(t, conn, ipfix(3, dataUsual), ipfix(3, dataUsual), ipfix(3, dataUsual)[:20]) // in one segment
	waitRecords(t, sink, 15)
	write(t, conn, ipfix(3, dataUsual)[20:], ipfix(3, set(300, repeat(1190, usualRecord)))) // 65,470 bytes
	waitRecords(t, sink, 20+1190)
	conn.Close()
	waitClosed(t, c)
	if err := stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
	st := c.Stats().Exporters[0]
	if st.Exporter != netip.MustParseAddr("127.0.0.1") || st.Datagrams != 6 || st.BadDatagrams != 0 || st.Records != 1210 {
		t.Errorf("got of %s: %d messages, %d bad, %d records; want 6, 0, 1210", st.Exporter, st.Datagrams, st.BadDatagrams, st.Records)
	}
	wantAddr(t, sink.batch, 0, flow.Exporter, "127.0.0.1")
	if got := sink.batch.GetNum(flow.Domain, 0); got != 3 {
		t.Errorf("got domain %d, want 3", got)
	}
}

// A connection that comes back knows no templates; its data wait for them, and
// those of the connection that ended are dropped.
func TestReconnectNeedsTemplatesAnew(t *testing.T) {
	c, sink, _ := listenTCP(t, Options{})
	first := dialTCP(t, c)
	write(t, first, ipfix(0, set(2, templateUsual)), ipfix(0, dataUsual), ipfix(0, set(2, wire(300, 0))), ipfix(0, dataUsual))
	waitRecords(t, sink, 5)
	waitFor(t, "the set behind the withdrawal", func() bool { return c.Stats().Total.SetsWaiting == 1 })
	first.Close()
	waitClosed(t, c)
	waitFor(t, "the drop", func() bool { return c.Stats().Total.SetsDropped == 1 })

	again := dialTCP(t, c)
	write(t, again, ipfix(0, dataUsual))
	waitFor(t, "the set without a template", func() bool { return c.Stats().Total.SetsWaiting == 1 })
	write(t, again, ipfix(0, set(2, templateUsual)))
	waitRecords(t, sink, 10)
	st := c.Stats().Total
	if st.Error(ReasonNoTemplate) != 1 || st.Error(ReasonWithdrawal) != 1 || st.SetsRecovered != 1 {
		t.Errorf("got %d sets without template, %d withdrawals, %d recovered; want 1 each",
			st.Error(ReasonNoTemplate), st.Error(ReasonWithdrawal), st.SetsRecovered)
	}
}

// What is no IPFIX closes its connection, and is counted; others go on.
func TestGarbageClosesTheConnection(t *testing.T) {
	c, sink, _ := listenTCP(t, Options{})
	good := dialTCP(t, c)
	write(t, good, ipfix(0, set(2, templateUsual)))
	for name, garbage := range map[string][]byte{
		"another protocol": []byte("GET / HTTP/1.1\r\n\r\n"), "short length": wire(10, 15, uint32(0)), "v9": v9(0, dataUsual),
	} {
		before := c.Stats().Total.Error(ReasonFraming)
		bad := dialTCP(t, c)
		write(t, bad, ipfix(0, set(2, templateUsual)), ipfix(0, dataUsual), garbage)
		wantClosed(t, bad)
		waitFor(t, name, func() bool { return c.Stats().Total.Error(ReasonFraming) == before+1 })
	}
	write(t, good, ipfix(0, dataUsual))
	waitRecords(t, sink, 20)
	if st := c.Stats().Total; st.BadDatagrams != 3 {
		t.Errorf("got %d bad messages, want 3", st.BadDatagrams)
	}
}

// A message that is cut off by the end of its connection is counted, in the
// ledger as well, and its whole records are decoded.
func TestLostConnectionIsTruncated(t *testing.T) {
	rows := newMemoryLedger()
	c, sink, stop := listenTCP(t, Options{Ledger: rows, State: newMemoryState()})
	conn := dialTCP(t, c)
	write(t, conn, ipfix(0, set(2, templateUsual)), ipfix(0, dataUsual)[:16+4+55*3+7])
	conn.Close()
	waitRecords(t, sink, 3)
	waitClosed(t, c)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if st := c.Stats().Total; st.BadDatagrams != 1 || st.Error(ReasonTruncated) == 0 {
		t.Errorf("got %d bad messages, %d cut off; want one", st.BadDatagrams, st.Error(ReasonTruncated))
	}
	if cut := rows.all().Errors["truncated"]; cut != c.Stats().Total.Error(ReasonTruncated) {
		t.Errorf("the ledger knows of %d cut off, want %d", cut, c.Stats().Total.Error(ReasonTruncated))
	}
}

// Peers that stall are let go, in the middle of a message or before the first,
// and hold up nobody meanwhile.
func TestSlowPeers(t *testing.T) {
	t.Parallel()
	const limit = 3 * time.Second // so that a busy machine does not make us a slow peer
	c, sink, _ := listenTCP(t, Options{Connections: ConnectionLimits{Message: limit, Idle: limit}})
	idle := dialTCP(t, c)
	write(t, idle, ipfix(0, set(2, templateUsual)), ipfix(0, dataUsual))
	slow := dialTCP(t, c)
	write(t, slow, wire(10, 65535))
	silent := dialTCP(t, c)
	waitRecords(t, sink, 5)
	go func() { // a byte now and then does not help
		for t.Context().Err() == nil {
			if _, err := slow.Write([]byte{0}); err != nil {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
	}()
	for _, conn := range []net.Conn{silent, slow, idle} {
		wantClosed(t, conn)
	}
	waitFor(t, "the counts", func() bool { return c.Stats().Total.Error(ReasonConnection) == 3 })
}

func TestConnectionsAreBounded(t *testing.T) {
	c, sink, _ := listenTCP(t, Options{Connections: ConnectionLimits{PerAddress: 2}})
	kept := []net.Conn{dialTCP(t, c), dialTCP(t, c)}
	waitFor(t, "two connections", func() bool { return c.Stats().Connections == 2 })
	wantClosed(t, dialTCP(t, c))
	waitFor(t, "the count", func() bool { return c.Stats().Total.Error(ReasonConnection) == 1 })
	kept[0].Close()
	waitFor(t, "room", func() bool { return c.Stats().Connections == 1 })
	write(t, dialTCP(t, c), ipfix(0, set(2, templateUsual)), ipfix(0, dataUsual))
	waitRecords(t, sink, 5)
}

func TestConnectionLimits(t *testing.T) {
	c := newConnections(ConnectionLimits{Total: 3, PerAddress: 2})
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	seen := map[uint64]bool{}
	for i, s := range []struct {
		addr netip.Addr
		ok   bool
	}{{a, true}, {a, true}, {a, false}, {b, true}, {b, false}} {
		id, err := c.enter(s.addr)
		if (err == nil) != s.ok || s.ok && (id == 0 || seen[id]) {
			t.Errorf("connection %d: got number %d, %v", i, id, err)
		}
		seen[id] = true
	}
	c.leave(a)
	if _, err := c.enter(b); err != nil || c.open() != 3 {
		t.Errorf("after one has left: %v, %d open", err, c.open())
	}
}

// Exporters that the configuration does not know are refused at the door.
func TestStreamsFollowThePolicy(t *testing.T) {
	known := ledger.Directory{{Name: "core", Sources: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}}
	policy, err := NewPolicy(PolicyOptions{Known: known, Only: true})
	if err != nil {
		t.Fatal(err)
	}
	c, _, _ := listenTCP(t, Options{Policy: policy})
	wantClosed(t, dialTCP(t, c))
	waitFor(t, "the refusal", func() bool { return c.Stats().Refused == 1 })
	if got := len(c.Stats().Exporters); got != 0 {
		t.Errorf("got %d exporters, want none", got)
	}
}

// What is on its way when the context ends is stored, and connections are
// closed.
func TestStreamsDrainAtTheEnd(t *testing.T) {
	c, sink, stop := listenTCP(t, Options{})
	conn := dialTCP(t, c)
	write(t, conn, ipfix(0, set(2, templateUsual)), ipfix(0, dataUsual))
	waitRecords(t, sink, 5)
	const messages = 400
	for range messages {
		write(t, conn, ipfix(0, dataUsual))
	}
	if err := stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
	waitRecords(t, sink, 5+5*messages)
	wantClosed(t, conn)
	if other, err := net.Dial("tcp", c.Addrs()[0].String()); err == nil {
		other.Close()
		t.Error("the port is open after the end")
	}
}

// A peer that never stops sending does not keep the collector from stopping.
func TestEndlessPeerAtTheEnd(t *testing.T) {
	c, sink, stop := listenTCP(t, Options{})
	conn := dialTCP(t, c)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		m := bytes.Join([][]byte{ipfix(0, set(2, templateUsual)), ipfix(0, dataUsual)}, nil)
		for ctx.Err() == nil {
			if _, err := io.Copy(conn, bytes.NewReader(m)); err != nil {
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	waitFor(t, "records", func() bool { return sink.len() > 0 })
	ended := make(chan error, 1)
	go func() { ended <- stop() }()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("Run: %v", err)
		}
	case <-time.After(patience):
		t.Errorf("Run goes on as long as the peer sends")
	}
}

// FuzzFramer: whatever comes, cut in whatever way, gives the same messages, in
// bounded memory. Run with
//
//	go test -run xxx -fuzz FuzzFramer -fuzztime 60s ./collector
func FuzzFramer(f *testing.F) {
	f.Add(bytes.Join([][]byte{ipfix(0, set(2, templateUsual)), ipfix(0, dataUsual)}, nil), uint8(1))
	f.Add(wire(10, 16, uint64(0), uint32(0), 10, 15), uint8(3))
	f.Add(append(wire(10, 65535), make([]byte, 66000)...), uint8(255))
	f.Fuzz(func(t *testing.T, stream []byte, step uint8) {
		whole, wholeRest, wholeErr := frames(t, stream, len(stream)+1)
		cut, rest, err := frames(t, stream, int(step)+1)
		if !bytes.Equal(whole, cut) || (wholeErr == nil) != (err == nil) || err == nil && !bytes.Equal(wholeRest, rest) {
			t.Fatalf("in steps of %d: %d bytes of messages, %v; at once: %d, %v", int(step)+1, len(cut), err, len(whole), wholeErr)
		}
		if err == nil && !bytes.Equal(append(cut, rest...), stream) {
			t.Fatal("the messages and the rest are not what came")
		}
	})
}

// frames returns the messages of a stream, one behind the other, and the rest.
func frames(t *testing.T, stream []byte, step int) (messages, rest []byte, err error) {
	var f framer
	for len(stream) > 0 {
		space := f.space()
		if len(space) == 0 {
			t.Fatal("no space is left")
		}
		n := copy(space[:min(step, len(space))], stream)
		stream = stream[n:]
		f.came(n)
		for {
			m, err := f.next()
			if err != nil {
				return messages, nil, err
			}
			if m == nil {
				break
			}
			messages = append(messages, m...)
		}
		if len(f.buf) > maxDatagram {
			t.Fatalf("a buffer of %d bytes", len(f.buf))
		}
	}
	return messages, f.rest(), nil
}
