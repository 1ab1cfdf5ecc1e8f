package command

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"weir/collector"
)

// TestLogIsLimited writes far more lines than a minute may have.
func TestLogIsLimited(t *testing.T) {
	var out bytes.Buffer
	now := testNow
	limited := newLogLimiter(slog.NewTextHandler(&out, nil), func() time.Time { return now })
	log := slog.New(limited).With("archive", "x").WithGroup("g")
	for n := range 10_000 {
		log.Warn("bad datagram", "n", n)
		slog.New(limited).Error("disk is slow", "n", n)
	}
	if got := strings.Count(out.String(), "\n"); got != 2*logKindLines {
		t.Errorf("%d lines of two kinds, want %d", got, 2*logKindLines)
	}
	out.Reset()
	now = now.Add(time.Minute)
	log.Info("received")
	want := fmt.Sprintf(`msg="lines were left out of the log" archive=x g.of="bad datagram" g.lines=%d`, 10_000-logKindLines)
	if got := out.String(); !strings.Contains(got, want) || !strings.Contains(got, `of="disk is slow"`) || strings.Count(got, "\n") != 3 {
		t.Errorf("after the minute: got\n%swant %s", got, want)
	}
	out.Reset()
	now = now.Add(time.Minute)
	for n := range 10_000 {
		log.Warn(fmt.Sprint("message ", n))
	}
	if got := strings.Count(out.String(), "\n"); got > logKinds+logKindLines {
		t.Errorf("%d lines of ten thousand kinds", got)
	}
}

// TestLogOptions checks format and level, from flags and from the configuration.
func TestLogOptions(t *testing.T) {
	c, err := parseConfig("weir.yaml", []byte("log: {format: json, level: warn}\n"))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	log, level := newLogger(&out, c.Log)
	log.Info("left out")
	log.Warn("told", "n", 1)
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil || line["msg"] != "told" || line["n"] != 1.0 || line["level"] != "WARN" {
		t.Errorf("got %s, %v", out.Bytes(), err)
	}
	level.Set(slog.LevelDebug)
	out.Reset()
	if log.Debug("told now"); !strings.Contains(out.String(), "told now") {
		t.Errorf("got %q", out.String())
	}
	for _, tt := range []struct{ text, want string }{
		{"log: {format: xml}\n", `weir.yaml:1: log: format: log format: no "xml"; it is one of text, json`},
		{"log: {level: inof}\n", `weir.yaml:1: log: level: log level: no "inof"; did you mean "info"?`},
	} {
		if _, err := parseConfig("weir.yaml", []byte(tt.text)); err == nil || err.Error() != tt.want {
			t.Errorf("%q: got %v, want %s", tt.text, err, tt.want)
		}
	}
	_, errs, status := weir(t, filepath.Join(t.TempDir(), "data"), "collect", "--log-format", "xml", "--listen", "netflow://127.0.0.1:0")
	if status != exitUsage || !strings.Contains(errs, "log format") {
		t.Errorf("status %d, %s", status, errs)
	}
}

// TestLogInJSON checks that a collector that logs in JSON writes nothing else.
func TestLogInJSON(t *testing.T) {
	var errs lockedBuffer
	c := collectFor(t, collectOptions{
		dir: filepath.Join(t.TempDir(), "data"), listen: []collector.Listen{{Scheme: "netflow", Addr: "127.0.0.1:0"}},
		log: logOptions{Format: logJSON}, metrics: "127.0.0.1:0",
	}, &errs)
	c.hangups <- syscall.SIGHUP
	c.stop(t)
	lines := 0
	for line := range strings.Lines(errs.String()) {
		lines++
		var l struct{ Level, Msg string }
		if err := json.Unmarshal([]byte(line), &l); err != nil || l.Msg == "" || l.Level == "" {
			t.Errorf("%q: %v", line, err)
		}
	}
	if lines < 4 || !strings.Contains(errs.String(), `"msg":"listening","on":"netflow://127.0.0.1:`) {
		t.Errorf("%d lines: %s", lines, errs.String())
	}
}

// TestHostileFloodLogsLittle sends a collector hostile datagrams of many kinds
// from many senders, ten thousands in all, and counts the lines of its log.
func TestHostileFloodLogsLittle(t *testing.T) {
	var errs lockedBuffer
	c := collectFor(t, collectOptions{
		dir: filepath.Join(t.TempDir(), "data"), listen: []collector.Listen{{Scheme: "netflow", Addr: "0.0.0.0:0"}},
	}, &errs)
	port := c.addrs[0].(*net.UDPAddr).Port
	hostile := [][]byte{
		{}, {0}, {0, 5}, {0, 9, 0, 1}, {0, 10, 255, 255, 1, 2, 3, 4}, bytes.Repeat([]byte{255}, 600),
		append(netflow5(1)[:24], 1, 2, 3), append([]byte{0, 9, 0, 9}, make([]byte, 100)...), {0, 0, 0, 5, 0, 0, 0, 9}, {0, 77, 1, 1},
	}
	sent := 0
	for range 10 {
		for host := range 200 {
			conn, err := net.DialUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 1, byte(host+1))}, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range hostile {
				if _, err := conn.Write(p); err == nil {
					sent++
				}
			}
			conn.Close()
		}
		time.Sleep(5 * time.Millisecond)
	}
	c.stop(t)
	text := errs.String()
	lines, bad := strings.Count(text, "\n"), strings.Count(text, `msg="bad datagram"`)
	if bad == 0 || bad > 2*logKindLines || lines > bad+40 || sent < 10_000 {
		t.Errorf("%d datagrams made %d lines, %d about bad datagrams", sent, lines, bad)
	}
	if errors.Is(c.err, net.ErrClosed) || c.err != nil {
		t.Errorf("the collector ended with %v", c.err)
	}
}
