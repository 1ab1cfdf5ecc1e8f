package command

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/store"
)

// patience is how long tests wait for what must come: for longer than any busy
// machine takes, as nobody waits when it has come.
const patience = time.Minute

// A testCollector is a collector that runs in the test's process.
type testCollector struct {
	netflow, sflow netip.AddrPort
	stop           func() // may be called twice
	ended          chan error
}

// send sends a datagram to the collector.
func (c *testCollector) send(t *testing.T, payload []byte) {
	t.Helper()
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(c.netflow))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write(payload); err != nil {
		t.Fatal(err)
	}
}

// netflow5 returns a v5 datagram of n records from 10.0.0.1 up, exported now:
//
//	header: version 2, count 2, sysUptime 4, seconds 4, ns 4, sequence 4, engine 2, sampling 2
//	record: src 4, dst 4, next hop 4, in 2, out 2, packets 4, bytes 4, first 4, last 4,
//	        src port 2, dst port 2, pad 1, flags 1, proto 1, tos 1, AS 4, masks 2, pad 2
func netflow5(n int) []byte {
	b := make([]byte, 24+48*n)
	const uptime = 100_000
	binary.BigEndian.PutUint16(b[0:], 5)
	binary.BigEndian.PutUint16(b[2:], uint16(n))
	binary.BigEndian.PutUint32(b[4:], uptime)
	binary.BigEndian.PutUint32(b[8:], uint32(testNow.Unix()))
	for i := range n {
		r := b[24+48*i:]
		binary.BigEndian.PutUint32(r[0:], 0x0a000001+uint32(i))
		binary.BigEndian.PutUint32(r[4:], 0xc0000207)
		binary.BigEndian.PutUint32(r[16:], 10)
		binary.BigEndian.PutUint32(r[20:], 1500)
		binary.BigEndian.PutUint32(r[24:], uptime-2000)
		binary.BigEndian.PutUint32(r[28:], uptime-1000)
		binary.BigEndian.PutUint16(r[32:], 40000)
		binary.BigEndian.PutUint16(r[34:], 53)
		r[38] = 17
	}
	return b
}

// weir runs a command line on an archive and returns what it prints.
func weir(t *testing.T, data string, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	std, out, errs := testStd()
	std.Getenv = func(name string) string { return map[string]string{"WEIR_DATA": data}[name] }
	status = Main(t.Context(), append([]string{"weir"}, args...), std)
	return out.String(), errs.String(), status
}

// A record can be asked for soon after its datagram, and the answer does not depend
// on whether the collector gives it.
func TestCollectAndQuery(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	c := startCollector(t, data)
	sent := time.Now()
	c.send(t, netflow5(3))
	var asked string
	for {
		out, errs, status := weir(t, data, "query", "dst ip 192.0.2.7 and udp", "-o", "json")
		if status != exitOK {
			t.Fatalf("query: status %d, %s", status, errs)
		}
		if strings.Count(out, "\n") == 3 {
			asked = out
			t.Logf("asked for %v after it was sent", time.Since(sent).Round(time.Millisecond))
			break
		}
		if time.Since(sent) > patience {
			t.Fatalf("after %v the answer is %q, %s", patience, out, errs)
		}
		time.Sleep(10 * time.Millisecond)
	}
	for _, want := range []string{`"src_addr":"10.0.0.1"`, `"dst_port":53`, `"proto":17`, `"bytes":1500`, `"version":"netflow5"`, `"exporter":"127.0.0.1"`,
		`"start":"2026-11-22T14:03:03.000Z"`, `"end":"2026-11-22T14:03:04.000Z"`, `"received":"2026-11-22T14:03:05.000Z"`} {
		if !strings.Contains(asked, want) {
			t.Errorf("%s is missing in %s", want, asked)
		}
	}
	top, _, _ := weir(t, data, "top", "dst_addr,dst_port", "-o", "csv")
	table, _, _ := weir(t, data, "query", "--order", "-bytes", "-n", "2")

	info, err := os.Stat(data)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the data directory: %v, %v", info.Mode(), err)
	}
	backup := filepath.Join(t.TempDir(), "copies")
	if out, errs, status := weir(t, data, "backup", backup); status != exitOK || !strings.Contains(out, ": 1 hour, 3 records") {
		t.Errorf("backup: status %d, %s%s", status, out, errs)
	}

	c.stop()
	if _, err := os.Lstat(filepath.Join(data, socketName)); err == nil {
		t.Error("the socket outlives the collector")
	}
	for _, dir := range []string{data, backup} {
		for want, args := range map[string][]string{
			asked: {"query", "dst ip 192.0.2.7 and udp", "-o", "json"},
			top:   {"top", "dst_addr,dst_port", "-o", "csv"},
			table: {"query", "--order", "-bytes", "-n", "2"},
		} {
			if got, errs, _ := weir(t, dir, args...); got != want {
				t.Errorf("%q without the collector: got\n%s%swant\n%s", args, got, errs, want)
			}
		}
	}
}

// What was in the kernel's buffer when the collector was told to stop is
// stored.
func TestStopStoresWhatArrived(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	c := startCollector(t, data)
	const datagrams = 20
	for range datagrams {
		c.send(t, netflow5(30))
	}
	c.stop()
	out, errs, _ := weir(t, data, "query", "--count")
	if want := "600\n"; out != want {
		t.Errorf("got %q, want %q: %s", out, want, errs)
	}
}

func TestCollectRefuses(t *testing.T) {
	busy, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	data := filepath.Join(t.TempDir(), "data")
	_, errs, status := weir(t, data, "collect", "--listen", "netflow://"+busy.LocalAddr().String())
	if status != exitFailure || !strings.Contains(errs, "another program listens there") {
		t.Errorf("port in use: status %d, %s", status, errs)
	}

	c := startCollector(t, data)
	defer c.stop()
	_, errs, status = weir(t, data, "collect", "--listen", "netflow://127.0.0.1:0")
	if status != exitStore || strings.Count(errs, "\n") != 1 {
		t.Errorf("second collector: status %d, %s", status, errs)
	}
}

func TestNotAnArchive(t *testing.T) {
	empty, other := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(other, "thesis.tex"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"query", "--data", filepath.Join(empty, "none")},
		{"query", "--data", empty},
		{"query", "--data", other},
		{"query", "--data", filepath.Join(other, "thesis.tex")},
		{"buckets", "--data", other},
		{"collect", "--data", other, "--listen", "netflow://127.0.0.1:0"},
		{"import", "--data", other, "../testdata/switch-sflow.pcap"},
	} {
		out, errs, status := weir(t, "", args...)
		if status != exitStore || out != "" || strings.Count(errs, "\n") != 1 {
			t.Errorf("%q: status %d, %s%s", args, status, out, errs)
		}
		if _, err := os.Stat(filepath.Join(empty, "none")); err == nil {
			t.Errorf("%q made a directory", args)
		}
	}
	if entries, err := os.ReadDir(other); err != nil || len(entries) != 1 {
		t.Errorf("the other directory has %d files now, %v", len(entries), err)
	}
}

// Another process may have the archive and not answer: that is said, with its
// own exit status, and not waited for without end.
func TestArchiveInUse(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	s, err := store.Open(data, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	std, _, _ := testStd()
	if _, err := openBackend(ctx, data, modeRead, std); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want that it waits", err)
	}
	if _, err := openOnce(t.Context(), data, modeRead, std); exitStatus(err) != exitStore {
		t.Errorf("got %v with status %d", err, exitStatus(err))
	}
}

// A command that reads the archive by itself while another one does must wait
// for its turn, not fail.
func TestArchiveIsFreedSoon(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	s, err := store.Open(data, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(300*time.Millisecond, func() { s.Close() })
	if _, errs, status := weir(t, data, "buckets"); status != exitOK {
		t.Errorf("status %d, %s", status, errs)
	}
}

func TestDemo(t *testing.T) {
	keep := filepath.Join(t.TempDir(), "kept")
	std, out, errs := testStd()
	std.Now = time.Now
	if status := Main(t.Context(), []string{"weir", "demo", "--keep", keep}, std); status != exitOK {
		t.Fatalf("status %d, %s%s", status, out, errs)
	}
	for _, want := range []string{"10.20.3.45", "203.0.113.200", "198.51.100.77", "10.20.7.22", "10.20.9.17", "Go on"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s is missing in\n%s", want, out)
		}
	}
	if errs.Len() > 0 {
		t.Errorf("standard error: %s", errs)
	}
	got, _, _ := weir(t, keep, "query", "--count")
	if got == "0\n" || got == "" {
		t.Errorf("the kept archive holds %q flows", got)
	}
}

// A capture imported through the collector and one imported without it give the
// same archive.
func TestImportBothWays(t *testing.T) {
	capture := "../testdata/ssh-scan-answered.pcap"
	alone, beside := filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "data")
	c := startCollector(t, beside)
	defer c.stop()
	want, _, status := weir(t, alone, "import", capture)
	if status != exitOK {
		t.Fatalf("status %d, %s", status, want)
	}
	got, errs, status := weir(t, beside, "import", capture)
	if got != want || status != exitOK {
		t.Errorf("status %d: got %s%s, want %s", status, got, errs, want)
	}
	a, _, _ := weir(t, alone, "query", "-o", "json")
	b, _, _ := weir(t, beside, "query", "-o", "json")
	if a != b || strings.Count(a, "\n") != 230 {
		t.Errorf("%d flows without the collector, %d with it", strings.Count(a, "\n"), strings.Count(b, "\n"))
	}
}

func TestImportStandardInput(t *testing.T) {
	text, err := os.ReadFile("../testdata/switch-sflow.pcap")
	if err != nil {
		t.Fatal(err)
	}
	for name, in := range map[string][]byte{"whole": text, "cut": text[:len(text)/2], "no capture": []byte("hello"), "nothing": nil} {
		std, out, errs := testStd()
		std.In = bytes.NewReader(in)
		data := filepath.Join(t.TempDir(), "data")
		status := Main(t.Context(), []string{"weir", "import", "-", "--data", data}, std)
		if want := map[bool]int{true: exitOK, false: exitFailure}[name == "whole"]; status != want {
			t.Errorf("%s: status %d, %s%s", name, status, out, errs)
		}
		if kept, _, _ := weir(t, data, "query", "--count"); (kept == "0\n") != (name == "no capture" || name == "nothing") {
			t.Errorf("%s: %s flows were kept", name, kept)
		}
	}
}

// Ctrl-C ends an import; what it stored stays, and it says how much.
func TestImportInterrupted(t *testing.T) {
	text, err := os.ReadFile("../testdata/switch-sflow.pcap")
	if err != nil {
		t.Fatal(err)
	}
	for _, daemon := range []bool{false, true} {
		data := filepath.Join(t.TempDir(), "data")
		if daemon {
			defer startCollector(t, data).stop()
		}
		ctx, cancel := context.WithCancel(t.Context())
		std, out, errs := testStd()
		rest := bytes.NewReader(text[:len(text)/2])
		std.In = readFunc(func(p []byte) (int, error) {
			if rest.Len() == 0 {
				cancel()
				clear(p) // bytes of a packet that never ends
				return len(p), nil
			}
			return rest.Read(p)
		})
		status := Main(ctx, []string{"weir", "import", "-", "--data", data}, std)
		if status != exitInterrupted || !strings.HasPrefix(out.String(), "interrupted; kept ") {
			t.Errorf("beside a collector %v: status %d, %s%s", daemon, status, out, errs)
		}
		if kept, _, _ := weir(t, data, "query", "--count"); kept == "0\n" || kept == "" {
			t.Errorf("beside a collector %v: %q flows were kept", daemon, kept)
		}
	}
}

// Ctrl-C ends a question with its own status, and says so in a word.
func TestInterruptedQuestion(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	defer startCollector(t, data).stop()
	if _, errs, status := weir(t, data, "import", "../testdata/six-exporters.pcap"); status != exitOK {
		t.Fatal(errs)
	}
	for _, args := range [][]string{{"query"}, {"query", "--count"}, {"top", "src_addr"}, {"query", "--order", "bytes", "-o", "json"}} {
		ctx, cancel := context.WithCancel(t.Context())
		std, _, errs := testStd()
		std.Out = writeFunc(func(p []byte) (int, error) { return len(p), nil })
		std.Getenv = func(name string) string {
			if name == "WEIR_DATA" {
				cancel() // it is asked for just before the archive is opened
				return data
			}
			return ""
		}
		if status := Main(ctx, append([]string{"weir"}, args...), std); status != exitInterrupted || errs.String() != "weir: interrupted\n" {
			t.Errorf("%q: status %d, %q", args, status, errs)
		}
	}
}

// On a terminal there is progress and colour, but the answer is the same.
func TestTerminal(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	for _, args := range [][]string{{"import", "../testdata/six-exporters.pcap"}, {"query"}, {"query", "--count"}, {"top", "src_addr"}, {"buckets"}, {"stats"},
		{"query", "-o", "json"}, {"peers", "10.1.2.74"}, {"seen", "10.1.2.74"}, {"series"}, {"explain", "any"}, {"retention"}} {
		std, out, errs := testStd()
		std.OutTerminal, std.ErrTerminal = true, true
		std.Getenv = func(name string) string { return map[string]string{"WEIR_DATA": data}[name] }
		if status := Main(t.Context(), append([]string{"weir"}, args...), std); status != exitOK || out.Len() == 0 {
			t.Errorf("%q: status %d, %s%s", args, status, out, errs)
		}
	}
}

// A reader that has seen enough is no error: weir query | head.
func TestClosedPipe(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	if _, errs, status := weir(t, data, "import", "../testdata/six-exporters.pcap"); status != exitOK {
		t.Fatal(errs)
	}
	for _, args := range [][]string{{"query"}, {"query", "-o", "json"}, {"query", "-o", "csv"}, {"query", "-o", "line"}, {"top", "src_addr", "-n", "0"}, {"buckets"}, {"query", "--count"}, {"help"}} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		r.Close()
		std, _, errs := testStd()
		std.Out = w
		std.Getenv = func(name string) string { return map[string]string{"WEIR_DATA": data}[name] }
		if status := Main(t.Context(), append([]string{"weir"}, args...), std); status != exitOK || errs.Len() > 0 {
			t.Errorf("%q: status %d, %q", args, status, errs)
		}
		w.Close()
	}
}
