package command

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/collector"
	"weir/command/systemd"
	"weir/flow"
)

// A stuckSink takes nothing until it is closed.
type stuckSink chan struct{}

func (s stuckSink) Append(*flow.Batch) error { <-s; return nil }

// A manager is the socket of a service manager.
type manager struct {
	t    *testing.T
	name string
	conn *net.UnixConn
}

func newManager(t *testing.T) *manager {
	t.Helper()
	m := &manager{t: t, name: filepath.Join(t.TempDir(), "notify")}
	var err error
	if m.conn, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: m.name, Net: "unixgram"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.conn.Close() })
	return m
}

// next returns the next message, "" if none comes for a while.
func (m *manager) next(wait time.Duration) string {
	buf := make([]byte, 4096)
	_ = m.conn.SetReadDeadline(time.Now().Add(wait))
	n, _ := m.conn.Read(buf)
	return string(buf[:n])
}

// until returns the messages up to the one that begins so, which must come.
func (m *manager) until(begin string) (list []string) {
	m.t.Helper()
	for {
		said := m.next(patience)
		if said == "" {
			m.t.Fatalf("%q was not said, only %q", begin, list)
		}
		list = append(list, said)
		if strings.HasPrefix(said, begin) {
			return list
		}
	}
}

// TestNotifiesTheManager follows what a collector tells the service manager from
// its start over a reload to its end.
func TestNotifiesTheManager(t *testing.T) {
	m := newManager(t)
	f := &testFile{t: t, name: filepath.Join(t.TempDir(), "weir.yaml")}
	f.write("data: " + filepath.Join(t.TempDir(), "data") + "\nlisten: ['netflow://127.0.0.1:0']\n")
	var log lockedBuffer
	d := collectFor(t, f.options(), &log, "NOTIFY_SOCKET="+m.name, "WATCHDOG_USEC=2000000")
	start := m.until("READY=1\nSTATUS=")
	if start[0] != "STATUS=opens the archive" || start[1] != "EXTEND_TIMEOUT_USEC=30000000" {
		t.Errorf("at the start: %q", start)
	}
	m.until("WATCHDOG=1")
	f.write("data: [\n")
	d.reloads(t, &log, "stays in force")
	reloading := func(said string) bool { return strings.HasPrefix(said, "RELOADING=1\nMONOTONIC_USEC=") }
	if list := m.until("READY=1"); !slices.ContainsFunc(list, reloading) {
		t.Errorf("at a reload: %q", list)
	}
	m.until("WATCHDOG=1")
	m.until("STATUS=0 records/s of 0 exporters")
	d.stop(t)
	m.until("STOPPING=1\nSTATUS=")
	m.until("EXTEND_TIMEOUT_USEC=30000000")
}

// TestWatchdogNeedsProgress checks that a collector that stands still is not
// said to be alive, and that this is logged once.
func TestWatchdogNeedsProgress(t *testing.T) {
	m := newManager(t)
	since := 100 * time.Millisecond
	var log bytes.Buffer
	s := &supervisor{
		manager:  systemd.New(func(name string) string { return map[string]string{"NOTIFY_SOCKET": m.name}[name] }),
		log:      slog.New(slog.NewTextHandler(&log, nil)),
		progress: func() (string, time.Duration) { return "decoding for netflow://:2055", since },
	}
	s.beat(time.Second)
	if said := m.next(patience); said != "WATCHDOG=1" {
		t.Errorf("it makes progress: got %q", said)
	}
	since = 3 * time.Second
	s.beat(time.Second)
	s.beat(time.Second)
	if said := m.next(50 * time.Millisecond); said != "" {
		t.Errorf("it stands still: got %q", said)
	}
	if n := strings.Count(log.String(), `makes no progress`); n != 1 || !strings.Contains(log.String(), `what="decoding for netflow://:2055" for=3s`) {
		t.Errorf("logged %d times: %s", n, log.String())
	}
	since = 0
	s.beat(time.Second)
	if said := m.next(patience); said != "WATCHDOG=1" {
		t.Errorf("it goes on: got %q", said)
	}
}

// TestWatchdogOfAStuckStore checks the whole way from a store that does not
// return to a manager that hears nothing.
func TestWatchdogOfAStuckStore(t *testing.T) {
	m := newManager(t)
	sink := make(stuckSink)
	c, err := collector.New(collector.Options{Listen: []collector.Listen{{Scheme: "netflow", Addr: "127.0.0.1:0"}}, Sink: sink})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	running := make(chan error, 1)
	go func() { running <- c.Run(ctx) }()
	getenv := func(name string) string {
		return map[string]string{"NOTIFY_SOCKET": m.name, "WATCHDOG_USEC": "4000000"}[name]
	}
	s := newSupervisor(systemd.New(getenv), slog.New(slog.DiscardHandler), c, newMeter(c.Stats))
	go s.run(ctx)
	m.until("WATCHDOG=1")
	conn, err := net.Dial("udp", c.Addrs()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "%s", netflow5(3))
	const silence = 4 * time.Second // is heard each second
	for end := time.Now().Add(patience); m.next(silence) != ""; {
		if time.Now().After(end) {
			t.Fatalf("said to be alive %v after the store stopped", patience)
		}
	}
	close(sink)
	m.until("WATCHDOG=1")
	cancel()
	if err := <-running; err != nil {
		t.Error(err)
	}
}
