package metrics

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Path is where the metrics are.
const Path = "/metrics"

// Bounds of the server: whoever reaches the port must not take memory or
// goroutines from the collector.
const (
	maxConnections = 16
	maxScrapes     = 2 // at once; more are refused
	patience       = 10 * time.Second
)

// Handler returns what answers scrapes.
func Handler(take func() *Snapshot, log *slog.Logger) http.Handler {
	return handlerOf(newRegistry(take), log)
}

func handlerOf(r prometheus.Gatherer, log *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET "+Path, promhttp.HandlerFor(r, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn), MaxRequestsInFlight: maxScrapes, Timeout: patience,
	}))
	return mux
}

// Serve answers scrapes on l until ctx is done, and closes l. Once it has
// returned, take is neither running nor called again: what it reads can be closed.
func Serve(ctx context.Context, l net.Listener, take func() *Snapshot, log *slog.Logger) error {
	g := &gate{take: take}
	defer g.close()
	h := &http.Server{
		Handler:           Handler(g.snapshot, log),
		ReadHeaderTimeout: patience, ReadTimeout: patience, WriteTimeout: 3 * patience, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 16 << 10,
		ErrorLog:       slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	stop := context.AfterFunc(ctx, func() { h.Close() })
	defer stop()
	err := h.Serve(&boundedListener{l, make(chan struct{}, maxConnections)})
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve metrics: %w", err)
}

// A gate takes snapshots until it closes. It stands before take and not before
// the handler, because a scrape that takes too long is answered while take goes
// on.
type gate struct {
	take   func() *Snapshot
	mu     sync.RWMutex // held to take, and exclusively to close
	closed bool
}

// snapshot returns a snapshot, an empty one after close.
func (g *gate) snapshot() *Snapshot {
	g.mu.RLock()
	defer g.mu.RUnlock()
	if g.closed {
		return &Snapshot{}
	}
	return g.take()
}

// close waits for the snapshots that are being taken.
func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
}

// A boundedListener closes at once what comes beyond its bound.
type boundedListener struct {
	net.Listener
	open chan struct{}
}

// Accept implements net.Listener.
func (l *boundedListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		select {
		case l.open <- struct{}{}:
			return &boundedConn{Conn: c, done: func() { <-l.open }}, nil
		default:
			c.Close() // it was not listened to yet
		}
	}
}

// A boundedConn makes room when it closes.
type boundedConn struct {
	net.Conn
	once sync.Once
	done func()
}

// Close implements net.Conn.
func (c *boundedConn) Close() error {
	c.once.Do(c.done)
	return c.Conn.Close()
}
