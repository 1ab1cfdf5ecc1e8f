package command

import (
	"fmt"
	"strings"
	"time"

	"weir/command/metrics"
	"weir/query"
)

// What is a problem. docs/operations.md has the list.
const (
	badLoss     = 0.01          // share of the records of this hour and the one before
	badDiskDays = 7             // until the disk is full
	badDiskFree = 0.05          // share of the file system
	badQuiet    = metrics.UpFor // without any record, though a collector runs
)

// problems says what of a report wants somebody's attention.
func (r *statusReport) problems() []string {
	var list []string
	add := func(when bool, format string, args ...any) {
		if when {
			list = append(list, fmt.Sprintf(format, args...))
		}
	}
	add(!r.Collecting, "no collector runs")
	if n := len(r.Exporters.Silent); n > 0 && r.Collecting {
		add(true, "%d of %s silent: %s", n, query.Things(uint64(r.Exporters.Expected), "expected exporter"), someOf(r.Exporters.Silent, 5))
	}
	if n := len(r.Foreign); n > 0 && r.Collecting {
		var names []string
		for _, f := range r.Foreign {
			names = append(names, f.text())
		}
		add(true, "%s records of which no address is in networks: %s", map[bool]string{true: "an exporter sends", false: fmt.Sprintf("%d exporters send", n)}[n == 1], someOf(names, 3))
	}
	add(r.Collecting && r.quiet() > badQuiet, "no record for %s", humanSpan(r.quiet()))
	add(r.Loss > badLoss, "%s of the records of this hour and the one before were lost", query.ShareText(r.Loss))
	add(r.Kernel > 0 && r.Behind == 0, "the kernel dropped %s in this hour and the one before", query.Things(r.Kernel, "datagram"))
	add(r.Behind > 0, "the kernel dropped %s in this hour and the one before: the collector did not keep up", query.Things(r.Kernel, "datagram"))
	add(r.NotStored > 0, "%s of this hour and the one before could not be stored", query.Things(r.NotStored, "record"))
	if d := r.Disk; d.Days != nil {
		add(*d.Days < badDiskDays, "the disk is full in %s", daysText(*d.Days))
	}
	add(r.Disk.Size > 0 && float64(r.Disk.Free) < badDiskFree*float64(r.Disk.Size), "only %sB of the disk are free", humanCount(r.Disk.Free))
	for _, ending := range r.Holds.Ending {
		add(true, "%s", ending)
	}
	if room := r.Kept.Room; room != nil && room.At != nil {
		add(room.At.Sub(r.Now) < badDiskDays*day, "hours go before their time because of max-disk from %s on", showTime(*room.At))
	}
	add(r.Kept.Held, "retention is held: %s", r.Kept.Reason)
	add(len(r.Damage) > 0, "%s damaged", map[bool]string{true: "one part of the archive is", false: fmt.Sprintf("%d parts of the archive are", len(r.Damage))}[len(r.Damage) == 1])
	return list
}

// quiet returns for how long nothing was stored, since the collector runs.
func (r *statusReport) quiet() time.Duration {
	if r.Since == nil {
		return 0
	}
	since := *r.Since
	if newest := time.UnixMilli(int64(r.Newest)); newest.After(since) {
		since = newest
	}
	return max(r.Now.Sub(since), 0)
}

// someOf writes the first few of a list and how many more there are.
func someOf(list []string, most int) string {
	if len(list) <= most {
		return strings.Join(list, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(list[:most], ", "), len(list)-most)
}

// daysText writes days for people.
func daysText(days float64) string {
	if days >= 1000 {
		return "more than 1000 days"
	}
	return humanSpan(time.Duration(days * float64(day)))
}
