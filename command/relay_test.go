package command

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"slices"
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
	_ = target.SetReadDeadline(time.Now().Add(patience))
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
	data := filepath.Join(t.TempDir(), "data")
	c := collectConfigured(t, data, "forward: "+target.LocalAddr().String()+"\n", testNow)
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
	_ = target.SetReadDeadline(time.Now().Add(patience))
	n, _, err := target.ReadFrom(got)
	if err != nil || !bytes.Equal(got[:n], want) {
		t.Errorf("got %x, %v, want %x", got[:n], err, want)
	}
	waitStatus(t, data, func(r *statusReport) bool {
		return slices.Equal(r.Forwarded, []forwardReport{{To: target.LocalAddr().String(), Sent: 1}})
	})
	if out, _, _ := weir(t, data, "status"); !strings.Contains(out, "\nforwards    1 datagram to "+target.LocalAddr().String()+" since the start\n") {
		t.Errorf("the target is missing from\n%s", out)
	}
	c.stop()
}

// waitStatus asks how a collector does until that is as wanted.
func waitStatus(t *testing.T, data string, wanted func(*statusReport) bool) {
	t.Helper()
	var out, errs string
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		var r statusReport
		out, errs, _ = weir(t, data, "status", "-o", "json")
		if err := json.Unmarshal([]byte(out), &r); err == nil && wanted(&r) {
			return
		}
	}
	t.Fatalf("the status is %s%s", out, errs)
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
