package command

import (
	"time"

	"weir/collector"
)

// A daemon is what a collector that runs knows of itself.
type daemon struct {
	started   time.Time
	collector *collector.Collector
	rates     *meter
	counts    *questionCounts
	metrics   string // where they can be scraped; "": nowhere
}
