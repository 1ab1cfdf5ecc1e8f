package command

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"weir/collector"
	"weir/flow/ledger"
)

// reportEvery logs one line of what arrived in each period, and of what came
// after the last.
func reportEvery(ctx context.Context, log *slog.Logger, c *collector.Collector, period time.Duration) error {
	ticker := time.NewTicker(period)
	defer ticker.Stop()
	before, since := c.Stats(), time.Now()
	for ended := false; !ended; {
		select {
		case <-ctx.Done():
			ended = true
		case <-ticker.C:
		}
		now := c.Stats()
		if !ended || now.Total.Datagrams > before.Total.Datagrams || now.KernelDrops > before.KernelDrops {
			report(log, before, now, time.Since(since))
		}
		before, since = now, time.Now()
	}
	return nil
}

// report logs what arrived between two readings of the counters.
func report(log *slog.Logger, before, now collector.Stats, period time.Duration) {
	active := 0
	for _, e := range now.Exporters {
		if e.Datagrams > datagramsOf(before, e) {
			active++
		}
	}
	records := now.Total.Records - before.Total.Records
	attrs := []any{
		"records", records,
		"records_per_s", fmt.Sprintf("%.1f", float64(records)/period.Seconds()),
		"datagrams", now.Total.Datagrams - before.Total.Datagrams,
		"exporters", active,
		"bad_datagrams", now.Total.BadDatagrams - before.Total.BadDatagrams,
		"kernel_drops", now.KernelDrops - before.KernelDrops,
	}
	if out := now.Total.Count(ledger.OutOfScope) - before.Total.Count(ledger.OutOfScope); out > 0 {
		attrs = append(attrs, "out_of_scope", out)
	}
	if refused := now.Refused - before.Refused; refused > 0 {
		attrs = append(attrs, "refused_datagrams", refused)
	}
	if waiting := now.Total.SetsWaiting; waiting > 0 {
		attrs = append(attrs, "sets_waiting_for_template", waiting)
	}
	if full := now.QueueFull - before.QueueFull; full > 0 {
		attrs = append(attrs, "queue_full", full)
	}
	if lost := now.LostRecords - before.LostRecords; lost > 0 {
		attrs = append(attrs, "records_not_stored", lost)
	}
	if errs := newErrors(before, now); errs != "" {
		attrs = append(attrs, "errors", errs)
	}
	log.Info("received", attrs...)
}

// newErrors lists the errors between two readings by reason.
func newErrors(before, now collector.Stats) string {
	counts := make(map[string]uint64)
	for _, r := range collector.Reasons() {
		if n := now.Total.Error(r) - before.Total.Error(r); n > 0 {
			counts[r.String()] = n
		}
	}
	return countList(counts)
}

func datagramsOf(st collector.Stats, e collector.ExporterStats) uint64 {
	for _, b := range st.Exporters {
		if b.Exporter == e.Exporter {
			return b.Datagrams
		}
	}
	return 0
}
