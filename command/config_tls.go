package command

import (
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"os"
	"slices"
	"time"

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

// config reads the files that addresses for TLS need, and returns what reads them
// again when they change; nil without such an address.
func (f tlsFiles) config(listen []collector.Listen) (*certificates, error) {
	if !slices.ContainsFunc(listen, collector.Listen.IsTLS) {
		return nil, nil
	}
	if f.Cert == "" || f.Key == "" {
		return nil, usagef("listen: ipfix+tls:// needs a certificate and its key").
			withHint("write tls: {cert: FILE, key: FILE, client_ca: FILE} into the file of --config")
	}
	c := &certificates{files: f, log: slog.New(slog.DiscardHandler), now: time.Now}
	stamp, err := f.stamp()
	if err == nil {
		c.config, err = f.read()
	}
	if err != nil {
		return nil, err
	}
	c.stamp, c.looked = stamp, c.now()
	return c, nil
}

// read reads the files.
func (f tlsFiles) read() (*tls.Config, error) {
	cert, err := tls.LoadX509KeyPair(f.Cert, f.Key)
	if err != nil {
		return nil, usagef("tls: %v", err)
	}
	// Without tickets, each connection shows its certificate anew: one that the
	// authority of a newer file does not know does not come in by an old one.
	c := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}, SessionTicketsDisabled: true}
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

// A fileStamp tells one state of the files from another, without reading them.
type fileStamp [3]struct {
	modified time.Time
	size     int64
}

func (f tlsFiles) stamp() (s fileStamp, err error) {
	for i, name := range []string{f.Cert, f.Key, f.ClientCA} {
		if name == "" {
			continue
		}
		info, err := os.Stat(name)
		if err != nil {
			return s, usagef("tls: %v", err)
		}
		s[i].modified, s[i].size = info.ModTime(), info.Size()
	}
	return s, nil
}
