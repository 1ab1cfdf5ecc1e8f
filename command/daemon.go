package command

import (
	"context"
	"sync"
	"time"

	"weir/collector"
	"weir/query"
)

// A daemon is what a collector that runs knows of itself.
type daemon struct {
	started   time.Time
	collector *collector.Collector
	rates     *meter
	counts    *questionCounts
	metrics   *metricsDoor
	reload    func(context.Context) (*reloadReport, error) // reads the configuration again
	hour      hourCache
	forward   *collector.Relay // nil: none is told of
}

// forwarded says how the targets of forward: are served; nil: there are none.
func (d *daemon) forwarded() (list []forwardReport) {
	if d.forward == nil {
		return nil
	}
	for _, s := range d.forward.Stats() {
		list = append(list, forwardReport{To: s.To.String(), Sent: s.Sent, QueueFull: s.Full, Failed: s.Failed})
	}
	return list
}

// hourEvery is for how long a scrape takes what the one before read of the
// ledger: what it tells changes slowly, and a flood of exporters makes it long.
const hourEvery = time.Minute

// An hourCache is what the ledger says of the last hour, by exporter.
type hourCache struct {
	mu      sync.Mutex
	at      time.Time
	digests map[string]query.Digest
}

// get returns what was read lately, or reads it.
func (h *hourCache) get(now time.Time, read func() (*query.Grid, error)) (map[string]query.Digest, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if age := now.Sub(h.at); h.digests != nil && age >= 0 && age < hourEvery {
		return h.digests, nil
	}
	grid, err := read()
	if err != nil {
		return nil, err
	}
	h.at, h.digests = now, make(map[string]query.Digest, len(grid.Exporters))
	for i := range grid.Exporters {
		h.digests[grid.Exporters[i].Addr] = grid.Exporters[i].Total
	}
	return h.digests, nil
}
