package command

import (
	"crypto/tls"
	"log/slog"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"weir/collector"
)

// TestCertificatesFollowFiles replaces the files of a server: who connects next
// sees the new certificate, and is judged by the new authority. Files that make
// no sense change nothing.
func TestCertificatesFollowFiles(t *testing.T) {
	cert, key := certificateFiles(t)
	clientCert, clientKey := certificateFiles(t) // its own authority
	c, err := tlsFiles{cert, key, clientCert}.config([]collector.Listen{{Scheme: "ipfix+tls", Addr: ":0"}})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	c.now = func() time.Time { return now }
	var log strings.Builder
	server := c.tls(slog.New(slog.NewTextHandler(&log, nil)))
	client := func() tls.Certificate {
		pair, err := tls.LoadX509KeyPair(clientCert, clientKey)
		if err != nil {
			t.Fatal(err)
		}
		return pair
	}
	first := client()
	before := func() tls.Certificate { return first }
	for _, step := range []struct {
		what    string
		change  func()
		with    func() tls.Certificate
		serial  int64
		refused bool
		logs    string
	}{
		{"at the start", func() {}, before, 1, false, ""},
		{"a new certificate", func() { writeCertificate(t, cert, key, 22) }, before, 22, false, "serial=22"},
		{"an unreadable one", func() { overwrite(t, cert, "nonsense") }, before, 22, false, "level=ERROR"},
		{"none", func() { _ = os.Remove(cert) }, before, 22, false, "no such file"},
		{"another one", func() { writeCertificate(t, cert, key, 333) }, before, 333, false, "serial=333"},
		{"another authority", func() { writeCertificate(t, clientCert, clientKey, 5) }, before, 333, true, "read again"},
		{"a client of it", func() {}, client, 333, false, ""},
	} {
		step.change()
		now = now.Add(lookEvery)
		log.Reset()
		serial, err := shake(t, server, step.with())
		if (err != nil) != step.refused || err == nil && serial != step.serial {
			t.Errorf("%s: got certificate %d, %v, want %d, refused: %v", step.what, serial, err, step.serial, step.refused)
		}
		if !strings.Contains(log.String(), step.logs) || step.logs == "" && log.Len() > 0 {
			t.Errorf("%s: the log says %q, want %q", step.what, &log, step.logs)
		}
	}
	writeCertificate(t, cert, key, 4444)
	if serial, err := shake(t, server, client()); err != nil || serial != 333 {
		t.Errorf("within %v: got certificate %d, %v, want the one before", lookEvery, serial, err)
	}
}

// overwrite writes a file that is no certificate.
func overwrite(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// shake does a handshake and returns the number of the server's certificate, or
// why the server refused.
func shake(t *testing.T, server *tls.Config, with tls.Certificate) (serial int64, err error) {
	t.Helper()
	here, there := net.Pipe()
	defer here.Close()
	defer there.Close()
	for _, c := range []net.Conn{here, there} {
		if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan error, 1)
	go func() {
		err := tls.Server(there, server).Handshake()
		there.Close()
		done <- err
	}()
	conn := tls.Client(here, &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{with}}) // who the server is is not what is asked
	if conn.Handshake() == nil {
		_, _ = conn.Read(make([]byte, 1)) // in TLS 1.3 a refusal comes later
		serial = conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
	}
	return serial, <-done
}
