package command

import (
	"bytes"
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestRelay(t *testing.T) {
	target, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	std, _, _ := testStd()
	said := &lockedBuffer{}
	std.Err = said
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan int)
	go func() {
		done <- Main(ctx, []string{"weir", "relay", "--listen", "netflow://127.0.0.1:0", "--to", target.LocalAddr().String()}, std)
	}()
	want := netflow5(3)
	sendWhenListening(t, said, want)
	got := make([]byte, 65536)
	_ = target.SetReadDeadline(time.Now().Add(10 * time.Second))
	n, _, err := target.ReadFrom(got)
	if err != nil || !bytes.Equal(got[:n], want) {
		t.Errorf("got %x, %v, want %x", got[:n], err, want)
	}
	cancel()
	if status := <-done; status != exitOK || !strings.Contains(said.String(), "sent=1 queue_full=0 failed=0") {
		t.Errorf("status %d, said %s", status, said)
	}
}

func TestRelayMistakes(t *testing.T) {
	for args, want := range map[string]int{
		"":                                  exitUsage,
		"--to 127.0.0.1":                    exitUsage,
		"--to :2055":                        exitUsage,
		"--to 127.0.0.1:9 --listen tcp://x": exitUsage,
		"--to 127.0.0.1:29955 --listen netflow://127.0.0.1:29955": exitFailure, // a loop
	} {
		std, _, errs := testStd()
		status := Main(context.Background(), append([]string{"weir", "relay"}, strings.Fields(args)...), std)
		if status != want {
			t.Errorf("%q: status %d, want %d: %s", args, status, want, errs)
		}
	}
}

// What the configuration says in forward: goes out beside what is stored.
func TestForwardInTheConfiguration(t *testing.T) {
	target, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	c := collectConfigured(t, t.TempDir(), "forward: "+target.LocalAddr().String()+"\n", testNow)
	conn, err := net.Dial("udp", c.addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	want := netflow5(2)
	if _, err := conn.Write(want); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 65536)
	_ = target.SetReadDeadline(time.Now().Add(10 * time.Second))
	n, _, err := target.ReadFrom(got)
	if err != nil || !bytes.Equal(got[:n], want) {
		t.Errorf("got %x, %v, want %x", got[:n], err, want)
	}
	c.stop()
}

func TestForwardMistakes(t *testing.T) {
	for _, text := range []string{"forward: 192.0.2.1", "forward: [192.0.2.1:2055, x]", "forward: {a: b}", "forward: ':2055'"} {
		file := filepath.Join(t.TempDir(), "weir.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := readConfig(file); err == nil || !strings.Contains(err.Error(), "forward") {
			t.Errorf("%s: got %v", text, err)
		}
	}
}
