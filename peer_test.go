package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"weir/bench"
	"weir/collector"
	"weir/flow"
	"weir/testdata"
)

// peerTools are the programs of others that the tests TestPeer… need.
var peerTools = []string{"softflowd", "nfcapd", "nfdump", "nfreplay", "tshark"}

// A row is a record as text, by weir's JSON key.
type row map[string]string

// put stores a value unless it is what peers print for an absent one.
func (r row) put(key, value string) {
	switch value {
	case "", "0", "0.0.0.0", "::", "00:00:00:00:00:00":
		return
	}
	if key != "" {
		r[key] = value
	}
}

// text returns the given keys of r, in a form that compares.
func (r row) text(keys []string) string {
	var b strings.Builder
	for _, key := range keys {
		if r[key] != "" {
			fmt.Fprintf(&b, "%s=%s ", key, r[key])
		}
	}
	return b.String()
}

// sameRows compares two lists of records by the given keys, order aside.
func sameRows(t *testing.T, what string, got, want []row, keys []string) {
	t.Helper()
	count := map[string]int{}
	for _, r := range want {
		count[r.text(keys)]++
	}
	for _, r := range got {
		count[r.text(keys)]--
	}
	var missing, extra []string
	for text, n := range count {
		switch {
		case n > 0:
			missing = append(missing, text)
		case n < 0:
			extra = append(extra, text)
		}
	}
	if len(missing) == 0 && len(extra) == 0 && len(got) > 0 {
		t.Logf("%s: %d records agree in %d fields", what, len(got), len(keys))
		return
	}
	slices.Sort(missing)
	slices.Sort(extra)
	t.Errorf("%s: %d records against %d; %d kinds are missing, %d are extra", what, len(got), len(want), len(missing), len(extra))
	for i := range min(len(missing), 3) {
		t.Errorf("missing: %s", missing[i])
	}
	for i := range min(len(extra), 3) {
		t.Errorf("extra:   %s", extra[i])
	}
}

// datagram is one export datagram and who sent it.
type datagram struct {
	time    uint64 // ms since 1970
	src     netip.AddrPort
	payload []byte
}

// readCapture returns the datagrams of a capture.
func readCapture(t *testing.T, capture []byte) []datagram {
	t.Helper()
	var all []datagram
	err := collector.ReadCapture(bytes.NewReader(capture), func(g collector.Datagram) error {
		all = append(all, datagram{uint64(g.Time.UnixMilli()), g.Src, bytes.Clone(g.Payload)})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// sendAll sends datagrams, each from its exporter's address, slowly enough for
// a small receive buffer. Announcements of templates come first anyway.
func sendAll(t *testing.T, to netip.AddrPort, datagrams []datagram) {
	t.Helper()
	out := bench.NewSender(to)
	defer out.Close()
	for i := range datagrams {
		if err := out.Send(datagrams[i].src.Addr(), datagrams[i].payload); err != nil {
			t.Fatal(err)
		}
		if i%4 == 3 {
			time.Sleep(time.Millisecond)
		}
	}
}

// decodeRows returns what collector.Decoder makes of datagrams.
func decodeRows(t *testing.T, datagrams []datagram) []row {
	t.Helper()
	d := collector.NewDecoder(collector.DecoderOptions{})
	b := flow.NewBatch(64)
	for _, g := range datagrams {
		if err := d.Decode(b, g.time, g.src, g.payload); err != nil {
			t.Errorf("datagram from %v: %v", g.src, err)
		}
	}
	return batchRows(t, b)
}

func batchRows(t *testing.T, b *flow.Batch) []row {
	t.Helper()
	rows := make([]row, b.Len())
	var r flow.Record
	for i := range rows {
		b.Record(i, &r)
		rows[i] = jsonRow(t, r.AppendJSON(nil))
	}
	return rows
}

// jsonRow reads a record as weir query -o json prints it.
func jsonRow(t *testing.T, text []byte) row {
	t.Helper()
	var values map[string]any
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	if err := dec.Decode(&values); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	r := row{}
	for key, v := range values {
		r.put(key, fmt.Sprint(v))
	}
	return r
}

// addr returns where a collector listens.
func (c *collecting) addr(t *testing.T) netip.AddrPort {
	t.Helper()
	addr, err := netip.ParseAddrPort(c.conn.RemoteAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

// query returns the records that weir query -o json prints.
func (w *weir) query(args ...string) []row {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	args = append([]string{"query", "--data", w.dir, "-o", "json"}, args...)
	cmd := exec.CommandContext(ctx, w.binary, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		w.t.Fatalf("weir %v: %v\n%s", args, err, stderr.String())
	}
	var rows []row
	for line := range bytes.Lines(out) {
		rows = append(rows, jsonRow(w.t, line))
	}
	return rows
}

// queryUntil queries until there are n records or a minute is over.
func (w *weir) queryUntil(n int, args ...string) []row {
	w.t.Helper()
	end := time.Now().Add(time.Minute)
	for {
		rows := w.query(args...)
		if len(rows) >= n || time.Now().After(end) {
			return rows
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// freePort returns a UDP port that was free a moment ago.
func freePort(t *testing.T) netip.AddrPort {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

// receive collects the datagrams that fn makes someone send to the given
// address, until nothing has come for half a second after fn is done.
func receive(t *testing.T, fn func(to netip.AddrPort)) []datagram {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetReadBuffer(4 << 20); err != nil {
		t.Fatal(err)
	}
	done := make(chan []datagram)
	finished := make(chan struct{})
	go func() {
		var all []datagram
		defer func() { done <- all }()
		buf := make([]byte, 65536)
		for {
			_ = conn.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
			n, src, err := conn.ReadFromUDPAddrPort(buf)
			if err == nil {
				all = append(all, datagram{uint64(time.Now().UnixMilli()), src, bytes.Clone(buf[:n])})
				continue
			}
			select {
			case <-finished:
				return
			default:
			}
		}
	}()
	fn(conn.LocalAddr().(*net.UDPAddr).AddrPort())
	close(finished)
	return <-done
}

// runTool runs a peer and returns its standard output.
func runTool(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "TZ=UTC", "LC_ALL=C")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s%s", name, args, err, out, stderr.String())
	}
	return out
}

// writeCapture writes datagrams to a pcap file and returns its path.
func writeCapture(t *testing.T, datagrams []datagram) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "datagrams.pcap")
	var file bytes.Buffer
	w := bench.NewCaptureWriter(&file)
	to := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), bench.PortNetFlow)
	for _, g := range datagrams {
		dst := to
		if binaryVersion(g.payload) == 0 {
			dst = netip.AddrPortFrom(to.Addr(), bench.PortSFlow)
		}
		if err := w.Write(g.time, g.src, dst, g.payload); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, file.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// binaryVersion returns the first two bytes: 5, 9 or 10, and 0 for sFlow.
func binaryVersion(payload []byte) int {
	if len(payload) < 2 {
		return -1
	}
	return int(payload[0])<<8 | int(payload[1])
}

// generated returns datagrams of the generator, and the records in them.
func generated(t *testing.T, o bench.Options) ([]datagram, []row) {
	t.Helper()
	g, b := bench.New(o), flow.NewBatch(1024)
	var all []datagram
	for {
		p, ok := g.Next(b)
		if !ok {
			return all, batchRows(t, b)
		}
		all = append(all, datagram{p.Time, p.Source(), bytes.Clone(p.Payload)})
	}
}

// officeSession returns the packets of the softflowd captures in testdata.
func officeSession(t *testing.T, start time.Time) []bench.PacketSeen {
	t.Helper()
	addr := func(s string) flow.Addr {
		a, err := flow.ParseAddr(s)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	return bench.Session(bench.SessionHosts{
		Client: addr(testdata.Client), Client6: addr(testdata.Client6), Resolver: addr(testdata.Resolver),
		Server: addr(testdata.Server), Scanned: addr(testdata.Scanned), Answered: addr(testdata.Answered),
		Scanner: addr(testdata.Scanner), Controller: addr(testdata.C2), Stranger: addr(testdata.Stranger),
		Web: addr(testdata.Web), Web6: addr(testdata.Web6), Visitor: addr(testdata.Visitor), Time: addr(testdata.Time),
	}, start)
}

// atoi reads a number that a peer printed, decimal or 0x….
func atoi(t *testing.T, s string) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(s, 0, 64)
	if err != nil {
		t.Fatalf("a peer printed %q for a number", s)
	}
	return n
}

// taken reports whether a UDP port is in use. It asks the kernel's table, as the
// tools that it waits for run on Linux: to try the port would be to hold it for a
// moment, in which the tool cannot have it.
func taken(at netip.AddrPort) bool {
	port := fmt.Sprintf(":%04X", at.Port())
	for _, table := range []string{"/proc/net/udp", "/proc/net/udp6"} {
		text, _ := os.ReadFile(table) // without IPv6 there is but one
		for line := range strings.Lines(string(text)) {
			if fields := strings.Fields(line); len(fields) > 1 && strings.HasSuffix(fields[1], port) {
				return true
			}
		}
	}
	return false
}
