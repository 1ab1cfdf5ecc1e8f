package command

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"weir/collector"
)

const scopeExample = `
networks:
  - {name: ours, prefixes: [10.0.0.1, 10.0.0.2]}
exporters:
  only: known
  list:
    - {name: core-1, address: 127.0.0.2, group: core, sampling: 500}
    - {name: uni-a-gw, address: 127.0.0.3, group: organisation}
    - {name: peer, address: 127.0.0.4, group: external}
scope:
  groups: {core: keep, organisation: quarantine, external: refuse}
  quarantine: 7d
`

// A lockedBuffer takes the log of a collector.
type lockedBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// A configured collector runs in the test's process, by a clock of the test's.
type configured struct {
	addr  net.Addr
	log   lockedBuffer
	clock atomic.Int64 // ms
	stop  func()       // may be called twice
}

// collectConfigured starts a collector with the given configuration, of which
// without retention: it keeps everything, and clock.
func collectConfigured(t *testing.T, data, text string, now time.Time) *configured {
	t.Helper()
	c, err := parseConfig("weir.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	keep := time.Duration(0)
	if c.Retention != "" {
		if keep, err = parseRetention(c.Retention); err != nil {
			t.Fatal(err)
		}
	}
	run := &configured{}
	run.clock.Store(now.UnixMilli())
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan []net.Addr, 1), make(chan error, 1)
	std := &Std{In: strings.NewReader(""), Out: &run.log, Err: &run.log, Getenv: func(string) string { return "" },
		Now: func() time.Time { return time.UnixMilli(run.clock.Load()) }}
	go func() {
		ended <- runCollect(ctx, std, collectOptions{
			dir: data, keep: keep, config: *c, audit: c.Audit, socket: c.Socket, names: c.names(), ready: func(addrs []net.Addr) { ready <- addrs },
			listen: []collector.Listen{{Scheme: "netflow", Addr: "127.0.0.1:0"}},
		})
		close(ended)
	}()
	run.stop = func() {
		t.Helper()
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("collector: %v", err)
		}
	}
	t.Cleanup(run.stop)
	select {
	case addrs := <-ready:
		run.addr = addrs[0]
	case err := <-ended:
		t.Fatalf("collector: %v", err)
	}
	return run
}

// send sends a datagram from an address of the loopback interface.
func (c *configured) send(t *testing.T, from string, payload []byte) {
	t.Helper()
	conn, err := net.DialUDP("udp", &net.UDPAddr{IP: net.ParseIP(from)}, c.addr.(*net.UDPAddr))
	if err != nil {
		t.Skipf("this system has only one loopback address: %v", err)
	}
	defer conn.Close()
	if _, err := conn.Write(payload); err != nil {
		t.Fatal(err)
	}
}

// waitAnswer asks until the answer is the wanted one.
func waitAnswer(t *testing.T, data, want string, args ...string) {
	t.Helper()
	var out, errs string
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if out, errs, _ = weir(t, data, args...); out == want {
			return
		}
	}
	t.Fatalf("%q: got %q, %s, want %q", args, out, errs, want)
}

// TestScope lets four exporters send the same records, of which two are ours.
func TestScope(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	c := collectConfigured(t, data, scopeExample, testNow)
	for _, from := range []string{"127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.9", "127.0.0.9"} {
		c.send(t, from, netflow5(5))
	}
	asked := map[string][]string{
		"9\n": {"query", "--count"},
		"3\n": {"quarantine", "query", "--count"},
		"exporter,src_addr,sampling_interval\r\n127.0.0.3,10.0.0.3,\r\n127.0.0.3,10.0.0.4,\r\n127.0.0.3,10.0.0.5,\r\n": {
			"quarantine", "query", "exporter 127.0.0.3", "--fields", "exporter,src_addr,sampling_interval", "-o", "csv"},
		`{"hour":"2026-11-22T14","exporter":"127.0.0.3","name":"uni-a-gw","group":"organisation","records":3,"goes":"2026-11-29T15:00:00Z"}` + "\n": {
			"quarantine", "-o", "json"},
	}
	waitAnswer(t, data, "9\n", "query", "--count")
	waitAnswer(t, data, "3\n", "quarantine", "query", "--count")
	waitAnswer(t, data, "5\n", "query", "exporter core-1 and sampling_interval = 500", "--count")
	waitAnswer(t, data, "0\n", "query", "src ip 10.0.0.3 and not exporter core-1", "--count")
	waitAnswer(t, data, "exporter,src_addr\r\nuni-a-gw,10.0.0.3\r\nuni-a-gw,10.0.0.4\r\nuni-a-gw,10.0.0.5\r\n",
		"quarantine", "query", "exporter uni-a-gw", "--fields", "exporter,src_addr", "--names", "-o", "csv")
	for _, want := range []string{"datagrams refused", "sender=127.0.0.9"} {
		if !strings.Contains(c.log.String(), want) {
			t.Errorf("%s is missing in the log:\n%s", want, c.log.String())
		}
	}
	backup := filepath.Join(t.TempDir(), "copy")
	if _, errs, status := weir(t, data, "backup", backup); status != exitOK {
		t.Errorf("backup: status %d, %s", status, errs)
	}
	c.stop()
	for want, args := range asked {
		if got, errs, _ := weir(t, data, args...); got != want {
			t.Errorf("%q without the collector: got\n%s%swant\n%s", args, got, errs, want)
		}
	}
	// Looks with and without the collector are in the log of the archive.
	if out, errs, _ := weir(t, data, "audit", "--command", "quarantine query", "-n", "0", "-o", "csv"); !strings.Contains(out, "127.0.0.3") || !strings.Contains(out, "uni-a-gw") {
		t.Errorf("the audit log is\n%s%s", out, errs)
	}
	if out, errs, status := weir(t, backup, "quarantine"); status != exitStore || out != "" || !strings.Contains(errs, "no quarantine") {
		t.Errorf("the quarantine of a backup: status %d, %s%s", status, out, errs)
	}
	if out, _, _ := weir(t, backup, "query", "--count"); out != "9\n" {
		t.Errorf("the backup holds %q records", out)
	}
}

// TestQuarantineEnds checks that what was set aside goes after its days, from a
// collector too that sets nothing aside any more, and nothing else.
func TestQuarantineEnds(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	c := collectConfigured(t, data, scopeExample, testNow)
	c.send(t, "127.0.0.3", netflow5(5))
	waitAnswer(t, data, "3\n", "quarantine", "query", "--count")
	c.stop()

	c = collectConfigured(t, data, "", testNow.Add(7*24*time.Hour))
	if out, errs, _ := weir(t, data, "quarantine", "-o", "csv"); !strings.Contains(out, ",3,2026-11-29T15:00:00Z") {
		t.Errorf("an hour before its end the quarantine is\n%s%s", out, errs)
	}
	c.clock.Store(testNow.Add(7*24*time.Hour + time.Hour).UnixMilli())
	// The machine seems to have been off for days: that is confirmed once for both.
	if _, errs, status := weir(t, data, "retention", "confirm"); status != exitOK {
		t.Fatalf("confirm: status %d, %s", status, errs)
	}
	out, errs, status := weir(t, data, "quarantine", "-o", "csv")
	if want := "hour,exporter,name,group,records,goes\r\n"; out != want || status != exitOK || errs != "weir: the quarantine is empty\n" {
		t.Errorf("after its days the quarantine is\n%s%s", out, errs)
	}
	if out, _, _ := weir(t, data, "query", "--count"); out != "2\n" {
		t.Errorf("the archive holds %q records", out)
	}
}

func TestQuarantineDrop(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	if _, errs, status := weir(t, data, "quarantine", "drop", "--all"); status != exitStore || strings.Count(errs, "\n") != 1 {
		t.Errorf("without an archive: status %d, %s", status, errs)
	}
	c := collectConfigured(t, data, strings.Replace(scopeExample, "core: keep", "core: quarantine", 1), testNow)
	fill := func() {
		for i, from := range []string{"127.0.0.2", "127.0.0.3"} {
			c.send(t, from, netflow5(5+i))
		}
		waitAnswer(t, data, "7\n", "quarantine", "query", "--count")
	}
	fill()
	for _, args := range [][]string{{}, {"--hour", "14"}, {"--hour", "2026-11-22T14", "--all"}, {"--hour", ""}, {"--exporter", "uni-a-gw", "--all"}, {"--exporter", ""}, {"all"}} {
		if out, errs, status := weir(t, data, append([]string{"quarantine", "drop"}, args...)...); status != exitUsage || out != "" {
			t.Errorf("drop %q: status %d, %s%s", args, status, out, errs)
		}
	}
	const list = "hour,exporter,name,group,records,goes\r\n" +
		"2026-11-22T14,127.0.0.2,core-1,core,3,2026-11-29T15:00:00Z\r\n2026-11-22T14,127.0.0.3,uni-a-gw,organisation,4,2026-11-29T15:00:00Z\r\n"
	drop := func(what, want, note string, args ...string) {
		t.Helper()
		out, errs, status := weir(t, data, append([]string{"quarantine", "drop", "-o", "csv"}, args...)...)
		if status != exitOK || out != want || errs != fmt.Sprintf("weir: deleted %s from the quarantine\n", note) {
			t.Errorf("%s, %q: status %d, got\n%s%swant\n%s", what, args, status, out, errs, want)
		}
	}
	const nothing = "hour,exporter,name,group,records,goes\r\n"
	drop("collecting", nothing, "0 records", "--hour", "2026-11-22T13")
	drop("collecting", list, "7 records", "--hour", "2026-11-22T14")
	drop("collecting", nothing, "0 records", "--all")
	fill()
	list3 := nothing + "2026-11-22T14,127.0.0.3,uni-a-gw,organisation,4,2026-11-29T15:00:00Z\r\n"
	drop("collecting", nothing, "0 records", "--exporter", "peer")
	drop("collecting", list3, "4 records", "--exporter", "uni-a-gw", "--hour", "2026-11-22T14")
	waitAnswer(t, data, "3\n", "quarantine", "query", "exporter core-1", "--count")
	waitAnswer(t, data, "0\n", "quarantine", "query", "exporter uni-a-gw", "--count")
	drop("collecting", strings.Replace(list, strings.TrimPrefix(list3, nothing), "", 1), "3 records", "--exporter", "127.0.0.0/30")
	fill()
	c.stop()
	drop("stopped", list3, "4 records", "--exporter", "UNI-A-GW")
	if _, errs, status := weir(t, data, "quarantine", "drop", "--exporter", "nobody"); status != exitUsage || strings.Count(errs, "\n") != 1 {
		t.Errorf("nobody: status %d, %s", status, errs)
	}
	c = collectConfigured(t, data, strings.Replace(scopeExample, "core: keep", "core: quarantine", 1), testNow)
	c.send(t, "127.0.0.3", netflow5(6))
	waitAnswer(t, data, "7\n", "quarantine", "query", "--count")
	c.stop()
	drop("stopped", list, "7 records", "--all")
	waitAnswer(t, data, "0\n", "quarantine", "query", "--count")
	waitAnswer(t, data, "14\n", "query", "--count")
	out, errs, _ := weir(t, data, "audit", "--command", "quarantine drop", "-n", "0", "-o", "csv")
	for _, want := range []string{"deletes from the quarantine: hour 2026-11-22T14,", "deletes from the quarantine: all", "hour 2026-11-22T14 of exporter uni-a-gw"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in the audit log:\n%s%s", want, out, errs)
		}
	}
}

// TestNoQuarantine checks that without a scope there is none.
func TestNoQuarantine(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	c := collectConfigured(t, data, "exporters: only known\n", testNow)
	c.send(t, "127.0.0.2", netflow5(1))
	await(t, "the sender is named", func() bool { return strings.Contains(c.log.String(), "sender=127.0.0.2") })
	c.stop()
	for _, want := range []string{"EVERY datagram is refused", "sender=127.0.0.2"} {
		if !strings.Contains(c.log.String(), want) {
			t.Errorf("%s is missing in the log:\n%s", want, c.log.String())
		}
	}
	if _, err := os.Stat(quarantineDir(data)); err == nil {
		t.Error("there is a quarantine that nobody asked for")
	}
	if _, errs, status := weir(t, data, "quarantine"); status != exitStore || !strings.Contains(errs, "no quarantine in "+data) {
		t.Errorf("status %d, %s", status, errs)
	}
	// Where there is no archive either, that is what is said.
	empty := t.TempDir()
	_, want, _ := weir(t, empty, "query")
	if _, errs, status := weir(t, empty, "quarantine"); status != exitStore || errs != want || want == "" {
		t.Errorf("status %d, %swant %s", status, errs, want)
	}
}
