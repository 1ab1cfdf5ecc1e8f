package command

import (
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"sync"
	"time"
)

// lookEvery is how often the files of certificates are looked at, at most, when
// somebody connects.
const lookEvery = time.Second

// certificates are what the collector shows over TLS and whom it lets in. They
// are read again when their files have changed: whoever renews certificates need
// not stop the collecting. Its methods may be called by several goroutines.
type certificates struct {
	files tlsFiles
	log   *slog.Logger
	now   func() time.Time

	mu     sync.Mutex
	config *tls.Config
	stamp  fileStamp // of the files that were read last, well or in vain
	looked time.Time
	absent bool // a file was missing the last time, which the log has said
}

// tls returns a configuration that follows the files; nil of nil.
func (c *certificates) tls(log *slog.Logger) *tls.Config {
	if c == nil {
		return nil
	}
	c.log = log
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return c.current(), nil },
	}
}

// current returns the configuration of the files as they are now. Files that
// cannot be read, as while they are being replaced, change nothing: what was read
// before holds, and the log says so.
func (c *certificates) current() *tls.Config {
	c.mu.Lock()
	defer c.mu.Unlock()
	if since := c.now().Sub(c.looked); since >= 0 && since < lookEvery {
		return c.config
	}
	c.looked = c.now()
	stamp, err := c.files.stamp()
	absent := c.absent
	if c.absent = err != nil; err == nil && stamp == c.stamp || c.absent && absent {
		return c.config
	}
	var config *tls.Config
	if err == nil {
		c.stamp = stamp
		config, err = c.files.read()
	}
	if err != nil {
		c.log.Error("the certificate is not read again, the one before holds", "error", err)
		return c.config
	}
	c.config = config
	args := []any{"cert", c.files.Cert}
	if leaf, err := x509.ParseCertificate(config.Certificates[0].Certificate[0]); err == nil {
		args = append(args, "serial", leaf.SerialNumber, "not_after", leaf.NotAfter)
	}
	c.log.Info("the certificate was read again", args...)
	return c.config
}
