package systemd

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

// manager is a socket that a service manager would have.
func manager(t *testing.T, name string) *net.UnixConn {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func next(t *testing.T, conn *net.UnixConn) string {
	t.Helper()
	buf := make([]byte, 4096)
	_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	n, err := conn.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	return string(buf[:n])
}

func env(values map[string]string) func(string) string {
	return func(name string) string { return values[name] }
}

// TestNotify sends every state to a socket with a file and to one without.
func TestNotify(t *testing.T) {
	names := []string{filepath.Join(t.TempDir(), "notify")}
	if runtime.GOOS == "linux" {
		names = append(names, fmt.Sprintf("@weir-test-%d", os.Getpid()))
	}
	for _, name := range names {
		conn := manager(t, name)
		n := New(env(map[string]string{"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "20000000"}))
		if n.Watchdog() != 20*time.Second {
			t.Errorf("%s: watchdog of %v", name, n.Watchdog())
		}
		for _, tt := range []struct {
			say  func()
			want string
		}{
			{func() { n.Ready("listens") }, "READY=1\nSTATUS=listens"},
			{func() { n.Status("12 records/s\nREADY=1") }, "STATUS=12 records/s READY=1"},
			{func() { n.Stopping("stores") }, "STOPPING=1\nSTATUS=stores"},
			{func() { n.Extend(30 * time.Second) }, "EXTEND_TIMEOUT_USEC=30000000"},
			{n.Alive, "WATCHDOG=1"},
		} {
			tt.say()
			if got := next(t, conn); got != tt.want {
				t.Errorf("%s: got %q, want %q", name, got, tt.want)
			}
		}
		before := monotonic().Microseconds()
		n.Reloading()
		first, second, _ := strings.Cut(next(t, conn), "\n")
		at, err := strconv.ParseInt(strings.TrimPrefix(second, "MONOTONIC_USEC="), 10, 64)
		if first != "RELOADING=1" || err != nil || at < before || at > monotonic().Microseconds() {
			t.Errorf("%s: got %q and %q", name, first, second)
		}
		n.Close()
	}
}

// TestNobodyListens checks that a Notifier without a manager says nothing.
func TestNobodyListens(t *testing.T) {
	for _, name := range []string{"", "relative", filepath.Join(t.TempDir(), "gone")} {
		n := New(env(map[string]string{"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "1000000"}))
		if n != nil {
			t.Errorf("%q: got a notifier", name)
		}
		n.Ready("")
		n.Alive()
		n.Close()
		if n.Watchdog() != 0 {
			t.Errorf("%q: is watched", name)
		}
	}
}

func TestWatchdogOf(t *testing.T) {
	me := strconv.Itoa(os.Getpid())
	for _, tt := range []struct {
		usec, pid string
		want      time.Duration
	}{
		{"30000000", "", 30 * time.Second}, {"30000000", me, 30 * time.Second}, {"30000000", "1", 0},
		{"", "", 0}, {"0", "", 0}, {"-5", "", 0}, {"soon", "", 0}, {"9223372036854775807", "", 0},
	} {
		if got := watchdogOf(env(map[string]string{"WATCHDOG_USEC": tt.usec, "WATCHDOG_PID": tt.pid})); got != tt.want {
			t.Errorf("WATCHDOG_USEC=%q of %q: got %v, want %v", tt.usec, tt.pid, got, tt.want)
		}
	}
}
