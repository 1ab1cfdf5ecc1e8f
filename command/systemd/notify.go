package systemd

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// A Notifier sends the states of this process to the service manager. The nil
// Notifier sends nothing.
type Notifier struct {
	conn     *net.UnixConn
	watchdog time.Duration
}

// New returns a Notifier for the socket that NOTIFY_SOCKET names, nil if it names
// none that can be reached. A name that begins with @ is one without a file
// (abstract, unix(7)). getenv is os.Getenv, but for tests.
func New(getenv func(string) string) *Notifier {
	name := getenv("NOTIFY_SOCKET")
	if name == "" || !strings.HasPrefix(name, "/") && !strings.HasPrefix(name, "@") {
		return nil
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		return nil
	}
	return &Notifier{conn: conn, watchdog: watchdogOf(getenv)}
}

// watchdogOf returns the time that WATCHDOG_USEC gives this process.
func watchdogOf(getenv func(string) string) time.Duration {
	if pid := getenv("WATCHDOG_PID"); pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return 0 // it is for another process
	}
	us, err := strconv.ParseInt(getenv("WATCHDOG_USEC"), 10, 64)
	if err != nil || us <= 0 || us > int64(time.Hour*24*365/time.Microsecond) {
		return 0
	}
	return time.Duration(us) * time.Microsecond
}

// Watchdog returns the time within which the manager wants to hear Alive, 0 if it
// does not watch.
func (n *Notifier) Watchdog() time.Duration {
	if n == nil {
		return 0
	}
	return n.watchdog
}

// Ready says that the service has started, or has read its configuration again.
// status is a line for people, as in Status.
func (n *Notifier) Ready(status string) { n.send("READY=1", "STATUS="+oneLine(status)) }

// Status says how the service does, in a line for people, as systemctl status
// shows it.
func (n *Notifier) Status(status string) { n.send("STATUS=" + oneLine(status)) }

// Reloading says that the service reads its configuration again; Ready must
// follow.
func (n *Notifier) Reloading() {
	n.send("RELOADING=1", fmt.Sprintf("MONOTONIC_USEC=%d", monotonic().Microseconds()))
}

// Stopping says that the service ends.
func (n *Notifier) Stopping(status string) { n.send("STOPPING=1", "STATUS="+oneLine(status)) }

// Extend asks for so much time from now on, for starting or stopping.
func (n *Notifier) Extend(by time.Duration) {
	n.send(fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d", by.Microseconds()))
}

// Alive says that the service makes progress.
func (n *Notifier) Alive() { n.send("WATCHDOG=1") }

func (n *Notifier) send(lines ...string) {
	if n == nil {
		return
	}
	// A manager that reads slowly must not hold up who reports.
	_ = n.conn.SetWriteDeadline(time.Now().Add(time.Second))
	_, _ = n.conn.Write([]byte(strings.Join(lines, "\n")))
}

// Close lets the socket go.
func (n *Notifier) Close() {
	if n != nil {
		_ = n.conn.Close()
	}
}

// oneLine keeps text from becoming a second statement.
func oneLine(text string) string { return strings.ReplaceAll(text, "\n", " ") }
