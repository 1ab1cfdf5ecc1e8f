package command

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"slices"

	"go.yaml.in/yaml/v3"

	"weir/collector"
)

// tlsFiles name what the collector shows, and asks of exporters, over TLS.
type tlsFiles struct {
	Cert     string // its certificate and those up to the root, PEM
	Key      string // PEM
	ClientCA string // certificates that sign exporters', PEM; "": exporters need none
}

// readTLS reads the value of tls:.
func (c *config) readTLS(v *yaml.Node) error {
	return readMapping(v, []entryKey{
		{"cert", storeName(&c.TLS.Cert)},
		{"key", storeName(&c.TLS.Key)},
		{"client_ca", storeName(&c.TLS.ClientCA)},
	})
}

// config reads the files that addresses for TLS need; it is nil without such an
// address.
func (f tlsFiles) config(listen []collector.Listen) (*tls.Config, error) {
	if !slices.ContainsFunc(listen, collector.Listen.IsTLS) {
		return nil, nil
	}
	if f.Cert == "" || f.Key == "" {
		return nil, usagef("listen: ipfix+tls:// needs a certificate and its key").
			withHint("write tls: {cert: FILE, key: FILE, client_ca: FILE} into the file of --config")
	}
	cert, err := tls.LoadX509KeyPair(f.Cert, f.Key)
	if err != nil {
		return nil, usagef("tls: %v", err)
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}}
	if f.ClientCA == "" {
		return c, nil
	}
	pem, err := os.ReadFile(f.ClientCA)
	if err != nil {
		return nil, usagef("tls: client_ca: %v", err)
	}
	c.ClientCAs, c.ClientAuth = x509.NewCertPool(), tls.RequireAndVerifyClientCert
	if !c.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, usagef("tls: client_ca: %s has no certificate in PEM", f.ClientCA)
	}
	return c, nil
}
