package command

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// inspect runs weir inspect and returns what it wrote.
func inspect(t *testing.T, args ...string) (out, errs string, status int) {
	t.Helper()
	std, o, e := testStd()
	status = Main(context.Background(), append([]string{"weir", "inspect"}, args...), std)
	return o.String(), e.String(), status
}

func TestInspectCapture(t *testing.T) {
	file := filepath.Join("..", "testdata", "six-exporters.pcap")
	out, errs, status := inspect(t, file, "-n", "1")
	if status != exitOK || errs != "" {
		t.Fatalf("status %d, errors %s", status, errs)
	}
	for _, want := range []string{
		"53 datagrams of 6 exporters, 2026-11-22T14:00:00.500Z to 2026-11-22T14:00:09.950Z",
		"domain 1, netflow9, from port 50000: 18 datagrams, 104 records",
		"8        sourceIPv4Address                4  src_addr",
		"32       icmpTypeCodeIPv4                 2  read",
		"! template 259: no data came for it",
		"src_addr 10.1.0.12, dst_addr 34.48.210.4",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in:\n%s", want, out)
		}
	}
	one, _, _ := inspect(t, file, "--exporter", "127.2.0.1", "-n", "0")
	if strings.Contains(one, "10.1.0.12") || !strings.Contains(one, "18 datagrams of 1 exporter,") {
		t.Errorf("one exporter without records:\n%s", one)
	}
}

func TestInspectJSON(t *testing.T) {
	out, errs, status := inspect(t, filepath.Join("..", "testdata", "six-exporters.pcap"), "-o", "json")
	var got inspection
	if err := json.Unmarshal([]byte(out), &got); err != nil || status != exitOK {
		t.Fatalf("status %d, %v, errors %s", status, err, errs)
	}
	if got.Datagrams != 53 || len(got.Exporters) != 6 || got.Registry == "" {
		t.Fatalf("got %d datagrams of %d exporters, registry %q", got.Datagrams, len(got.Exporters), got.Registry)
	}
	d := got.Exporters[0].Domains[0]
	if d.Records != 104 || len(d.Templates) != 4 || d.Templates[0].Count != 92 || len(d.Templates[0].Shown) != defaultInspected {
		t.Errorf("got %d records, %d templates, %d records of the first", d.Records, len(d.Templates), d.Templates[0].Count)
	}
}

func TestInspectMistakes(t *testing.T) {
	for _, args := range [][]string{
		{}, {"--live", "x.pcap"}, {"x.pcap", "--for", "1s"}, {"--live", "--for", "0s"}, {"x.pcap", "--exporter", "border-1"},
		{"x.pcap", "-o", "csv"}, {"x.pcap", "-n", "1000000"}, {"--live", "--listen", "tcp://x"},
	} {
		if _, errs, status := inspect(t, args...); status != exitUsage {
			t.Errorf("%q: status %d, errors %s", args, status, errs)
		}
	}
	if _, _, status := inspect(t, filepath.Join(t.TempDir(), "none.pcap")); status != exitFailure {
		t.Errorf("a file that is not there: status %d", status)
	}
	text := filepath.Join(t.TempDir(), "text.pcap")
	if err := os.WriteFile(text, []byte("no capture"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, errs, status := inspect(t, text); status != exitFailure || out != "" || !strings.Contains(errs, "text.pcap") {
		t.Errorf("no capture: status %d, %q, %q", status, out, errs)
	}
}

// sendWhenListening sends a datagram to the address that a command says it
// listens on.
func sendWhenListening(t *testing.T, said *lockedBuffer, payloads ...[]byte) {
	t.Helper()
	at := regexp.MustCompile(`listening on netflow://(\S+)`)
	await(t, "something listens", func() bool { return at.MatchString(said.String()) })
	conn, err := net.Dial("udp", at.FindStringSubmatch(said.String())[1])
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, p := range payloads {
		if _, err := conn.Write(p); err != nil {
			t.Fatal(err)
		}
	}
}

func TestInspectLive(t *testing.T) {
	t.Parallel()
	std, out, _ := testStd()
	said := &lockedBuffer{}
	std.Err = said
	done := make(chan int)
	go func() {
		done <- Main(context.Background(), []string{"weir", "inspect", "--live", "--listen", "netflow://127.0.0.1:0", "--for", "6s"}, std)
	}()
	sendWhenListening(t, said, netflow5(3), []byte("rubbish"))
	if status := <-done; status != exitOK {
		t.Errorf("status %d, errors %s", status, said)
	}
	for _, want := range []string{"2 datagrams of 1 exporter", "netflow5", "3 records", "src_addr 10.0.0.1", "! version 1: no version that weir knows"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in:\n%s", want, out)
		}
	}
}
