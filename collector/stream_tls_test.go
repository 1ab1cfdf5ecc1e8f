package collector

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"testing"
	"time"
)

// certificate makes a certificate that signs itself, for whatever it is used.
func certificate(t *testing.T, name string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// Over TLS, an exporter with a certificate is heard; one without, one with that
// of another authority and one that speaks plain TCP are refused, and counted.
func TestStreamTLS(t *testing.T) {
	server, roots := certificate(t, "collector")
	client, clientRoots := certificate(t, "exporter")
	stranger, _ := certificate(t, "stranger")
	sink := newMemorySink()
	c, _ := startCollector(t, Options{
		Listen: []Listen{{schemeTLS, "127.0.0.1:0"}}, Sink: sink,
		TLS: &tls.Config{
			MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{server},
			ClientCAs: clientRoots, ClientAuth: tls.RequireAndVerifyClientCert,
		},
	})
	addr := c.Addrs()[0].String()
	for i, refused := range []*tls.Config{
		{RootCAs: roots},
		{RootCAs: roots, Certificates: []tls.Certificate{stranger}},
		{RootCAs: roots, Certificates: []tls.Certificate{client}, MaxVersion: tls.VersionTLS11},
	} {
		if conn, err := tls.Dial("tcp", addr, refused); err == nil { // in TLS 1.3 the client learns it later
			wantClosed(t, conn)
			conn.Close()
		}
		waitFor(t, "the refusal", func() bool { return c.Stats().Total.Error(ReasonTLS) == uint64(i+1) })
	}
	plain := dialTCP(t, c)
	write(t, plain, ipfix(0, set(2, templateUsual)), ipfix(0, dataUsual))
	waitFor(t, "the refusal of plain TCP", func() bool { return c.Stats().Total.Error(ReasonTLS) == 4 })

	conn, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{client}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	write(t, conn, ipfix(0, set(2, templateUsual)), ipfix(0, dataUsual))
	waitRecords(t, sink, 5)
}

func TestTLSNeedsACertificate(t *testing.T) {
	c, err := New(Options{Listen: []Listen{{schemeTLS, "127.0.0.1:0"}}, Sink: newMemorySink()})
	if err == nil {
		c.Close()
		t.Fatal("a collector listens for TLS without a certificate")
	}
}

// TestRelistenTLS renews the certificate while a connection is open: that one
// stays, and the next one is shown the new one.
func TestRelistenTLS(t *testing.T) {
	old, oldRoots := certificate(t, "old")
	renewed, newRoots := certificate(t, "renewed")
	sink := newMemorySink()
	listen := []Listen{{schemeTLS, "127.0.0.1:0"}}
	c, stop := startCollector(t, Options{Listen: listen, Sink: sink, TLS: &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{old}}})
	addr := c.Addrs()[0].String()
	first, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: oldRoots})
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	if err := c.Relisten(t.Context(), listen, &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{renewed}}); err != nil {
		t.Fatal(err)
	}
	if conn, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: oldRoots}); err == nil {
		conn.Close()
		t.Error("the old certificate is still shown")
	}
	second, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: newRoots})
	if err != nil {
		t.Fatalf("the new certificate is not shown: %v", err)
	}
	defer second.Close()
	for _, conn := range []net.Conn{first, second} {
		write(t, conn, ipfix(0, set(2, templateUsual)), ipfix(0, dataUsual))
	}
	waitRecords(t, sink, 10)
	if err := stop(); err != nil || sink.len() != 10 {
		t.Errorf("%d records, want 5 of each connection; %v", sink.len(), err)
	}
}
