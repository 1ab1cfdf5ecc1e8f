package command

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/collector"
)

// certificateFiles writes a certificate and its key.
func certificateFiles(t *testing.T) (cert, key string) {
	t.Helper()
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writeCertificate(t, cert, key, 1)
	return cert, key
}

// writeCertificate writes a new certificate of that number, and its key.
func writeCertificate(t *testing.T, cert, key string, serial int64) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour), BasicConstraintsValid: true, IsCA: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: pkcs8}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTLSConfig(t *testing.T) {
	cert, key := certificateFiles(t)
	secure := []collector.Listen{{Scheme: "ipfix+tls", Addr: ":4740"}}
	for _, c := range []struct {
		name   string
		files  tlsFiles
		listen []collector.Listen
		fails  string
		auth   tls.ClientAuthType
	}{
		{"not needed", tlsFiles{}, collector.DefaultListen(), "", 0},
		{"nothing said", tlsFiles{}, secure, "needs a certificate and its key", 0},
		{"no key", tlsFiles{Cert: cert}, secure, "needs a certificate and its key", 0},
		{"no such file", tlsFiles{Cert: cert + "x", Key: key}, secure, "no such file", 0},
		{"key as authority", tlsFiles{cert, key, key}, secure, "no certificate in PEM", 0},
		{"without clients' certificates", tlsFiles{cert, key, ""}, secure, "", tls.NoClientCert},
		{"with clients' certificates", tlsFiles{cert, key, cert}, secure, "", tls.RequireAndVerifyClientCert},
	} {
		got, err := c.files.config(c.listen)
		switch {
		case c.fails != "":
			if err == nil || !strings.Contains(err.Error(), c.fails) {
				t.Errorf("%s: got %v, want an error of %q", c.name, err, c.fails)
			}
		case err != nil:
			t.Errorf("%s: %v", c.name, err)
		case (got == nil) != (c.name == "not needed"):
			t.Errorf("%s: got %v", c.name, got)
		case got != nil && (got.config.ClientAuth != c.auth || got.config.MinVersion != tls.VersionTLS12):
			t.Errorf("%s: got client authentication %v and version %x", c.name, got.config.ClientAuth, got.config.MinVersion)
		}
	}
}

func TestConfigTLS(t *testing.T) {
	c, err := parseConfig("weir.yaml", []byte("tls: {cert: a.pem, key: b.pem, client_ca: c.pem}\n"))
	if err != nil || c.TLS != (tlsFiles{"a.pem", "b.pem", "c.pem"}) {
		t.Errorf("got %+v, %v", c, err)
	}
	if _, err := parseConfig("weir.yaml", []byte("tls: {ca: c.pem}\n")); err == nil {
		t.Error("an unknown key of tls was taken")
	}
}
