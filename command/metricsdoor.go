package command

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"syscall"

	"weir/command/metrics"
)

// A metricsDoor is where metrics are scraped from, which may be nowhere and may
// change. The nil door is nowhere.
type metricsDoor struct {
	log *slog.Logger

	mu       sync.Mutex                      // guards what follows
	wanted   string                          // as the configuration has it; "": nowhere
	listener net.Listener                    // nil: nowhere
	serve    func(net.Listener) (end func()) // likewise
	end      func()                          // ends what serve began; nil: nothing is served
}

// openMetrics opens the port that metrics are scraped from.
func openMetrics(addr string, log *slog.Logger) (*metricsDoor, error) {
	l, err := listenMetrics(addr, log)
	return &metricsDoor{log: log, wanted: addr, listener: l}, err
}

// url is where the metrics are, "" if nowhere.
func (d *metricsDoor) url() string {
	if d == nil {
		return ""
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.listener == nil {
		return ""
	}
	return "http://" + d.listener.Addr().String() + metrics.Path
}

// close gives the port up that run does not serve.
func (d *metricsDoor) close() {
	if d.listener != nil {
		d.listener.Close()
	}
}

// run answers scrapes until ctx is done.
func (d *metricsDoor) run(ctx context.Context, snapshot func(context.Context) *metrics.Snapshot) error {
	d.mu.Lock()
	d.serve = func(l net.Listener) func() {
		until, cancel := context.WithCancel(ctx)
		done := make(chan struct{})
		go func() {
			defer close(done)
			err := metrics.Serve(until, l, func() *metrics.Snapshot { return snapshot(until) }, d.log)
			if err != nil {
				d.log.Error("metrics are answered no more", "err", err)
			}
		}()
		return func() { cancel(); <-done }
	}
	d.begin()
	d.mu.Unlock()
	<-ctx.Done()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.serve = nil
	d.stop()
	return nil
}

// begin serves the listener, if there is one and run works. The caller holds mu.
func (d *metricsDoor) begin() {
	if d.listener != nil && d.serve != nil {
		d.end = d.serve(d.listener)
	}
}

// stop closes the listener. The caller holds mu.
func (d *metricsDoor) stop() {
	switch {
	case d.end != nil:
		d.end()
	case d.listener != nil:
		d.listener.Close()
	}
	d.end, d.listener = nil, nil
}

// move lets the metrics be scraped from another address. If that cannot be had,
// the old one stays.
func (d *metricsDoor) move(addr string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if addr == d.wanted {
		return nil
	}
	l, err := listenMetrics(addr, d.log)
	if errors.Is(err, syscall.EADDRINUSE) && d.listener != nil {
		// It may be ourselves: 0.0.0.0 and 127.0.0.1 cannot have one port together.
		d.stop()
		if l, err = listenMetrics(addr, d.log); err != nil {
			if d.listener, _ = listenMetrics(d.wanted, d.log); d.listener == nil {
				d.log.Error("metrics are answered no more", "metrics", d.wanted)
			}
			d.begin()
		}
	}
	if err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	d.stop()
	d.wanted, d.listener = addr, l
	d.begin()
	return nil
}
